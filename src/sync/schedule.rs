//! Which provider is next, and when. It has no time of its own and does nothing itself, so that its rules are tested
//! without a clock or a vendor.
//!
//! Invariants: a provider has one turn at a time, and [`SHORTEST`] lies between its turns; never more than `slots` are
//! under way, and those that failed the last time leave half of the slots to those that did not.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::provider::{MIN_SYNC_INTERVAL, SyncPolicy, SyncResult, SyncStatus};
use crate::domain::{ProviderId, Timestamp};

/// Between two turns of a provider, whatever its policy and its status say.
const SHORTEST: Duration = MIN_SYNC_INTERVAL;
/// After a failure, where the interval is not shorter.
const RETRY: Duration = Duration::from_mins(5);
/// What is due when it is first seen is spread over so much time, so that a start is no storm.
const SPREAD: Duration = Duration::from_secs(2);
/// Turns come up to this part of the wait late, so that providers that were made together do not stay in step.
const LATE: f64 = 0.05;

/// A provider that is to be synchronised without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub id: ProviderId,
    pub policy: SyncPolicy,
    pub last: Option<Last>,
}

/// The last synchronisation, whoever asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Last {
    pub time: Timestamp,
    pub failed: bool,
}

impl From<&SyncStatus> for Last {
    fn from(status: &SyncStatus) -> Self {
        Self { time: status.last_time, failed: status.result == SyncResult::Failed }
    }
}

pub(super) struct Schedule {
    slots: usize,
    turns: HashMap<ProviderId, Turn>,
}

#[derive(Debug, Clone, Copy)]
struct Turn {
    /// When the provider was first seen.
    since: Timestamp,
    /// When its last turn ended here.
    ended: Option<Timestamp>,
    due: Timestamp,
    failed: bool,
    running: bool,
}

impl Schedule {
    pub fn new(slots: usize) -> Self {
        Self { slots: slots.max(1), turns: HashMap::new() }
    }

    /// Takes over what is wanted from now on. The providers whose turn is under way and that are not wanted any more:
    /// they are to be cut off.
    pub fn follow(&mut self, wanted: impl Iterator<Item = Wanted>, now: Timestamp) -> Vec<ProviderId> {
        let mut former = std::mem::take(&mut self.turns);
        for Wanted { id, policy, last } in wanted {
            let known = former.remove(&id);
            let since = known.map_or(now, |turn| turn.since);
            // A clock that was set back: a time that is still to come says nothing.
            let last = last.filter(|last| last.time <= now);
            let ended = known.and_then(|turn| turn.ended).filter(|time| *time <= now);
            let turn = Turn {
                since,
                ended,
                due: due(id, policy, last, since).max(ended.map_or(since, |time| time.after(SHORTEST))),
                failed: last.is_some_and(|last| last.failed),
                running: known.is_some_and(|turn| turn.running),
            };
            self.turns.insert(id, turn);
        }
        former.into_iter().filter(|(_, turn)| turn.running).map(|(id, _)| id).collect()
    }

    /// When the next turn becomes due. What is due already waits for a slot.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.turns.values().filter(|turn| !turn.running && turn.due > now).map(|turn| turn.due).min()
    }

    /// Begins the turn that has been due for longest, if a slot is free for it.
    pub fn launch(&mut self, now: Timestamp) -> Option<ProviderId> {
        let running = self.turns.values().filter(|turn| turn.running);
        let (all, failed) = running.fold((0, 0), |(all, failed), turn| (all + 1, failed + usize::from(turn.failed)));
        if all >= self.slots {
            return None;
        }
        let room_for_failed = failed < self.slots.div_ceil(2);
        let waiting = self.turns.iter_mut().filter(|(_, turn)| !turn.running && turn.due <= now);
        let (id, turn) =
            waiting.filter(|(_, turn)| room_for_failed || !turn.failed).min_by_key(|(id, turn)| (turn.due, **id))?;
        turn.running = true;
        Some(*id)
    }

    /// Forgets everything; what runs is cut off by the caller.
    pub fn clear(&mut self) {
        self.turns.clear();
    }

    /// Takes note that a turn has ended.
    pub fn land(&mut self, id: ProviderId, now: Timestamp) {
        if let Some(turn) = self.turns.get_mut(&id) {
            turn.running = false;
            turn.ended = Some(now);
            turn.due = turn.due.max(now.after(SHORTEST));
        }
    }
}

/// When a provider's next turn comes that was first seen at `since`.
fn due(id: ProviderId, policy: SyncPolicy, last: Option<Last>, since: Timestamp) -> Timestamp {
    let soon = since.after(SPREAD.mul_f64(fraction(id, 0)));
    let Some(last) = last else { return soon };
    let wait = if last.failed { policy.interval.min(RETRY) } else { policy.interval }.max(SHORTEST);
    last.time.after(wait.mul_f64(1.0 + LATE * fraction(id, last.time.micros()))).max(soon)
}

/// A number from 0 to 1, the same for the same provider and turn, as good as random over them.
fn fraction(id: ProviderId, turn: i64) -> f64 {
    let (high, low) = id.uuid().as_u64_pair();
    // The finaliser of SplitMix64.
    let mut mixed = high ^ low.rotate_left(32) ^ turn.cast_unsigned();
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    f64::from(u32::try_from(mixed >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
