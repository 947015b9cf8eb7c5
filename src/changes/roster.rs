//! Who watches, on all replicas: each writes its own streams to the database, so that any of them can list all and take
//! the acknowledgements of any.
//!
//! One loop. Every half second ([`PERIOD`]) it writes what has changed, in one batch; every half minute it forgets the
//! streams of replicas that are gone, and makes sure of its own, which another one may have forgotten while this one
//! was frozen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::watches::Watches;
use crate::domain::watcher::{Watcher, WatcherId};
use crate::domain::{Error, Id, Result, Revision};
use crate::store::{Store, StoreError, WatcherBatch};
use crate::wire::watch::ResumeToken;

pub const PERIOD: Duration = Duration::from_millis(500);
/// Periods of half a minute.
const SWEEP: u32 = 60;
/// A write that takes longer counts as failed.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// A list that takes longer counts as failed.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// How long after its beginning a stream of another replica may not be known here.
const UNKNOWN: Duration = Duration::from_secs(2);
/// Between two looks for it.
const AGAIN: Duration = Duration::from_millis(100);

/// Cheap to clone.
#[derive(Clone)]
pub struct Roster {
    /// None: there are no other replicas.
    store: Option<Store>,
    watches: Watches,
    replica: Arc<str>,
    /// A replica that was not heard of for so long is gone.
    lifetime: Duration,
    /// Acknowledgements for streams of other replicas.
    foreign: Arc<Mutex<BTreeMap<WatcherId, Revision>>>,
}

impl Roster {
    #[must_use]
    pub fn new(store: Store, watches: Watches, replica: &str, lifetime: Duration) -> Self {
        Self { store: Some(store), watches, replica: Arc::from(replica), lifetime, foreign: Arc::default() }
    }

    /// Of a process that is the only one to know its streams.
    #[must_use]
    pub fn alone(watches: Watches, replica: &str) -> Self {
        let replica = Arc::from(replica);
        Self { store: None, watches, replica, lifetime: Duration::ZERO, foreign: Arc::default() }
    }

    /// The streams of this replica.
    #[must_use]
    pub const fn watches(&self) -> &Watches {
        &self.watches
    }

    /// The client of a stream, of whichever replica, has applied everything up to a token.
    ///
    /// # Errors
    /// [`Error::WatchNotFound`]; as a stream that begins with the token.
    pub async fn acknowledge(&self, id: WatcherId, token: &ResumeToken) -> Result<()> {
        self.watches.check(token).await?;
        if let Some(watcher) = self.watches.watchers().get(id.uuid()) {
            watcher.acknowledge(token.revision);
            return Ok(());
        }
        let unknown = || Error::WatchNotFound { id: id.to_string() };
        let store = self.store.as_ref().ok_or_else(unknown)?;
        let until = Instant::now() + UNKNOWN;
        while !in_time(READ_LIMIT, store.has_watcher(id)).await? {
            if Instant::now() >= until {
                return Err(unknown());
            }
            sleep(AGAIN).await;
        }
        let mut foreign = self.foreign.lock().unwrap_or_else(PoisonError::into_inner);
        let known = foreign.entry(id).or_default();
        *known = token.revision.max(*known);
        Ok(())
    }

    /// All open streams: those of this replica as they are now, others as they were last written.
    ///
    /// # Errors
    /// [`Error::StoreUnavailable`].
    pub async fn list(&self) -> Result<Vec<Watcher>> {
        let Some(store) = &self.store else { return Ok(self.own()) };
        let mut all = in_time(READ_LIMIT, store.watchers(self.lifetime)).await?;
        // Others may have taken acknowledgements for streams of this one.
        for row in all.extract_if(.., |row| *row.replica == *self.replica) {
            if let Some(watcher) = self.watches.watchers().get(row.id.uuid()) {
                watcher.acknowledge(row.acknowledged);
            }
        }
        all.extend(self.own());
        Ok(all)
    }

    fn own(&self) -> Vec<Watcher> {
        let all = self.watches.watchers().all();
        let own = all.into_iter().map(|watcher| Watcher {
            id: Id::new(watcher.id),
            client: watcher.client.clone(),
            replica: self.replica.to_string(),
            since: watcher.since,
            acknowledged: watcher.acknowledged(),
        });
        own.collect()
    }

    /// Writes until `stop`; then no stream of this replica is left.
    pub async fn run(self, stop: CancellationToken) {
        let Some(store) = self.store.clone() else { return };
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut written = BTreeMap::new();
        let mut round = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            round = (round + 1) % SWEEP;
            if round == 0 {
                // The next round tries again.
                drop(in_time(WRITE_LIMIT, store.sweep_watchers(self.lifetime)).await);
                written.clear();
            }
            self.write(&store, &mut written).await;
        }
        drop(in_time(PERIOD, store.forget_watchers(&self.replica)).await);
    }

    /// Writes what is different from what was `written`. What cannot be written now is so the next time.
    async fn write(&self, store: &Store, written: &mut BTreeMap<WatcherId, Revision>) {
        let own = self.own();
        let foreign = self.foreign.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let open: BTreeSet<_> = own.iter().map(|watcher| watcher.id).collect();
        let news = own.iter().filter(|watcher| written.get(&watcher.id) != Some(&watcher.acknowledged));
        let acknowledged = news.map(|watcher| (watcher.id, watcher.acknowledged)).chain(foreign.clone());
        let batch = WatcherBatch {
            opened: own.iter().filter(|watcher| !written.contains_key(&watcher.id)).cloned().collect(),
            closed: written.keys().filter(|id| !open.contains(id)).copied().collect(),
            acknowledged: acknowledged.filter(|(_, revision)| revision.0 > 0).collect(),
        };
        if batch.is_empty() || in_time(WRITE_LIMIT, store.write_watchers(&batch)).await.is_err() {
            return;
        }
        *written = own.into_iter().map(|watcher| (watcher.id, watcher.acknowledged)).collect();
        let mut waiting = self.foreign.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|id, revision| foreign.get(id) != Some(revision));
    }
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T> {
    // On the heap: the futures of a database's connection are large.
    Ok(Box::pin(timeout(limit, work)).await.map_err(|_| Error::StoreUnavailable)??)
}
