//! Health checks of several replicas over one database, through the public interface alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use modelward::domain::endpoint::{BaseUrl, Endpoint, HealthCheckPolicy, RetryPolicy};
use modelward::domain::health::{Evidence, HealthCause, HealthStatus, Verdict};
use modelward::domain::image::{Image, StatusValue};
use modelward::domain::keyring::Keyring;
use modelward::domain::provider::{Provider, ProviderKind, SyncPolicy};
use modelward::domain::{Clock as _, EndpointId, Head, Id, Meta, Revision, SystemClock, Timestamp};
use modelward::health::{HealthChecks, HealthConfig, HealthParts, ProbeFn};
use modelward::snapshot::{Publisher, Snapshot, StatusBoard, publish};
use modelward::store::{ClusterRow, Engine, Store};
use modelward::task::Tasks;
use modelward::telemetry::Metrics;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::support::database::Database;

const INTERVAL: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(20);
const ENDPOINTS: u128 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_replicas_one_probes_on_sqlite() {
    one_of_three_probes(Database::new(Engine::Sqlite).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_replicas_one_probes_on_postgres() {
    one_of_three_probes(Database::new(Engine::Postgres).await).await;
}

/// Probes as they were made.
#[derive(Default)]
struct Vendor {
    down: AtomicBool,
    asked: Mutex<HashMap<EndpointId, Vec<Instant>>>,
}

impl Vendor {
    fn probe(self: &Arc<Self>) -> ProbeFn {
        let vendor = Arc::clone(self);
        Arc::new(move |target| {
            vendor.asked.lock().unwrap().entry(target.endpoint.id).or_default().push(Instant::now());
            let down = vendor.down.load(Ordering::SeqCst);
            let (verdict, cause) =
                if down { (Verdict::Down, HealthCause::Connect) } else { (Verdict::Alive, HealthCause::None) };
            let (latency, time) = (Some(Duration::from_millis(1)), SystemClock.now());
            Box::pin(
                async move { Evidence { verdict, cause, latency, http_status: None, time, message: String::new() } },
            )
        })
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().values().map(Vec::len).sum()
    }
}

struct Replica {
    checks: HealthChecks,
    tasks: Tasks,
    metrics: Metrics,
    /// Without it nothing is applied any more, and a replica gives up the lease.
    _publisher: Publisher,
}

impl Replica {
    fn start(name: &str, store: Store, vendor: &Arc<Vendor>) -> Self {
        let (tasks, metrics) = (Tasks::new(), Metrics::new());
        let (publisher, snapshot) = publish(Snapshot::from_image(image()));
        let parts = HealthParts {
            snapshot,
            board: StatusBoard::default(),
            probe: vendor.probe(),
            clock: Arc::new(SystemClock),
            metrics: metrics.clone(),
            tasks: tasks.clone(),
        };
        let config = HealthConfig { enabled: true, max_in_flight: 64, jitter: false };
        let (checks, background) = HealthChecks::build(config, parts, store, name.to_owned());
        tasks.spawn("health", background.run(tasks.stopping()));
        Self { checks, tasks, metrics, _publisher: publisher }
    }

    fn leads(&self) -> bool {
        self.metrics.probe_leader.get() == 1
    }
}

async fn one_of_three_probes(database: Database) {
    let vendor = Arc::new(Vendor::default());
    let store = database.open().await;
    let cluster = ClusterRow {
        cluster_id: Uuid::from_u128(1),
        active_key_id: "k1".into(),
        keys: Vec::new(),
        create_time: Timestamp::default(),
    };
    store.initialise(&cluster).await.unwrap();
    let mut replicas = Vec::new();
    for name in ["a", "b", "c"] {
        // One process at a time may have an SQLite file open.
        let own = if store.engine() == Engine::Sqlite { store.clone() } else { database.open().await };
        replicas.push(Replica::start(name, own, &vendor));
    }
    until("all are healthy", async || all_are(&store, HealthStatus::Healthy).await).await;
    assert_eq!(replicas.iter().filter(|replica| replica.leads()).count(), 1);
    vendor.down.store(true, Ordering::SeqCst);
    until("all are unhealthy", async || all_are(&store, HealthStatus::Unhealthy).await).await;
    for (id, times) in &*vendor.asked.lock().unwrap() {
        for pair in times.windows(2) {
            assert!(pair[1] - pair[0] >= INTERVAL.mul_f64(0.9), "{id} was probed twice in an interval");
        }
    }

    let leader = replicas.iter().position(Replica::leads).unwrap();
    let old = replicas.remove(leader);
    old.tasks.shutdown(SOON).await;
    vendor.down.store(false, Ordering::SeqCst);
    let count = vendor.count();
    until("another one takes over", async || vendor.count() > count && replicas.iter().any(Replica::leads)).await;
    until("all are healthy again", async || all_are(&store, HealthStatus::Healthy).await).await;

    let follower = replicas.iter().find(|replica| !replica.leads()).unwrap();
    vendor.down.store(true, Ordering::SeqCst);
    let health = follower.checks.check_now(number(1)).await.unwrap();
    assert_eq!((health.status, health.consecutive_failures), (HealthStatus::Unhealthy, 1));
    assert_eq!(store.load_image().await.unwrap().head.revision, Revision(0), "status is no configuration");
    for replica in replicas {
        assert_eq!(replica.tasks.shutdown(SOON).await, Vec::<&str>::new());
    }
}

async fn all_are(store: &Store, status: HealthStatus) -> bool {
    let values = store.load_statuses().await.unwrap().values;
    let such = |value: &&StatusValue| matches!(value, StatusValue::Health(_, health) if health.status == status);
    values.iter().filter(such).count() as u128 == ENDPOINTS
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let end = Instant::now() + SOON;
    while !holds().await {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn number<T>(number: u128) -> Id<T> {
    Id::new(Uuid::from_u128(number))
}

fn image() -> Image {
    let provider = Provider {
        id: number(1),
        meta: Meta::default(),
        name: "vendor".into(),
        kind: ProviderKind::OpenAiCompatible,
        description: String::new(),
        is_active: true,
        sync_policy: SyncPolicy::default(),
        delete_time: None,
        purge_time: None,
    };
    let keyring = Keyring {
        id: Uuid::from_u128(1),
        revision: Revision(0),
        active_key_id: "k1".into(),
        update_time: Timestamp::default(),
        updated_by: String::new(),
    };
    Image {
        head: Head::default(),
        providers: vec![Arc::new(provider)],
        endpoints: (1..=ENDPOINTS).map(|number| Arc::new(endpoint(number))).collect(),
        credentials: Vec::new(),
        models: Vec::new(),
        bindings: Vec::new(),
        tokens: Vec::new(),
        keyring: Arc::new(keyring),
        sealed: Vec::new(),
    }
}

fn endpoint(index: u128) -> Endpoint {
    Endpoint {
        id: number(index),
        provider_id: number(1),
        meta: Meta::default(),
        name: format!("endpoint {index}"),
        base_url: BaseUrl::parse("http://127.0.0.1:1/v1").unwrap(),
        api_version: String::new(),
        region: String::new(),
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_mins(1),
        retry: RetryPolicy::default(),
        is_default: false,
        is_active: true,
        priority: 0,
        weight: 1,
        health_check: HealthCheckPolicy { interval: INTERVAL, ..HealthCheckPolicy::default() },
    }
}
