//! Leases over the database: which replica does what only one may do.
//!
//! One loop per lease: it is asked for every [`Times::renew`], every [`Times::again`] while the store does not answer. It
//! is trusted a little shorter than it was asked for, counted from before the question, so that a replica that was
//! frozen stops by itself; what it writes nevertheless is stopped by the epoch, which the transaction checks.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::store::{Claim, Result, Store};

/// A store that does not answer in this time does not answer.
const LIMIT: Duration = Duration::from_secs(2);
/// One failure may be a restart of the database; more are an outage.
const FAILURES: u32 = 2;

/// Rises whenever a lease changes hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(pub i64);

/// Where one lease is kept, as seen by one replica.
pub trait Leases: Send + Sync {
    /// Takes or renews the lease. `None`: another replica has it.
    fn lease(&self, ttl: Duration) -> BoxFuture<'_, Result<Option<Epoch>>>;

    /// Gives the lease back, if this replica has it.
    fn release(&self) -> BoxFuture<'_, Result<()>>;
}

/// The database as the place of one lease.
pub struct StoreLease {
    pub store: Store,
    pub name: &'static str,
    /// Who this replica is: another one after each start.
    pub owner: String,
}

impl StoreLease {
    /// What a transaction has to find to be this replica's under `epoch`.
    #[must_use]
    pub fn claim(&self, epoch: Epoch) -> Claim {
        Claim { name: self.name, owner: self.owner.clone(), epoch: epoch.0 }
    }
}

impl Leases for StoreLease {
    fn lease(&self, ttl: Duration) -> BoxFuture<'_, Result<Option<Epoch>>> {
        Box::pin(async move {
            let lease = self.store.lease(self.name, &self.owner, ttl).await?;
            Ok(lease.map(|lease| Epoch(lease.epoch)))
        })
    }

    fn release(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.store.release_lease(self.name, &self.owner))
    }
}

/// The times of the lease.
#[derive(Debug, Clone, Copy)]
pub struct Times {
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

/// What this replica has to do with the work that the lease is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Another replica has the lease, or it is not known yet.
    Idle,
    /// This one has it, until it is told or the time is over.
    Holder { epoch: Epoch, until: Instant },
    /// The store does not answer, so nobody can tell who has it.
    Alone,
}

impl Standing {
    /// The epoch under which this replica works, if it is the holder.
    #[must_use]
    pub fn held(self, now: Instant) -> Option<Epoch> {
        match self {
            Self::Holder { epoch, until } if now < until => Some(epoch),
            Self::Holder { .. } | Self::Idle | Self::Alone => None,
        }
    }

    /// When it is over without any news.
    #[must_use]
    pub const fn end(self) -> Option<Instant> {
        match self {
            Self::Holder { until, .. } => Some(until),
            Self::Idle | Self::Alone => None,
        }
    }
}

/// The standing, for those who act on it.
#[derive(Clone)]
pub struct Leader {
    standing: Arc<watch::Sender<Standing>>,
    ask: Arc<Notify>,
    /// What the lease is for, as the log calls it.
    work: &'static str,
    holds: Gauge,
    pub times: Times,
}

impl Leader {
    /// For `work`, with a gauge that is 1 while this replica has the lease.
    #[must_use]
    pub fn new(work: &'static str, holds: Gauge) -> Self {
        let standing = Arc::new(watch::channel(Standing::Idle).0);
        Self { standing, ask: Arc::new(Notify::new()), work, holds, times: Times::default() }
    }

    #[must_use]
    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// The database says that this epoch is over.
    pub fn lost(&self, lost: Epoch) {
        if matches!(self.standing(), Standing::Holder { epoch, .. } if epoch == lost) {
            tracing::warn!(lease.epoch = lost.0, work = self.work, "another replica holds the lease; stopping here");
            self.set(Standing::Idle);
            self.ask.notify_one();
        }
    }

    fn set(&self, next: Standing) {
        let before = self.standing.send_replace(next);
        self.holds.set(i64::from(matches!(next, Standing::Holder { .. })));
        let work = self.work;
        match (before, next) {
            (Standing::Holder { epoch: one, .. }, Standing::Holder { epoch: two, .. }) if one == two => {}
            (_, Standing::Holder { epoch, .. }) => {
                tracing::info!(lease.epoch = epoch.0, work, "this replica holds the lease");
            }
            (Standing::Idle | Standing::Holder { .. }, Standing::Alone) => {
                tracing::warn!(work, "the database does not answer; nobody can tell who holds the lease");
            }
            (Standing::Alone, Standing::Idle) => {
                tracing::info!(work, "the database answers again; another replica holds the lease");
            }
            _ => {}
        }
    }

    /// Holds the lease as far as possible until `stop`, then gives it back.
    pub async fn run(&self, leases: &dyn Leases, stop: &CancellationToken) {
        let Times { ttl, margin, renew, again } = self.times;
        let mut failures = 0;
        loop {
            let asked = Instant::now();
            let pause = if let Ok(Ok(held)) = timeout(LIMIT, leases.lease(ttl)).await {
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
            let _: std::result::Result<Result<()>, _> = timeout(LIMIT, leases.release()).await;
        }
    }
}
