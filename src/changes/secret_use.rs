//! The record of secrets that were handed out: counted in memory, written in batches; or, where the setting
//! `usage.strict_secret_use` says so, written before the secret is answered.
//!
//! One loop, every `flush` and once at the end. A process that is killed loses what it counted since its last batch,
//! unless it is strict.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::flush::now_and_then;
use super::load::in_time;
use crate::domain::secret_use::{SecretUse, SecretUseKey, UseCount};
use crate::store::{Store, StoreError};

/// A strict record waits no longer for the database, so a call does not either.
const STRICT_LIMIT: Duration = Duration::from_secs(2);
/// So long a batch may take.
const LIMIT: Duration = Duration::from_secs(5);
/// So many lines are written in a transaction.
const AT_ONCE: usize = 1000;

/// Records secrets that were handed out. Cheap to clone.
#[derive(Clone)]
pub struct SecretUses {
    store: Store,
    counted: Arc<Mutex<HashMap<SecretUseKey, UseCount>>>,
    flush: Duration,
    strict: bool,
}

impl SecretUses {
    #[must_use]
    pub fn new(store: Store, flush: Duration, strict: bool) -> Self {
        Self { store, counted: Arc::default(), flush, strict }
    }

    /// Records uses, before what they are uses of is answered.
    ///
    /// # Errors
    /// Where the record is strict: the database did not take it.
    pub async fn record(&self, uses: Vec<SecretUse>) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        if self.strict {
            let uses = summed(uses);
            return in_time(STRICT_LIMIT, Box::pin(self.store.add_secret_uses(&uses))).await;
        }
        self.keep(uses);
        Ok(())
    }

    fn counted(&self) -> MutexGuard<'_, HashMap<SecretUseKey, UseCount>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, uses: impl IntoIterator<Item = SecretUse>) {
        let mut counted = self.counted();
        for SecretUse { key, uses } in uses {
            counted.entry(key).and_modify(|known| known.add(uses)).or_insert(uses);
        }
    }

    /// Writes what was counted, now and then.
    pub async fn write(self, stop: CancellationToken) {
        now_and_then(self.flush, stop, "secrets that were handed out", || self.flush()).await;
    }

    /// Writes all that was counted.
    ///
    /// # Errors
    /// When the database does not take it; then it is kept.
    pub async fn flush(&self) -> Result<(), StoreError> {
        loop {
            let mut batch = self.take();
            if batch.lines.is_empty() {
                return Ok(());
            }
            in_time(LIMIT, Box::pin(self.store.add_secret_uses(&batch.lines))).await?;
            batch.lines.clear();
        }
    }

    fn take(&self) -> Batch<'_> {
        let mut counted = self.counted();
        let keys: Vec<_> = counted.keys().take(AT_ONCE).cloned().collect();
        let lines = keys.into_iter().filter_map(|key| counted.remove(&key).map(|uses| SecretUse { key, uses }));
        Batch { of: self, lines: lines.collect() }
    }
}

/// Lines on their way to the store: they come back when it does not take them, also when whoever waited for that has
/// gone away.
struct Batch<'a> {
    of: &'a SecretUses,
    lines: Vec<SecretUse>,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.of.keep(std::mem::take(&mut self.lines));
    }
}

/// One line for each key: a statement may touch a row only once.
fn summed(uses: Vec<SecretUse>) -> Vec<SecretUse> {
    let mut sums = HashMap::<SecretUseKey, UseCount>::new();
    for SecretUse { key, uses } in uses {
        sums.entry(key).and_modify(|known| known.add(uses)).or_insert(uses);
    }
    sums.into_iter().map(|(key, uses)| SecretUse { key, uses }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::testing::Database;
    use crate::domain::secret_use::SecretUseFilter;
    use crate::snapshot::fixtures::{at, id};

    fn one() -> SecretUse {
        SecretUse { key: SecretUseKey::at(id(1), 1, "who", "rpc", at(5)), uses: UseCount::once(at(5)) }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_lost_when_whoever_writes_goes_away_and_what_is_added_adds_up() {
        let database = Database::new().await;
        let uses = SecretUses::new(database.store.clone(), Duration::from_secs(10), false);
        uses.record(vec![one(), one()]).await.unwrap();
        let batch = uses.take();
        assert_eq!((batch.lines.len(), uses.counted().len()), (1, 0));
        drop(batch);
        assert_eq!(uses.counted().len(), 1);
        uses.flush().await.unwrap();
        uses.record(vec![one()]).await.unwrap();
        uses.flush().await.unwrap();
        assert!(uses.counted().is_empty());
        let lines = database.store.secret_uses(&SecretUseFilter::default(), &[], None, 10).await.unwrap();
        assert_eq!(lines.iter().map(|line| line.uses.count).collect::<Vec<_>>(), [3]);
    }
}
