//! Reads go on while the database is down, slow or hung; writes fail soon and work again soon after.
//!
//! Each outage is met by writers and readers that never pause. Every write is sent once and has a name of its own, so
//! that the database itself tells in the end whether each answer was true.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use modelward::proto::v1::{self, ProviderKind};
use tokio::task::block_in_place;
use tonic_health::pb::health_check_response::ServingStatus;

use self::load::{Attempt, Load, Outcome};
use super::{effort, report};
use crate::support::database::Database;
use crate::support::postgres::Cluster;
use crate::support::proxy::{Direction, Fault, Proxy};
use crate::support::resources::{endpoint, provider};
use crate::support::server::Caller;
use crate::support::{Engine, Server, eventually, within};

mod commit;
mod freeze;
pub mod load;
mod sidecar;

/// How soon a write fails.
const FAILS: Duration = Duration::from_secs(2);
/// How soon writes work again.
pub const WORKS: Duration = Duration::from_secs(10);
/// What a busy machine may add to the first of these.
const NOISE: Duration = Duration::from_secs(1);
/// What was on its way when an outage began may still arrive.
const ON_ITS_WAY: Duration = Duration::from_millis(300);

/// Two servers on one database; the way of the first one to it breaks.
struct Stand {
    server: Server,
    beside: Server,
    names: Box<dyn Fn() -> HashSet<String> + Send + Sync>,
}

impl Stand {
    /// On a cluster of its own, which may go away for both.
    async fn on(cluster: &'static Cluster) -> Self {
        let database = cluster.create_database(None);
        let server = Server::start_on(&cluster.url(&database), |_| {}).await;
        let beside = server.replica().await;
        Self { server, beside, names: Box::new(move || load::names(cluster, &database)) }
    }

    /// With a proxy before the database, for the first server alone.
    async fn behind_a_proxy() -> (Self, Proxy) {
        let cluster = Cluster::shared();
        let database = Database::new(Engine::Postgres).await;
        let name = database.url().rsplit('/').next().unwrap().to_owned();
        let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], cluster.port())));
        let beside = Server::start_on(database.url(), |_| {}).await;
        let server = Server::start_on(&format!("postgres://modelward@{}/{name}", proxy.address()), |_| {}).await;
        let server = server.with_token_of(&beside);
        (Self { server, beside, names: Box::new(move || load::names(cluster, &name)) }, proxy)
    }
}

/// A cluster that this test alone breaks.
async fn own_cluster() -> &'static Cluster {
    Box::leak(Box::new(tokio::task::spawn_blocking(|| Cluster::start("")).await.unwrap()))
}

/// Lets an outage begin and end under load, and checks what was promised.
async fn outage<H>(stand: &Stand, begin: impl FnOnce() -> H, end: impl FnOnce(H)) {
    let there = stand.server.admin().add_provider("there", ProviderKind::Ollama).await;
    let its = stand.server.admin().add_endpoint(endpoint(&there.id, "e", "http://127.0.0.1:1/v1")).await;
    let load = Load::start(&stand.server, &stand.beside, "", &its);
    eventually("all write", || async { load.all(|attempt| attempt.outcome == Outcome::Stored).then_some(()) }).await;

    let held = begin();
    let begun = Instant::now();
    eventually("health tells it", || async { tells_that_writes_fail(&stand.server).await.then_some(()) }).await;
    let fails = |attempt: &Attempt| attempt.began > begun + ON_ITS_WAY && attempt.outcome != Outcome::Stored;
    eventually("all writes fail", || async { load.all(fails).then_some(()) }).await;
    tokio::time::sleep(Duration::from_secs(effort(0, 30) as u64)).await;
    let healed = Instant::now();
    end(held);
    let works = |attempt: &Attempt| attempt.ended > healed && attempt.outcome == Outcome::Stored;
    eventually("all writes work again", || async { load.all(works).then_some(()) }).await;

    let (attempts, reads) = load.stop().await;
    hears_of_changes(stand).await;
    let mine: Vec<_> = attempts.iter().filter(|attempt| attempt.is_mine).collect();
    let first = |writer| mine.iter().find(|attempt| attempt.writer == writer && works(attempt)).unwrap().ended - healed;
    let back = (0..load::WRITERS).map(first).max().unwrap();
    assert!(back < WORKS, "writes work again after {back:?}");
    let between = |attempt: &&&Attempt| attempt.began > begun + ON_ITS_WAY && attempt.ended < healed;
    let stored = mine.iter().filter(between).filter(|attempt| attempt.outcome == Outcome::Stored).count();
    assert_eq!(stored, 0, "the outage was one");
    let slowest =
        attempts.iter().filter(|attempt| attempt.outcome != Outcome::Stored).map(Attempt::took).max().unwrap();
    assert!(slowest < FAILS + NOISE, "a write failed after {slowest:?}");
    check_answers(&attempts, &block_in_place(&stand.names));
    let count = |outcome| attempts.iter().filter(|attempt| attempt.outcome == outcome).count();
    report(&format!(
        "{} stored, {} refused, {} open; {reads} reads; the slowest failure {slowest:?}; works again after {back:?}",
        count(Outcome::Stored),
        count(Outcome::Refused),
        count(Outcome::Open),
    ));
}

/// Changes made beside come at once again, not with the next look at the log, a second later.
async fn hears_of_changes(stand: &Stand) {
    const CHANGES: u32 = 8;
    let began = Instant::now();
    for number in 0..CHANGES {
        let made = stand.beside.admin().add_provider(&format!("beside{number}"), ProviderKind::Ollama).await;
        eventually("it is shown", || async {
            let get = v1::GetProviderRequest { id: made.id.clone() };
            stand.server.providers().get_provider(get).await.ok()
        })
        .await;
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1) * CHANGES / 2, "{CHANGES} changes were shown after {took:?}");
}

/// What was acknowledged is there, and what was refused is not.
pub fn check_answers(attempts: &[Attempt], names: &HashSet<String>) {
    for Attempt { name, outcome, .. } in attempts {
        match outcome {
            Outcome::Stored => assert!(names.contains(name), "{name} was acknowledged and is not there"),
            Outcome::Refused => assert!(!names.contains(name), "{name} was refused with nothing written, and is there"),
            Outcome::Open => {}
        }
    }
}

/// The names that a server lists.
async fn listed(caller: &Caller) -> Vec<String> {
    let all = v1::ListProvidersRequest { page_size: 1000, ..Default::default() };
    let listed = caller.providers().list_providers(all).await.unwrap().into_inner();
    listed.providers.iter().map(|provider| provider.name().to_owned()).collect()
}

async fn tells_that_writes_fail(server: &Server) -> bool {
    let (all, writes) = (serving(server, "").await, serving(server, "modelward.writes").await);
    assert_eq!(all, ServingStatus::Serving, "reads go on");
    writes == ServingStatus::NotServing
}

async fn serving(server: &Server, name: &str) -> ServingStatus {
    let mut client = tonic_health::pb::health_client::HealthClient::new(server.new_channel());
    let request = tonic_health::pb::HealthCheckRequest { service: name.to_owned() };
    client.check(request).await.unwrap().into_inner().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_reads_go_on_while_the_database_is_stopped() {
    let cluster = own_cluster().await;
    let stand = Stand::on(cluster).await;
    outage(&stand, || block_in_place(|| cluster.stop()), |()| block_in_place(|| cluster.restart())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_reads_go_on_while_the_database_is_frozen() {
    let cluster = own_cluster().await;
    let stand = Stand::on(cluster).await;
    outage(&stand, || cluster.freeze(), drop).await;
}

async fn behind(fault: Fault) -> Stand {
    let (stand, proxy) = Stand::behind_a_proxy().await;
    outage(&stand, || proxy.set(fault), |()| proxy.set(Fault::Pass)).await;
    stand
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_reads_go_on_while_the_database_answers_late() {
    let late = Duration::from_secs(effort(6, 30) as u64);
    let (stand, proxy) = Stand::behind_a_proxy().await;
    outage(&stand, || proxy.set(Fault::Delay(late)), |()| proxy.set(Fault::Pass)).await;
    // What was sent meanwhile arrives now, and must not do anything any more.
    let before = block_in_place(&stand.names);
    tokio::time::sleep(late).await;
    assert_eq!(block_in_place(&stand.names), before);
}

/// Each step is slow, none is too slow by itself, and the last one before COMMIT hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_a_write_whose_steps_take_too_long_together_fails_in_time() {
    let (stand, proxy) = Stand::behind_a_proxy().await;
    let create = |name: &'static str| {
        let admin = stand.server.admin().clone();
        async move {
            let provider = Some(provider(name, ProviderKind::Ollama));
            let request = v1::CreateProviderRequest { provider, request_id: name.into(), ..Default::default() };
            admin.providers().create_provider(request).await.map(|answer| answer.into_inner().provider.unwrap())
        }
    };
    // Statements that are used for the first time take a step more.
    create("before").await.unwrap();
    proxy.set(Fault::Delay(Duration::from_millis(290)));
    let began = Instant::now();
    let writing = tokio::spawn(create("slow"));
    tokio::time::sleep(Duration::from_millis(1850)).await;
    proxy.set(Fault::Stall);
    assert_eq!(load::outcome(writing.await.unwrap()), Outcome::Refused);
    assert!(began.elapsed() < FAILS + NOISE, "{:?}", began.elapsed());
    proxy.set(Fault::Pass);
    within(WORKS, "writes work again", || async { create("after").await.ok() }).await;
    assert!(!block_in_place(&stand.names).contains("slow"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_reads_go_on_while_the_way_to_the_database_stalls() {
    behind(Fault::Stall).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_reads_go_on_while_nothing_reaches_the_database() {
    behind(Fault::Drop(Direction::ToTarget)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_reads_go_on_while_nothing_comes_from_the_database() {
    behind(Fault::Drop(Direction::ToClient)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_reads_go_on_while_connections_to_the_database_are_reset() {
    behind(Fault::Reset).await;
}

#[test]
fn d8_an_answer_that_is_not_true_is_found() {
    let answered = |outcome| {
        let (writer, is_mine, now) = (0, true, Instant::now());
        vec![Attempt { writer, is_mine, name: "a".into(), began: now, ended: now, outcome }]
    };
    let (there, gone) = (HashSet::from(["a".to_owned()]), HashSet::new());
    for (outcome, names) in [(Outcome::Stored, &gone), (Outcome::Refused, &there)] {
        std::panic::catch_unwind(|| check_answers(&answered(outcome), names)).unwrap_err();
    }
    for (outcome, names) in [(Outcome::Stored, &there), (Outcome::Refused, &gone), (Outcome::Open, &there)] {
        check_answers(&answered(outcome), names);
    }
}
