//! The log behind what is in memory: in the database, or with whom a process follows.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::time::timeout;
use uuid::Uuid;

use super::resume::FIND_LIMIT;
use super::tail::Tail;
use crate::domain::image::StatusRevision;
use crate::domain::{Error, Result, Revision};
use crate::secrets::Secrets;
use crate::store::Store;
use crate::wire::watch::{ResumeToken, ShortHash};

/// Where the log is of which only the end is in memory.
#[derive(Clone)]
pub enum Past {
    Database {
        store: Store,
        secrets: Secrets,
        tail: Tail,
    },
    /// This process has no log: what is not in memory is gone from here.
    Elsewhere(Arc<dyn Origin>),
}

/// Whom a process follows that has no log of its own.
pub trait Origin: Send + Sync {
    /// Whose configuration it is.
    fn cluster_id(&self) -> Uuid;

    /// Whether the log over there has a place that this process has not come to.
    ///
    /// # Errors
    /// [`Error::HistoryChanged`], [`Error::Compacted`]; that it cannot be asked.
    fn check(&self, token: ResumeToken) -> BoxFuture<'_, Result<()>>;
}

impl Past {
    /// Whose configuration it is.
    #[must_use]
    pub fn cluster_id(&self) -> Uuid {
        match self {
            Self::Database { secrets, .. } => secrets.cluster_id(),
            Self::Elsewhere(origin) => origin.cluster_id(),
        }
    }

    /// Up to where a client has seen the statuses. Who follows another process numbers them in its own way: there a
    /// client that comes back is told all of them.
    pub(super) const fn seen(&self, token: &ResumeToken) -> StatusRevision {
        match self {
            Self::Database { .. } => token.status,
            Self::Elsewhere(_) => StatusRevision(i64::MIN),
        }
    }

    /// Whether a place beyond memory, which was waited for in vain, is one of this log at all.
    ///
    /// # Errors
    /// As [`Origin::check`].
    pub(super) async fn judge(&self, token: &ResumeToken) -> Result<()> {
        match self {
            // It was compared with the head of the database.
            Self::Database { .. } => Ok(()),
            Self::Elsewhere(origin) => origin.check(*token).await,
        }
    }

    /// The hash of a revision that is not in memory any more. `begin`: what is in memory begins behind it.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::HistoryChanged`]; [`Error::StoreUnavailable`].
    pub(super) async fn find(&self, revision: Revision, begin: Revision) -> Result<ShortHash> {
        match self {
            // On the heap: the futures of a database's connection are large.
            Self::Database { store, .. } => {
                Box::pin(timeout(FIND_LIMIT, find(store, revision))).await.map_err(|_| Error::StoreUnavailable)?
            }
            Self::Elsewhere(_) => Err(Error::Compacted { oldest: begin }),
        }
    }
}

async fn find(store: &Store, revision: Revision) -> Result<ShortHash> {
    if let Some(hash) = store.find_commit(revision).await? {
        return Ok(hash.into());
    }
    let oldest = store.log_begin().await?;
    if revision < oldest {
        return Err(Error::Compacted { oldest });
    }
    // Before the first revision there is no change to have a hash.
    if revision.0 == 0 { Ok(ShortHash::default()) } else { Err(Error::HistoryChanged) }
}
