//! Ten thousand endpoints, each probed every 30 s: what that costs, and whether callers feel it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use modelward::proto::v1;
use modelward::store::Engine;

use crate::duel::{ROUNDS, Side};
use crate::home::Home;
use crate::process;
use crate::report::{Table, median, time};
use crate::seed::Template;
use crate::server::Server;
use crate::vendor::Vendor;

const ENDPOINTS: usize = 10_000;
/// The default interval of an endpoint.
const INTERVAL: Duration = Duration::from_secs(30);

pub fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let vendor = runtime.block_on(Vendor::start());
    let home = Home::new(Engine::Sqlite)?;
    let server = home.start()?;
    let template = Template::create(&server, &vendor.url())?;
    server.stop()?;
    template.copy_endpoints(&home, ENDPOINTS)?;
    let idle = home.start()?;
    let without = slowest(&idle, &template)?;
    idle.stop()?;
    let server = home.start_with(&["egress.allow_private=true"])?;
    // The first round probes everything as soon as it may; what counts is how it goes on.
    sleep(INTERVAL);
    vendor.forget();
    let (begun, before) = (Instant::now(), process::cpu(server.pid())?);
    let mut sockets = 0;
    while begun.elapsed() < INTERVAL {
        sleep(Duration::from_millis(500));
        sockets = sockets.max(process::sockets(server.pid())?);
    }
    let share = process::cpu(server.pid())?.saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64();
    let probes = vendor.seen().len();
    let with = slowest(&server, &template)?;
    let mut table = Table::new(&["what", "measured"]);
    let rows = [
        ("probes in 30 s", probes.to_string()),
        ("CPU, of one core", format!("{:.0} %", share * 100.0)),
        ("most sockets open, of 2/s looks", sockets.to_string()),
        ("GetEndpoint p99 of an idle server, 8 callers", time(without)),
        ("GetEndpoint p99 beside the probes, 8 callers", time(with)),
    ];
    for (what, measured) in rows {
        table.row(vec![what.to_owned(), measured]);
    }
    table.print("10,000 endpoints probed every 30 s");
    Ok(())
}

/// The p99 of reads.
fn slowest(server: &Server, template: &Template) -> anyhow::Result<Duration> {
    let requests = [v1::GetEndpointRequest { id: template.endpoint.clone() }];
    let side = Side { pid: server.pid(), plan: server.plan("EndpointService/GetEndpoint", &requests, 8)? };
    let rounds: anyhow::Result<Vec<_>> = (0..ROUNDS).map(|_| Ok(side.measure()?.outcome.p99)).collect();
    Ok(median(rounds?).unwrap_or_default())
}
