//! Status on its way: written in batches with an order of their own, followed by every replica.
//!
//! Status is not configuration: it takes no revision and no line in the log; only the latest value counts. One loop
//! follows the status of all replicas, woken by hints and by a poll every second ([`POLL`]).

use std::time::Duration;

use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::tail::Tail;
use crate::domain::image::{StatusBatch, StatusValue};
use crate::snapshot::StatusBoard;
use crate::store::{Hint, Store, StoreError};

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

    /// Writes the latest values and shows them here at once. When the database does not answer they are shown here
    /// only: status is worth less than an answer.
    pub async fn record(&self, values: Vec<StatusValue>) {
        if values.is_empty() {
            return;
        }
        let written = timeout(WRITE_LIMIT, self.write(&values)).await;
        match written {
            Ok(Ok(batch)) => {
                self.rewrap(&batch);
                self.board.record(&batch);
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "status could not be written; it is shown on this replica only");
                self.show_here(values);
            }
            Err(_) => {
                tracing::warn!("the database did not take status in time; it is shown on this replica only");
                self.show_here(values);
            }
        }
    }

    /// Shows values that are not stored, until the store tells others.
    fn show_here(&self, values: Vec<StatusValue>) {
        for value in values {
            if let StatusValue::Health(id, health) = value {
                self.board.set_local(id, health);
            }
        }
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

    /// Reads what was written since the last time; everything, when the counter went back: a backup was restored.
    async fn read_on(&self) -> Result<StatusBatch, StoreError> {
        let batch = self.store.statuses_after(self.board.seen()).await?;
        if batch.revision >= self.board.seen() {
            self.board.apply(&batch);
            return Ok(batch);
        }
        tracing::warn!("the status counter of the database went back; reading all status anew");
        let all = self.store.load_statuses().await?;
        self.board.reset(&all);
        Ok(all)
    }

    async fn write(&self, values: &[StatusValue]) -> Result<StatusBatch, StoreError> {
        let mut transaction = self.store.status_tx().await?;
        let revision = transaction.revision().await?;
        transaction.put(values).await?;
        transaction.commit().await?;
        Ok(StatusBatch { revision, values: values.to_vec() })
    }

    /// Follows the status that other replicas write, until `stop`.
    pub async fn follow(self, stop: CancellationToken) {
        let mut hints = self.store.notifications();
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                hint = hints.recv() => if hint == Hint::Changes { continue },
                _ = poll.tick() => {}
            }
            // The tail tells when the database does not answer; here the next round is the retry.
            if let Ok(batch) = self.read_on().await {
                self.rewrap(&batch);
            }
        }
    }
}
