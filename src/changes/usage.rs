//! Uses of credentials and models: counted in memory at once, added to the stored counts in batches.
//!
//! Invariant: what is written is what is to be added, within a batch of status that holds the status counter: replicas
//! add up and never overwrite each other. One loop, every `flush` (setting `usage.flush_interval`) and once at the end.
//!
//! A batch whose COMMIT was sent and not answered is sent again: after a lost connection some uses may count twice, none
//! is lost. A process that is killed loses what it counted since its last batch.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::flush::now_and_then;
use super::load::in_time;
use crate::domain::credential::Credential;
use crate::domain::image::{StatusBatch, StatusRevision, StatusValue};
use crate::domain::model::Model;
use crate::domain::usage::Counted as _;
use crate::snapshot::{StatusBoard, UsesOf};
use crate::store::{StatusTx, Store, StoreError};

/// So many resources are written in a transaction.
const AT_ONCE: usize = 2000;
/// So long a batch may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Counts uses.
#[derive(Clone)]
pub struct UsageCounts {
    store: Store,
    board: StatusBoard,
    flush: Duration,
}

impl UsageCounts {
    #[must_use]
    pub const fn new(store: Store, board: StatusBoard, flush: Duration) -> Self {
        Self { store, board, flush }
    }

    /// Counts uses: from here on they show and count on this process.
    pub fn add(&self, credentials: &UsesOf<Credential>, models: &UsesOf<Model>) {
        if !credentials.is_empty() || !models.is_empty() {
            self.board.count(credentials, models);
        }
    }

    /// Writes what was counted, now and then.
    pub async fn write(self, stop: CancellationToken) {
        now_and_then(self.flush, stop, "uses", || self.flush()).await;
    }

    /// Writes all that was counted.
    ///
    /// # Errors
    /// When the database does not take it; then it is kept.
    pub async fn flush(&self) -> Result<(), StoreError> {
        while self.board.has_uses() {
            let batch: BoxFuture<'_, _> = Box::pin(self.batch());
            in_time(LIMIT, batch).await?;
        }
        Ok(())
    }

    async fn batch(&self) -> Result<(), StoreError> {
        let mut transaction = self.store.status_tx().await?;
        let revision = transaction.revision().await?;
        let mut flight = Flight::depart(&self.board, revision);
        let values = flight.fold(&mut transaction).await?;
        transaction.put(&values).await?;
        transaction.commit().await?;
        flight.arrive(values);
        Ok(())
    }
}

/// Uses on their way to the store: they come back when it does not take them.
struct Flight<'a> {
    board: &'a StatusBoard,
    revision: StatusRevision,
    credentials: UsesOf<Credential>,
    models: UsesOf<Model>,
    arrived: bool,
}

impl<'a> Flight<'a> {
    fn depart(board: &'a StatusBoard, revision: StatusRevision) -> Self {
        let (credentials, models) = board.depart(revision, AT_ONCE);
        Self { board, revision, credentials, models, arrived: false }
    }

    /// The stored counts with the uses.
    async fn fold(&self, transaction: &mut StatusTx) -> Result<Vec<StatusValue>, StoreError> {
        let ids: Vec<_> = self.credentials.keys().copied().collect();
        let mut stored = transaction.credential_usages(&ids).await?;
        let credentials = self
            .credentials
            .iter()
            .map(|(id, uses)| StatusValue::CredentialUsage(*id, stored.remove(id).unwrap_or_default().with(uses)));
        let mut values: Vec<_> = credentials.collect();
        let ids: Vec<_> = self.models.keys().copied().collect();
        let mut stored = transaction.model_usages(&ids).await?;
        let models = self.models.iter();
        values.extend(
            models.map(|(id, uses)| StatusValue::ModelUsage(*id, stored.remove(id).unwrap_or_default().with(uses))),
        );
        Ok(values)
    }

    fn arrive(&mut self, values: Vec<StatusValue>) {
        self.arrived = true;
        let batch = StatusBatch { revision: self.revision, values };
        self.board.landed(&self.credentials, &self.models, Some(&batch));
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.arrived {
            self.board.landed(&self.credentials, &self.models, None);
        }
    }
}
