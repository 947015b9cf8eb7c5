//! The health of endpoints: what a probe found, and how findings become a status.
//!
//! Status is not configuration: it has no revision. The state machine is pure, so that any replica folds the same
//! evidence over the same stored status to the same result.

use std::time::Duration;

use super::endpoint::HealthCheckPolicy;
use super::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum HealthStatus {
    /// Never probed.
    #[default]
    Unknown,
    Healthy,
    /// Answers slowly, or asks to be spared; or failures were reported.
    Degraded,
    Unhealthy,
}

/// Why a status is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum HealthCause {
    #[default]
    None,
    NameResolution,
    Connect,
    Tls,
    Timeout,
    /// The server's status means that it does not work.
    HttpStatus,
    /// Something answers, but not with HTTP or not as this kind would.
    UnexpectedAnswer,
    /// The address is one that this server does not connect to.
    AddressRefused,
    Slow,
    RateLimited,
    /// Clients reported failures.
    Reported,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointHealth {
    pub status: HealthStatus,
    pub cause: HealthCause,
    pub latency: Option<Duration>,
    pub last_check_time: Option<Timestamp>,
    pub last_transition_time: Option<Timestamp>,
    pub consecutive_failures: u32,
    pub consecutive_successes: u32,
    /// Short, made by this server; never a vendor's text.
    pub message: String,
    pub http_status: Option<u16>,
}

/// What one probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Alive,
    /// Answers, but slowly or with a request to slow down.
    Struggling,
    Down,
    /// The probe could not be made (its address is refused): says nothing about the endpoint's life.
    Impossible,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    pub verdict: Verdict,
    pub cause: HealthCause,
    pub latency: Option<Duration>,
    pub http_status: Option<u16>,
    pub time: Timestamp,
    pub message: String,
}

/// How much one probe decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A background probe: thresholds apply.
    Background,
    /// Somebody asked for this probe: it sets the status alone.
    Demanded,
}

impl EndpointHealth {
    /// The health after `evidence`.
    #[must_use]
    pub fn fold(&self, evidence: &Evidence, policy: &HealthCheckPolicy, weight: Weight) -> Self {
        let slow = evidence.verdict == Verdict::Alive
            && evidence.latency.is_some_and(|latency| latency > policy.degraded_latency);
        let verdict = if slow { Verdict::Struggling } else { evidence.verdict };
        let cause = if slow { HealthCause::Slow } else { evidence.cause };
        let (failures, successes) = match verdict {
            Verdict::Down => (self.consecutive_failures.saturating_add(1), 0),
            Verdict::Alive | Verdict::Struggling => (0, self.consecutive_successes.saturating_add(1)),
            Verdict::Impossible => (self.consecutive_failures, self.consecutive_successes),
        };
        let demanded = weight == Weight::Demanded;
        let reached = |count: u32, threshold: i32| demanded || i64::from(count) >= i64::from(threshold);
        let status = match verdict {
            Verdict::Down if reached(failures, policy.unhealthy_threshold) => HealthStatus::Unhealthy,
            Verdict::Alive | Verdict::Struggling
                if self.status == HealthStatus::Unhealthy && !reached(successes, policy.healthy_threshold) =>
            {
                HealthStatus::Unhealthy
            }
            Verdict::Alive => HealthStatus::Healthy,
            Verdict::Struggling => HealthStatus::Degraded,
            Verdict::Down | Verdict::Impossible => self.status,
        };
        let changed = status != self.status;
        Self {
            status,
            cause,
            latency: evidence.latency,
            last_check_time: Some(evidence.time),
            last_transition_time: if changed { Some(evidence.time) } else { self.last_transition_time },
            consecutive_failures: failures,
            consecutive_successes: successes,
            message: evidence.message.clone(),
            http_status: evidence.http_status,
        }
    }

    /// The health after clients reported failures: DEGRADED at most, because only a probe can tell that an endpoint is
    /// down. Of an endpoint that is not well already it says nothing new.
    #[must_use]
    pub fn reported(&self, time: Timestamp) -> Self {
        match self.status {
            HealthStatus::Degraded | HealthStatus::Unhealthy => self.clone(),
            HealthStatus::Unknown | HealthStatus::Healthy => Self {
                status: HealthStatus::Degraded,
                cause: HealthCause::Reported,
                last_transition_time: Some(time),
                message: "clients reported failures".into(),
                ..self.clone()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(verdict: Verdict, at: i64) -> Evidence {
        Evidence {
            verdict,
            cause: HealthCause::None,
            latency: Some(Duration::from_millis(10)),
            http_status: None,
            time: Timestamp::from_micros(at),
            message: String::new(),
        }
    }

    fn run(policy: &HealthCheckPolicy, verdicts: &[Verdict]) -> Vec<HealthStatus> {
        let mut health = EndpointHealth::default();
        (0..)
            .zip(verdicts)
            .map(|(at, verdict)| {
                health = health.fold(&evidence(*verdict, at), policy, Weight::Background);
                health.status
            })
            .collect()
    }

    #[test]
    fn thresholds_decide_when_background_probes_turn_the_status() {
        use HealthStatus::{Healthy, Unhealthy, Unknown};
        use Verdict::{Alive, Down};
        let policy = HealthCheckPolicy { unhealthy_threshold: 3, healthy_threshold: 2, ..HealthCheckPolicy::default() };
        assert_eq!(
            run(&policy, &[Down, Alive, Down, Down, Down, Alive, Alive, Down]),
            [Unknown, Healthy, Healthy, Healthy, Unhealthy, Unhealthy, Healthy, Healthy]
        );
    }

    #[test]
    fn one_demanded_probe_sets_the_status_alone() {
        let policy = HealthCheckPolicy { healthy_threshold: 5, ..HealthCheckPolicy::default() };
        let down = EndpointHealth::default().fold(&evidence(Verdict::Down, 1), &policy, Weight::Demanded);
        assert_eq!(down.status, HealthStatus::Unhealthy);
        let up = down.fold(&evidence(Verdict::Alive, 2), &policy, Weight::Demanded);
        assert_eq!(up.status, HealthStatus::Healthy);
        assert_eq!(up.last_transition_time, Some(Timestamp::from_micros(2)));
    }

    #[test]
    fn a_slow_answer_degrades_and_an_impossible_probe_decides_nothing() {
        let policy = HealthCheckPolicy::default();
        let mut slow = evidence(Verdict::Alive, 1);
        slow.latency = Some(policy.degraded_latency + Duration::from_millis(1));
        let health = EndpointHealth::default().fold(&slow, &policy, Weight::Background);
        assert_eq!((health.status, health.cause), (HealthStatus::Degraded, HealthCause::Slow));
        let after = health.fold(&evidence(Verdict::Impossible, 2), &policy, Weight::Demanded);
        assert_eq!(after.status, HealthStatus::Degraded);
        assert_eq!(after.last_transition_time, health.last_transition_time);
    }

    #[test]
    fn reported_failures_degrade_and_never_more() {
        let policy = HealthCheckPolicy::default();
        let at = Timestamp::from_micros(7);
        let well = EndpointHealth::default().fold(&evidence(Verdict::Alive, 1), &policy, Weight::Background);
        let reported = well.reported(at);
        assert_eq!((reported.status, reported.cause), (HealthStatus::Degraded, HealthCause::Reported));
        assert_eq!(reported.last_transition_time, Some(at));
        assert_eq!(reported.reported(Timestamp::from_micros(8)), reported);
        let down = well.fold(&evidence(Verdict::Down, 2), &policy, Weight::Demanded);
        assert_eq!(down.reported(at), down);
    }
}
