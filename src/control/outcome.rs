//! Outcomes: how calls went, as their callers report. They are counted; nothing is written before the answer.

use std::time::Duration;

use super::Control;
use crate::domain::health::HealthStatus;
use crate::domain::usage::Uses;
use crate::domain::{CredentialId, EndpointId, ModelId, Timestamp};
use crate::snapshot::UsesOf;

/// A call that ended longer ago counts as if it had ended then: what is reported late must not be hidden in a window of
/// a quota that nobody looks at any more.
pub const OLDEST: Duration = Duration::from_hours(1);

/// How one call went; its shape was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub endpoint_id: Option<EndpointId>,
    pub credential_id: Option<CredentialId>,
    pub model_id: Option<ModelId>,
    pub success: bool,
    /// Absent: there was no answer.
    pub http_status: Option<i32>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    /// When it ended; absent: now.
    pub time: Option<Timestamp>,
}

impl Outcome {
    fn uses(&self, now: Timestamp) -> (Timestamp, Uses) {
        let time = self.time.map_or(now, |time| time.clamp(now.before(OLDEST), now));
        let uses = Uses {
            requests: 1,
            failures: i64::from(!self.success),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            last_use_time: Some(time),
        };
        (time, uses)
    }

    /// Whether the failure says something about the endpoint. That a key or a request is refused does not.
    fn is_about_the_endpoint(&self) -> bool {
        !self.success && self.http_status.is_none_or(|status| matches!(status, 408 | 429 | 500..))
    }
}

impl Control {
    /// Whether a report was not counted yet.
    #[must_use]
    pub fn is_new_report(&self, identity: &str, report_id: &str) -> bool {
        self.reports.is_new(identity, report_id)
    }

    /// Counts outcomes of credentials and models; unknown ids are ignored. Answers the endpoints that failed.
    #[must_use]
    pub fn report_outcomes(&self, outcomes: &[Outcome]) -> Vec<EndpointId> {
        let (snapshot, now) = (self.snapshot().load(), self.now());
        let (mut credentials, mut models, mut failed) = (UsesOf::new(), UsesOf::new(), Vec::new());
        for outcome in outcomes {
            let (time, uses) = outcome.uses(now);
            if let Some(id) = outcome.credential_id.filter(|id| snapshot.credential_entry(*id).is_some()) {
                credentials.entry(id).or_default().add(time, &uses);
            }
            if let Some(id) = outcome.model_id.filter(|id| snapshot.model_entry(*id).is_some()) {
                models.entry(id).or_default().add(time, &uses);
            }
            let endpoint = outcome.endpoint_id.filter(|id| snapshot.live_endpoint_entry(*id).is_ok());
            failed.extend(endpoint.filter(|_| outcome.is_about_the_endpoint()));
        }
        self.parts.usage.add(&credentials, &models);
        failed.sort_unstable();
        failed.dedup();
        let board = self.board().load();
        failed.retain(|id| matches!(board.health_status(*id), HealthStatus::Healthy | HealthStatus::Unknown));
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn outcome(success: bool, http_status: Option<i32>) -> Outcome {
        Outcome {
            endpoint_id: None,
            credential_id: None,
            model_id: None,
            success,
            http_status,
            input_tokens: 1,
            output_tokens: 2,
            time: None,
        }
    }

    #[test]
    fn only_some_failures_are_about_the_endpoint() {
        for (status, expected) in
            [(None, true), (Some(400), false), (Some(401), false), (Some(403), false), (Some(404), false)]
                .into_iter()
                .chain([(Some(408), true), (Some(429), true), (Some(500), true), (Some(529), true)])
        {
            assert_eq!(outcome(false, status).is_about_the_endpoint(), expected, "{status:?}");
            assert!(!outcome(true, status).is_about_the_endpoint());
        }
    }

    #[test]
    fn a_time_that_cannot_be_counts_as_the_nearest_that_can() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let counted = |time| Outcome { time, ..outcome(true, None) }.uses(now).0;
        let (minute, day) = (Duration::from_mins(1), Duration::from_hours(24));
        assert_eq!(counted(None), now);
        assert_eq!(counted(Some(now.before(minute))), now.before(minute));
        assert_eq!(counted(Some(now.after(day))), now);
        assert_eq!(counted(Some(now.before(day))), now.before(OLDEST));
        assert_eq!(counted(Some(Timestamp::from_micros(i64::MIN))), now.before(OLDEST));
    }
}
