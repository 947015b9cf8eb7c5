use std::sync::Arc;

use super::*;
use crate::domain::Timestamp;
use crate::domain::health::{HealthCause, HealthStatus, Verdict};
use crate::snapshot::fixtures::{endpoint, provider};

fn target(number: u128) -> Target {
    Target { provider: Arc::new(provider(1)), endpoint: Arc::new(endpoint(number, 1)) }
}

fn evidence(verdict: Verdict, seconds: i64) -> Evidence {
    let cause = if verdict == Verdict::Down { HealthCause::Connect } else { HealthCause::None };
    Evidence {
        verdict,
        cause,
        latency: Some(Duration::from_millis(3)),
        http_status: None,
        time: Timestamp::from_micros(seconds * 1_000_000),
        message: String::new(),
    }
}

/// Healthy since second 0.
fn healthy() -> EndpointHealth {
    EndpointHealth::default().fold(&evidence(Verdict::Alive, 0), &target(1).endpoint.health_check, Weight::Background)
}

fn add(backlog: &mut Backlog, number: u128, verdict: Verdict, seconds: i64, now: Instant) {
    backlog.add(target(number), evidence(verdict, seconds), healthy, now);
}

#[test]
fn a_transition_is_due_soon() {
    let now = Instant::now();
    let mut backlog = Backlog::default();
    backlog.add(target(1), evidence(Verdict::Alive, 1), EndpointHealth::default, now);
    assert_eq!(backlog.next(), Some(now + TRANSITION));
    assert!(backlog.take(now).is_empty());
    assert_eq!(backlog.take(now + TRANSITION).len(), 1);
    assert_eq!(backlog.next(), None);
}

#[test]
fn numbers_of_an_endpoint_are_written_ten_seconds_after_the_last_ones() {
    let now = Instant::now();
    let after = |seconds| now + Duration::from_secs(seconds);
    let mut backlog = Backlog::default();
    add(&mut backlog, 1, Verdict::Alive, 3, now);
    assert_eq!(backlog.next(), Some(after(7) + GATHER));
    add(&mut backlog, 1, Verdict::Alive, 4, after(1));
    assert!(backlog.take(after(7)).is_empty());
    assert_eq!(backlog.take(after(7) + GATHER)[0].evidence.len(), 2);
}

#[test]
fn numbers_that_come_one_by_one_share_a_batch() {
    let now = Instant::now();
    let mut backlog = Backlog::default();
    for number in 1..=300 {
        let at = now + Duration::from_millis(3) * u32::try_from(number).unwrap();
        add(&mut backlog, number, Verdict::Alive, 40, at);
    }
    add(&mut backlog, 301, Verdict::Alive, 2, now);
    let first = backlog.next().unwrap();
    assert_eq!(backlog.take(first).len(), 300, "all but the one that was written lately");
}

#[test]
fn a_transition_hurries_the_numbers_that_wait() {
    let now = Instant::now();
    let mut backlog = Backlog::default();
    for seconds in 1..=3 {
        // The cause of the first failure is news, too.
        add(&mut backlog, 1, Verdict::Down, seconds, now + Duration::from_secs(1));
    }
    assert_eq!(backlog.next(), Some(now + Duration::from_secs(1) + TRANSITION));
    let taken = backlog.take(now + Duration::from_secs(2));
    assert_eq!(taken[0].folded.status, HealthStatus::Unhealthy);
}

#[test]
fn evidence_is_folded_over_what_is_stored_not_over_what_was_known() {
    let mut finding = Finding::new(target(1), evidence(Verdict::Down, 1), Weight::Background, &healthy());
    assert_eq!(finding.folded.status, HealthStatus::Healthy);
    let failed = EndpointHealth { consecutive_failures: 2, ..healthy() };
    assert_eq!(finding.over(Some(failed)).after.status, HealthStatus::Unhealthy);
    finding.add(target(1), evidence(Verdict::Alive, 2));
    assert_eq!(finding.over(None).after.status, HealthStatus::Healthy);
}

#[test]
fn evidence_that_an_unanswered_attempt_has_folded_is_not_folded_again() {
    let mut finding = Finding::new(target(1), evidence(Verdict::Down, 1), Weight::Background, &healthy());
    finding.add(target(1), evidence(Verdict::Down, 2));
    let first = finding.over(Some(healthy())).after;
    assert_eq!(first.consecutive_failures, 2);
    assert_eq!(finding.over(Some(first.clone())).after, first);
    finding.add(target(1), evidence(Verdict::Down, 3));
    let second = finding.over(Some(first)).after;
    assert_eq!((second.consecutive_failures, second.status), (3, HealthStatus::Unhealthy));
}

#[test]
fn what_could_not_be_written_waits_with_what_is_found_meanwhile() {
    let now = Instant::now();
    let mut backlog = Backlog::default();
    add(&mut backlog, 1, Verdict::Down, 1, now);
    let taken = backlog.take(now + TRANSITION);
    backlog.put_back(taken, now + Duration::from_secs(1));
    add(&mut backlog, 1, Verdict::Down, 2, now);
    assert_eq!(backlog.next(), Some(now + Duration::from_secs(1)));
    let taken = backlog.take(now + Duration::from_secs(1));
    assert_eq!(taken[0].evidence.len(), 2);
    assert_eq!(taken[0].folded.consecutive_failures, 2);
}

#[test]
fn a_long_outage_keeps_a_bounded_amount_of_evidence() {
    let mut backlog = Backlog::default();
    for seconds in 1..=1000 {
        add(&mut backlog, 1, Verdict::Down, seconds, Instant::now());
    }
    let finding = backlog.findings().next().unwrap();
    assert_eq!(finding.evidence.len(), KEPT);
    assert_eq!(finding.evidence[KEPT - 1].time, Timestamp::from_micros(1_000_000_000));
    assert_eq!(finding.folded.consecutive_failures, 1000);
}

#[test]
fn a_batch_is_bounded_and_the_rest_follows_at_once() {
    let now = Instant::now();
    let mut backlog = Backlog::default();
    for number in 1..=700 {
        add(&mut backlog, number, Verdict::Down, 1, now);
    }
    assert_eq!(backlog.take(now + TRANSITION).len(), BATCH);
    assert_eq!(backlog.next(), Some(now + TRANSITION));
    assert_eq!(backlog.take(now + TRANSITION).len(), 700 - BATCH);
    assert_eq!(backlog.findings().next().map(Finding::id), None);
}
