//! The cluster: its id and the keys that its data is bound to, made once by whoever finds the database empty.

use crate::domain::{Clock, IdSource};
use crate::secrets::{ClusterKeys, KeyRing, SecretError, Secrets};
use crate::store::{ClusterRow, Store, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secrets(#[from] SecretError),
}

/// Opens the cluster's keys with the master keys at hand; initialises an empty database first. Of several processes
/// that find it empty one wins, and all use what that one wrote.
///
/// # Errors
/// When the database does not answer, or the master keys are not the ones that it was made with: the message names
/// key ids only.
pub async fn open(
    store: &Store,
    ring: KeyRing,
    clock: &dyn Clock,
    ids: &dyn IdSource,
) -> Result<Secrets, ClusterError> {
    let row = match store.cluster().await? {
        Some(row) => row,
        None => store.initialise(&fresh(&ring, clock, ids)?).await?,
    };
    let keys = unlock(&ring, &row)?;
    Ok(Secrets::new(ring, keys, row.cluster_id))
}

/// Opens the keys of a cluster: the proof that the master keys at hand are its own. The active one must be among them,
/// even if it does not wrap anything yet: without it nothing could be sealed.
///
/// # Errors
/// A master key that is missing or is not the right one, by its id.
pub fn unlock(ring: &KeyRing, row: &ClusterRow) -> Result<ClusterKeys, SecretError> {
    let keys = ClusterKeys::open(ring, row.cluster_id, &row.keys)?;
    ring.require(&row.active_key_id)?;
    Ok(keys)
}

fn fresh(ring: &KeyRing, clock: &dyn Clock, ids: &dyn IdSource) -> Result<ClusterRow, SecretError> {
    let cluster_id = ids.next();
    let active_key_id = ring.first_id();
    let (_, keys) = ClusterKeys::create(ring, &active_key_id, cluster_id)?;
    Ok(ClusterRow { cluster_id, active_key_id, keys, create_time: clock.now() })
}
