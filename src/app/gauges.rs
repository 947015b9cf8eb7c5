//! What the metrics tell of the state of the process, looked at now and then.
//!
//! One loop, every half second ([`TICK`]); stored secrets are counted every ten seconds ([`COUNT`] ticks).

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::parts::Parts;
use crate::control::Control;
use crate::snapshot::Snapshot;
use crate::task::Tasks;

const TICK: Duration = Duration::from_millis(500);
const COUNT: u32 = 20;

/// Keeps the gauges until the tasks stop.
pub fn follow(parts: &Parts, tasks: &Tasks) {
    let (metrics, snapshot, control) = (parts.metrics.clone(), parts.snapshot.clone(), parts.control.clone());
    let (contact, watches, stop) = (parts.contact.clone(), parts.roster.watches().clone(), tasks.stopping());
    tasks.spawn("gauges", async move {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in (0..COUNT).cycle() {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let seen = *contact.borrow();
            metrics.store_up.set(i64::from(seen.connected));
            metrics.snapshot_age_seconds.set(seen.fresh.elapsed().as_secs_f64());
            metrics.watchers.set(i64::try_from(watches.watchers().count()).unwrap_or(i64::MAX));
            metrics.revision.set(snapshot.head().revision.0);
            if round == 0 {
                metrics.undecryptable_secrets.set(undecryptable(&snapshot.load(), &control));
            }
        }
    });
}

/// Secrets that this process cannot open.
fn undecryptable(snapshot: &Snapshot, control: &Control) -> i64 {
    i64::try_from(snapshot.all_sealed().filter(|sealed| !control.opens(sealed)).count()).unwrap_or(i64::MAX)
}
