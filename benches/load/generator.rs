//! The load generator, a process of its own: closed-loop callers on a few connections.
//!
//! Each caller has a share of the requests and sends them in turn, so that callers of writes never meet on a resource.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::call::{self, Connection};

pub const ROLE: &str = "generate";

/// What one process of callers does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub address: SocketAddr,
    pub token: String,
    pub path: String,
    pub connections: usize,
    pub callers: usize,
    pub warm: Duration,
    pub measured: Duration,
    /// A file of length-delimited requests.
    pub requests: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Outcome {
    /// Calls, those of the warming included.
    pub calls: u64,
    pub per_second: f64,
    pub p50: Duration,
    pub p99: Duration,
}

impl Plan {
    /// Runs the plan in a process of its own and waits for it.
    pub fn run(&self) -> anyhow::Result<Outcome> {
        let child = Command::new(std::env::current_exe()?)
            .args([ROLE, &serde_json::to_string(self)?])
            .stderr(Stdio::inherit())
            .output()?;
        anyhow::ensure!(child.status.success(), "the load generator failed");
        serde_json::from_slice(&child.stdout).context("what the load generator prints")
    }
}

/// Writes requests where a plan finds them.
pub fn write_requests(path: &Path, requests: &[Vec<u8>]) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    for request in requests {
        prost::encode_length_delimiter(request.len(), &mut bytes)?;
        bytes.extend_from_slice(request);
    }
    Ok(std::fs::write(path, bytes)?)
}

fn read_requests(path: &Path) -> anyhow::Result<Vec<Bytes>> {
    let mut bytes = Bytes::from(std::fs::read(path)?);
    let mut requests = Vec::new();
    while !bytes.is_empty() {
        let length = prost::decode_length_delimiter(&mut bytes)?;
        requests.push(call::frame(&bytes.split_to(length)));
    }
    Ok(requests)
}

/// The process itself.
pub fn run(plan: &str) -> anyhow::Result<()> {
    let plan: Plan = serde_json::from_str(plan)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(generate(&plan))?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

async fn generate(plan: &Plan) -> anyhow::Result<Outcome> {
    let requests = read_requests(&plan.requests)?;
    let mut driving = JoinSet::new();
    let mut connections = Vec::new();
    for _ in 0..plan.connections.min(plan.callers) {
        connections.push(Connection::open(plan.address, &plan.token, &mut driving).await?);
    }
    let method = call::method(plan.address, &plan.path)?;
    let begin = Instant::now() + plan.warm;
    let window = Window { begin, end: begin + plan.measured };
    let share = requests.len().div_ceil(plan.callers).max(1);
    let mut callers = JoinSet::new();
    for ((connection, share), _) in connections.iter().cycle().zip(requests.chunks(share).cycle()).zip(0..plan.callers)
    {
        callers.spawn(window.call(connection.clone(), method.clone(), share.to_vec()));
    }
    let mut tally = Tally::new()?;
    for one in callers.join_all().await {
        tally.add(&one?)?;
    }
    Ok(tally.outcome(plan.measured))
}

#[derive(Clone, Copy)]
struct Window {
    begin: Instant,
    end: Instant,
}

impl Window {
    async fn call(self, mut connection: Connection, method: http::Uri, requests: Vec<Bytes>) -> anyhow::Result<Tally> {
        let mut tally = Tally::new()?;
        for request in requests.iter().cycle() {
            let sent = Instant::now();
            connection.call(&method, request.clone()).await?;
            let answered = Instant::now();
            tally.calls += 1;
            if sent >= self.begin && answered <= self.end {
                tally.latencies.saturating_record(u64::try_from((answered - sent).as_nanos())?);
            }
            if answered >= self.end {
                break;
            }
        }
        Ok(tally)
    }
}

struct Tally {
    calls: u64,
    latencies: Histogram<u64>,
}

impl Tally {
    /// From a microsecond to a minute.
    fn new() -> anyhow::Result<Self> {
        Ok(Self { calls: 0, latencies: Histogram::new_with_bounds(1_000, 60_000_000_000, 3)? })
    }

    fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.calls += other.calls;
        Ok(self.latencies.add(&other.latencies)?)
    }

    fn outcome(&self, measured: Duration) -> Outcome {
        let at = |quantile| Duration::from_nanos(self.latencies.value_at_quantile(quantile));
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let per_second = self.latencies.len() as f64 / measured.as_secs_f64();
        Outcome { calls: self.calls, per_second, p50: at(0.5), p99: at(0.99) }
    }
}
