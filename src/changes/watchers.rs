//! The open Watch streams of this process: how many there may be, and which of them do not read.
//!
//! Invariant: a stream holds its place until it is dropped, or until it was cut because its client stopped reading; what
//! it pins in memory goes with its place.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::{Error, Result, Revision, Timestamp};
use crate::snapshot::{Board, Snapshot};

/// In milliseconds.
const SECOND: u64 = 1000;

/// What a stream that sends the state reads from, for as long as that takes.
#[derive(Debug)]
pub struct Pin {
    pub snapshot: Arc<Snapshot>,
    pub board: Arc<Board>,
}

/// One open stream.
#[derive(Debug)]
pub struct Watcher {
    pub id: Uuid,
    /// What the client calls itself.
    pub client: String,
    pub since: Timestamp,
    acknowledged: AtomicI64,
    /// The last revision that was taken by its transport, or lies before where it began.
    sent: AtomicI64,
    /// When its transport last asked for something, in milliseconds.
    asked: AtomicU64,
    cut: AtomicBool,
    pin: Mutex<Option<Arc<Pin>>>,
}

impl Watcher {
    #[must_use]
    pub fn acknowledged(&self) -> Revision {
        Revision(self.acknowledged.load(Ordering::Relaxed))
    }

    /// The client has applied everything up to `revision`.
    pub fn acknowledge(&self, revision: Revision) {
        self.acknowledged.fetch_max(revision.0, Ordering::Relaxed);
    }

    /// The stream was sent everything up to `revision`.
    pub fn reach(&self, revision: Revision) {
        self.sent.store(revision.0, Ordering::Relaxed);
    }

    /// Whether the stream lost its place because nobody read it.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    pub fn pin(&self, pin: Option<Arc<Pin>>) {
        *self.pin.lock().unwrap_or_else(PoisonError::into_inner) = pin;
    }

    #[must_use]
    pub fn pinned(&self) -> Option<Arc<Pin>> {
        self.pin.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// All open streams of this process.
#[derive(Debug)]
pub struct Watchers {
    open: Mutex<BTreeMap<Uuid, Arc<Watcher>>>,
    limit: usize,
    cut_count: AtomicU64,
    began: Instant,
    /// When there was something new for streams, in milliseconds: not every time, but every second in which there was.
    news: Mutex<VecDeque<u64>>,
}

impl Watchers {
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            open: Mutex::default(),
            limit,
            cut_count: AtomicU64::new(0),
            began: Instant::now(),
            news: Mutex::default(),
        }
    }

    /// A place for one more stream.
    ///
    /// # Errors
    /// [`Error::TooManyStreams`].
    pub fn enter(self: &Arc<Self>, id: Uuid, client: String, since: Timestamp) -> Result<Place> {
        let watcher = Arc::new(Watcher {
            id,
            client,
            since,
            acknowledged: AtomicI64::new(0),
            sent: AtomicI64::new(i64::MAX),
            asked: AtomicU64::new(self.now()),
            cut: AtomicBool::new(false),
            pin: Mutex::new(None),
        });
        let mut open = self.open();
        if open.len() >= self.limit {
            return Err(Error::TooManyStreams { limit: self.limit });
        }
        open.insert(id, Arc::clone(&watcher));
        Ok(Place { watchers: Arc::clone(self), watcher })
    }

    #[must_use]
    pub fn get(&self, id: Uuid) -> Option<Arc<Watcher>> {
        self.open().get(&id).cloned()
    }

    /// All of them, in order of id.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Watcher>> {
        self.open().values().cloned().collect()
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.open().len()
    }

    /// How many streams were cut so far.
    #[must_use]
    pub fn cut_count(&self) -> u64 {
        self.cut_count.load(Ordering::Relaxed)
    }

    /// How many revisions up to `head` the stream that is furthest behind was not sent.
    #[must_use]
    pub fn lag(&self, head: Revision) -> i64 {
        let last = self.open().values().map(|watcher| watcher.sent.load(Ordering::Relaxed)).min();
        last.map_or(0, |last| head.0.saturating_sub(last).max(0))
    }

    /// There is something new for streams: those whose clients read ask for it at once.
    pub fn tell(&self) {
        self.tell_at(self.now());
    }

    fn tell_at(&self, now: u64) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        if news.back().is_none_or(|last| now.saturating_sub(*last) >= SECOND) {
            news.push_back(now);
        }
    }

    /// When there was something new up to then, at the latest; what came before is forgotten.
    fn told_until(&self, until: u64) -> Option<u64> {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        while news.get(1).is_some_and(|next| *next <= until) {
            news.pop_front();
        }
        news.front().copied().filter(|told| *told <= until)
    }

    /// Cuts those who have not asked for what was new for `patience`; how many.
    #[must_use]
    pub fn cut(&self, patience: Duration) -> usize {
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.now().checked_sub(patience).map_or(0, |until| self.cut_before(until))
    }

    fn cut_before(&self, until: u64) -> usize {
        let Some(told) = self.told_until(until) else { return 0 };
        let mut open = self.open();
        let before = open.len();
        open.retain(|_, watcher| {
            let stalled = watcher.asked.load(Ordering::Acquire) < told;
            if stalled {
                watcher.cut.store(true, Ordering::Release);
                watcher.pin(None);
            }
            !stalled
        });
        let cut = before - open.len();
        self.cut_count.fetch_add(u64::try_from(cut).unwrap_or(u64::MAX), Ordering::Relaxed);
        cut
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<Uuid, Arc<Watcher>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's place.
#[derive(Debug)]
pub struct Place {
    watchers: Arc<Watchers>,
    pub watcher: Arc<Watcher>,
}

impl Place {
    /// The transport asks for something.
    pub fn ask(&self) {
        self.ask_at(self.watchers.now());
    }

    fn ask_at(&self, now: u64) {
        self.watcher.asked.store(now, Ordering::Release);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.watchers.open();
        open.remove(&self.watcher.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(watchers: &Arc<Watchers>, number: u128) -> Result<Place> {
        watchers.enter(Uuid::from_u128(number), "c".into(), Timestamp::default())
    }

    #[test]
    fn there_are_no_more_than_the_limit() {
        let watchers = Arc::new(Watchers::new(2));
        let first = enter(&watchers, 1).unwrap();
        let _second = enter(&watchers, 2).unwrap();
        assert_eq!(enter(&watchers, 3).unwrap_err(), Error::TooManyStreams { limit: 2 });
        drop(first);
        assert!(enter(&watchers, 3).is_ok());
    }

    #[test]
    fn who_does_not_ask_for_what_is_new_loses_the_place_and_what_it_pins() {
        let watchers = Arc::new(Watchers::new(2));
        let (reads, stalls) = (enter(&watchers, 1).unwrap(), enter(&watchers, 2).unwrap());
        for place in [&reads, &stalls] {
            let snapshot = Arc::new(Snapshot::from_image(crate::snapshot::fixtures::image()));
            place.watcher.pin(Some(Arc::new(Pin { snapshot, board: Arc::default() })));
            place.ask_at(1);
        }
        assert_eq!(watchers.cut_before(60_000), 0, "there was nothing new");
        watchers.tell_at(70_000);
        watchers.tell_at(70_500);
        reads.ask_at(75_000);
        assert_eq!(watchers.cut_before(69_999), 0, "not for long enough");
        assert_eq!(watchers.cut_before(71_000), 1);
        assert!(stalls.watcher.is_cut() && stalls.watcher.pinned().is_none());
        assert!(!reads.watcher.is_cut() && reads.watcher.pinned().is_some());
        drop(stalls);
        assert_eq!(watchers.count(), 1);
        // It has had what was new; what comes now it does not ask for.
        watchers.tell_at(80_000);
        assert_eq!([watchers.cut_before(79_000), watchers.cut_before(80_000)], [0, 1]);
    }

    #[test]
    fn the_lag_is_that_of_the_stream_that_is_furthest_behind() {
        let watchers = Arc::new(Watchers::new(2));
        assert_eq!(watchers.lag(Revision(7)), 0, "nobody watches");
        let (near, far) = (enter(&watchers, 1).unwrap(), enter(&watchers, 2).unwrap());
        near.watcher.reach(Revision(7));
        assert_eq!(watchers.lag(Revision(7)), 0, "one has not begun");
        far.watcher.reach(Revision(3));
        assert_eq!(watchers.lag(Revision(7)), 4);
        drop(far);
        assert_eq!(watchers.lag(Revision(9)), 2);
    }

    #[test]
    fn an_acknowledgement_never_goes_back() {
        let watchers = Arc::new(Watchers::new(1));
        let place = enter(&watchers, 1).unwrap();
        place.watcher.acknowledge(Revision(7));
        place.watcher.acknowledge(Revision(5));
        assert_eq!(watchers.get(place.watcher.id).unwrap().acknowledged(), Revision(7));
    }
}
