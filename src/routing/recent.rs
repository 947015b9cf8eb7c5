//! Which credential was answered when: reports of their use come later, or never.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use imbl::HashMap;

use crate::domain::id::CredentialId;
use crate::domain::time::Timestamp;
use crate::snapshot::Snapshot;

/// When this process last answered each credential.
#[derive(Debug, Default)]
pub struct Recent {
    known: ArcSwap<HashMap<CredentialId, Arc<AtomicI64>>>,
    /// The latest time that was given out: no two answers are at the same time.
    latest: AtomicI64,
}

impl Recent {
    pub fn get(&self, id: CredentialId) -> Option<Timestamp> {
        let known = self.known.load();
        known.get(&id).map(|time| Timestamp::from_micros(time.load(Ordering::Relaxed)))
    }

    /// Takes note that a credential is answered at `now`.
    pub fn note(&self, id: CredentialId, now: Timestamp, snapshot: &Snapshot) {
        let next = |latest: i64| latest.saturating_add(1).max(now.micros());
        let before = self.latest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |latest| Some(next(latest)));
        let time = next(before.unwrap_or_else(|same| same));
        if let Some(known) = self.known.load().get(&id) {
            known.fetch_max(time, Ordering::Relaxed);
            return;
        }
        self.known.rcu(|known| {
            let mut known = HashMap::clone(known);
            // Now and then, so that credentials that are gone do not gather.
            if known.len().is_power_of_two() {
                known.retain(|id, _| snapshot.credential_entry(*id).is_some());
            }
            known.entry(id).or_insert_with(|| Arc::new(AtomicI64::new(time)));
            known
        });
    }
}
