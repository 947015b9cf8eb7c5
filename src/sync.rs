//! Synchronisation of models without being asked, as each provider's `sync_policy` says.
//!
//! One task holds two loops: the [`Leader`] keeps the lease that says which replica does it, and the [`Scheduler`] runs
//! what is due. A failure is told in the provider's status and waits for its next turn; nothing is repeated here.
//!
//! Invariants: never more than `max_in_flight` at once; what a replica does whose lease is over is written by nobody.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

mod schedule;
mod scheduler;

use scheduler::Scheduler;

use crate::control::Control;
use crate::lease::{Leader, StoreLease};
use crate::telemetry::Metrics;

/// The name of the lease.
const LEASE: &str = "sync";

/// Settings of the scheduled synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncConfig {
    /// Whether this process takes part. Synchronisation on demand always works.
    pub enabled: bool,
    pub max_in_flight: usize,
}

/// The scheduled synchronisation, to be run.
pub struct ScheduledSync {
    enabled: bool,
    leader: Leader,
    lease: Arc<StoreLease>,
    scheduler: Scheduler,
}

impl ScheduledSync {
    #[must_use]
    pub fn build(config: SyncConfig, control: Control, metrics: Metrics) -> Self {
        let (store, owner) = (control.parts().store.clone(), control.parts().replica_id.clone());
        let lease = Arc::new(StoreLease { store, name: LEASE, owner });
        let leader = Leader::new("scheduled synchronisation", metrics.sync_leader.clone());
        let scheduler = Scheduler::new(config.max_in_flight, control, Arc::clone(&lease), metrics);
        Self { enabled: config.enabled, leader, lease, scheduler }
    }

    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        if !self.enabled {
            return;
        }
        let Self { leader, lease, scheduler, .. } = self;
        let standings = leader.subscribe();
        // The lease is given back when nothing runs any more.
        let ended = CancellationToken::new();
        let work = async {
            scheduler.run(standings, &stop).await;
            ended.cancel();
        };
        tokio::join!(leader.run(lease.as_ref(), &ended), work);
    }
}
