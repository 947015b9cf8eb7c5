//! The recent past of the log, encoded: what watchers read who keep up, and those who come back soon.
//!
//! Invariants: each entry stands for the revisions behind the one before it, so there are no gaps; what it takes is bounded in bytes, the oldest go first. Who wants older ones reads
//! the log of the database.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::time::Instant;

use super::published::Published;
use crate::domain::{Head, Revision};
use crate::wire::watch::ShortHash;

/// How much is read at a time: enough to be quick, and little to hold for a watcher that stops reading.
const READ_BYTES: usize = 256 * 1024;
const READ_REVISIONS: usize = 64;

#[derive(Debug)]
pub struct History {
    recent: RwLock<Recent>,
    limit: usize,
}

#[derive(Debug)]
struct Recent {
    revisions: VecDeque<Arc<Published>>,
    bytes: usize,
    /// The revision before the first one, and its hash if that is known.
    base: (Revision, Option<ShortHash>),
    /// When that revision was published.
    since: Instant,
}

/// What follows a revision.
#[derive(Debug)]
pub enum Look {
    /// Nothing yet.
    Nothing,
    Revisions(Vec<Arc<Published>>),
    /// It is not here any more, nor all that came up to then.
    Older {
        since: Instant,
    },
}

impl History {
    #[must_use]
    pub fn new(head: Head, limit: usize) -> Self {
        Self { recent: RwLock::new(Recent::after(head)), limit }
    }

    /// Adds the next revision.
    pub fn push(&self, published: Published) {
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        if published.first != recent.end().next() {
            // What lies between was not seen: it is read from the log.
            *recent = Recent { base: (Revision(published.first.0 - 1), None), ..Recent::after(Head::default()) };
        }
        recent.bytes += published.size();
        recent.revisions.push_back(Arc::new(published));
        while recent.bytes > self.limit {
            let Some(oldest) = recent.revisions.pop_front() else { break };
            recent.bytes -= oldest.size();
            (recent.base, recent.since) = ((oldest.revision, Some(oldest.hash)), oldest.at);
        }
    }

    /// Begins anew after `head`.
    pub fn restart(&self, head: Head) {
        *self.recent.write().unwrap_or_else(PoisonError::into_inner) = Recent::after(head);
    }

    /// The revisions after this one, as many as are read at a time.
    #[must_use]
    pub fn after(&self, revision: Revision) -> Look {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        if revision >= recent.end() {
            return Look::Nothing;
        }
        if revision < recent.base.0 {
            return Look::Older { since: recent.since };
        }
        let skip = recent.revisions.partition_point(|published| published.revision <= revision);
        let mut room = READ_BYTES;
        let fits = |published: &&Arc<Published>| {
            let fits = room > 0;
            room = room.saturating_sub(published.size());
            fits
        };
        Look::Revisions(recent.revisions.iter().skip(skip).take(READ_REVISIONS).take_while(fits).cloned().collect())
    }

    /// The hash of a revision, if it is here.
    #[must_use]
    pub fn hash_at(&self, revision: Revision) -> Option<ShortHash> {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        let (base, hash) = recent.base;
        if revision == base {
            return hash;
        }
        let place = recent.revisions.binary_search_by_key(&revision, |published| published.revision).ok()?;
        recent.revisions.get(place).map(|published| published.hash)
    }

    /// The revision behind which all is here.
    #[must_use]
    pub fn begin(&self) -> Revision {
        self.recent.read().unwrap_or_else(PoisonError::into_inner).base.0
    }
}

impl Recent {
    fn after(head: Head) -> Self {
        Self {
            revisions: VecDeque::new(),
            bytes: 0,
            base: (head.revision, Some(head.hash.into())),
            since: Instant::now(),
        }
    }

    fn end(&self) -> Revision {
        self.revisions.back().map_or(self.base.0, |last| last.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ChainHash;
    use crate::snapshot::{Snapshot, fixtures};

    fn head(revision: i64) -> Head {
        Head { revision: Revision(revision), hash: ChainHash([u8::try_from(revision % 251).unwrap(); 32]) }
    }

    fn published(revision: i64) -> Published {
        Published::encode(head(revision), &[], &Snapshot::from_image(fixtures::image()))
    }

    fn seen(history: &History, after: i64) -> Option<Vec<i64>> {
        match history.after(Revision(after)) {
            Look::Nothing => Some(Vec::new()),
            Look::Revisions(found) => Some(found.iter().map(|published| published.revision.0).collect()),
            Look::Older { .. } => None,
        }
    }

    #[test]
    fn what_follows_a_revision_is_read_in_order() {
        let history = History::new(head(10), 1 << 20);
        assert_eq!(seen(&history, 10), Some(vec![]));
        assert_eq!(seen(&history, 9), None);
        (11..=13).for_each(|revision| history.push(published(revision)));
        assert_eq!(seen(&history, 10), Some(vec![11, 12, 13]));
        assert_eq!(seen(&history, 12), Some(vec![13]));
        assert_eq!(seen(&history, 13), Some(vec![]));
        assert_eq!(seen(&history, 99), Some(vec![]));
        assert_eq!(history.hash_at(Revision(10)), Some(head(10).hash.into()));
        assert_eq!(history.hash_at(Revision(12)), Some(head(12).hash.into()));
        assert_eq!([9, 14].map(|revision| history.hash_at(Revision(revision))), [None, None]);
    }

    #[test]
    fn the_oldest_go_when_the_bytes_are_used_up() {
        let history = History::new(head(0), published(1).size() * 3);
        (1..=10).for_each(|revision| history.push(published(revision)));
        assert_eq!(seen(&history, 6), None);
        assert_eq!(seen(&history, 7), Some(vec![8, 9, 10]));
        assert_eq!(history.hash_at(Revision(7)), Some(head(7).hash.into()));
    }

    #[test]
    fn a_revision_that_is_larger_than_all_room_is_not_kept() {
        let history = History::new(head(0), 1);
        history.push(published(1));
        assert_eq!((seen(&history, 0), seen(&history, 1)), (None, Some(vec![])));
        history.push(published(2));
        assert_eq!(seen(&history, 1), None);
    }

    #[test]
    fn what_was_not_seen_is_read_elsewhere() {
        let history = History::new(head(0), 1 << 20);
        history.push(published(1));
        history.push(published(7));
        assert_eq!((seen(&history, 1), seen(&history, 6)), (None, Some(vec![7])));
        assert_eq!(history.hash_at(Revision(6)), None);
        history.restart(head(3));
        assert_eq!((seen(&history, 2), seen(&history, 3)), (None, Some(vec![])));
    }

    #[test]
    fn an_entry_may_stand_for_several_revisions() {
        let history = History::new(head(10), 1 << 20);
        history.push(published(13).since(Revision(11)));
        history.push(published(14));
        history.push(published(17).since(Revision(15)));
        assert_eq!(seen(&history, 10), Some(vec![13, 14, 17]));
        assert_eq!(
            [11, 12, 13].map(|after| seen(&history, after)),
            [Some(vec![13, 14, 17]), Some(vec![13, 14, 17]), Some(vec![14, 17])]
        );
        assert_eq!(seen(&history, 17), Some(vec![]));
        assert_eq!([12, 13, 16].map(|revision| history.hash_at(Revision(revision)).is_some()), [false, true, false]);
        assert_eq!(history.begin(), Revision(10));
    }

    #[test]
    fn little_is_read_at_a_time() {
        let history = History::new(head(0), 1 << 20);
        (1..=1000).for_each(|revision| history.push(published(revision)));
        assert_eq!(seen(&history, 0).unwrap().len(), READ_REVISIONS);
    }
}
