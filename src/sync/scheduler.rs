//! The loop around [`Schedule`].
//!
//! One loop, woken by what becomes due, by turns that end, by changes of the configuration (looked at most every
//! [`LOOK`]) and by changes of standing. Turns run in a set of their own and are cut off when this replica is to stop,
//! or when a provider is not to be synchronised any more.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::schedule::{Last, Schedule, Wanted};
use crate::control::{Control, Mutation};
use crate::domain::provider::Provider;
use crate::domain::{ProviderId, View as _};
use crate::lease::{Epoch, Standing, StoreLease};
use crate::snapshot::Snapshot;
use crate::telemetry::Metrics;

/// How often a changing configuration is looked through.
const LOOK: Duration = Duration::from_millis(250);
/// What the log says of these changes.
const RPC: &str = "modelward.v1.ModelService/SyncModels";
const REASON: &str = "scheduled by the provider's sync_policy";

pub(super) struct Scheduler {
    schedule: Schedule,
    control: Control,
    lease: Arc<StoreLease>,
    metrics: Metrics,
    turns: JoinSet<ProviderId>,
    handles: HashMap<ProviderId, AbortHandle>,
}

impl Scheduler {
    pub fn new(slots: usize, control: Control, lease: Arc<StoreLease>, metrics: Metrics) -> Self {
        let (turns, handles) = (JoinSet::new(), HashMap::new());
        Self { schedule: Schedule::new(slots), control, lease, metrics, turns, handles }
    }

    /// Runs what is due, as long as this replica has the lease, until `stop`.
    pub async fn run(mut self, mut standings: watch::Receiver<Standing>, stop: &CancellationToken) {
        let mut heads = self.control.snapshot().subscribe();
        let mut former = None;
        // When to look for what is to be done.
        let mut look = None;
        loop {
            let standing = *standings.borrow_and_update();
            let held = standing.held(Instant::now());
            if held != former {
                self.start_over();
                look = held.map(|_| Instant::now());
                former = held;
            }
            if let Some(epoch) = held
                && look.is_some_and(|look| look <= Instant::now())
            {
                heads.mark_unchanged();
                look = self.look(epoch);
            }
            let end = held.and_then(|_| standing.end());
            let wake = look.into_iter().chain(end).min();
            tokio::select! {
                () = stop.cancelled() => break,
                changed = standings.changed() => if changed.is_err() { break },
                changed = heads.changed(), if held.is_some() => {
                    // Nothing is applied here any more: another replica does better.
                    if changed.is_err() { break }
                    let soon = Instant::now() + LOOK;
                    look = Some(look.map_or(soon, |look| look.min(soon)));
                }
                Some(ended) = self.turns.join_next(), if !self.turns.is_empty() => {
                    // Those that were cut off are forgotten already.
                    if let Ok(id) = ended {
                        self.handles.remove(&id);
                        self.schedule.land(id, self.control.now());
                    }
                    look = Some(Instant::now());
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
        self.turns.shutdown().await;
    }

    /// Forgets everything and cuts off what runs.
    fn start_over(&mut self) {
        self.turns = JoinSet::new();
        self.handles.clear();
        self.schedule.clear();
    }

    /// Follows the configuration and the status, and begins what is due. When to look again, if nothing changes.
    fn look(&mut self, epoch: Epoch) -> Option<Instant> {
        let (snapshot, board) = (self.control.snapshot().load(), self.control.board().load());
        let wanted = snapshot.live_providers().map(|entry| entry.value()).filter_map(|provider| {
            let last = board.sync(provider.id).map(|entry| Last::from(&***entry));
            let enabled = provider.is_active && provider.sync_policy.enabled;
            let wanted = enabled && (last.is_some() || is_ready(provider, &snapshot));
            wanted.then_some(Wanted { id: provider.id, policy: provider.sync_policy, last })
        });
        for id in self.schedule.follow(wanted, self.control.now()) {
            if let Some(handle) = self.handles.remove(&id) {
                handle.abort();
            }
        }
        while let Some(id) = self.schedule.launch(self.control.now()) {
            self.launch(id, epoch);
        }
        let now = self.control.now();
        self.schedule.next_due(now).map(|due| Instant::now() + due.since(now))
    }

    fn launch(&mut self, id: ProviderId, epoch: Epoch) {
        let turn = Turn { id, control: self.control.clone(), metrics: self.metrics.clone() };
        let mutation = Mutation { claim: Some(self.lease.claim(epoch)), ..Mutation::system(RPC, REASON) };
        let handle = self.turns.spawn(async move {
            turn.run(mutation).await;
            id
        });
        self.handles.insert(id, handle);
    }
}

/// Whether a first synchronisation can work: whoever adds a provider adds the rest a little later.
fn is_ready(provider: &Provider, snapshot: &Snapshot) -> bool {
    let endpoints = snapshot.endpoints_of(provider.id);
    endpoints.iter().any(|endpoint| endpoint.is_active)
        && (!provider.kind.requires_credential() || !snapshot.credentials_of(provider.id).is_empty())
}

/// One synchronisation of one provider.
struct Turn {
    id: ProviderId,
    control: Control,
    metrics: Metrics,
}

impl Turn {
    async fn run(self, mutation: Mutation) {
        let begun = Instant::now();
        let synced = AssertUnwindSafe(self.control.sync_models(mutation, self.id, false, None)).catch_unwind().await;
        let result = match synced {
            Ok(Ok(summary)) => {
                tracing::debug!(
                    provider.id = %self.id, added = summary.added, updated = summary.updated,
                    deprecated = summary.deprecated, restored = summary.restored, "models were synchronised"
                );
                "succeeded"
            }
            Ok(Err(error)) => {
                tracing::warn!(provider.id = %self.id, error = %error, "models could not be synchronised");
                "failed"
            }
            Err(_) => {
                self.metrics.panics.inc();
                "failed"
            }
        };
        self.metrics.scheduled_sync(result, begun.elapsed());
    }
}
