//! The key ring: which master keys there are, who reads them, and the change of the active one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::timeout;

use super::upkeep::REPLICA_LIFETIME;
use super::{Control, Mutation, expect_answer};
use crate::changes::write::PATIENCE;
use crate::domain::keyring::Keyring;
use crate::domain::keyring::plan::{self, Readers};
use crate::domain::{Error, Result, Revision, View as _};
use crate::store::{Engine, StoreError};

/// A master key, as far as it may be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyStatus {
    pub id: String,
    pub active: bool,
    /// Data keys that it wraps.
    pub secret_count: i64,
    /// The live replicas that can read it.
    pub readable_by: Vec<String>,
    /// Nothing needs it any more.
    pub retirable: bool,
}

/// The key ring and how far wrapping under the active key has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyringStatus {
    pub keyring: Arc<Keyring>,
    pub keys: Vec<KeyStatus>,
    /// Data keys in all.
    pub total: i64,
    /// Data keys under the active master key.
    pub done: i64,
}

impl Control {
    /// # Errors
    /// [`Error::StoreUnavailable`].
    pub async fn keyring_status(&self) -> Result<KeyringStatus> {
        let keyring = self.snapshot().load().keyring();
        let Uses { counts, cluster } = bounded(self.uses()).await?;
        let readers = bounded(self.readers()).await?;
        let mut ids: Vec<String> = readers.here.clone();
        ids.extend(readers.replicas.iter().flat_map(|(_, ids)| ids.iter().cloned()));
        ids.extend(counts.keys().chain(&cluster).cloned());
        ids.push(keyring.active_key_id.clone());
        ids.sort_unstable();
        ids.dedup();
        let keys = ids.into_iter().map(|id| {
            let secret_count = counts.get(&id).copied().unwrap_or(0);
            let active = id == keyring.active_key_id;
            let reads = |(_, ids): &&(String, Vec<String>)| ids.contains(&id);
            let readable_by = readers.replicas.iter().filter(reads).map(|(replica, _)| replica.clone()).collect();
            let retirable = !active && secret_count == 0 && !cluster.contains(&id);
            KeyStatus { id, active, secret_count, readable_by, retirable }
        });
        let keys: Vec<_> = keys.collect();
        let total = keys.iter().map(|key| key.secret_count).sum();
        let done = keys.iter().filter(|key| key.active).map(|key| key.secret_count).sum();
        Ok(KeyringStatus { keyring, keys, total, done })
    }

    /// Makes another master key the active one. Its file is read again first, so that a key that was just added is
    /// found.
    ///
    /// # Errors
    /// As [`plan::rotate`], and what the writer meets.
    pub async fn rotate_master_key(
        &self,
        mutation: Mutation,
        key_id: String,
        expected: Option<Revision>,
    ) -> Result<Arc<Keyring>> {
        if let Err(error) = self.secrets().ring().reload() {
            tracing::warn!(error = &error as &dyn std::error::Error, "the master keys were not read again");
        }
        let readers = bounded(self.readers()).await?;
        expect_answer!(
            self.write(mutation, move |view, context| plan::rotate(&key_id, &readers, expected, view, context)).await?,
            Keyring
        )
    }

    /// Who reads which key: this replica as it is now, the others as they last said.
    async fn readers(&self) -> Result<Readers, StoreError> {
        let here = self.secrets().ring().ids();
        let me = &self.parts.replica_id;
        let live = match self.parts.store.engine() {
            Engine::Postgres => self.parts.store.live_replicas(REPLICA_LIFETIME).await?,
            // An embedded database has one process: what else it remembers was this one before it was started anew.
            Engine::Sqlite => Vec::new(),
        };
        let others = live.into_iter().filter(|replica| replica.replica_id != *me);
        let mut replicas: Vec<_> = others.map(|replica| (replica.replica_id, replica.readable_key_ids)).collect();
        replicas.push((me.clone(), here.clone()));
        Ok(Readers { here, replicas })
    }

    async fn uses(&self) -> Result<Uses, StoreError> {
        let counts = self.parts.store.count_secrets_by_key().await?.into_iter().collect();
        let cluster = self.parts.store.cluster().await?;
        let cluster = cluster.into_iter().flat_map(|row| row.keys).map(|key| key.master_key_id).collect();
        Ok(Uses { counts, cluster })
    }
}

/// What the master keys wrap.
struct Uses {
    counts: BTreeMap<String, i64>,
    /// The master keys that wrap the cluster's own keys: without these no server starts.
    cluster: BTreeSet<String>,
}

/// A read of the database for an answer: a frozen one still acknowledges TCP.
async fn bounded<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T> {
    match timeout(PATIENCE, read).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the key ring's status cannot be read");
            Err(error.into())
        }
        Err(_) => Err(Error::StoreUnavailable),
    }
}
