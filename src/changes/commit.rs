//! COMMIT and its doubts: what happens when the answer does not come.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::write::Item;
use super::writer::step;
use crate::domain::{Error, Head, Revision};
use crate::store::{Store, StoreError, WriteTx};

/// Callers of a COMMIT that takes longer learn that its outcome is open.
const ANSWER: Duration = Duration::from_secs(2);
/// A COMMIT that takes longer counts as a lost connection.
const LOST: Duration = Duration::from_secs(5);
/// Between two attempts to find out what became of it.
const AGAIN: Duration = Duration::from_millis(250);

/// Why a round of the writer failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was written.
    Unavailable,
    Full,
    /// The database refused what the snapshot allowed.
    Constraint,
    /// A conflict with another transaction; nothing was written and trying again is right.
    Aborted,
    /// Somebody in the batch gave up before COMMIT was sent; it is to be run without that write.
    GivenUp,
    /// The snapshot is too far behind to catch up while the lock is held.
    Behind,
    /// The log is not the one that the snapshot came from.
    OtherHistory,
    /// COMMIT was sent and no answer came.
    Unknown,
    Bug,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = &error as &dyn std::error::Error, "a write failed in the database");
        match error {
            StoreError::Conflict(_) => Self::Aborted,
            StoreError::Full(_) => Self::Full,
            StoreError::Constraint { .. } => Self::Constraint,
            StoreError::CommitUnknown(_) => Self::Unknown,
            StoreError::Unavailable(_) => Self::Unavailable,
            _ => Self::Bug,
        }
    }
}

impl Failure {
    /// What the metrics call it, where it is the database's.
    pub const fn kind(self) -> Option<&'static str> {
        match self {
            Self::Unavailable => Some("unavailable"),
            Self::Full => Some("full"),
            Self::Constraint => Some("constraint"),
            Self::Aborted => Some("conflict"),
            Self::Unknown => Some("unknown"),
            Self::Bug => Some("refused"),
            Self::GivenUp | Self::Behind | Self::OtherHistory => None,
        }
    }

    /// What the callers are told.
    pub fn to_error(self) -> Error {
        match self {
            Self::Unavailable | Self::Aborted | Self::GivenUp | Self::Behind | Self::OtherHistory => {
                Error::StoreUnavailable
            }
            Self::Full => Error::StoreFull,
            Self::Unknown => Error::DeadlineExceeded,
            Self::Constraint | Self::Bug => Error::internal(),
        }
    }
}

/// Commits. The COMMIT is never abandoned before [`LOST`].
pub(super) async fn commit(transaction: WriteTx<'_>, items: &mut Vec<Item>) -> Result<(), Failure> {
    let committed = timeout(LOST, transaction.commit());
    match patiently(committed, items).await {
        Ok(result) => result.map_err(Failure::from),
        Err(_) => Err(Failure::Unknown),
    }
}

/// Finds out whether the transaction that would have brought the log to `head` was committed, for as long as it takes:
/// until then no other write of this process may begin.
pub(super) async fn resolve(store: &Store, head: Head, items: &mut Vec<Item>) -> Result<(), Failure> {
    tracing::warn!(revision = head.revision.0, "the outcome of a commit is open; looking for it");
    let found = async {
        loop {
            // On the heap: the futures of a database's connection are large.
            match Box::pin(is_committed(store, head)).await {
                Ok(found) => return found,
                Err(_) => sleep(AGAIN).await,
            }
        }
    };
    if patiently(found, items).await { Ok(()) } else { Err(Failure::Unavailable) }
}

/// Waits for an outcome to its end. Callers who would wait longer than [`ANSWER`] are told that it is open, and leave
/// `items`.
async fn patiently<T>(outcome: impl Future<Output = T>, items: &mut Vec<Item>) -> T {
    let mut outcome = pin!(outcome);
    if let Ok(known) = timeout(ANSWER, &mut outcome).await {
        return known;
    }
    for item in items.drain(..) {
        item.answer(Err(Error::DeadlineExceeded));
    }
    outcome.await
}

/// Looks for the revision and hash under the lock, so that a COMMIT still on its way cannot slip past.
async fn is_committed(store: &Store, head: Head) -> Result<bool, Failure> {
    let mut session = step(store.writer()).await?;
    let mut transaction = step(session.begin()).await?;
    let before = Revision(head.revision.0.saturating_sub(1));
    let rows = step(transaction.log_after(before, 1)).await?;
    step(transaction.rollback()).await?;
    Ok(rows.last().is_some_and(|row| row.revision == head.revision && row.hash == head.hash))
}
