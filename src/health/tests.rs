//! The loops together, over a ledger in memory that can fall silent and probes that do as they are told; and, in
//! [`real`], over a database and servers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::domain::ResourceKind;
use crate::domain::endpoint::Endpoint;
use crate::domain::health::{HealthCause, HealthStatus, Verdict};
use crate::snapshot::fixtures::{id, provider};

mod real;
mod stand;

use stand::{INTERVAL, Replica, SOON, Servers, Shared, eventually, plain, quick, with};

/// Waits until `probes` more probes were made.
async fn probes_later(servers: &Servers, probes: usize) {
    let until = servers.all_probes() + probes;
    eventually("more probes", || servers.all_probes() >= until).await;
}

#[tokio::test]
async fn a_status_turns_at_its_thresholds_and_back_and_makes_no_revision() {
    let (shared, servers) = (Shared::default(), Arc::new(Servers::default()));
    let replica = Replica::start(1, &shared, &servers, plain(1..=1));
    eventually("healthy", || replica.shown(1) == HealthStatus::Healthy).await;
    servers.set(1, Verdict::Down);
    let before = servers.probes(1);
    eventually("unhealthy", || replica.shown(1) == HealthStatus::Unhealthy).await;
    assert!(servers.probes(1) >= before + 3, "three failures are needed");
    servers.set(1, Verdict::Struggling);
    eventually("degraded", || replica.shown(1) == HealthStatus::Degraded).await;
    servers.set(1, Verdict::Alive);
    eventually("healthy again", || replica.shown(1) == HealthStatus::Healthy).await;
    assert_eq!(shared.status(1), HealthStatus::Healthy);
    assert_eq!(replica.checks.snapshot.head().revision.0, 0);
    let text = replica.metrics.render();
    assert!(text.contains("modelward_probe_leader 1") && text.contains("modelward_probes_total{result=\"degraded\"}"));
}

#[tokio::test]
async fn thousands_of_endpoints_that_hang_take_no_more_than_the_slots_and_hold_nobody_up() {
    let (shared, servers) = (Shared::default(), Arc::new(Servers::default()));
    let image = with((1..=5000).map(|number| quick(number, |_| {})));
    servers.all_hang.store(true, Ordering::SeqCst);
    let mut replica = Replica::start(1, &shared, &servers, image.clone());
    eventually("a round of probes", || servers.all_probes() > 300).await;
    assert!((48..=64).contains(&servers.most_open.load(Ordering::SeqCst)));
    // A check on demand does not stand in line, and has a socket of its own.
    let checked = replica.checks.check_now(id(7)).await.unwrap();
    assert_eq!((checked.status, checked.cause), (HealthStatus::Unhealthy, HealthCause::Timeout));
    // One that answers is probed in its time: here it was seen to answer once.
    servers.all_hang.store(false, Ordering::SeqCst);
    servers.hanging.lock().unwrap().extend((1..=5000).map(id::<Endpoint>));
    replica.checks.check_now(id(9001)).await.unwrap_err();
    let mut more = image;
    more.endpoints.push(Arc::new(quick(9001, |_| {})));
    replica.change(more);
    eventually("it is known", || replica.checks.snapshot.load().endpoint_entry(id(9001)).is_some()).await;
    eventually("the new one is probed", || servers.probes(9001) >= 20).await;
    assert!(servers.most_open.load(Ordering::SeqCst) <= 65);
    drop(replica.tasks.shutdown(SOON).await);
    assert_eq!(servers.open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn of_several_replicas_one_probes_and_another_takes_over() {
    let (shared, servers) = (Shared::default(), Arc::new(Servers::default()));
    let replicas: Vec<_> = (1..=3).map(|number| Replica::start(number, &shared, &servers, plain(1..=5))).collect();
    eventually("a holder", || replicas.iter().any(Replica::holds)).await;
    let (count, begun) = (servers.probes(1), Instant::now());
    probes_later(&servers, 100).await;
    let rounds = usize::try_from(begun.elapsed().as_millis() / INTERVAL.as_millis()).unwrap();
    assert!(servers.probes(1) - count <= rounds + 2, "one probe per endpoint and interval");
    let holder = replicas.iter().position(Replica::holds).unwrap();
    assert_eq!(replicas.iter().filter(|replica| replica.holds()).count(), 1);
    replicas[holder].tasks.shutdown(SOON).await;
    eventually("another one", || {
        replicas.iter().enumerate().any(|(index, replica)| index != holder && replica.holds())
    })
    .await;
    probes_later(&servers, 20).await;
}

#[tokio::test]
async fn a_replica_whose_lease_went_to_another_writes_nothing_and_stops() {
    let (shared, servers) = (Shared::default(), Arc::new(Servers::default()));
    let replica = Replica::start(1, &shared, &servers, plain(1..=1));
    eventually("healthy", || shared.status(1) == HealthStatus::Healthy).await;
    // As after a long pause of the process: the lease has gone, nobody has told.
    let batches = shared.with(|database| {
        database.owner = Some((2, Instant::now() + SOON));
        database.epoch += 1;
        database.batches.len()
    });
    servers.set(1, Verdict::Down);
    eventually("it noticed", || replica.leader.standing() == Standing::Idle).await;
    eventually("the probes are cut off", || servers.open.load(Ordering::SeqCst) == 0).await;
    assert_eq!(shared.with(|database| database.batches.len()), batches);
    assert_eq!(shared.status(1), HealthStatus::Healthy);
    let health = replica.checks.check_now(id(1)).await.unwrap();
    assert_eq!(health.status, HealthStatus::Unhealthy, "a check on demand needs no lease");
    assert_eq!(shared.with(|database| database.batches.last().copied()), Some((1, None, 1)));
}

#[tokio::test]
async fn while_the_store_is_silent_every_replica_probes_for_itself_and_writes_when_it_is_back() {
    let (shared, servers) = (Shared::default(), Arc::new(Servers::default()));
    let replicas: Vec<_> = (1..=2).map(|number| Replica::start(number, &shared, &servers, plain(1..=1))).collect();
    eventually("healthy", || shared.status(1) == HealthStatus::Healthy).await;
    shared.with(|database| database.down = true);
    servers.set(1, Verdict::Down);
    eventually("all see it", || replicas.iter().all(|replica| replica.shown(1) == HealthStatus::Unhealthy)).await;
    assert_eq!(shared.status(1), HealthStatus::Healthy);
    let demanded = replicas[0].checks.check_now(id(1)).await.unwrap();
    assert_eq!(demanded.status, HealthStatus::Unhealthy);
    shared.with(|database| database.down = false);
    eventually("it is written", || shared.status(1) == HealthStatus::Unhealthy).await;
    eventually("one holder", || replicas.iter().filter(|replica| replica.holds()).count() == 1).await;
    eventually("no loner", || replicas.iter().all(|replica| replica.leader.standing() != Standing::Alone)).await;
}

#[tokio::test]
async fn a_demanded_check_sets_the_status_alone_whatever_the_thresholds() {
    let (shared, servers) = (Shared::default(), Arc::new(Servers::default()));
    let never = |endpoint: &mut Endpoint| {
        endpoint.health_check.enabled = false;
        endpoint.health_check.unhealthy_threshold = 100;
        endpoint.health_check.healthy_threshold = 100;
    };
    let replica = Replica::start(1, &shared, &servers, with([quick(1, never)]));
    servers.set(1, Verdict::Down);
    assert_eq!(replica.checks.check_now(id(1)).await.unwrap().status, HealthStatus::Unhealthy);
    assert_eq!((shared.status(1), replica.shown(1)), (HealthStatus::Unhealthy, HealthStatus::Unhealthy));
    servers.set(1, Verdict::Alive);
    assert_eq!(replica.checks.check_now(id(1)).await.unwrap().status, HealthStatus::Healthy);
    assert_eq!((shared.status(1), replica.shown(1)), (HealthStatus::Healthy, HealthStatus::Healthy));
    assert_eq!(servers.probes(1), 2, "nobody else probed it");
    let unknown = replica.checks.check_now(id(9)).await.unwrap_err();
    assert_eq!(unknown, Error::not_found(ResourceKind::Endpoint, id::<Endpoint>(9)));
}

#[tokio::test]
async fn what_is_disabled_removed_or_of_a_disabled_or_deleted_provider_is_probed_no_more() {
    let (shared, servers) = (Shared::default(), Arc::new(Servers::default()));
    let mut replica = Replica::start(1, &shared, &servers, plain(1..=6));
    eventually("all are probed", || (1..=6).all(|number| servers.probes(number) > 1)).await;
    let mut image = with([
        quick(1, |_| {}),
        quick(2, |endpoint| endpoint.is_active = false),
        quick(3, |endpoint| endpoint.health_check.enabled = false),
        quick(4, |endpoint| endpoint.provider_id = id(2)),
        quick(5, |endpoint| endpoint.provider_id = id(3)),
    ]);
    let mut disabled = provider(2);
    disabled.is_active = false;
    let mut deleted = provider(3);
    deleted.delete_time = Some(crate::domain::Timestamp::default());
    image.providers.extend([Arc::new(disabled), Arc::new(deleted)]);
    replica.change(image);
    // Noticed when the configuration is looked at; then only the first is left.
    let others = || (2..=6).map(|number| servers.probes(number)).sum::<usize>();
    let (quiet_for, rounds) = (10, 100);
    for round in 0.. {
        assert!(round < rounds, "the others are still probed");
        let before = others();
        let until = servers.probes(1) + quiet_for;
        eventually("the first is probed", || servers.probes(1) >= until).await;
        if others() == before {
            break;
        }
    }
}

#[tokio::test]
async fn a_probe_that_panics_is_evidence_of_nothing() {
    let (shared, servers) = (Shared::default(), Arc::new(Servers::default()));
    let mut replica = Replica::start(1, &shared, &servers, plain(1..=1));
    replica.checks.prober.probe = Arc::new(|_| Box::pin(async { panic!("seeded") }));
    assert_eq!(replica.checks.check_now(id(1)).await.unwrap_err(), Error::internal());
    assert_eq!(replica.metrics.panics.get(), 1);
}

#[tokio::test]
async fn a_transition_is_written_within_a_quarter_of_a_second_and_numbers_rarely() {
    let (shared, servers) = (Shared::default(), Arc::new(Servers::default()));
    let replica = Replica::start(1, &shared, &servers, plain(1..=20));
    eventually("all healthy", || (1..=20).all(|number| shared.status(number) == HealthStatus::Healthy)).await;
    let batches = shared.with(|database| database.batches.len());
    probes_later(&servers, 200).await;
    assert_eq!(shared.with(|database| database.batches.len()), batches, "numbers can wait");
    let begun = Instant::now();
    servers.set(3, Verdict::Struggling);
    eventually("degraded", || shared.status(3) == HealthStatus::Degraded).await;
    assert!(begun.elapsed() < Duration::from_millis(250) + INTERVAL * 2, "{:?}", begun.elapsed());
    assert_eq!(replica.shown(3), HealthStatus::Degraded);
}

#[tokio::test]
async fn reported_failures_degrade_until_a_probe_tells_more() {
    let (shared, servers) = (Shared::default(), Arc::new(Servers::default()));
    let alone = |endpoint: &mut Endpoint| endpoint.health_check.enabled = false;
    let replica = Replica::start(1, &shared, &servers, with([quick(1, alone)]));
    assert_eq!(replica.checks.check_now(id(1)).await.unwrap().status, HealthStatus::Healthy);
    // The probe because of the report fails once, which is one failure of three.
    servers.set(1, Verdict::Down);
    (0..100).for_each(|_| replica.checks.report_failure(id(1)));
    replica.checks.report_failure(id(9));
    let failures = || replica.board.load().health(id(1)).unwrap().value().consecutive_failures;
    eventually("the probe is recorded", || failures() == 1).await;
    assert_eq!((shared.status(1), replica.shown(1)), (HealthStatus::Degraded, HealthStatus::Degraded));
    assert_eq!(servers.probes(1), 2, "a hundred reports, one probe");
    assert_eq!(replica.checks.check_now(id(1)).await.unwrap().status, HealthStatus::Unhealthy);
    replica.checks.report_failure(id(1));
    assert_eq!(replica.shown(1), HealthStatus::Unhealthy);
}
