//! Uses that this process has counted and the store does not have yet, and what they make of the stored counts.
//!
//! Invariant: every use is in exactly one of `fresh`, `flying` and the stored value; what is shown is the sum. A flying
//! use counts as stored from the moment that a value of its revision, or a later one, is known: whoever reads the store
//! may see a batch before its writer learns that it is committed.

use std::sync::Arc;

use imbl::HashMap;

use super::entry::Entry;
use super::status::Stamped;
use crate::domain::id::Id;
use crate::domain::image::StatusRevision;
use crate::domain::usage::{Counted, DailyUses};

/// Uses by resource.
pub type UsesOf<R> = std::collections::HashMap<Id<R>, DailyUses>;

/// The pending uses of resources of one kind.
#[derive(Debug)]
pub struct Pending<R, T> {
    waiting: HashMap<Id<R>, Waiting>,
    /// The stored value with what waits.
    shown: HashMap<Id<R>, Arc<Entry<T>>>,
}

#[derive(Debug, Clone, Default)]
struct Waiting {
    fresh: DailyUses,
    /// In the batch with this revision, whose end is not known.
    flying: Option<(StatusRevision, DailyUses)>,
}

impl<R, T> Default for Pending<R, T> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), shown: HashMap::new() }
    }
}

impl<R, T> Clone for Pending<R, T> {
    fn clone(&self) -> Self {
        Self { waiting: self.waiting.clone(), shown: self.shown.clone() }
    }
}

impl<R, T: Counted> Pending<R, T> {
    /// The value with what waits; nothing where nothing waits.
    pub fn shown(&self, id: Id<R>) -> Option<&Arc<Entry<T>>> {
        self.shown.get(&id)
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Counts uses.
    pub fn add(&mut self, id: Id<R>, uses: &DailyUses, stored: Option<&Stamped<T>>) {
        self.waiting.entry(id).or_default().fresh.add_all(uses);
        self.refresh(id, stored);
    }

    /// Sends at most `most` resources' uses on their way, in a batch with this revision.
    pub fn depart(&mut self, revision: StatusRevision, most: usize) -> UsesOf<R> {
        let ids: Vec<_> = self.waiting.iter().filter(|(_, waiting)| waiting.flying.is_none()).take(most).collect();
        let ids: Vec<_> = ids.into_iter().map(|(id, _)| *id).collect();
        let mut departed = UsesOf::new();
        for id in ids {
            if let Some(waiting) = self.waiting.get_mut(&id) {
                let uses = std::mem::take(&mut waiting.fresh);
                waiting.flying = Some((revision, uses.clone()));
                departed.insert(id, uses);
            }
        }
        departed
    }

    /// Ends the flight of a batch: `arrived`, or to be sent again.
    pub fn land(&mut self, ids: impl Iterator<Item = Id<R>>, arrived: bool) {
        for id in ids {
            let Some(waiting) = self.waiting.get_mut(&id) else { continue };
            if let Some((_, uses)) = waiting.flying.take()
                && !arrived
            {
                waiting.fresh.add_all(&uses);
            }
            if waiting.fresh.is_empty() {
                self.waiting.remove(&id);
                self.shown.remove(&id);
            }
        }
    }

    /// Puts what is shown of a resource together again: its stored value is another one.
    pub fn refresh(&mut self, id: Id<R>, stored: Option<&Stamped<T>>) {
        let Some(waiting) = self.waiting.get(&id) else { return };
        let base = stored.map(|stored| T::clone(stored.entry.value())).unwrap_or_default();
        let sum = match &waiting.flying {
            Some((revision, uses)) if stored.is_none_or(|stored| stored.at < *revision) => base.with(uses),
            _ => base,
        };
        self.shown.insert(id, Arc::new(Entry::new(Arc::new(sum.with(&waiting.fresh)))));
    }

    pub fn ids(&self) -> Vec<Id<R>> {
        self.waiting.keys().copied().collect()
    }

    /// Forgets the uses of what is no longer known; those on their way end it themselves.
    pub fn retain(&mut self, known: impl Fn(Id<R>) -> bool) {
        self.waiting.retain(|id, waiting| waiting.flying.is_some() || known(*id));
        let waiting = &self.waiting;
        self.shown.retain(|id, _| waiting.contains_key(id));
    }
}
