//! Probing never storms and never starves.
//!
//! One server with 5,000 endpoints that take every connection and answer nothing: the sockets that it has open are
//! counted as the system sees them, its API is timed while it probes and while it does not, in turns (in the long form
//! alone), and what answers is still probed in time. Several servers on one PostgreSQL: each endpoint is probed once an
//! interval, and a holder of the lease that was frozen and resumed writes nothing.

mod lease;

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use modelward::proto::v1::{self, HealthCause, HealthStatus, ProviderKind};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::{effort, report};
use crate::support::process::Process;
use crate::support::recorder::Recorder;
use crate::support::resources::endpoint;
use crate::support::server::Caller;
use crate::support::{eventually, within};

const ENDPOINTS: usize = 5000;
/// The promise's own number.
const SOCKETS: usize = 64;
/// How much slower the API's slowest call but one in a hundred may be while probes hang.
const SLOWER: f64 = 1.10;
/// Calls of a window, and how often both windows are repeated where this machine has no time. What probes cost is in
/// all of them.
const WINDOW: usize = 300;
const ROUNDS: usize = 60;
const LEAST: usize = 8;

/// Takes every connection and never says a word.
struct Mute {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Mute {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut held = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                held.spawn(until_closed(socket));
            }
        });
        Self { address, task }
    }

    /// How many sockets are open towards it, or being opened, at one moment as the system sees it. The system's table is
    /// read piece by piece while sockets come and go: those count that two readings have, which were open between them.
    fn sockets(&self) -> usize {
        self.listed().intersection(&self.listed()).count()
    }

    fn listed(&self) -> HashSet<String> {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let remote = format!("0100007F:{:04X}", self.address.port());
        let open = |line: &str| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let is_open = fields.get(2) == Some(&remote.as_str()) && matches!(fields.get(3), Some(&"01" | &"02"));
            is_open.then(|| fields[1].to_owned())
        };
        table.lines().filter_map(open).collect()
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn until_closed(socket: TcpStream) {
    let mut buffer = [0; 4096];
    while socket.readable().await.is_ok() && !matches!(socket.try_read(&mut buffer), Ok(0)) {}
}

/// A server with very many endpoints that hang, and one that answers.
struct Stand {
    process: Process,
    mute: Mute,
    vendor: Recorder,
    hanging: v1::Provider,
    good: v1::Endpoint,
    directory: TempDir,
}

const VARIABLES: [(&str, &str); 1] = [("MODELWARD_LIMITS__ENDPOINTS_PER_PROVIDER", "6000")];

impl Stand {
    async fn new() -> Self {
        let (mute, vendor, directory) = (Mute::start().await, Recorder::start().await, TempDir::new().unwrap());
        let process = Process::start(directory.path(), &VARIABLES);
        let admin = process.admin();
        let hanging = admin.add_provider("hanging", ProviderKind::OpenaiCompatible).await;
        // Nothing is probed before all are there.
        set_active(&admin, &hanging.id, false).await;
        let url = format!("http://{}/v1", mute.address);
        let added = (0..ENDPOINTS).map(|number| {
            let wanted = v1::Endpoint {
                health_check: policy(Duration::from_secs(1)),
                ..endpoint(&hanging.id, &format!("e{number}"), &url)
            };
            let admin = &admin;
            async move { admin.add_endpoint(wanted).await.id }
        });
        stream::iter(added).buffer_unordered(64).for_each(|_| async {}).await;
        let good = admin.add_provider("good", ProviderKind::OpenaiCompatible).await;
        let wanted = endpoint(&good.id, "good", &format!("http://{}/v1", vendor.address));
        let wanted = v1::Endpoint { health_check: policy(Duration::from_secs(1)), ..wanted };
        let good = admin.add_endpoint(wanted).await;
        // Those that were never probed come in any order, 64 at a time; one that has answered has slots of its own.
        eventually("the one that answers is probed", || async { (vendor.connections() > 0).then_some(()) }).await;
        Self { process, mute, vendor, hanging, good, directory }
    }

    /// Lets the endpoints that hang be probed, or not, and waits until that is so.
    async fn probe(&self, on: bool) {
        set_active(&self.process.admin(), &self.hanging.id, on).await;
        eventually("probes hang as they are to", || async {
            let open = self.mute.sockets();
            (if on { open >= SOCKETS / 2 } else { open == 0 }).then_some(())
        })
        .await;
    }
}

fn policy(timeout: Duration) -> Option<v1::HealthCheckPolicy> {
    let nanos = i32::try_from(timeout.subsec_nanos()).unwrap();
    let timeout = prost_types::Duration { seconds: i64::try_from(timeout.as_secs()).unwrap(), nanos };
    let interval = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let unhealthy_threshold = Some(1);
    Some(v1::HealthCheckPolicy { interval, timeout: Some(timeout), unhealthy_threshold, ..Default::default() })
}

async fn set_active(admin: &Caller, provider: &str, is_active: bool) {
    let request =
        v1::UpdateProviderStatusRequest { id: provider.to_owned(), is_active: Some(is_active), ..Default::default() };
    admin.providers().update_provider_status(request).await.unwrap();
}

/// The slowest call but one in a hundred of a window.
async fn slowest(admin: &Caller, id: &str) -> Duration {
    let mut client = admin.endpoints();
    let mut times = Vec::with_capacity(WINDOW);
    for _ in 0..WINDOW {
        let began = Instant::now();
        client.get_endpoint(v1::GetEndpointRequest { id: id.to_owned() }).await.unwrap();
        times.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    times.sort();
    times[WINDOW * 99 / 100]
}

async fn the_api_is_as_fast_as_at_rest(stand: &Stand, admin: &Caller) {
    let (mut quiet, mut probing) = (Duration::MAX, Duration::MAX);
    let mut rounds = 0;
    while rounds < LEAST || (probing > quiet.mul_f64(SLOWER) && rounds < ROUNDS) {
        stand.probe(false).await;
        quiet = quiet.min(slowest(admin, &stand.good.id).await);
        stand.probe(true).await;
        probing = probing.min(slowest(admin, &stand.good.id).await);
        assert!(stand.mute.sockets() <= SOCKETS);
        rounds += 1;
    }
    report(&format!("h3: p99 {quiet:.1?} without probes, {probing:.1?} with {ENDPOINTS} that hang, {rounds} rounds"));
    assert!(probing <= quiet.mul_f64(SLOWER), "{probing:?} instead of {quiet:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h3_five_thousand_hanging_endpoints_hold_nothing_up() {
    let stand = Stand::new().await;
    let admin = stand.process.admin();
    stand.probe(true).await;
    never_more_than_allowed(&stand).await;
    what_answers_is_probed_in_time(&stand).await;
    who_asks_is_answered(&stand).await;
    // Beside other tests there is no quiet moment to compare with.
    if effort(0, 1) == 1 {
        the_api_is_as_fast_as_at_rest(&stand, &admin).await;
    }
    assert_eq!(stand.process.metric("panics_total"), 0);
    more_are_seen(stand).await;
}

async fn never_more_than_allowed(stand: &Stand) {
    let end = Instant::now() + Duration::from_secs(effort(4, 60) as u64);
    let mut most = 0;
    while Instant::now() < end {
        most = most.max(stand.mute.sockets());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    report(&format!("h3: at most {most} sockets"));
    assert!((SOCKETS / 2..=SOCKETS).contains(&most), "{most}");
}

/// Its interval is a second. It is asked ten times in at most twenty.
async fn what_answers_is_probed_in_time(stand: &Stand) {
    let before = stand.vendor.connections();
    within(Duration::from_secs(20), "the one that answers is probed ten times", || async {
        (stand.vendor.connections() >= before + 10).then_some(())
    })
    .await;
    let health = stand.process.admin().get_endpoint(&stand.good.id).await.health.unwrap();
    assert_eq!(health.status(), HealthStatus::Healthy, "{health:?}");
}

/// A check on demand waits for no other.
async fn who_asks_is_answered(stand: &Stand) {
    let list = v1::ListEndpointsRequest { provider_id: stand.hanging.id.clone(), page_size: 8, ..Default::default() };
    let admin = stand.process.admin();
    let some = admin.endpoints().list_endpoints(list).await.unwrap().into_inner().endpoints;
    let began = Instant::now();
    let checks =
        some.iter().map(|endpoint| {
            let request = v1::CheckEndpointHealthRequest { id: endpoint.id.clone() };
            let mut client = admin.endpoints();
            async move {
                client.check_endpoint_health(request).await.unwrap().into_inner().endpoint.unwrap().health.unwrap()
            }
        });
    for health in futures_util::future::join_all(checks).await {
        assert_eq!((health.status(), health.cause()), (HealthStatus::Unhealthy, HealthCause::Timeout));
    }
    assert!(began.elapsed() < Duration::from_secs(10), "the contract's limit: {:?}", began.elapsed());
}

/// The same server where more probes may be in flight: the count of sockets would tell.
async fn more_are_seen(stand: Stand) {
    let Stand { mut process, mute, directory, .. } = stand;
    assert!(process.terminate().success());
    let generous = [VARIABLES[0], ("MODELWARD_HEALTH__MAX_IN_FLIGHT", "200")];
    let _process = Process::start(directory.path(), &generous);
    let more = || async { (mute.sockets() > SOCKETS).then_some(()) };
    eventually("more sockets are open than are promised", more).await;
}
