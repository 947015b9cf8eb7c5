//! The record of secrets that were handed out: counted in memory, written in batches; or, where the setting
//! `usage.strict_secret_use` says so, written before the secret is answered.
//!
//! One loop, every `flush` and once at the end. A process that is killed loses what it counted since its last batch,
//! unless it is strict.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

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
        loop {
            let ended = tokio::time::timeout(self.flush, stop.cancelled()).await.is_ok();
            if let Err(error) = self.flush().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the record of secrets that were handed out could not be written; it is kept and written later"
                );
            }
            if ended {
                return;
            }
        }
    }

    /// Writes all that was counted.
    ///
    /// # Errors
    /// When the database does not take it; then it is kept.
    pub async fn flush(&self) -> Result<(), StoreError> {
        loop {
            let batch: Vec<_> = {
                let mut counted = self.counted();
                let keys: Vec<_> = counted.keys().take(AT_ONCE).cloned().collect();
                keys.into_iter().filter_map(|key| counted.remove(&key).map(|uses| SecretUse { key, uses })).collect()
            };
            if batch.is_empty() {
                return Ok(());
            }
            if let Err(error) = in_time(LIMIT, Box::pin(self.store.add_secret_uses(&batch))).await {
                self.keep(batch);
                return Err(error);
            }
        }
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
