//! Which replica probes: the holder of the lease `health`; and every replica for itself while the store is silent.
//!
//! One loop: the lease is asked for every [`Times::renew`], every [`Times::again`] while the store does not answer. It
//! is trusted a little shorter than it was asked for, counted from before the question, so that a replica that was
//! frozen stops by itself; what it writes nevertheless is stopped by the epoch, which the transaction checks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::ledger::{Epoch, Ledger, LedgerError};
use crate::telemetry::Metrics;

/// A store that does not answer in this time does not answer.
const LIMIT: Duration = Duration::from_secs(2);
/// One failure may be a restart of the database; more are an outage.
const FAILURES: u32 = 2;

/// The times of the lease.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// For how long the lease is asked.
    pub ttl: Duration,
    /// So much of that is left unused.
    pub margin: Duration,
    /// How often it is renewed, or asked for.
    pub renew: Duration,
    /// How soon the store is asked again after it did not answer.
    pub again: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(15),
            margin: Duration::from_secs(1),
            renew: Duration::from_secs(5),
            again: Duration::from_secs(1),
        }
    }
}

/// What this replica has to do with background probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Another replica probes, or it is not known yet.
    Idle,
    /// This one probes, until it is told or the time is over.
    Holder { epoch: Epoch, until: Instant },
    /// Nobody can tell; this replica probes for itself.
    Alone,
}

impl Standing {
    pub fn probes(self, now: Instant) -> bool {
        match self {
            Self::Idle => false,
            Self::Holder { until, .. } => now < until,
            Self::Alone => true,
        }
    }

    /// When it is over without any news.
    pub const fn end(self) -> Option<Instant> {
        match self {
            Self::Holder { until, .. } => Some(until),
            Self::Idle | Self::Alone => None,
        }
    }
}

/// The standing, for those who act on it.
#[derive(Clone)]
pub(super) struct Leader {
    standing: Arc<watch::Sender<Standing>>,
    ask: Arc<Notify>,
    metrics: Metrics,
    pub times: Times,
}

impl Leader {
    pub fn new(metrics: Metrics) -> Self {
        let standing = Arc::new(watch::channel(Standing::Idle).0);
        Self { standing, ask: Arc::new(Notify::new()), metrics, times: Times::default() }
    }

    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    pub fn subscribe(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// The database says that this epoch is over.
    pub fn lost(&self, lost: Epoch) {
        if matches!(self.standing(), Standing::Holder { epoch, .. } if epoch == lost) {
            tracing::warn!(lease.epoch = lost.0, "another replica holds the lease for health checks; stopping here");
            self.set(Standing::Idle);
            self.ask.notify_one();
        }
    }

    fn set(&self, next: Standing) {
        let before = self.standing.send_replace(next);
        self.metrics.probe_leader.set(i64::from(matches!(next, Standing::Holder { .. })));
        match (before, next) {
            (Standing::Holder { epoch: one, .. }, Standing::Holder { epoch: two, .. }) if one == two => {}
            (_, Standing::Holder { epoch, .. }) => {
                tracing::info!(lease.epoch = epoch.0, "this replica runs the health checks");
            }
            (Standing::Idle | Standing::Holder { .. }, Standing::Alone) => {
                tracing::warn!("the database does not answer; this replica checks health for itself");
            }
            (Standing::Alone, Standing::Idle) => {
                tracing::info!("the database answers again; another replica runs the health checks");
            }
            _ => {}
        }
    }

    /// Holds the lease as far as possible until `stop`, then gives it back.
    pub async fn run(&self, ledger: &dyn Ledger, stop: &CancellationToken) {
        let Times { ttl, margin, renew, again } = self.times;
        let mut failures = 0;
        loop {
            let asked = Instant::now();
            let pause = if let Ok(Ok(held)) = timeout(LIMIT, ledger.lease(ttl)).await {
                failures = 0;
                let until = asked + ttl.saturating_sub(margin);
                self.set(held.map_or(Standing::Idle, |epoch| Standing::Holder { epoch, until }));
                renew
            } else {
                failures += 1;
                if failures >= FAILURES {
                    self.set(Standing::Alone);
                }
                again
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.ask.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        if matches!(self.standing(), Standing::Holder { .. }) {
            self.set(Standing::Idle);
            // Not given back in time, it runs out by itself.
            let _: Result<Result<(), LedgerError>, _> = timeout(LIMIT, ledger.release()).await;
        }
    }
}
