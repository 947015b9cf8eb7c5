//! Loading the whole configuration: at the start, and when what is held turns out to be wrong.

use std::time::Duration;

use tokio::time::timeout;

use super::tail::READ_LIMIT;
use crate::snapshot::Snapshot;
use crate::store::{Cause, Store, StoreError};

/// What the database holds, at one revision. However much that is, it is read page by page.
///
/// # Errors
/// What the database says; that it does not answer, when a page takes too long.
pub async fn load(store: &Store) -> Result<Snapshot, StoreError> {
    let mut reader = in_time(READ_LIMIT, store.read_image()).await?;
    let mut snapshot = Snapshot::empty(reader.head(), reader.keyring().clone());
    while let Some(page) = in_time(READ_LIMIT, reader.next()).await? {
        snapshot.add(page);
    }
    reader.close().await?;
    Ok(snapshot)
}

/// Bounds work of the database: a frozen one still acknowledges TCP.
pub(super) async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = |_| StoreError::Unavailable(Cause("it did not answer in time".into()));
    timeout(limit, work).await.map_err(late)?
}
