//! PickEndpoint: the endpoint that serves next.
//!
//! The lowest tier that has one serves; within it the healthy share by weight, and the degraded step in where there is
//! no other. All of it is read from the board at each pick, so health that changes is felt at once. A schedule is made
//! again only when the set it is about changes; the place in it stays, so nobody is served twice because another left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use imbl::HashMap;

use super::schedule::Schedule;
use super::{Class, check_provider};
use crate::domain::endpoint::Endpoint;
use crate::domain::error::{Error, Result};
use crate::domain::id::{EndpointId, ProviderId};
use crate::snapshot::{Board, Entry, Snapshot};

/// Remembers whose turn it is. One per process; picks take no lock.
#[derive(Debug, Default)]
pub struct Picker {
    lanes: ArcSwap<HashMap<LaneKey, Arc<Lane>>>,
}

/// Endpoints that share: of one provider, in one tier, equally willing. A client that excludes the first tier must not
/// move the place in it, therefore a lane for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct LaneKey {
    provider: ProviderId,
    priority: i32,
    class: Class,
}

#[derive(Debug, Default)]
struct Lane {
    turn: AtomicU64,
    schedule: ArcSwap<Schedule>,
}

/// Picks the endpoint of a provider that serves next, none of `exclude`.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::ProviderDisabled`]; [`Error::NoEndpoint`] when none is active;
/// [`Error::NoHealthyEndpoint`] when those that are active are all unhealthy or excluded.
pub fn pick<'a>(
    snapshot: &'a Snapshot,
    board: &Board,
    picker: &Picker,
    provider: ProviderId,
    exclude: &[EndpointId],
) -> Result<&'a Arc<Entry<Endpoint>>> {
    check_provider(snapshot, provider)?;
    pick_serving(snapshot, board, picker, provider, |endpoint| !exclude.contains(&endpoint.id))
}

/// The same among those for which `serves` holds, of a provider that was checked.
pub(super) fn pick_serving<'a>(
    snapshot: &'a Snapshot,
    board: &Board,
    picker: &Picker,
    provider: ProviderId,
    serves: impl Fn(&Endpoint) -> bool,
) -> Result<&'a Arc<Entry<Endpoint>>> {
    let key = best_lane(snapshot, board, provider, &serves)?;
    let belongs = |endpoint: &Endpoint| {
        endpoint.is_active && endpoint.priority == key.priority && Class::of(endpoint, board) == key.class
    };
    let members = || {
        let all = snapshot.endpoint_entries_of(provider).map(|entry| &**entry.value());
        all.filter(|endpoint| belongs(endpoint)).map(|endpoint| (endpoint.id, endpoint.weight))
    };
    let allowed = |id| snapshot.endpoint_entry(id).is_some_and(|entry| serves(entry.value()));
    let served = picker.lane(key, snapshot).serve(members, allowed);
    served.and_then(|id| snapshot.endpoint_entry(id)).ok_or(Error::NoEndpoint { provider_id: provider.uuid() })
}

/// The lowest tier with an endpoint that may serve, and the best class in it.
fn best_lane(
    snapshot: &Snapshot,
    board: &Board,
    provider: ProviderId,
    serves: impl Fn(&Endpoint) -> bool,
) -> Result<LaneKey> {
    let active = snapshot.endpoint_entries_of(provider).map(|entry| entry.value());
    let active = active.filter(|endpoint| endpoint.is_active);
    // One that was excluded just now failed its caller, so it counts as one that is down.
    let best = active.map(|endpoint| {
        let class = Class::of(endpoint, board);
        (class == Class::Unhealthy || !serves(endpoint), endpoint.priority, class)
    });
    match best.min() {
        None => Err(Error::NoEndpoint { provider_id: provider.uuid() }),
        Some((true, _, _)) => Err(Error::NoHealthyEndpoint { provider_id: provider.uuid() }),
        Some((false, priority, class)) => Ok(LaneKey { provider, priority, class }),
    }
}

impl Picker {
    fn lane(&self, key: LaneKey, snapshot: &Snapshot) -> Arc<Lane> {
        if let Some(lane) = self.lanes.load().get(&key) {
            return Arc::clone(lane);
        }
        let new = Arc::new(Lane::default());
        self.lanes.rcu(|lanes| {
            let mut lanes = HashMap::clone(lanes);
            // Now and then, so that lanes of providers that are gone do not gather.
            if lanes.len().is_power_of_two() {
                lanes.retain(|key, _| snapshot.is_live(key.provider));
            }
            lanes.entry(key).or_insert_with(|| Arc::clone(&new));
            lanes
        });
        self.lanes.load().get(&key).map_or(new, Arc::clone)
    }
}

impl Lane {
    /// The next allowed one of `members`. Turns of those that are not allowed are passed over.
    fn serve<I: Iterator<Item = (EndpointId, i32)>>(
        &self,
        members: impl Fn() -> I,
        allowed: impl Fn(EndpointId) -> bool,
    ) -> Option<EndpointId> {
        let mut schedule = self.schedule.load_full();
        if !schedule.is_of(members()) {
            schedule = Arc::new(Schedule::new(members()));
            self.schedule.store(Arc::clone(&schedule));
        }
        let mut turn = self.turn.load(Ordering::Relaxed);
        loop {
            let (id, next) = schedule.serve(turn, &allowed)?;
            match self.turn.compare_exchange_weak(turn, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(id),
                Err(now) => turn = now,
            }
        }
    }
}

#[cfg(test)]
mod tests;
