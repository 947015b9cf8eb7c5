//! Shutdown drains, then is forced.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use modelward::failpoint::VARIABLE;
use modelward::proto::v1::{self, ProviderKind};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};
use tokio_stream::StreamExt as _;
use tonic::Status;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{effort, report};
use crate::support::database::Database;
use crate::support::process::{Process, on_postgres};
use crate::support::resources::{endpoint, provider};
use crate::support::server::Caller;
use crate::support::vendor::{Mode, Vendor};
use crate::support::{Engine, eventually};

mod frozen;
mod sidecar;
mod streams;

/// How long stopping may take, whoever is connected.
const LIMIT: Duration = Duration::from_secs(25);
/// How soon a process ends that is told a second time; only a hanging one takes so long.
const AT_ONCE: Duration = Duration::from_secs(5);
const CALLERS: usize = 8;
/// A call that began shorter before the signal may not be on the wire yet.
const ON_THE_WIRE: Duration = Duration::from_millis(50);

/// A call that ended.
struct Call {
    began: Instant,
    ended: Instant,
    /// What was created.
    name: Option<String>,
    result: Result<(), Status>,
}

/// Where a server runs again and again.
struct Home {
    directory: TempDir,
    database: Option<Database>,
    vendor: Vendor,
}

impl Home {
    async fn on(engine: Engine) -> Self {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Database::new(engine).await),
        };
        Self { directory: TempDir::new().unwrap(), database, vendor: Vendor::start().await }
    }

    fn start(&self, more: &[(&str, &str)]) -> Process {
        let own = [("MODELWARD_EGRESS__ALLOW_PRIVATE", "true"), ("MODELWARD_HEALTH__ENABLED", "false")];
        let database = self.database.iter().flat_map(|database| on_postgres(database.url()));
        let variables: Vec<_> = own.into_iter().chain(database).chain(more.iter().copied()).collect();
        block_in_place(|| Process::start(self.directory.path(), &variables))
    }

    /// A call that takes as long as the vendor does, on its way.
    async fn slow_call(&self, caller: &Caller, takes: Duration) -> JoinHandle<Result<(), Status>> {
        self.vendor.set_mode(Mode::Slow(takes));
        let (caller, url, seen) = (caller.clone(), self.vendor.url(), self.vendor.seen().len());
        let call = tokio::spawn(async move {
            let name = format!("slow{}", fastrand::u64(..));
            let there = caller.try_provider(provider(&name, ProviderKind::Vllm)).await?;
            let its = caller.add_endpoint(endpoint(&there.id, "e", &url)).await;
            caller.endpoints().check_endpoint_health(v1::CheckEndpointHealthRequest { id: its.id }).await.map(drop)
        });
        eventually("it is on its way", || async { (self.vendor.seen().len() > seen).then_some(()) }).await;
        call
    }
}

/// When health turned.
fn turns(caller: &Caller) -> watch::Receiver<Option<Instant>> {
    let (sender, turned) = watch::channel(None);
    let mut client = HealthClient::new(caller.channel());
    tokio::spawn(async move {
        let watched = client.watch(HealthCheckRequest::default()).await.unwrap();
        let mut states = watched.into_inner();
        while let Some(Ok(state)) = states.next().await {
            if state.status() == ServingStatus::NotServing {
                sender.send_replace(Some(Instant::now()));
            }
        }
    });
    turned
}

/// Writes and reads until health turns, or a call fails.
async fn call(caller: Caller, label: String, turned: watch::Receiver<Option<Instant>>, calls: Arc<Mutex<Vec<Call>>>) {
    for number in 0.. {
        if turned.borrow().is_some() {
            return;
        }
        let began = Instant::now();
        let (name, result) = if number % 3 == 0 {
            let listed = caller.providers().list_providers(v1::ListProvidersRequest::default()).await;
            (None, listed.map(drop))
        } else {
            let name = format!("{label}-{number}");
            let result = caller.try_provider(provider(&name, ProviderKind::Ollama)).await.map(drop);
            (Some(name), result)
        };
        let failed = result.is_err();
        calls.lock().unwrap().push(Call { began, ended: Instant::now(), name, result });
        if failed {
            return;
        }
    }
}

/// Stops a server under load and answers the names that it acknowledged.
async fn stopped(home: &Home, round: usize, lame_duck: Duration) -> Vec<String> {
    let pause = format!("{}ms", lame_duck.as_millis());
    let slow = (VARIABLE, "writer.answering=delay(200)");
    let mut process = home.start(&[("MODELWARD_SHUTDOWN__LAME_DUCK", &pause), slow]);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let turned = turns(&process.admin());
    let callers = (0..CALLERS)
        .map(|caller| tokio::spawn(call(process.admin(), format!("r{round}c{caller}"), turned.clone(), calls.clone())));
    let callers: Vec<_> = callers.collect();
    let slow = home.slow_call(&process.admin(), Duration::from_millis(1500)).await;
    eventually("all call", || async { (calls.lock().unwrap().len() > 3 * CALLERS).then_some(()) }).await;

    let told = Instant::now();
    process.signal(Signal::SIGTERM);
    join_all(callers).await.into_iter().for_each(Result::unwrap);
    slow.await.unwrap().expect("a slow call that had begun is finished");
    let status = block_in_place(|| process.wait());
    assert!(told.elapsed() < LIMIT, "it stopped after {:?}", told.elapsed());
    assert!(status.success(), "{status}\n{}", process.log());
    let turned = turned.borrow().expect("health turned");
    assert!(turned > told);
    let calls = std::mem::take(&mut *calls.lock().unwrap());
    // With a pause before the end, whoever watches health sees no call fail; without, none that was in flight does.
    let safe = if lame_duck.is_zero() { told.checked_sub(ON_THE_WIRE).unwrap() } else { turned };
    let (mut in_flight, mut names) = (0, Vec::new());
    for Call { began, ended, name, result } in calls {
        in_flight += usize::from(began < told && ended > told);
        match result {
            Ok(()) => names.extend(name),
            Err(status) => {
                assert!(began > safe, "a call failed that began {:?} before the signal: {status}", told - began);
            }
        }
    }
    report(&format!("round {round}: {in_flight} calls in flight, stopped after {:?}", told.elapsed()));
    assert!(in_flight > 0);
    names
}

async fn every_stop_is_clean(engine: Engine) {
    let home = Home::on(engine).await;
    let mut acknowledged = Vec::new();
    for round in 0..effort(2, 10) {
        let lame_duck = Duration::from_millis(if round % 2 == 0 { 0 } else { 500 });
        acknowledged.extend(stopped(&home, round, lame_duck).await);
    }
    let mut process = home.start(&[]);
    let caller = process.admin();
    for name in &acknowledged {
        let list = v1::ListProvidersRequest { name: name.clone(), ..Default::default() };
        let found = caller.providers().list_providers(list).await.unwrap().into_inner();
        assert_eq!(found.total_size, 1, "{name} was acknowledged");
    }
    assert!(!acknowledged.is_empty());
    assert!(block_in_place(|| process.terminate()).success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_health_turns_first_and_calls_in_flight_are_finished_on_sqlite() {
    every_stop_is_clean(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_health_turns_first_and_calls_in_flight_are_finished_on_postgres() {
    every_stop_is_clean(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_a_second_signal_ends_it_at_once_and_loses_nothing() {
    let home = Home::on(Engine::Sqlite).await;
    let mut process = home.start(&[]);
    let caller = process.admin();
    let kept = caller.add_provider("kept", ProviderKind::Ollama).await;
    let mut turned = turns(&caller);
    let slow = home.slow_call(&caller, Duration::from_secs(20)).await;
    process.signal(Signal::SIGTERM);
    turned.wait_for(Option::is_some).await.unwrap();
    assert!(!process.has_ended(), "a call is in flight");
    let told = Instant::now();
    process.signal(Signal::SIGTERM);
    let status = block_in_place(|| process.wait());
    assert!(told.elapsed() < AT_ONCE, "{:?}", told.elapsed());
    assert!(status.success(), "it was told to: {status}");
    slow.await.unwrap().unwrap_err();
    let again = home.start(&[]);
    assert_eq!(again.admin().get_provider(&kept.id).await, kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_a_signal_before_it_is_ready_ends_it_too() {
    let directory = TempDir::new().unwrap();
    let points = [(VARIABLE, "writer.before_lock=stop@1")];
    let mut process = Process::spawn(directory.path(), &points);
    block_in_place(|| process.wait_until_stopped());
    process.signal(Signal::SIGTERM);
    process.cont();
    assert!(block_in_place(|| process.wait()).success(), "{}", process.log());
}
