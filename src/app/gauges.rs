//! What the metrics tell of the state of the process, looked at now and then.
//!
//! One loop, every half second ([`TICK`]). What has to be counted is counted less often: endpoints and credentials every
//! two seconds ([`COUNT`] ticks), stored secrets, each of which is looked at, every ten ([`OPEN`] ticks).

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::parts::Parts;
use crate::changes::{Contact, Watches};
use crate::control::{Control, Held, expiry};
use crate::domain::health::HealthStatus;
use crate::service::in_flight::InFlight;
use crate::snapshot::{Board, Snapshot, SnapshotHandle};
use crate::store::Store;
use crate::task::Tasks;
use crate::telemetry::{Metrics, whole};

const TICK: Duration = Duration::from_millis(500);
const COUNT: u32 = 4;
const OPEN: u32 = 20;

/// Keeps the gauges until the tasks stop. `ahead`: setting `usage.expiry_warning`.
pub fn follow(parts: &Parts, in_flight: &InFlight, ahead: Duration, tasks: &Tasks) {
    let (metrics, snapshot, control) = (parts.metrics.clone(), parts.snapshot.clone(), parts.control.clone());
    let (contact, watches, store) = (parts.contact.clone(), parts.roster.watches().clone(), parts.store.clone());
    let (in_flight, stop) = (in_flight.clone(), tasks.stopping());
    tasks.spawn("gauges", async move {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in (0..OPEN).cycle() {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let seen = *contact.borrow();
            metrics.store_up.set(i64::from(seen.connected));
            metrics.snapshot_age_seconds.set(seen.fresh.elapsed().as_secs_f64());
            let (head, watchers) = (snapshot.head().revision, watches.watchers());
            metrics.revision.set(head.0);
            metrics.watchers.set(whole(watchers.count()));
            metrics.watcher_lag_revisions.set(watchers.lag(head));
            metrics.watchers_cut.inc_by(watchers.cut_count().saturating_sub(metrics.watchers_cut.get()));
            metrics.rpcs_in_flight.set(whole(in_flight.running()));
            metrics.writer_queue.set(whole(control.parts().writer.waiting()));
            show_pool(&store, &metrics);
            if round % COUNT == 0 {
                let snapshot = snapshot.load();
                show_endpoints(&snapshot, &control.board().load(), &metrics);
                show_sizes(&snapshot, &metrics);
                let expiring = expiry::expiring(&snapshot, control.now(), ahead);
                metrics.credentials_expiring.set(whole(expiring));
            }
            if round == 0 {
                metrics.undecryptable_secrets.set(undecryptable(&snapshot.load(), &control));
            }
        }
    });
}

/// The same for a sidecar, which has no database.
pub fn follow_sidecar(
    watches: &Watches,
    held: &Held,
    contact: &watch::Receiver<Contact>,
    snapshot: &SnapshotHandle,
    metrics: &Metrics,
    tasks: &Tasks,
) {
    let (watches, held, contact) = (watches.clone(), held.clone(), contact.clone());
    let (snapshot, metrics, stop) = (snapshot.clone(), metrics.clone(), tasks.stopping());
    tasks.spawn("gauges", async move {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let seen = *contact.borrow();
            metrics.sidecar.upstream_up.set(i64::from(seen.connected));
            metrics.sidecar.secrets_held.set(whole(held.count()));
            metrics.snapshot_age_seconds.set(seen.fresh.elapsed().as_secs_f64());
            let (head, watchers) = (snapshot.head().revision, watches.watchers());
            metrics.revision.set(head.0);
            metrics.watchers.set(whole(watchers.count()));
            metrics.watcher_lag_revisions.set(watchers.lag(head));
            metrics.watchers_cut.inc_by(watchers.cut_count().saturating_sub(metrics.watchers_cut.get()));
            show_sizes(&snapshot.load(), &metrics);
        }
    });
}

fn show_pool(store: &Store, metrics: &Metrics) {
    let pool = store.pool();
    metrics.set_store_connections("idle", pool.idle);
    metrics.set_store_connections("used", pool.used);
    metrics.store_connections_max.set(whole(pool.max));
    metrics.store_connections_waiting.set(whole(pool.waiting));
}

fn show_endpoints(snapshot: &Snapshot, board: &Board, metrics: &Metrics) {
    let [mut unknown, mut healthy, mut degraded, mut unhealthy] = [0; 4];
    for endpoint in snapshot.live_endpoints().map(|entry| entry.value()).filter(|endpoint| endpoint.is_active) {
        match board.health_status(endpoint.id) {
            HealthStatus::Unknown => unknown += 1,
            HealthStatus::Healthy => healthy += 1,
            HealthStatus::Degraded => degraded += 1,
            HealthStatus::Unhealthy => unhealthy += 1,
        }
    }
    let counts = [("unknown", unknown), ("healthy", healthy), ("degraded", degraded), ("unhealthy", unhealthy)];
    for (status, count) in counts {
        metrics.set_endpoints(status, count);
    }
}

fn show_sizes(snapshot: &Snapshot, metrics: &Metrics) {
    let counts = snapshot.counts();
    let counts = [
        ("provider", counts.providers),
        ("endpoint", counts.endpoints),
        ("credential", counts.credentials),
        ("model", counts.models),
        ("binding", counts.bindings),
        ("token", counts.tokens),
    ];
    for (kind, count) in counts {
        metrics.set_resources(kind, count);
    }
}

/// Secrets that this process cannot open.
fn undecryptable(snapshot: &Snapshot, control: &Control) -> i64 {
    whole(snapshot.all_sealed().filter(|sealed| !control.opens(sealed)).count())
}
