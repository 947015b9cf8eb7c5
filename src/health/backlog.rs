//! Findings that are not written yet: folded as they come, due according to what they change.
//!
//! Invariants: a transition is due [`TRANSITION`] after it was found, mere numbers at most every [`NUMBERS`] per
//! endpoint; the evidence is kept as it came, because the stored value that it will be folded over may be another one
//! than is known here.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::probe::Target;
use crate::domain::health::{EndpointHealth, Evidence, Weight};
use crate::domain::{EndpointId, Timestamp};

/// A transition waits so long for others to share its transaction.
pub(super) const TRANSITION: Duration = Duration::from_millis(100);
/// How often the numbers of one endpoint are written.
pub(super) const NUMBERS: Duration = Duration::from_secs(10);
/// Numbers wait so long for others to share their transaction.
pub(super) const GATHER: Duration = Duration::from_secs(1);
/// Endpoints per transaction.
pub(super) const BATCH: usize = 500;
/// So much evidence per endpoint is kept while it cannot be written; then the oldest goes.
const KEPT: usize = 32;

/// What was found out about one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub target: Target,
    /// In the order in which it was found.
    pub evidence: Vec<Evidence>,
    /// When clients reported failures, if they did.
    pub reported: Option<Timestamp>,
    pub weight: Weight,
    /// The health as this replica sees it: what it knew, with the evidence.
    pub folded: EndpointHealth,
}

/// What a finding made of a stored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    pub before: EndpointHealth,
    pub after: EndpointHealth,
}

impl Finding {
    pub fn new(target: Target, evidence: Evidence, weight: Weight, known: &EndpointHealth) -> Self {
        let folded = known.fold(&evidence, &target.endpoint.health_check, weight);
        Self { target, evidence: vec![evidence], reported: None, weight, folded }
    }

    /// What clients have reported.
    pub fn reported(target: Target, time: Timestamp, known: &EndpointHealth) -> Self {
        let folded = known.reported(time);
        Self { target, evidence: Vec::new(), reported: Some(time), weight: Weight::Background, folded }
    }

    pub fn id(&self) -> EndpointId {
        self.target.endpoint.id
    }

    fn add(&mut self, target: Target, evidence: Evidence) {
        self.folded = self.folded.fold(&evidence, &target.endpoint.health_check, self.weight);
        self.target = target;
        if self.evidence.len() >= KEPT {
            self.evidence.remove(0);
        }
        self.evidence.push(evidence);
    }

    /// Folds the evidence over the stored value. What an earlier attempt has folded already, whose outcome was not
    /// learned, is left out: it ends with the time of the stored value.
    pub fn over(&self, stored: Option<EndpointHealth>) -> Turn {
        let before = stored.unwrap_or_default();
        let time = before.last_check_time;
        let folded_already = time.and_then(|time| self.evidence.iter().rposition(|evidence| evidence.time == time));
        let new = self.evidence.iter().skip(folded_already.map_or(0, |last| last + 1));
        let policy = &self.target.endpoint.health_check;
        let after = new.fold(before.clone(), |health, evidence| health.fold(evidence, policy, self.weight));
        let after = if let Some(time) = self.reported { after.reported(time) } else { after };
        Turn { before, after }
    }
}

#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: HashMap<EndpointId, Waiting>,
    next: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    finding: Finding,
    /// When it may be written, in company.
    from: Instant,
    /// When it is written, alone if need be.
    due: Instant,
}

impl Backlog {
    /// Adds what one background probe has found. `known` tells the health that was last seen, when nothing waits.
    /// The health as it is now.
    pub fn add(
        &mut self,
        target: Target,
        evidence: Evidence,
        known: impl FnOnce() -> EndpointHealth,
        now: Instant,
    ) -> &EndpointHealth {
        let id = target.endpoint.id;
        let waiting = match self.waiting.entry(id) {
            std::collections::hash_map::Entry::Occupied(entry) => {
                let waiting = entry.into_mut();
                let before = waiting.finding.folded.clone();
                waiting.finding.add(target, evidence);
                if is_transition(&before, &waiting.finding.folded) {
                    waiting.from = waiting.from.min(now);
                    waiting.due = waiting.due.min(now + TRANSITION);
                }
                waiting
            }
            std::collections::hash_map::Entry::Vacant(entry) => {
                let known = known();
                let finding = Finding::new(target, evidence, Weight::Background, &known);
                let (from, due) = times(&known, &finding.folded, now);
                entry.insert(Waiting { finding, from, due })
            }
        };
        self.next = Some(self.next.map_or(waiting.due, |next| next.min(waiting.due)));
        &waiting.finding.folded
    }

    /// When something is due.
    pub const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Takes what is due, and with it what may be written already; at most a batch.
    pub fn take(&mut self, now: Instant) -> Vec<Finding> {
        if self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let may = self.waiting.iter().filter(|(_, waiting)| waiting.from <= now);
        let (mut due, more): (Vec<_>, Vec<_>) = may.partition(|(_, waiting)| waiting.due <= now);
        due.extend(more);
        let ids: Vec<_> = due.into_iter().map(|(id, _)| *id).take(BATCH).collect();
        let taken = ids.iter().filter_map(|id| self.waiting.remove(id)).map(|waiting| waiting.finding).collect();
        self.next = self.waiting.values().map(|waiting| waiting.due).min();
        taken
    }

    /// Puts back what could not be written. Nothing about the same endpoints was added meanwhile.
    pub fn put_back(&mut self, findings: Vec<Finding>, due: Instant) {
        for finding in findings {
            self.waiting.insert(finding.id(), Waiting { finding, from: due, due });
        }
        self.next = self.waiting.values().map(|waiting| waiting.due).min();
    }

    /// Makes everything due: what could not be written may be written now.
    pub fn hurry(&mut self, now: Instant) {
        for waiting in self.waiting.values_mut() {
            (waiting.from, waiting.due) = (now, now);
        }
        self.next = (!self.waiting.is_empty()).then_some(now);
    }

    /// All that waits.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.waiting.values().map(|waiting| &waiting.finding)
    }

    pub fn clear(&mut self) {
        self.waiting.clear();
        self.next = None;
    }
}

/// Whether routing or a person would want to know at once.
fn is_transition(before: &EndpointHealth, after: &EndpointHealth) -> bool {
    before.status != after.status || before.cause != after.cause
}

/// From when a value may be written, and when it is.
fn times(known: &EndpointHealth, folded: &EndpointHealth, now: Instant) -> (Instant, Instant) {
    if is_transition(known, folded) {
        return (now, now + TRANSITION);
    }
    let since = known.last_check_time.zip(folded.last_check_time).map_or(NUMBERS, |(one, two)| two.since(one));
    let from = now + NUMBERS.saturating_sub(since);
    (from, from + GATHER)
}

#[cfg(test)]
mod tests;
