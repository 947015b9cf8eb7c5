//! How soon watchers are shown a change: one at another replica, and a thousand and ten thousand at the same one, with
//! the memory that each of them takes.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use modelward::proto::v1::{self, WatchEvent};
use modelward::store::Engine;
use prost::Message as _;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::visibility::change;
use crate::call::{self, Connection, Messages};
use crate::home::Home;
use crate::process;
use crate::report::{Table, quantile, time};
use crate::seed::Template;
use crate::server::Server;

const SEEN: usize = 1000;
const CHANGES: usize = 50;
/// Streams of a connection; the server allows a thousand.
const STREAMS: usize = 500;
const SETTINGS: [&str; 3] = ["health.enabled=false", "egress.allow_private=true", "limits.max_calls_per_peer=100000"];
/// Only what hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn run() -> anyhow::Result<()> {
    let mut table = Table::new(&["watchers", "p50", "p99", "longest", "memory of each"]);
    table.row(elsewhere()?);
    for count in [1_000, 10_000] {
        table.row(here(count)?);
    }
    table.print("From a write's answer until the last watcher is shown it");
    Ok(())
}

/// One watcher at another replica.
fn elsewhere() -> anyhow::Result<Vec<String>> {
    let home = Home::new(Engine::Postgres)?;
    let near = home.start()?;
    let template = Template::create(&near, "http://127.0.0.1:9/v1")?;
    let far = home.replica()?.start()?;
    let mut watchers = Watchers::open(&far, 1)?;
    let times = (0..SEEN).map(|number| watchers.show(&near, &template.provider, number));
    let times = times.collect::<anyhow::Result<Vec<_>>>()?;
    Ok(row("1, at another replica", times, String::new()))
}

/// Many at the same.
fn here(count: usize) -> anyhow::Result<Vec<String>> {
    let home = Home::new(Engine::Sqlite)?;
    let server = home.start_with(&SETTINGS)?;
    let template = Template::create(&server, "http://127.0.0.1:9/v1")?;
    let before = process::memory(server.pid())?;
    let mut watchers = Watchers::open(&server, count)?;
    let times = (0..CHANGES).map(|number| watchers.show(&server, &template.provider, number));
    let times = times.collect::<anyhow::Result<Vec<_>>>()?;
    let each = process::memory(server.pid())?.saturating_sub(before) / u64::try_from(count)?;
    Ok(row(&count.to_string(), times, format!("{each} bytes")))
}

fn row(what: &str, mut times: Vec<Duration>, memory: String) -> Vec<String> {
    let [p50, p99, longest] = [0.5, 0.99, 1.0].map(|share| time(quantile(&mut times, share)));
    vec![what.to_owned(), p50, p99, longest, memory]
}

/// Open streams, and who reads them.
struct Watchers {
    runtime: Runtime,
    shown: mpsc::UnboundedReceiver<(i64, Instant)>,
    count: usize,
    _tasks: JoinSet<()>,
}

impl Watchers {
    fn open(server: &Server, count: usize) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (sender, shown) = mpsc::unbounded_channel();
        let method = call::method(server.address, "/modelward.v1.WatchService/Watch")?;
        let request = call::frame(&v1::WatchRequest::default().encode_to_vec());
        let mut tasks = JoinSet::new();
        runtime.block_on(async {
            let mut connection = None;
            for number in 0..count {
                if number % STREAMS == 0 {
                    connection = Some(Connection::open(server.address, &server.token, &mut tasks).await?);
                }
                let open = connection.as_mut().context("a connection")?;
                let mut messages = open.stream(&method, request.clone()).await?;
                anyhow::ensure!(messages.next().await?.is_some(), "a stream without a first bookmark");
                tasks.spawn(read(messages, sender.clone()));
            }
            anyhow::Ok(())
        })?;
        Ok(Self { runtime, shown, count, _tasks: tasks })
    }

    /// Writes; how long after the answer the last watcher was shown it.
    fn show(&mut self, server: &Server, id: &str, number: usize) -> anyhow::Result<Duration> {
        let revision = change(server, id, number)?;
        let answered = Instant::now();
        let shown = &mut self.shown;
        let all = async {
            let (mut left, mut last) = (self.count, answered);
            while left > 0 {
                let (at, when) = shown.recv().await.context("the watchers are gone")?;
                if at == revision {
                    left -= 1;
                    last = last.max(when);
                }
            }
            anyhow::Ok(last - answered)
        };
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, all).await })?
    }
}

async fn read(mut messages: Messages, shown: mpsc::UnboundedSender<(i64, Instant)>) {
    while let Ok(Some(message)) = messages.next().await {
        let now = Instant::now();
        let Ok(message) = v1::WatchResponse::decode(message) else { return };
        if message.event() == WatchEvent::Changes && shown.send((message.revision, now)).is_err() {
            return;
        }
    }
}
