//! What waits, what is ready and what is in flight: the state of the scheduler. It has no time of its own and does
//! nothing itself, so that its rules are tested without a clock or a socket.
//!
//! Invariants: an endpoint is in one place at a time, so it never has two probes in flight; never more than `slots`
//! are in flight; those that hang leave a share of the slots to those that answer, and the other way round.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::probe::Target;
use crate::domain::EndpointId;

/// A probe that takes longer makes its endpoint one of those that hang, as one without any answer does.
pub(super) const PROMPT: Duration = Duration::from_secs(1);
/// First probes are spread over so much time, or over the interval where that is shorter.
const SPREAD: Duration = Duration::from_secs(5);

/// What is known about an endpoint when it is first followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// How long ago it was probed.
    pub age: Duration,
    /// Whether it answered, or refused, within [`PROMPT`].
    pub prompt: bool,
}

/// Which queue an endpoint is ready in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Prompt,
    /// Never probed.
    Fresh,
    Hanging,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Waiting(Instant),
    Ready,
    InFlight {
        lane: Lane,
        since: Instant,
    },
    /// In flight, but nobody wants to know any more.
    Unwanted {
        lane: Lane,
        since: Instant,
    },
}

struct Plan {
    target: Target,
    lane: Lane,
    place: Place,
    round: u64,
}

pub(super) struct Schedule {
    slots: usize,
    /// Off in tests that count: first probes are due at once.
    jitter: bool,
    plans: HashMap<EndpointId, Plan>,
    waiting: BTreeSet<(Instant, EndpointId)>,
    prompt: VecDeque<EndpointId>,
    fresh: Vec<EndpointId>,
    hanging: VecDeque<EndpointId>,
    prompt_in_flight: usize,
    others_in_flight: usize,
    round: u64,
}

impl Schedule {
    pub fn new(slots: usize, jitter: bool) -> Self {
        Self {
            slots: slots.max(1),
            jitter,
            plans: HashMap::new(),
            waiting: BTreeSet::new(),
            prompt: VecDeque::new(),
            fresh: Vec::new(),
            hanging: VecDeque::new(),
            prompt_in_flight: 0,
            others_in_flight: 0,
            round: 0,
        }
    }

    /// Takes over what is to be probed from now on: new endpoints are added, changed ones replaced, others forgotten.
    pub fn follow(
        &mut self,
        targets: impl Iterator<Item = Target>,
        known: impl Fn(EndpointId) -> Option<Known>,
        now: Instant,
    ) {
        self.round += 1;
        for target in targets {
            self.follow_one(target, &known, now);
        }
        let round = self.round;
        let waiting = &mut self.waiting;
        self.plans.retain(|id, plan| {
            if plan.round == round {
                return true;
            }
            match plan.place {
                Place::Waiting(due) => {
                    waiting.remove(&(due, *id));
                    false
                }
                Place::Ready => false,
                Place::InFlight { lane, since } => {
                    plan.place = Place::Unwanted { lane, since };
                    true
                }
                Place::Unwanted { .. } => true,
            }
        });
    }

    fn follow_one(&mut self, target: Target, known: &impl Fn(EndpointId) -> Option<Known>, now: Instant) {
        let id = target.endpoint.id;
        let Some(plan) = self.plans.get_mut(&id) else {
            let known = known(id);
            let due = first_due(&target, known, now, self.jitter);
            let lane = known.map_or(Lane::Fresh, |known| lane_of(known.prompt));
            self.plans.insert(id, Plan { target, lane, place: Place::Waiting(due), round: self.round });
            self.waiting.insert((due, id));
            return;
        };
        plan.round = self.round;
        let moved = plan.target.is_elsewhere(&target);
        let edited = !Arc::ptr_eq(&plan.target.endpoint, &target.endpoint);
        let interval = target.endpoint.health_check.interval;
        plan.target = target;
        match plan.place {
            Place::Waiting(due) if moved => self.wait(id, due, now),
            Place::Waiting(due) if edited && now + interval < due => self.wait(id, due, now + interval),
            Place::Unwanted { lane, since } => plan.place = Place::InFlight { lane, since },
            _ => {}
        }
    }

    /// Moves one that waits to another time.
    fn wait(&mut self, id: EndpointId, before: Instant, due: Instant) {
        self.waiting.remove(&(before, id));
        self.waiting.insert((due, id));
        if let Some(plan) = self.plans.get_mut(&id) {
            plan.place = Place::Waiting(due);
        }
    }

    /// When something that waits is next due.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// Makes ready what is due.
    pub fn advance(&mut self, now: Instant) {
        while let Some((due, id)) = self.waiting.pop_first() {
            if due > now {
                self.waiting.insert((due, id));
                return;
            }
            let Some(plan) = self.plans.get_mut(&id) else { continue };
            plan.place = Place::Ready;
            match plan.lane {
                Lane::Prompt => self.prompt.push_back(id),
                Lane::Fresh => self.fresh.push(id),
                Lane::Hanging => self.hanging.push_back(id),
            }
        }
    }

    /// The next to be probed, if a slot is free for it.
    pub fn launch(&mut self, now: Instant) -> Option<Target> {
        while let Some((id, lane)) = self.pop() {
            // Endpoints that were forgotten meanwhile still stand in the queue.
            let Some(plan) = self.plans.get_mut(&id).filter(|plan| plan.place == Place::Ready) else { continue };
            plan.place = Place::InFlight { lane, since: now };
            *self.in_flight_of(lane) += 1;
            return self.plans.get(&id).map(|plan| plan.target.clone());
        }
        None
    }

    fn pop(&mut self) -> Option<(EndpointId, Lane)> {
        if self.in_flight() >= self.slots {
            return None;
        }
        // A quarter of the slots is kept for either side.
        let share = self.slots - self.slots / 4;
        let others_wait = !(self.fresh.is_empty() && self.hanging.is_empty());
        if (self.prompt_in_flight < share || !others_wait)
            && let Some(id) = self.prompt.pop_front()
        {
            return Some((id, Lane::Prompt));
        }
        if self.others_in_flight >= share {
            return None;
        }
        // The newest first: somebody may be waiting for it.
        let fresh = self.fresh.pop().map(|id| (id, Lane::Fresh));
        fresh.or_else(|| self.hanging.pop_front().map(|id| (id, Lane::Hanging)))
    }

    /// Takes note that a probe has ended, with or without an answer. Whether its result counts: not when the endpoint is forgotten, or was moved
    /// elsewhere meanwhile.
    pub fn land(&mut self, probed: &Target, answered: bool, now: Instant) -> bool {
        let id = probed.endpoint.id;
        let Some(plan) = self.plans.get_mut(&id) else { return false };
        let (lane, since, wanted) = match plan.place {
            Place::InFlight { lane, since } => (lane, since, true),
            Place::Unwanted { lane, since } => (lane, since, false),
            Place::Waiting(_) | Place::Ready => return false,
        };
        let moved = plan.target.is_elsewhere(probed);
        plan.lane = lane_of(answered && now.duration_since(since) < PROMPT);
        let due = if moved { now } else { now.max(since + plan.target.endpoint.health_check.interval) };
        plan.place = Place::Waiting(due);
        let in_flight = self.in_flight_of(lane);
        *in_flight = in_flight.saturating_sub(1);
        if wanted {
            self.waiting.insert((due, id));
        } else {
            self.plans.remove(&id);
        }
        wanted && !moved
    }

    /// Forgets everything; what was in flight is cut off by the caller.
    pub fn clear(&mut self) {
        *self = Self::new(self.slots, self.jitter);
    }

    pub const fn in_flight(&self) -> usize {
        self.prompt_in_flight + self.others_in_flight
    }

    const fn in_flight_of(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Prompt => &mut self.prompt_in_flight,
            Lane::Fresh | Lane::Hanging => &mut self.others_in_flight,
        }
    }
}

const fn lane_of(prompt: bool) -> Lane {
    if prompt { Lane::Prompt } else { Lane::Hanging }
}

/// One interval after the last probe, whoever made it; what is overdue is spread, so that a start is no storm.
fn first_due(target: &Target, known: Option<Known>, now: Instant, jitter: bool) -> Instant {
    let interval = target.endpoint.health_check.interval;
    let rest = known.map_or(Duration::ZERO, |known| interval.saturating_sub(known.age));
    if rest.is_zero() && jitter {
        return now + interval.min(SPREAD).mul_f64(fastrand::f64());
    }
    now + rest
}

#[cfg(test)]
mod tests;
