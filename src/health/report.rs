//! Failures that clients report: how often one may act.
//!
//! Invariant: reports cause at most one probe per endpoint and [`PAUSE`], and [`AT_A_TIME`] probes at a time: whoever
//! reports much is no storm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::domain::EndpointId;

/// After a report that acted, others of the same endpoint are ignored for so long.
const PAUSE: Duration = Duration::from_secs(5);
/// Probes because of reports; what is beyond waits for the background probe.
const AT_A_TIME: usize = 16;

#[derive(Clone)]
pub(super) struct Reports {
    latest: Arc<Mutex<HashMap<EndpointId, Instant>>>,
    slots: Arc<Semaphore>,
}

impl Reports {
    pub fn new() -> Self {
        Self { latest: Arc::default(), slots: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// Whether a report may act; it does so while it keeps the permit.
    pub fn admit(&self, id: EndpointId, now: Instant) -> Option<OwnedSemaphorePermit> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.get(&id).is_some_and(|last| now.duration_since(*last) < PAUSE) {
            return None;
        }
        let permit = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        latest.retain(|_, last| now.duration_since(*last) < PAUSE);
        latest.insert(id, now);
        Some(permit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::fixtures::id;

    #[test]
    fn reports_act_rarely_and_few_at_a_time() {
        let (reports, now) = (Reports::new(), Instant::now());
        let first = reports.admit(id(1), now);
        assert!(first.is_some());
        drop(first);
        assert!(reports.admit(id(1), now + PAUSE / 2).is_none());
        assert!(reports.admit(id(1), now + PAUSE).is_some());
        let admitted: Vec<_> = (10..100).filter_map(|number| reports.admit(id(number), now + PAUSE * 3)).collect();
        assert_eq!(admitted.len(), AT_A_TIME);
        assert_eq!(reports.latest.lock().unwrap().len(), AT_A_TIME, "old ones are forgotten");
    }
}
