//! Reads beside a bare tonic server that answers the same bytes.

use modelward::proto::v1;
use modelward::store::Engine;
use prost::Message;

use crate::duel::{Duel, Side};
use crate::echo::{self, Echo};
use crate::home::Home;
use crate::report::{Table, count, time};
use crate::seed::{Kind, Template, id};
use crate::server::Server;

const MODELS: usize = 1000;

pub fn run() -> anyhow::Result<()> {
    let home = Home::new(Engine::Sqlite)?;
    let server = home.start()?;
    let template = Template::create(&server, "http://127.0.0.1:9/v1")?;
    server.stop()?;
    template.copy_models(&home, MODELS)?;
    let server = home.start()?;
    let mut bench = Bench { home: &home, server: &server, table: table() };
    let get: Vec<_> = (0..MODELS).map(|number| v1::GetModelRequest { id: id(Kind::Model, number) }).collect();
    bench.case("GetModel", "ModelService/GetModel", &get)?;
    let pick = v1::PickEndpointRequest { provider_id: id(Kind::Provider, 0), ..Default::default() };
    bench.case("PickEndpoint", "EndpointService/PickEndpoint", &[pick])?;
    for include_secret in [false, true] {
        let selector = Some(v1::resolve_target_request::Selector::ModelId(template.model.clone()));
        let target = v1::ResolveTargetRequest { selector, include_secret, ..Default::default() };
        let name = if include_secret { "ResolveTarget(include_secret)" } else { "ResolveTarget" };
        bench.case(name, "RoutingService/ResolveTarget", &[target])?;
    }
    for page_size in [100, 1000] {
        let list = v1::ListModelsRequest { page_size, ..Default::default() };
        bench.case(&format!("ListModels({page_size})"), "ModelService/ListModels", &[list])?;
    }
    let list = v1::ListModelsByCapabilityRequest {
        capability: Some(v1::Capability::FunctionCalling.into()),
        ..Default::default()
    };
    bench.case("ListModelsByCapability", "ModelService/ListModelsByCapability", &[list])?;
    bench.table.print("Reads beside a bare tonic echo");
    Ok(())
}

fn table() -> Table {
    Table::new(&[
        "call",
        "callers",
        "calls/s",
        "echo",
        "of the echo",
        "p50",
        "p99",
        "echo's p99",
        "CPU per call",
        "echo's",
        "times the echo's",
    ])
}

struct Bench<'a> {
    home: &'a Home,
    server: &'a Server,
    table: Table,
}

impl Bench<'_> {
    fn case(&mut self, name: &str, rpc: &str, requests: &[impl Message]) -> anyhow::Result<()> {
        let first = requests.iter().next().map(Message::encode_to_vec).unwrap_or_default();
        let echo = Echo::start(&self.server.ask_raw(rpc, &first)?, self.home.directory())?;
        for callers in [1, 32, 256] {
            let ours = Side { pid: self.server.pid(), plan: self.server.plan(rpc, requests, callers)? };
            let mut plan = ours.plan.clone();
            (plan.address, plan.path) = (echo.address, echo::PATH.to_owned());
            let duel = Duel::fight(&ours, &Side { pid: echo.pid(), plan })?;
            let (ours, theirs) = (duel.ours()?, duel.theirs()?);
            self.table.row(vec![
                name.to_owned(),
                callers.to_string(),
                count(ours.outcome.per_second),
                count(theirs.outcome.per_second),
                format!("{:.0} %", duel.throughput()? * 100.0),
                time(ours.outcome.p50),
                time(ours.outcome.p99),
                time(theirs.outcome.p99),
                time(ours.cpu),
                time(theirs.cpu),
                format!("{:.2}", duel.cost()?),
            ]);
        }
        Ok(())
    }
}
