use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, async_trait};

use super::super::address::Address;
use super::super::trust::Trust;
use super::super::upstream::UpstreamConfig;
use super::*;
use crate::domain::{Error, SystemClock};
use crate::proto::server::routing_service_server::{RoutingService, RoutingServiceServer};
use crate::task::Tasks;
use crate::wire::target::RawResolution;

/// A control plane that counts reports, as servers do: each id once. It may take a report and not answer.
#[derive(Clone, Default)]
struct Plane {
    counted: Arc<Mutex<Counted>>,
    mute: Arc<AtomicBool>,
}

#[derive(Default)]
struct Counted {
    ids: BTreeSet<String>,
    calls: usize,
    outcomes: Vec<v1::Outcome>,
}

#[async_trait]
impl RoutingService for Plane {
    async fn resolve_target(
        &self,
        _: Request<v1::ResolveTargetRequest>,
    ) -> std::result::Result<Response<RawResolution>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn fetch_secrets(
        &self,
        _: Request<v1::FetchSecretsRequest>,
    ) -> std::result::Result<Response<v1::FetchSecretsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn report_outcome(
        &self,
        request: Request<v1::ReportOutcomeRequest>,
    ) -> std::result::Result<Response<v1::ReportOutcomeResponse>, Status> {
        let v1::ReportOutcomeRequest { outcomes, report_id } = request.into_inner();
        let mut counted = self.counted.lock().unwrap();
        counted.calls += 1;
        if counted.ids.insert(report_id) {
            counted.outcomes.extend(outcomes);
        }
        if self.mute.load(Ordering::SeqCst) {
            return Err(Status::unavailable("cut off"));
        }
        Ok(Response::new(v1::ReportOutcomeResponse {}))
    }
}

async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn serve(plane: &Plane, address: SocketAddr, tasks: &Tasks) {
    let listener = TcpListener::bind(address).await.unwrap();
    let service = RoutingServiceServer::new(plane.clone()).max_decoding_message_size(1 << 22);
    let served = Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
    tasks.spawn("control plane", async move { served.await.unwrap() });
}

fn upstream(address: SocketAddr) -> Upstream {
    Upstream::open(UpstreamConfig {
        addresses: vec![Address::parse(&format!("http://{address}")).unwrap()],
        trust: Trust::default(),
        identity_file: None,
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(5),
        keepalive_interval: Duration::from_secs(5),
        keepalive_timeout: Duration::from_secs(5),
    })
    .unwrap()
}

fn outcomes() -> (Outcomes, Metrics) {
    let metrics = Metrics::new();
    (Outcomes::new(Arc::new(SystemClock), metrics.clone()), metrics)
}

/// A report of so many outcomes, told apart by their tokens.
fn report(first: i64, count: i64) -> v1::ReportOutcomeRequest {
    let outcome = |number| v1::Outcome { success: Some(true), input_tokens: Some(number), ..Default::default() };
    v1::ReportOutcomeRequest { outcomes: (first..first + count).map(outcome).collect(), report_id: String::new() }
}

fn numbers(plane: &Plane) -> Vec<i64> {
    plane.counted.lock().unwrap().outcomes.iter().filter_map(|outcome| outcome.input_tokens).collect()
}

async fn flush_until_empty(outcomes: &Outcomes, upstream: &Upstream) {
    let flushed = async {
        while !outcomes.is_empty() {
            outcomes.flush(upstream).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), flushed).await.unwrap();
}

#[tokio::test]
async fn what_is_reported_in_an_outage_arrives_after_it_once_and_in_order() {
    let (address, plane, tasks) = (free_address().await, Plane::default(), Tasks::new());
    let (outcomes, metrics) = outcomes();
    let upstream = upstream(address);
    for batch in 0..5 {
        outcomes.report(report(batch * 500, 500)).unwrap();
        outcomes.flush(&upstream).await;
    }
    assert_eq!(metrics.sidecar.outcomes_waiting.get(), 2500);
    serve(&plane, address, &tasks).await;
    flush_until_empty(&outcomes, &upstream).await;
    assert_eq!(numbers(&plane), (0..2500).collect::<Vec<_>>());
    let told =
        (&metrics.sidecar.outcomes_forwarded, &metrics.sidecar.outcomes_dropped, &metrics.sidecar.outcomes_waiting);
    assert_eq!((told.0.get(), told.1.get(), told.2.get()), (2500, 0, 0));
    let timed = plane.counted.lock().unwrap().outcomes.iter().all(|outcome| outcome.time.is_some());
    assert!(timed, "what comes late counts for when it was");
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_repeated_and_counted_once() {
    let (address, plane, tasks) = (free_address().await, Plane::default(), Tasks::new());
    serve(&plane, address, &tasks).await;
    let (outcomes, _) = outcomes();
    let upstream = upstream(address);
    plane.mute.store(true, Ordering::SeqCst);
    outcomes.report(report(0, 10)).unwrap();
    outcomes.flush(&upstream).await;
    outcomes.report(report(10, 10)).unwrap();
    outcomes.flush(&upstream).await;
    assert_eq!(plane.counted.lock().unwrap().calls, 2);
    plane.mute.store(false, Ordering::SeqCst);
    flush_until_empty(&outcomes, &upstream).await;
    assert_eq!(numbers(&plane), (0..20).collect::<Vec<_>>());
    assert_eq!(plane.counted.lock().unwrap().calls, 4);
}

#[test]
fn beyond_its_room_the_oldest_are_dropped_and_counted() {
    let (outcomes, metrics) = outcomes();
    for batch in 0..25 {
        outcomes.report(report(batch * 1000, 1000)).unwrap();
    }
    let kept = outcomes.kept();
    assert_eq!(kept.waiting.len(), CAPACITY);
    assert_eq!(kept.waiting.front().and_then(|outcome| outcome.input_tokens), Some(5000));
    assert_eq!(metrics.sidecar.outcomes_dropped.get(), 5000);
}

#[test]
fn a_bad_report_is_refused_as_the_control_plane_would_and_not_kept() {
    let (outcomes, _) = outcomes();
    let bad = v1::Outcome { endpoint_id: "e".into(), ..report(0, 1).outcomes[0].clone() };
    for message in [
        report(0, 0),
        report(0, 1001),
        v1::ReportOutcomeRequest { outcomes: vec![bad], ..Default::default() },
        v1::ReportOutcomeRequest { report_id: "x".repeat(101), ..report(0, 1) },
    ] {
        assert!(matches!(outcomes.report(message), Err(Error::InvalidField { .. })));
    }
    assert!(outcomes.is_empty());
}

#[tokio::test]
async fn a_stop_sends_what_is_left() {
    let (address, plane, tasks) = (free_address().await, Plane::default(), Tasks::new());
    serve(&plane, address, &tasks).await;
    let (outcomes, _) = outcomes();
    let working = Tasks::new();
    working.spawn("outcomes", outcomes.clone().forward(upstream(address), working.stopping()));
    outcomes.report(report(0, 7)).unwrap();
    assert!(working.shutdown(Duration::from_secs(20)).await.is_empty());
    assert_eq!(numbers(&plane), (0..7).collect::<Vec<_>>());
}
