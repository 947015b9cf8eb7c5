//! A slow watcher hurts nobody and loses nothing.
//!
//! Ten of a hundred watchers stop reading while a caller writes. Their streams are ended, the memory of the server stays
//! bounded, the others are shown each change in time; and those ten go on where they were.

use std::collections::BTreeMap;
use std::time::Duration;

use modelward::proto::v1::{self, ProviderKind};
use modelward::store::{Store, StoreConfig};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Endpoint;
use tonic::{Code, Streaming};

use super::{effort, report};
use crate::support::process::Process;
use crate::support::server::Caller;
use crate::support::watching::{Checker, logged};
use crate::support::{Refusal, eventually};

const WATCHERS: usize = 100;
const STALLED: usize = 10;
/// The promise's own number.
const LIMIT: Duration = Duration::from_millis(100);
/// How much more the server may hold than before: what is kept of the changes, and what is on its way to the stalled.
const MEMORY: usize = 64 << 20;
/// How often a caller writes.
const PAUSE: Duration = Duration::from_millis(20);
/// Writes of a window; the best one counts, since the machine has other work to do.
const WINDOW: usize = 100;

/// Takes little before it has to be read.
fn narrow(process: &Process) -> Caller {
    let endpoint = Endpoint::from_shared(format!("http://{}", process.address())).unwrap();
    let endpoint = endpoint.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    Caller::new(endpoint.connect_lazy(), Some(process.token()))
}

async fn open(caller: &Caller) -> (Checker, Streaming<v1::WatchResponse>) {
    let mut stream = caller.watches().watch(v1::WatchRequest::default()).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    let mut checker = Checker::after(first.revision);
    checker.take(&first);
    (checker, stream)
}

/// A watcher was shown a revision.
struct Shown {
    revision: i64,
    at: Instant,
}

/// A watcher that reads: tells when it was shown each revision.
async fn read(caller: Caller, shown: mpsc::UnboundedSender<Shown>, opened: mpsc::UnboundedSender<()>) {
    let (_, mut stream) = open(&caller).await;
    opened.send(()).unwrap();
    while let Ok(Some(message)) = stream.message().await {
        if message.event() == v1::WatchEvent::Changes {
            let _ = shown.send(Shown { revision: message.revision, at: Instant::now() });
        }
    }
}

/// Some writes: how late all but one in a hundred were shown, and the most memory that the server held.
async fn window(process: &Process, id: &str, seen: &mut mpsc::UnboundedReceiver<Shown>) -> (Duration, usize) {
    let (admin, mut peak, mut written) = (process.admin(), 0, BTreeMap::new());
    for number in 0..WINDOW {
        let description = Some(format!("{number} {}", "x".repeat(900)));
        let update = v1::Provider { id: id.to_owned(), description, ..Default::default() };
        let request = v1::UpdateProviderRequest { provider: Some(update), ..Default::default() };
        let answer = admin.providers().update_provider(request).await.unwrap();
        written.insert(answer.into_inner().provider.unwrap().revision, Instant::now());
        peak = peak.max(process.memory());
        sleep(PAUSE).await;
    }
    let mut delays = Vec::new();
    while delays.len() < WINDOW * (WATCHERS - STALLED) {
        let told = timeout(Duration::from_secs(20), seen.recv()).await.expect("all are shown everything").unwrap();
        if let Some(at) = written.get(&told.revision) {
            delays.push(told.at.saturating_duration_since(*at));
        }
    }
    delays.sort_unstable();
    (delays[delays.len() * 99 / 100], peak)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d11_ten_that_stall_are_cut_and_go_on_and_the_others_notice_nothing() {
    let directory = TempDir::new().unwrap();
    let variables = [
        ("MODELWARD_WATCH__PATIENCE", "1s"),
        ("MODELWARD_WATCH__HISTORY", "1MiB"),
        ("MODELWARD_HEALTH__ENABLED", "false"),
    ];
    let process = block_in_place(|| Process::start(directory.path(), &variables));
    let (shown, mut seen) = mpsc::unbounded_channel();
    let (opened, mut open_ones) = mpsc::unbounded_channel();
    for _ in 0..WATCHERS - STALLED {
        tokio::spawn(read(process.admin(), shown.clone(), opened.clone()));
    }
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        stalled.push(open(&narrow(&process)).await);
    }
    for _ in 0..WATCHERS - STALLED {
        open_ones.recv().await.unwrap();
    }
    let before = process.memory();

    let admin = process.admin();
    let provider = admin.add_provider("p", ProviderKind::Ollama).await;
    let (mut peak, mut best, mut windows) = (0, Duration::MAX, 0);
    let until = Instant::now() + Duration::from_secs(effort(8, 60) as u64);
    while Instant::now() < until {
        let (delay, memory) = window(&process, &provider.id, &mut seen).await;
        (best, peak, windows) = (best.min(delay), peak.max(memory), windows + 1);
    }
    let mib = |bytes: usize| bytes >> 20;
    report(&format!(
        "p99 {best:?} in the best of {windows} windows; memory {} MiB, at most {}",
        mib(before),
        mib(peak)
    ));
    assert!(best < LIMIT, "{best:?}");
    assert!(peak < before + MEMORY, "from {} to {} MiB", mib(before), mib(peak));

    let end = admin.get_provider(&provider.id).await.revision;
    let mut checkers = Vec::new();
    for (checker, stream) in stalled {
        checkers.push(go_on(&process, checker, stream, end).await);
    }
    drop(process);
    let url = format!("sqlite://{}", directory.path().join("data/modelward.db").display());
    let store = eventually("the database opens", || async { Store::connect(&StoreConfig::new(&url)).await.ok() }).await;
    for (after, checker) in checkers {
        let log: Vec<_> = logged(&store, after).await;
        assert_eq!(checker.verdict(&log), Vec::<String>::new());
    }
}

/// Reads what was left of a stream, which tells that it was too slow; then goes on from its last token.
async fn go_on(
    process: &Process,
    mut checker: Checker,
    mut stream: Streaming<v1::WatchResponse>,
    end: i64,
) -> (i64, Checker) {
    let after = checker.revision();
    let status = loop {
        match timeout(Duration::from_secs(20), stream.message()).await.expect("it ends") {
            Ok(Some(message)) => checker.take(&message),
            Ok(None) => panic!("a stream ends with a status"),
            Err(status) => break status,
        }
    };
    let refusal = Refusal::of(&status);
    refusal.is(Code::ResourceExhausted, "SLOW_READER").has("resume_token", &checker.token);
    assert!(checker.revision() < end, "it was cut before the end");
    let mut stream = process.admin().watches().watch(checker.request()).await.unwrap().into_inner();
    checker.reconnect();
    while checker.revision() < end {
        checker.take(&timeout(Duration::from_secs(20), stream.message()).await.unwrap().unwrap().unwrap());
    }
    (after, checker)
}
