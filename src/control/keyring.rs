//! The key ring: which master keys there are, who reads them, and the change of the active one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::upkeep::REPLICA_LIFETIME;
use super::{Control, Mutation, expect_answer};
use crate::domain::keyring::Keyring;
use crate::domain::keyring::plan::{self, Readers};
use crate::domain::{Error, Result, Revision, View as _};
use crate::store::StoreError;

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
        let counts: BTreeMap<String, i64> =
            self.parts.store.count_secrets_by_key().await.map_err(told)?.into_iter().collect();
        // The cluster's own keys count too: without them no server starts.
        let cluster = self.parts.store.cluster().await.map_err(told)?;
        let own: Vec<String> = cluster.into_iter().flat_map(|row| row.keys).map(|key| key.master_key_id).collect();
        let readers = self.readers().await?;
        let mut ids: Vec<String> = readers.here.clone();
        ids.extend(own.iter().cloned());
        ids.extend(readers.replicas.iter().flat_map(|(_, ids)| ids.iter().cloned()));
        ids.extend(counts.keys().cloned());
        ids.push(keyring.active_key_id.clone());
        ids.sort_unstable();
        ids.dedup();
        let keys = ids.into_iter().map(|id| {
            let secret_count = counts.get(&id).copied().unwrap_or(0);
            let active = id == keyring.active_key_id;
            let reads = |(_, ids): &&(String, Vec<String>)| ids.contains(&id);
            let readable_by = readers.replicas.iter().filter(reads).map(|(replica, _)| replica.clone()).collect();
            let retirable = !active && secret_count == 0 && !own.contains(&id);
            KeyStatus { active, secret_count, readable_by, retirable, id }
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
            tracing::warn!(error = %error, "the master keys were not read again");
        }
        let readers = self.readers().await?;
        expect_answer!(
            self.write(mutation, move |view, context| plan::rotate(&key_id, &readers, expected, view, context)).await?,
            Keyring
        )
    }

    /// Who reads which key: this replica as it is now, the others as they last said.
    async fn readers(&self) -> Result<Readers> {
        let here = self.secrets().ring().ids();
        let me = &self.parts.replica_id;
        let live = self.parts.store.live_replicas(REPLICA_LIFETIME).await.map_err(told)?;
        let others = live.into_iter().filter(|replica| replica.replica_id != *me);
        let mut replicas: Vec<_> = others.map(|replica| (replica.replica_id, replica.readable_key_ids)).collect();
        replicas.push((me.clone(), here.clone()));
        Ok(Readers { here, replicas })
    }
}

fn told(error: StoreError) -> Error {
    tracing::warn!(error = %error, "the key ring's status cannot be read");
    error.into()
}
