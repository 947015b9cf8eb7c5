//! Where a stream begins: a place in the log, and proof that it is a place of this log.
//!
//! A token is accepted only if the log has the hash that it names, so a restored backup never goes unnoticed.

use std::time::Duration;

use tokio::time::timeout;

use super::past::Past;
use super::watches::Shared;
use crate::domain::image::StatusRevision;
use crate::domain::{Error, Result, Revision};
use crate::store::StoreError;
use crate::wire::watch::{ResumeToken, ShortHash};

/// How long the database may take to tell how far the log goes.
const HEAD_LIMIT: Duration = Duration::from_secs(2);
/// How long this replica may take to get there.
const CATCH_UP: Duration = Duration::from_secs(5);
/// How long the database may take to find a revision.
pub(super) const FIND_LIMIT: Duration = Duration::from_secs(5);

/// Where a client wants to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Now,
    /// With the changes after this revision.
    After(Revision),
    Token(ResumeToken),
}

/// The last revision that a client has, and which statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Located {
    pub revision: Revision,
    pub hash: ShortHash,
    /// Up to where the client has seen status; none: it wants only what comes.
    pub status: Option<StatusRevision>,
}

impl Shared {
    /// Finds the place where a stream begins.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::HistoryChanged`], [`Error::ReplicaBehind`]; [`Error::StoreUnavailable`] where the
    /// database has to be asked.
    pub async fn locate(&self, start: Start) -> Result<Located> {
        match start {
            Start::Now => {
                let head = self.parts.snapshot.head();
                Ok(Located { revision: head.revision, hash: head.hash.into(), status: None })
            }
            Start::After(revision) => {
                let hash = self.hash_at(revision).await?;
                Ok(Located { revision, hash, status: Some(StatusRevision(i64::MIN)) })
            }
            Start::Token(token) => {
                self.check(&token).await?;
                Ok(Located { revision: token.revision, hash: token.hash, status: Some(self.parts.past.seen(&token)) })
            }
        }
    }

    /// Whether a token is one of this history.
    ///
    /// # Errors
    /// As [`locate`](Self::locate).
    pub async fn check(&self, token: &ResumeToken) -> Result<()> {
        if token.cluster_id != self.parts.past.cluster_id() {
            return Err(Error::HistoryChanged);
        }
        let found = self.hash_at(token.revision).await;
        if matches!(found, Err(Error::ReplicaBehind { .. })) {
            self.parts.past.judge(token).await?;
        }
        if found? == token.hash { Ok(()) } else { Err(Error::HistoryChanged) }
    }

    async fn hash_at(&self, revision: Revision) -> Result<ShortHash> {
        if revision > self.parts.snapshot.head().revision {
            self.reach(revision).await?;
        }
        if let Some(hash) = self.history.hash_at(revision) {
            return Ok(hash);
        }
        let head = self.parts.snapshot.head();
        if head.revision == revision {
            return Ok(head.hash.into());
        }
        self.parts.past.find(revision, self.history.begin()).await
    }

    /// Waits until this replica has a revision that a client has seen elsewhere.
    async fn reach(&self, revision: Revision) -> Result<()> {
        let behind = || Error::ReplicaBehind { current: self.parts.snapshot.head().revision };
        if let Past::Database { store, tail, .. } = &self.parts.past {
            let head = Box::pin(timeout(HEAD_LIMIT, store.head())).await;
            let head = head.map_err(|_| behind())?.map_err(|_: StoreError| behind())?;
            if head.revision < revision {
                return Err(Error::HistoryChanged);
            }
            tail.hint();
        }
        self.parts.snapshot.wait_for(revision, CATCH_UP).await.map(drop)
    }
}
