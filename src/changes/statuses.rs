//! Status on its way: written in batches with an order of their own, followed by every replica.
//!
//! Status is not configuration: it takes no revision and no line in the log; only the latest value counts. One loop
//! follows the status of all replicas, woken by hints and by a poll every second ([`POLL`]).

use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::load::in_time;
use super::tail::{READ_LIMIT, Tail};
use crate::domain::image::{StatusBatch, StatusValue};
use crate::snapshot::StatusBoard;
use crate::store::{Claim, Hint, Store, StoreError};

/// How often the status of other replicas is read without being asked.
pub const POLL: Duration = Duration::from_secs(1);
/// A status that cannot be written in this time stays local.
const WRITE_LIMIT: Duration = Duration::from_secs(2);

/// Writes status and shows it on this process's board.
#[derive(Clone)]
pub struct Statuses {
    store: Store,
    board: StatusBoard,
    tail: Tail,
}

impl Statuses {
    #[must_use]
    pub const fn new(store: Store, board: StatusBoard, tail: Tail) -> Self {
        Self { store, board, tail }
    }

    #[must_use]
    pub const fn board(&self) -> &StatusBoard {
        &self.board
    }

    /// Writes the latest values and shows them here at once. When the database does not take them they are shown here
    /// only, until it tells others: status is worth less than an answer.
    pub async fn record(&self, values: Vec<StatusValue>) {
        self.record_under(None, values).await;
    }

    /// The same under a lease: once that is another replica's, the values are neither written nor shown.
    pub async fn record_under(&self, claim: Option<&Claim>, values: Vec<StatusValue>) {
        if let Err(error) = self.store_under(claim, &values).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "status could not be written; it is shown on this replica only"
            );
            self.board.record(&StatusBatch { revision: self.board.seen(), values });
        }
    }

    /// Writes the latest values and shows them here at once.
    ///
    /// # Errors
    /// When the database does not take them; then they are not shown either.
    pub async fn store(&self, values: &[StatusValue]) -> Result<(), StoreError> {
        self.store_under(None, values).await
    }

    async fn store_under(&self, claim: Option<&Claim>, values: &[StatusValue]) -> Result<(), StoreError> {
        if values.is_empty() {
            return Ok(());
        }
        if let Some(batch) = in_time(WRITE_LIMIT, self.write(claim, values)).await? {
            self.rewrap(&batch);
            self.board.record(&batch);
        }
        Ok(())
    }

    /// Secrets that were wrapped anew belong to the snapshot, not to the board.
    fn rewrap(&self, batch: &StatusBatch) {
        let rewrapped = |value: &StatusValue| match value {
            StatusValue::Rewrapped(sealed) => Some(sealed.clone()),
            _ => None,
        };
        let sealed: Vec<_> = batch.values.iter().filter_map(rewrapped).collect();
        if !sealed.is_empty() {
            self.tail.rewrapped(sealed);
        }
    }

    /// Reads what was written since the last time; everything, when the counter went back (a backup was restored) or
    /// the tail has loaded another history.
    async fn read_on(&self, reloaded: bool) -> Result<StatusBatch, StoreError> {
        let seen = self.board.seen();
        let read = if reloaded { self.store.load_statuses().boxed() } else { self.store.statuses_after(seen).boxed() };
        let batch = in_time(READ_LIMIT, read).await?;
        if reloaded || batch.revision < seen {
            tracing::warn!("the status of everything was read anew");
            self.board.reset(&batch);
        } else {
            self.board.apply(&batch);
        }
        Ok(batch)
    }

    /// `None`: the lease is another replica's, and nothing was written.
    async fn write(&self, claim: Option<&Claim>, values: &[StatusValue]) -> Result<Option<StatusBatch>, StoreError> {
        let mut transaction = self.store.status_tx().await?;
        if let Some(claim) = claim
            && !transaction.check_lease(claim).await?
        {
            return Ok(None);
        }
        let revision = transaction.revision().await?;
        transaction.put(values).await?;
        transaction.commit().await?;
        Ok(Some(StatusBatch { revision, values: values.to_vec() }))
    }

    /// Follows the status that other replicas write, until `stop`.
    pub async fn follow(self, stop: CancellationToken) {
        let contact = self.tail.contact();
        // Also a load from before this loop began makes what was read at the start void.
        let mut loads = 0;
        let mut away = false;
        let mut hints = self.store.notifications();
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                hint = hints.recv() => if hint == Hint::Changes { continue },
                _ = poll.tick() => {}
            }
            let now = contact.borrow().loads;
            // The tail tells when the database does not answer; here the next round is the retry.
            match self.read_on(now != loads).await {
                Ok(batch) => {
                    loads = now;
                    self.rewrap(&batch);
                    if std::mem::take(&mut away) {
                        hints.renew();
                    }
                }
                Err(_) => away = true,
            }
        }
    }
}
