//! Outcomes that callers report to a sidecar: taken at once, and reported to the control plane in batches.
//!
//! Invariant: a batch leaves the buffer when the control plane has taken it, and not before. So what is reported during
//! an outage arrives after it; beyond [`CAPACITY`] the oldest are dropped and counted. A batch carries an id of its own
//! and is repeated under it, so that a replica which has counted it does not count it again.
//!
//! Loop: every [`INTERVAL`] what waits is sent, and once more at the stop.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::upstream::Upstream;
use crate::domain::{Clock, Result, Violations};
use crate::proto::v1;
use crate::proto::v1::routing_service_client::RoutingServiceClient;
use crate::service::outcome::{MAX_OUTCOMES, read_all};
use crate::telemetry::Metrics;
use crate::wire;

/// Outcomes that wait at most: some minutes of a busy service, about 5 MB.
pub const CAPACITY: usize = 20_000;
/// How often outcomes are sent.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// How long the last ones may take at a stop.
const LAST: Duration = Duration::from_secs(3);

/// The buffer. Clones share it.
#[derive(Clone)]
pub struct Outcomes {
    kept: Arc<Mutex<Kept>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

#[derive(Default)]
struct Kept {
    waiting: VecDeque<v1::Outcome>,
    /// The batch that is on its way, or has to be sent again.
    leaving: Option<v1::ReportOutcomeRequest>,
}

impl Kept {
    /// What the control plane has not taken.
    fn count(&self) -> usize {
        self.waiting.len() + self.leaving.as_ref().map_or(0, |batch| batch.outcomes.len())
    }
}

impl Outcomes {
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        Self { kept: Arc::default(), clock, metrics }
    }

    /// Takes what a caller reports, after the checks that the control plane would make.
    ///
    /// # Errors
    /// [`crate::domain::Error::InvalidField`].
    pub fn report(&self, mut message: v1::ReportOutcomeRequest) -> Result<()> {
        let mut violations = Violations::default();
        read_all(&message, &mut violations);
        violations.into_result()?;
        // What arrives late is to count for when it was.
        let now = wire::time::write(self.clock.now());
        for outcome in &mut message.outcomes {
            outcome.time.get_or_insert(now);
        }
        let mut kept = self.kept();
        kept.waiting.extend(message.outcomes);
        let beyond = kept.waiting.len().saturating_sub(CAPACITY);
        kept.waiting.drain(..beyond);
        self.metrics.sidecar.outcomes_dropped.inc_by(u64::try_from(beyond).unwrap_or_default());
        self.tell(&kept);
        Ok(())
    }

    /// Sends what waits, until it is told to stop, and then what is left.
    pub async fn forward(self, upstream: Upstream, stop: CancellationToken) {
        let mut ticks = interval(INTERVAL);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.flush(&upstream).await,
                () = stop.cancelled() => break,
            }
        }
        if timeout(LAST, self.flush(&upstream)).await.is_err() || !self.is_empty() {
            let lost = self.kept().count();
            tracing::warn!(lost, "outcomes could not be reported before the stop");
        }
    }

    /// Sends batch after batch until nothing waits, or the control plane takes no more for now.
    pub async fn flush(&self, upstream: &Upstream) {
        while let Some(batch) = self.next_batch() {
            let asked = upstream.ask(|upstream| {
                let request = upstream.request(batch.clone());
                async move { RoutingServiceClient::new(upstream).report_outcome(request).await }
            });
            match asked.await {
                Ok(_) => self.settle(Some(batch.outcomes.len())),
                Err(status) if is_final(&status) => {
                    tracing::error!(
                        outcomes = batch.outcomes.len(), code = ?status.code(), problem = status.message(),
                        "the control plane refused outcomes; they are dropped"
                    );
                    self.metrics
                        .sidecar
                        .outcomes_dropped
                        .inc_by(u64::try_from(batch.outcomes.len()).unwrap_or_default());
                    self.settle(None);
                }
                Err(status) => {
                    tracing::debug!(code = ?status.code(), "outcomes wait for the control plane");
                    return;
                }
            }
        }
    }

    /// The batch that has to be sent again, or the next one.
    fn next_batch(&self) -> Option<v1::ReportOutcomeRequest> {
        let mut kept = self.kept();
        if kept.leaving.is_none() && !kept.waiting.is_empty() {
            let size = kept.waiting.len().min(MAX_OUTCOMES);
            let outcomes = kept.waiting.drain(..size).collect();
            kept.leaving = Some(v1::ReportOutcomeRequest { outcomes, report_id: uuid::Uuid::now_v7().to_string() });
        }
        kept.leaving.clone()
    }

    /// The batch is over: taken, or refused for good.
    fn settle(&self, taken: Option<usize>) {
        let mut kept = self.kept();
        kept.leaving = None;
        self.metrics.sidecar.outcomes_forwarded.inc_by(u64::try_from(taken.unwrap_or_default()).unwrap_or_default());
        self.tell(&kept);
    }

    fn is_empty(&self) -> bool {
        self.kept().count() == 0
    }

    fn tell(&self, kept: &Kept) {
        self.metrics.sidecar.outcomes_waiting.set(i64::try_from(kept.count()).unwrap_or(i64::MAX));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the same batch would be refused again, for what it is. A token without the role, or a new one that is not
/// there yet, is a matter of the sidecar's operator: the outcomes wait.
fn is_final(status: &Status) -> bool {
    matches!(status.code(), Code::InvalidArgument | Code::Unimplemented)
}

#[cfg(test)]
mod tests;
