//! Over real servers on the loopback interface, through the guarded client; and over a database.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::stand::{Replica, SOON, Servers, Shared, eventually, plain, quick, with};
use crate::adapter::{Client, ClientConfig};
use crate::domain::endpoint::{BaseUrl, Endpoint};
use crate::domain::health::{EndpointHealth, Evidence, HealthCause, HealthStatus, Verdict, Weight};
use crate::domain::image::{Image, StatusValue};
use crate::domain::provider::ProviderKind;
use crate::domain::{EndpointId, SystemClock, Timestamp};
use crate::health::backlog::Finding;
use crate::health::ledger::{Ledger as _, LedgerError, StoreLedger};
use crate::health::{ProbeFn, Target, by_adapters};
use crate::lease::Leases as _;
use crate::snapshot::Board;
use crate::snapshot::fixtures::{id, provider};
use crate::store::{ClusterRow, Store, StoreConfig};
use crate::task::Tasks;

/// A server whose status and delay can be set, and which can go away.
struct Server {
    url: String,
    status: Arc<AtomicU16>,
    delay_ms: Arc<AtomicU64>,
    asked: Arc<AtomicUsize>,
    /// Requests that carried anything like a credential.
    with_secrets: Arc<AtomicUsize>,
    gone: CancellationToken,
    tasks: Tasks,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}/v1", listener.local_addr().unwrap()),
            status: Arc::new(AtomicU16::new(200)),
            delay_ms: Arc::default(),
            asked: Arc::default(),
            with_secrets: Arc::default(),
            gone: CancellationToken::new(),
            tasks: Tasks::new(),
        };
        let (status, delay) = (Arc::clone(&server.status), Arc::clone(&server.delay_ms));
        let (asked, secrets) = (Arc::clone(&server.asked), Arc::clone(&server.with_secrets));
        let answer = move |request: http::Request<hyper::body::Incoming>| {
            asked.fetch_add(1, Ordering::SeqCst);
            if request.headers().keys().any(|name| ["authorization", "x-api-key", "api-key"].contains(&name.as_str())) {
                secrets.fetch_add(1, Ordering::SeqCst);
            }
            let (status, delay) = (status.load(Ordering::SeqCst), delay.load(Ordering::SeqCst));
            async move {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                Response::builder().status(status).body(Full::new(Bytes::from_static(br#"{"data":[]}"#)))
            }
        };
        let (gone, connections) = (server.gone.clone(), server.tasks.clone());
        let serve = async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (answer, socket) = (answer.clone(), TokioIo::new(socket));
                connections.spawn("connection", async move {
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(socket, service_fn(answer)).await;
                });
            }
        };
        server.tasks.spawn("server", async move {
            let _ = gone.run_until_cancelled(serve).await;
        });
        server
    }

    fn set(&self, status: u16, delay_ms: u64) {
        self.status.store(status, Ordering::SeqCst);
        self.delay_ms.store(delay_ms, Ordering::SeqCst);
    }
}

fn probe() -> ProbeFn {
    by_adapters(Arc::new(Client::new(&ClientConfig::default(), Arc::new(SystemClock)).unwrap()))
}

fn at(servers: &[&Server]) -> Image {
    let endpoints = (1..).zip(servers).map(|(number, server)| {
        quick(number, |endpoint: &mut Endpoint| {
            endpoint.base_url = BaseUrl::parse(&server.url).unwrap();
            endpoint.health_check.timeout = Duration::from_millis(400);
            endpoint.health_check.degraded_latency = Duration::from_millis(150);
        })
    });
    let mut image = with(endpoints);
    let mut compatible = provider(1);
    compatible.kind = ProviderKind::OpenAiCompatible;
    image.providers = vec![Arc::new(compatible)];
    image
}

#[tokio::test]
async fn a_server_that_falls_ill_is_felt_and_so_is_its_recovery() {
    let shared = Shared::default();
    let (one, other) = (Server::start().await, Server::start().await);
    let replica = Replica::start_probing(1, &shared, probe(), at(&[&one, &other]));
    let shows = |status, cause| {
        let board = replica.board.load();
        board.health(id(1)).is_some_and(|entry| entry.value().status == status && entry.value().cause == cause)
    };
    eventually("healthy", || shows(HealthStatus::Healthy, HealthCause::None)).await;
    for (http_status, delay, status, cause) in [
        (500, 0, HealthStatus::Unhealthy, HealthCause::HttpStatus),
        (401, 0, HealthStatus::Healthy, HealthCause::None),
        (429, 0, HealthStatus::Degraded, HealthCause::RateLimited),
        (200, 200, HealthStatus::Degraded, HealthCause::Slow),
        (200, 3_000, HealthStatus::Unhealthy, HealthCause::Timeout),
        (200, 0, HealthStatus::Healthy, HealthCause::None),
        (302, 0, HealthStatus::Unhealthy, HealthCause::UnexpectedAnswer),
        (200, 0, HealthStatus::Healthy, HealthCause::None),
    ] {
        one.set(http_status, delay);
        eventually(&format!("{status:?} because of {cause:?}"), || shows(status, cause)).await;
    }
    one.gone.cancel();
    eventually("closed", || shows(HealthStatus::Unhealthy, HealthCause::Connect)).await;
    assert_eq!(replica.shown(2), HealthStatus::Healthy, "its neighbour is not touched");
    assert_eq!(one.with_secrets.load(Ordering::SeqCst), 0);
    assert!(other.asked.load(Ordering::SeqCst) > 10);
}

async fn database(folder: &tempfile::TempDir) -> Store {
    let path = folder.path().join("modelward.db");
    let store = Store::connect(&StoreConfig::new(format!("sqlite://{}", path.display()))).await.unwrap();
    store.migrate(None).await.unwrap();
    let fresh = ClusterRow {
        cluster_id: Uuid::from_u128(1),
        active_key_id: "k1".into(),
        keys: Vec::new(),
        create_time: Timestamp::default(),
    };
    store.initialise(&fresh).await.unwrap();
    store
}

fn ledger(store: &Store, owner: &str) -> Arc<StoreLedger> {
    Arc::new(StoreLedger::new(store.clone(), owner.into()))
}

async fn stored(store: &Store) -> HashMap<EndpointId, EndpointHealth> {
    let values = store.load_statuses().await.unwrap().values;
    let health = |value| if let StatusValue::Health(id, health) = value { Some((id, health)) } else { None };
    values.into_iter().filter_map(health).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_is_what_the_database_has_and_no_revision_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(&folder).await;
    let servers = Arc::new(Servers::default());
    let replica = Replica::start_over(ledger(&store, "one"), servers.probe(), plain(1..=2000));
    eventually("all are healthy", || (1..=2000).all(|number| replica.shown(number) == HealthStatus::Healthy)).await;
    (1..=2000).step_by(2).for_each(|number| servers.set(number, Verdict::Down));
    let odd_are_down = |board: &Board| {
        (1..=2000).all(|number| (board.health_status(id(number)) == HealthStatus::Unhealthy) == (number % 2 == 1))
    };
    eventually("the odd ones are down", || odd_are_down(&replica.board.load())).await;
    assert_eq!(replica.checks.check_now(id(2)).await.unwrap().status, HealthStatus::Healthy);
    drop(replica.tasks.shutdown(SOON).await);
    let (stored, board) = (stored(&store).await, replica.board.load());
    assert_eq!(stored.len(), 2000);
    for (id, health) in &stored {
        assert_eq!(health.status, board.health_status(*id), "{id}");
    }
    assert_eq!(store.load_image().await.unwrap().head.revision.0, 0);
    assert_eq!(
        store.lease("health", "two", Duration::from_secs(1)).await.unwrap().unwrap().epoch,
        2,
        "it was given back"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_holder_writes_nothing_and_a_demanded_check_needs_no_lease() {
    let folder = tempfile::tempdir().unwrap();
    let store = database(&folder).await;
    let (old, new) = (ledger(&store, "old"), ledger(&store, "new"));
    let finding = |verdict| {
        let evidence = Evidence {
            verdict,
            cause: HealthCause::None,
            latency: None,
            http_status: None,
            time: Timestamp::from_micros(1),
            message: String::new(),
        };
        let image = plain(1..=1);
        let target = Target { provider: Arc::clone(&image.providers[0]), endpoint: Arc::clone(&image.endpoints[0]) };
        [Finding::new(target, evidence, Weight::Demanded, &EndpointHealth::default())]
    };
    let first = old.lease(Duration::from_mins(1)).await.unwrap().unwrap();
    assert_eq!(new.lease(Duration::from_mins(1)).await.unwrap(), None);
    assert!(old.fold(Some(first), &finding(Verdict::Alive)).await.is_ok());
    old.release().await.unwrap();
    let second = new.lease(Duration::from_mins(1)).await.unwrap().unwrap();
    let refused = old.fold(Some(first), &finding(Verdict::Down)).await.unwrap_err();
    assert!(matches!(refused, LedgerError::LeaseLost), "{refused}");
    assert!(matches!(old.fold(Some(second), &finding(Verdict::Down)).await, Err(LedgerError::LeaseLost)));
    assert_eq!(stored(&store).await[&id(1)].status, HealthStatus::Healthy);
    let mut later = finding(Verdict::Down);
    later[0].evidence[0].time = Timestamp::from_micros(2);
    let written = old.fold(None, &later).await.unwrap();
    assert_eq!(written.turns[0].1.before.status, HealthStatus::Healthy);
    assert_eq!(stored(&store).await[&id(1)].status, HealthStatus::Unhealthy);
}
