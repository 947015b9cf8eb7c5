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
use crate::store::{Engine, ReplicaRow, StoreError};

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
        // In this order: what a replica tells later than the database is not older than that.
        let Uses { counts, cluster } = bounded(self.uses()).await?;
        let replicas = bounded(self.replicas()).await?;
        let mut ids: Vec<String> = self.secrets().ring().ids();
        ids.extend(replicas.iter().flat_map(|replica| replica.readable_key_ids.iter().cloned()));
        ids.extend(counts.keys().chain(&cluster).cloned());
        ids.push(keyring.active_key_id.clone());
        ids.sort_unstable();
        ids.dedup();
        let keys = ids.into_iter().map(|id| {
            let secret_count = counts.get(&id).copied().unwrap_or(0);
            let active = id == keyring.active_key_id;
            let reads = |replica: &&ReplicaRow| replica.readable_key_ids.contains(&id);
            let readable_by = replicas.iter().filter(reads).map(|replica| replica.replica_id.clone()).collect();
            let unused = secret_count == 0 && !cluster.contains(&id);
            let retirable = !active && unused && !replicas.iter().any(|replica| may_need(replica, &id, &keyring));
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

    /// Who reads which key.
    async fn readers(&self) -> Result<Readers, StoreError> {
        let replicas = self.replicas().await?.into_iter();
        let replicas = replicas.map(|replica| (replica.replica_id, replica.readable_key_ids)).collect();
        Ok(Readers { here: self.secrets().ring().ids(), replicas })
    }

    /// The live replicas: this one as it is now, the others as they last said.
    async fn replicas(&self) -> Result<Vec<ReplicaRow>, StoreError> {
        let live = match self.parts.store.engine() {
            Engine::Postgres => self.parts.store.live_replicas(REPLICA_LIFETIME).await?,
            // An embedded database has one process: what else it remembers was this one before it was started anew.
            Engine::Sqlite => Vec::new(),
        };
        let me = self.sign_of_life();
        Ok(live.into_iter().filter(|replica| replica.replica_id != me.replica_id).chain([me.clone()]).collect())
    }

    /// What this replica tells the others.
    pub(super) fn sign_of_life(&self) -> ReplicaRow {
        let snapshot = self.snapshot().load();
        let now = self.now();
        // A version that has had its time stays in memory for a while, but nobody opens it any more.
        let needed = snapshot.all_sealed().filter(|sealed| {
            let owner = snapshot.credential_entry(sealed.credential_id);
            owner.is_some_and(|owner| owner.value().is_readable(sealed.version, now))
        });
        let used: BTreeSet<_> = needed.map(|sealed| &sealed.master_key_id).collect();
        ReplicaRow {
            replica_id: self.parts.replica_id.clone(),
            readable_key_ids: self.secrets().ring().ids(),
            used_key_ids: Some(used.into_iter().cloned().collect()),
            applied_revision: snapshot.head().revision,
        }
    }

    async fn uses(&self) -> Result<Uses, StoreError> {
        let counts = self.parts.store.count_secrets_by_key().await?.into_iter().collect();
        let cluster = self.parts.store.cluster().await?;
        let cluster = cluster.into_iter().flat_map(|row| row.keys).map(|key| key.master_key_id).collect();
        Ok(Uses { counts, cluster })
    }
}

/// Whether a replica's memory may hold what this master key wraps, or come to hold it: before it has applied the last
/// change of the active key it seals under the one before, and one of an older version does not tell.
fn may_need(replica: &ReplicaRow, key_id: &String, keyring: &Keyring) -> bool {
    replica.applied_revision < keyring.revision || replica.used_key_ids.as_ref().is_none_or(|ids| ids.contains(key_id))
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
