//! Rows of `cluster`, `keyring`, `revision_counter` and `status_counter`.

use crate::domain::keyring::{Keyring, WrappedKey};
use crate::domain::{ChainHash, Head, Revision};
use crate::store::error::{Result, StoreError};
use crate::store::history::LogAnchor;
use crate::store::statement::row;
use crate::store::value::{DbId, Instant};

/// The key of tables that hold one row.
pub(in crate::store) const SINGLETON: i32 = 1;

row! {
    ClusterDbRow in cluster (singleton) {
        singleton: i32,
        cluster_id: DbId,
        create_time: Instant,
        active_key_id: String,
        revision: i64,
        update_time: Instant,
        updated_by: String,
    }
}

impl From<&ClusterDbRow> for Keyring {
    fn from(row: &ClusterDbRow) -> Self {
        Self {
            id: row.cluster_id.0,
            revision: Revision(row.revision),
            active_key_id: row.active_key_id.clone(),
            update_time: row.update_time.into(),
            updated_by: row.updated_by.clone(),
        }
    }
}

row! {
    KeyRow in keyring (purpose) {
        purpose: String,
        master_key_id: String,
        wrapped: Vec<u8>,
    }
}

impl From<&WrappedKey> for KeyRow {
    fn from(key: &WrappedKey) -> Self {
        Self { purpose: key.purpose.clone(), master_key_id: key.master_key_id.clone(), wrapped: key.wrapped.clone() }
    }
}

impl From<KeyRow> for WrappedKey {
    fn from(row: KeyRow) -> Self {
        Self { purpose: row.purpose, master_key_id: row.master_key_id, wrapped: row.wrapped }
    }
}

row! {
    CounterRow in revision_counter (singleton) {
        singleton: i32,
        value: i64,
        head_hash: Vec<u8>,
    }
}

impl From<Head> for CounterRow {
    fn from(head: Head) -> Self {
        Self { singleton: SINGLETON, value: head.revision.0, head_hash: head.hash.0.to_vec() }
    }
}

impl TryFrom<CounterRow> for Head {
    type Error = StoreError;

    fn try_from(row: CounterRow) -> Result<Self> {
        let hash = row.head_hash.try_into();
        let hash = hash.map_err(|_| StoreError::corrupt("revision_counter", "head_hash", row.singleton))?;
        Ok(Self { revision: Revision(row.value), hash: ChainHash(hash) })
    }
}

row! {
    StatusCounterRow in status_counter (singleton) {
        singleton: i32,
        value: i64,
    }
}

row! {
    AnchorRow in log_anchor (singleton) {
        singleton: i32,
        revision: i64,
        hash: Vec<u8>,
        seal: Vec<u8>,
    }
}

impl From<&LogAnchor> for AnchorRow {
    fn from(anchor: &LogAnchor) -> Self {
        let LogAnchor { head, seal } = anchor;
        Self { singleton: SINGLETON, revision: head.revision.0, hash: head.hash.0.to_vec(), seal: seal.0.to_vec() }
    }
}

impl TryFrom<AnchorRow> for LogAnchor {
    type Error = StoreError;

    fn try_from(row: AnchorRow) -> Result<Self> {
        let hash = |column, bytes: Vec<u8>| {
            let bytes = bytes.try_into().map_err(|_| StoreError::corrupt("log_anchor", column, row.singleton))?;
            Ok::<_, StoreError>(ChainHash(bytes))
        };
        let head = Head { revision: Revision(row.revision), hash: hash("hash", row.hash)? };
        Ok(Self { head, seal: hash("seal", row.seal)? })
    }
}
