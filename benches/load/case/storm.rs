//! Ten thousand watchers that come back at once and want the whole state: how long that takes, what it costs, and how
//! reads fare beside it. A debug build can show that it works, with a tenth of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use modelward::proto::v1::{self, WatchEvent};
use modelward::store::Engine;
use prost::Message as _;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::visibility::change;
use crate::call::{self, Connection, Messages};
use crate::home::Home;
use crate::process;
use crate::report::{Table, mebibytes, quantile, time};
use crate::seed::{self, Kind, Template};
use crate::server::Server;

const MODELS: usize = 1_000;
const CONNECTIONS: usize = 100;
const STREAMS: usize = if cfg!(debug_assertions) { 10 } else { 100 };
/// One peer stands for many machines.
const SETTINGS: [&str; 4] = [
    "health.enabled=false",
    "egress.allow_private=true",
    "limits.max_calls_per_peer=100000",
    "limits.max_memory_per_peer=16GiB",
];
/// Reads come at this pace, however long each takes: so they tell what a caller would see.
const PACE: Duration = Duration::from_millis(2);
/// How long is read without a storm.
const QUIET: Duration = Duration::from_secs(5);
/// Writes go on, so that streams which are not read would be ended.
const WRITE: Duration = Duration::from_millis(500);
/// Only what never settles takes longer.
const PATIENCE: Duration = Duration::from_mins(5);

pub fn run() -> anyhow::Result<()> {
    let home = Home::new(Engine::Sqlite)?;
    let template = {
        let server = home.start()?;
        Template::create(&server, "http://127.0.0.1:9/v1")?
    };
    template.copy_models(&home, MODELS)?;
    let server = home.start_with(&SETTINGS)?;
    let before = process::memory(server.pid())?;

    let quiet = Reader::start(&server)?;
    std::thread::sleep(QUIET);
    let quiet = quiet.stop()?;
    let reader = Reader::start(&server)?;
    let storm = Storm::brew(&server, &template)?;
    let beside = reader.stop()?;

    let mut table = Table::new(&["GetModel", "calls", "p50", "p99", "longest"]);
    for (what, mut times) in [("without", quiet), ("beside the storm", beside)] {
        let [p50, p99, longest] = [0.5, 0.99, 1.0].map(|share| time(quantile(&mut times, share)));
        table.row(vec![what.to_owned(), times.len().to_string(), p50, p99, longest]);
    }
    table.print("Reads beside watchers that come back at once with the state");
    let mut table =
        Table::new(&["streams", "state of each", "all have it after", "slowest write", "refused", "memory", "before"]);
    table.row(vec![
        (CONNECTIONS * STREAMS).to_string(),
        format!("{} KiB", storm.size / 1024),
        time(storm.settled),
        time(storm.slowest_write),
        format!("{} of {}", storm.refused, storm.writes),
        mebibytes(storm.peak),
        mebibytes(before),
    ]);
    table.print("The storm");
    Ok(())
}

/// What a storm was like.
struct Storm {
    settled: Duration,
    /// Bytes of a state.
    size: usize,
    slowest_write: Duration,
    /// Writes that were refused, of how many.
    refused: usize,
    writes: usize,
    /// The most memory that the server held.
    peak: u64,
}

impl Storm {
    /// Lets all streams begin at once, and waits until each has its state.
    fn brew(server: &Server, template: &Template) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let mut driving = JoinSet::new();
        let connections = runtime.block_on(async {
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS {
                connections.push(Connection::open(server.address, &server.token, &mut driving).await?);
            }
            anyhow::Ok(connections)
        })?;
        let began = Instant::now();
        let watchers = begin(&runtime, server, &connections)?;
        let (mut peak, mut slowest_write, mut refused, mut number) = (0, Duration::ZERO, 0, 0);
        while !watchers.is_finished() {
            anyhow::ensure!(began.elapsed() < PATIENCE, "the storm does not settle");
            let write = Instant::now();
            refused += usize::from(change(server, &template.provider, number).is_err());
            slowest_write = slowest_write.max(write.elapsed());
            number += 1;
            while write.elapsed() < WRITE && !watchers.is_finished() {
                peak = peak.max(process::memory(server.pid())?);
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let (last, sizes) = runtime.block_on(watchers)??;
        let size = *sizes.iter().min().context("a stream")?;
        Ok(Self { settled: last - began, size, slowest_write, refused, writes: number, peak })
    }
}

type Ended = anyhow::Result<(Instant, Vec<usize>)>;

/// Opens all streams; ends with when the last state was complete, and with the sizes of all. The streams stay open.
fn begin(
    runtime: &Runtime,
    server: &Server,
    connections: &[Connection],
) -> anyhow::Result<tokio::task::JoinHandle<Ended>> {
    let method = call::method(server.address, "/modelward.v1.WatchService/Watch")?;
    let wanted = v1::WatchRequest { include_state: true, ..Default::default() };
    let request = call::frame(&wanted.encode_to_vec());
    let mut tasks = JoinSet::new();
    for connection in connections.iter().cycle().take(CONNECTIONS * STREAMS) {
        let (mut connection, method, request) = (connection.clone(), method.clone(), request.clone());
        let watch = async move {
            let mut messages = connection.stream(&method, request).await?;
            let size = state(&mut messages).await?;
            anyhow::Ok((Instant::now(), size, messages))
        };
        tasks.spawn_on(watch, runtime.handle());
    }
    Ok(runtime.spawn(async move {
        let (mut last, mut sizes, mut open) = (Instant::now(), Vec::new(), Vec::new());
        while let Some(watch) = tasks.join_next().await {
            let (at, size, messages) = watch??;
            last = at;
            sizes.push(size);
            open.push(messages);
        }
        Ok((last, sizes))
    }))
}

/// Reads up to the end of the state; its size.
async fn state(messages: &mut Messages) -> anyhow::Result<usize> {
    let mut size = 0;
    loop {
        let bytes = messages.next().await?.context("a stream that ends before its state is complete")?;
        size += bytes.len();
        match v1::WatchResponse::decode(bytes)?.event() {
            WatchEvent::State => {}
            WatchEvent::StateComplete => return Ok(size),
            other => anyhow::bail!("{other:?} within the state"),
        }
    }
}

/// Somebody who reads all the time, on a thread of its own.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Vec<Duration>>>,
}

impl Reader {
    #[expect(clippy::disallowed_methods, reason = "who measures shares no runtime with what is measured beside")]
    fn start(server: &Server) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (address, token, is_stopped) = (server.address, server.token.clone(), Arc::clone(&stop));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let mut driving = JoinSet::new();
                let mut connection = Connection::open(address, &token, &mut driving).await?;
                let method = call::method(address, "/modelward.v1.ModelService/GetModel")?;
                let mut times = Vec::new();
                while !is_stopped.load(Ordering::Relaxed) {
                    let request = v1::GetModelRequest { id: seed::id(Kind::Model, times.len() % MODELS) };
                    let sent = Instant::now();
                    connection.call(&method, call::frame(&request.encode_to_vec())).await?;
                    times.push(sent.elapsed());
                    tokio::time::sleep(PACE.saturating_sub(sent.elapsed())).await;
                }
                anyhow::Ok(times)
            })
        });
        Ok(Self { stop, thread })
    }

    /// How long each read took.
    fn stop(self) -> anyhow::Result<Vec<Duration>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the reader failed"))?
    }
}
