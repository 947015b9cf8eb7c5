//! What grows with the number of models: the start, the memory, the cost of a call.

use std::time::Duration;

use anyhow::Context as _;
use modelward::proto::v1;
use modelward::store::Engine;
use prost::Message;

use super::writes::updates;
use crate::duel::Side;
use crate::home::Home;
use crate::process;
use crate::report::{Table, count, mebibytes, median, time};
use crate::seed::{Kind, Template, id};
use crate::server::Server;

const CALLERS: usize = 8;
const MEASURED: Duration = Duration::from_secs(1);

pub fn run() -> anyhow::Result<()> {
    let mut starts = Table::new(&["database", "models", "start to SERVING", "memory", "memory per model"]);
    let mut costs = Table::new(&["models", "call", "calls/s", "p50", "p99", "CPU per call"]);
    for (engine, models) in [
        (Engine::Sqlite, 0),
        (Engine::Sqlite, 100),
        (Engine::Sqlite, 1_000),
        (Engine::Sqlite, 100_000),
        (Engine::Sqlite, 1_000_000),
        (Engine::Postgres, 0),
        (Engine::Postgres, 1_000),
        (Engine::Postgres, 100_000),
        (Engine::Postgres, 1_000_000),
    ] {
        let home = home(engine, models)?;
        let server = start(&home, models, &mut starts)?;
        if engine == Engine::Sqlite && models > 0 {
            calls(&server, models, &mut costs)?;
        }
    }
    starts.print("Start and memory");
    costs.print("Cost of a call as models grow");
    Ok(())
}

fn home(engine: Engine, models: usize) -> anyhow::Result<Home> {
    let home = Home::new(engine)?;
    let server = home.start()?;
    if models > 0 {
        let template = Template::create(&server, "http://127.0.0.1:9/v1")?;
        server.stop()?;
        template.copy_models(&home, models)?;
    }
    Ok(home)
}

fn start(home: &Home, models: usize, table: &mut Table) -> anyhow::Result<Server> {
    let times = if models > 100_000 { 0 } else { 2 };
    let mut ready = Vec::new();
    for _ in 0..times {
        ready.push(home.start()?.ready);
    }
    let server = home.start()?;
    ready.push(server.ready);
    let memory = process::memory(server.pid())?;
    let per_model = memory.checked_div(u64::try_from(models)?).filter(|_| models >= 100_000);
    table.row(vec![
        home.engine().to_string(),
        count(f64::from(u32::try_from(models)?)),
        time(median(ready).context("no starts")?),
        mebibytes(memory),
        per_model.map_or_else(String::new, |bytes| format!("{bytes} bytes")),
    ]);
    Ok(server)
}

fn calls(server: &Server, models: usize, table: &mut Table) -> anyhow::Result<()> {
    let step = models.div_ceil(1000);
    let ids = (0..models).step_by(step).map(|number| id(Kind::Model, number));
    let get: Vec<_> = ids.map(|id| v1::GetModelRequest { id }).collect();
    cost(server, models, "ModelService/GetModel", &get, table)?;
    let pick = v1::PickEndpointRequest { provider_id: id(Kind::Provider, 0), ..Default::default() };
    cost(server, models, "EndpointService/PickEndpoint", &[pick], table)?;
    let list = v1::ListModelsRequest { page_size: 100, ..Default::default() };
    cost(server, models, "ModelService/ListModels", &[list], table)?;
    cost(server, models, "ModelService/UpdateModel", &updates(CALLERS), table)
}

fn cost(server: &Server, models: usize, rpc: &str, requests: &[impl Message], table: &mut Table) -> anyhow::Result<()> {
    let mut plan = server.plan(rpc, requests, CALLERS)?;
    plan.measured = MEASURED;
    let sample = Side { pid: server.pid(), plan }.measure()?;
    table.row(vec![
        count(f64::from(u32::try_from(models)?)),
        rpc.rsplit('/').next().unwrap_or(rpc).to_owned(),
        count(sample.outcome.per_second),
        time(sample.outcome.p50),
        time(sample.outcome.p99),
        time(sample.cpu),
    ]);
    Ok(())
}
