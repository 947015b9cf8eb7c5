//! Bad input never panics.
//!
//! Requests are generated from the descriptors and sent through the whole stack of a server but the network: the gate,
//! decoding, conversion, plans, and the writer where a change is not only rehearsed. A sample of them, and bytes that
//! are no requests at all, reach a real process through the network. A failure prints the seed and the request;
//! `MODELWARD_TEST_SEED` repeats a run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use modelward::proto::v1::{self, ProviderKind};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::body::Body;
use tonic::codec::CompressionEncoding::Gzip;

use super::effort;
use crate::support::process::Process;
use crate::support::resources::provider;
use crate::support::{Engine, Refusal, Server, dynamic};

mod attack;
mod fixture;
mod garbage;
mod generator;
mod judge;
mod shape;
mod strings;
mod value;

use attack::{Attack, Next, Outcome, Ways};
use shape::{Method, Shapes};

/// Of every request message, on the embedded database.
const EACH: usize = 20_000;
/// All of them take at most this long on two cores.
const LIMIT: Duration = Duration::from_secs(90);

fn seed() -> u64 {
    let given = std::env::var("MODELWARD_TEST_SEED").ok();
    given.map_or_else(|| fastrand::u64(..), |text| text.parse().expect("MODELWARD_TEST_SEED is a number"))
}

/// Sends `each` requests to every RPC; the answers, or what went wrong first.
async fn attack_all(server: &Server, attack: Arc<Attack>, each: usize) -> Result<Outcome, String> {
    let methods: Arc<Vec<Method>> = Arc::new(attack.shapes.methods());
    let next = Arc::new(Next::default());
    let mut workers = JoinSet::new();
    for _ in 0..12 {
        let (ways, attack, methods, next) = (fixture::ways(server), attack.clone(), methods.clone(), next.clone());
        workers.spawn(async move {
            let mut outcome = Outcome::default();
            while let Some(method) = next.take(&methods) {
                outcome.add(attack.run(&ways, &method, each).await?);
            }
            Ok::<_, String>(outcome)
        });
    }
    let mut all = Outcome::default();
    while let Some(outcome) = workers.join_next().await {
        all.add(outcome.map_err(|error| error.to_string())??);
    }
    Ok(all)
}

async fn check(engine: Engine, each: usize, rehearse: u8) {
    let server = fixture::server(engine).await;
    let attack = Arc::new(fixture::attack(&server, seed(), rehearse).await);
    let began = Instant::now();
    let outcome = attack_all(&server, attack, each).await.unwrap_or_else(|problem| panic!("{problem}"));
    println!("{engine:?}: {} requests in {:?}: {:?}", outcome.sent, began.elapsed(), outcome.answers);
    fixture::assert_snapshot_is_database(&server).await;
    server.admin().add_provider("it still answers", ProviderKind::Ollama).await;
}

/// Processor time of this process's threads of this name, in seconds: what a test took, whatever runs beside it.
fn processor_time(thread: &str) -> u64 {
    /// The kernel's unit.
    const TICKS: u64 = 100;
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
    let times = stats.filter_map(|stat| {
        let (head, tail) = stat.rsplit_once(") ")?;
        let times = tail.split(' ').skip(11).take(2).filter_map(|time| time.parse::<u64>().ok());
        head.ends_with(&format!("({thread}")).then(|| times.sum::<u64>())
    });
    times.sum::<u64>() / TICKS
}

#[test]
fn a5_twenty_thousand_bad_requests_of_every_kind_are_answered() {
    const CORES: u64 = 2;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("a5 attack")
        .enable_all()
        .build()
        .unwrap();
    let each = effort(EACH, 5 * EACH);
    runtime.block_on(async { tokio::spawn(check(Engine::Sqlite, each, 97)).await.unwrap() });
    let taken = Duration::from_secs(processor_time("a5 attack") / CORES);
    println!("processor time on {CORES} cores: {taken:?}");
    assert!(each > EACH || taken < LIMIT, "{taken:?}");
}

/// PostgreSQL refuses text that SQLite keeps: here most changes are made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_bad_requests_reach_the_other_database_too() {
    check(Engine::Postgres, effort(500, EACH), 10).await;
}

/// Requests that once did what they should not: the RPC, the message, and the reason with which it is refused.
const REGRESSIONS: &[(&str, &[u8], &str)] = &[
    // credential.allowed_hosts = "zero\u{200b}width", which was kept as another host.
    ("modelward.v1.CredentialService/CreateCredential", b"\x0a\x0f\x92\x01\x0czero\xe2\x80\x8bwidth", "INVALID_FIELD"),
    // identity = "a\0b", which PostgreSQL refuses: INTERNAL.
    ("modelward.v1.AuditService/ListSecretUse", b"\x2a\x03a\x00b", "INVALID_FIELD"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_what_once_went_wrong_stays_mended() {
    let server = Server::start(Engine::Postgres).await;
    for (rpc, message, reason) in REGRESSIONS {
        let message = Bytes::from_static(message);
        let answer = dynamic::call(&server.new_channel(), rpc, server.admin().token(), message).await;
        let refusal = Refusal::of(&answer.expect_err("it is refused"));
        assert_eq!(refusal.reason, *reason, "{rpc}: {refusal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_every_text_is_kept_as_it_was_given_or_refused_by_name() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let server = fixture::server(engine).await;
        let (kept, refused) = strings::check(&server).await.unwrap_or_else(|wrong| panic!("{}", wrong.join("\n")));
        println!("{engine:?}: {kept} texts kept, {refused} refused");
        assert!(kept > 500 && refused > 100);
        fixture::assert_snapshot_is_database(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_garbage_on_the_wire_breaks_no_more_than_its_connection() {
    const EACH: u64 = 40;
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &[]);
    let seed = seed();
    println!("seed {seed}");
    let garbage = garbage::all(seed, &process.token(), effort(300, 5000));
    let count = garbage.len();
    assert_eq!(garbage::send_all(process.address(), garbage).await, count, "every connection was taken");

    // A sample of the generated requests takes the whole way, too.
    let attack = Attack {
        shapes: Shapes::load(),
        known: generator::Known::default(),
        token: process.token(),
        seed,
        rehearse: 90,
    };
    let channel = process.admin().channel();
    let methods = attack.shapes.methods();
    let requests = methods.iter().flat_map(|method| (0..EACH).map(move |number| (method, number)));
    let answers = stream::iter(requests).map(|(method, number)| {
        let (message, _) = attack.request(method, number, false);
        let (channel, token) = (channel.clone(), process.token());
        async move {
            let answer = dynamic::call(&channel, method.path, Some(&token), message.clone().into()).await;
            let status = answer.err()?;
            let wrong = judge::refused(&status, &http::HeaderMap::new()).err()?;
            Some(format!("{wrong}\n{} {}", method.path, hex::encode(message)))
        }
    });
    let wrong: Vec<_> = answers.buffer_unordered(64).filter_map(std::future::ready).collect().await;
    assert!(wrong.is_empty(), "seed {seed}\n{}", wrong.join("\n"));

    // Sixteen kilobytes that unpack to sixteen megabytes.
    let bomb = provider(&"x".repeat(16 << 20), ProviderKind::Ollama);
    let request = v1::CreateProviderRequest { provider: Some(bomb), ..Default::default() };
    let refused = process.admin().providers().send_compressed(Gzip).create_provider(request).await.unwrap_err();
    Refusal::of(&refused).is(Code::ResourceExhausted, "REQUEST_TOO_LARGE");

    process.admin().add_provider("it still answers", ProviderKind::Ollama).await;
    assert_eq!(process.metric("panics_total"), 0, "{}", process.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_a_panic_is_told_as_a_bug_and_counted_once() {
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &[("MODELWARD_FAIL_POINTS", "call.admitted=panic@2")]);
    process.admin().add_provider("before", ProviderKind::Ollama).await;
    let refused = process.admin().try_provider(provider("x", ProviderKind::Ollama)).await;
    let status = refused.unwrap_err();
    Refusal::of(&status).is(Code::Internal, "INTERNAL");
    assert!(judge::refused(&status, &http::HeaderMap::new()).is_err(), "the judge takes it for a finding");
    process.admin().add_provider("after", ProviderKind::Ollama).await;
    assert_eq!(process.metric("panics_total"), 1);
}

/// The harness itself is tried: a handler that panics on one request in many, with the gate and without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_the_harness_finds_a_handler_that_panics() {
    let server = fixture::server(Engine::Sqlite).await;
    let attack = fixture::attack(&server, 7, 100).await;
    let method = attack.shapes.methods().into_iter().find(|method| method.path.ends_with("/GetModel")).unwrap();
    let ways = fixture::ways(&server);
    let (sound, seeded) = (ways.handlers.clone(), std::sync::atomic::AtomicUsize::new(0));
    let seeded = Arc::new(seeded);
    let broken = tower::service_fn(move |request: http::Request<Body>| {
        let (mut sound, seeded) = (sound.clone(), seeded.clone());
        async move {
            assert_ne!(seeded.fetch_add(1, std::sync::atomic::Ordering::Relaxed), 300, "seeded");
            tower::Service::call(&mut sound, request).await
        }
    });
    let problem = attack.run(&Ways { gate: ways.gate, handlers: broken }, &method, 1000).await.err().unwrap();
    assert!(problem.starts_with("a panic") && problem.contains("seed 7, number "), "{problem}");
    // The same request can be made again from what was told.
    let number = problem.split("number ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    assert!(problem.contains(&hex::encode(attack.request(&method, number, false).0)), "{problem}");
}
