//! The state that streams begin with, made once for all that begin at the same time: when thousands come back, each part
//! of it is encoded for the first of them, and the others send the same bytes.
//!
//! Invariant: what is kept is of one state, the latest that a stream has begun with, and takes at most [`KEPT`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use uuid::Uuid;

use super::watchers::Pin;
use crate::snapshot::{Board, Snapshot};

/// How many bytes are kept. Streams make what comes behind them each for itself.
const KEPT: usize = 16 * 1024 * 1024;

/// How far the state was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walk {
    /// How many parts that is.
    pub number: usize,
    /// The place of the kind among all, and behind which resource it goes on.
    pub stage: usize,
    pub after: Option<Uuid>,
}

/// What a message of the state holds, and where the next one begins. None: it was the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatePart {
    pub body: Vec<Bytes>,
    pub next: Option<Walk>,
}

/// The latest state.
#[derive(Debug, Default)]
pub struct States(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    pin: Weak<Pin>,
    /// Its parts from the beginning, as far as they were made.
    parts: Vec<StatePart>,
    size: usize,
}

impl States {
    /// What to read from: the same for all who ask while nothing changes.
    #[must_use]
    pub fn pin(&self, snapshot: Arc<Snapshot>, board: Arc<Board>) -> Arc<Pin> {
        let mut latest = self.latest();
        let same =
            latest.pin.upgrade().filter(|pin| Arc::ptr_eq(&pin.snapshot, &snapshot) && Arc::ptr_eq(&pin.board, &board));
        same.unwrap_or_else(|| {
            let pin = Arc::new(Pin { snapshot, board });
            *latest = Latest { pin: Arc::downgrade(&pin), ..Latest::default() };
            pin
        })
    }

    /// A part that was made before.
    #[must_use]
    pub fn part(&self, pin: &Arc<Pin>, number: usize) -> Option<StatePart> {
        let latest = self.latest();
        latest.parts.get(number).filter(|_| latest.is_of(pin)).cloned()
    }

    /// Keeps a part for those who come to it.
    pub fn keep(&self, pin: &Arc<Pin>, number: usize, part: &StatePart) {
        let mut latest = self.latest();
        let size = latest.size + part.body.iter().map(Bytes::len).sum::<usize>();
        if latest.is_of(pin) && latest.parts.len() == number && size <= KEPT {
            latest.parts.push(part.clone());
            latest.size = size;
        }
    }

    /// A stream has sent all of it. What nobody reads from any more is dropped.
    pub fn done(&self) {
        let mut latest = self.latest();
        if latest.pin.strong_count() == 0 {
            *latest = Latest::default();
        }
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Latest {
    fn is_of(&self, pin: &Arc<Pin>) -> bool {
        std::ptr::eq(self.pin.as_ptr(), Arc::as_ptr(pin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(size: usize) -> StatePart {
        StatePart { body: vec![Bytes::from(vec![0; size])], next: None }
    }

    fn snapshot() -> Arc<Snapshot> {
        Arc::new(Snapshot::from_image(crate::snapshot::fixtures::image()))
    }

    #[test]
    fn who_begins_with_the_same_shares_what_was_made() {
        let (states, snapshot, board) = (States::default(), snapshot(), Arc::<Board>::default());
        let first = states.pin(Arc::clone(&snapshot), Arc::clone(&board));
        assert_eq!(states.part(&first, 0), None);
        states.keep(&first, 0, &part(3));
        let second = states.pin(Arc::clone(&snapshot), Arc::clone(&board));
        assert_eq!(states.part(&second, 0), Some(part(3)));
        assert_eq!(states.part(&second, 1), None);
        // Who began before goes on with what it began with.
        let third = states.pin(Arc::clone(&snapshot), Arc::default());
        assert_eq!((states.part(&third, 0), states.part(&first, 0)), (None, None));
        states.keep(&first, 0, &part(3));
        assert_eq!(states.part(&third, 0), None);
    }

    #[test]
    fn what_is_kept_is_bounded_and_goes_with_the_last_reader() {
        let states = States::default();
        let pin = states.pin(snapshot(), Arc::default());
        states.keep(&pin, 0, &part(KEPT));
        states.keep(&pin, 1, &part(1));
        assert_eq!((states.part(&pin, 0), states.part(&pin, 1)), (Some(part(KEPT)), None));
        states.done();
        assert!(states.part(&pin, 0).is_some(), "somebody still reads it");
        drop(pin);
        states.done();
        assert_eq!(states.latest().size, 0);
    }
}
