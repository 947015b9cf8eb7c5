//! Where health and the lease are kept, as this module needs it: two questions to the store.
//!
//! Invariant: a batch that claims an epoch is written only if the lease still has it, checked within its transaction;
//! stored values are read and replaced under the status counter, so folding is ordered over all replicas.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::backlog::{Finding, Turn};
use crate::domain::EndpointId;
use crate::domain::health::EndpointHealth;
use crate::domain::image::{StatusBatch, StatusRevision, StatusValue};
use crate::lease::{Epoch, Leases, StoreLease};
use crate::store::{Store, StoreError};

/// The name of the lease.
const LEASE: &str = "health";

#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerError {
    /// The lease is another replica's; nothing was written.
    #[error("the lease for health checks is another replica's")]
    LeaseLost,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the database did not take it in time")]
    Late,
}

/// A batch that was written: what it made of each endpoint, in the order of its findings.
#[derive(Debug)]
pub(super) struct Written {
    pub revision: StatusRevision,
    pub turns: Vec<(EndpointId, Turn)>,
}

impl Written {
    pub fn batch(&self) -> StatusBatch {
        StatusBatch { revision: self.revision, values: values(&self.turns) }
    }
}

pub(super) trait Ledger: Leases {
    /// Folds findings over the stored values in one transaction.
    fn fold<'a>(&'a self, claim: Option<Epoch>, findings: &'a [Finding])
    -> BoxFuture<'a, Result<Written, LedgerError>>;
}

/// What findings make of the stored values.
pub(super) fn turns(findings: &[Finding], mut stored: HashMap<EndpointId, EndpointHealth>) -> Vec<(EndpointId, Turn)> {
    findings.iter().map(|finding| (finding.id(), finding.over(stored.remove(&finding.id())))).collect()
}

pub(super) fn values(turns: &[(EndpointId, Turn)]) -> Vec<StatusValue> {
    turns.iter().map(|(id, turn)| StatusValue::Health(*id, turn.after.clone())).collect()
}

/// The database as ledger of one replica.
pub(super) struct StoreLedger(StoreLease);

impl StoreLedger {
    pub const fn new(store: Store, owner: String) -> Self {
        Self(StoreLease { store, name: LEASE, owner })
    }

    async fn write(&self, claim: Option<Epoch>, findings: &[Finding]) -> Result<Written, LedgerError> {
        let mut transaction = self.0.store.status_tx().await?;
        if let Some(epoch) = claim
            && !transaction.check_lease(&self.0.claim(epoch)).await?
        {
            return Err(LedgerError::LeaseLost);
        }
        let revision = transaction.revision().await?;
        let ids: Vec<_> = findings.iter().map(Finding::id).collect();
        let turns = turns(findings, transaction.healths(&ids).await?);
        transaction.put(&values(&turns)).await?;
        transaction.commit().await?;
        Ok(Written { revision, turns })
    }
}

impl Leases for StoreLedger {
    fn lease(&self, ttl: Duration) -> BoxFuture<'_, crate::store::Result<Option<Epoch>>> {
        self.0.lease(ttl)
    }

    fn release(&self) -> BoxFuture<'_, crate::store::Result<()>> {
        self.0.release()
    }
}

impl Ledger for StoreLedger {
    fn fold<'a>(
        &'a self,
        claim: Option<Epoch>,
        findings: &'a [Finding],
    ) -> BoxFuture<'a, Result<Written, LedgerError>> {
        Box::pin(async move {
            match self.write(claim, findings).await {
                // Two transactions met; what the database undid is worth one repetition.
                Err(LedgerError::Store(error)) if error.is_conflict() => self.write(claim, findings).await,
                outcome => outcome,
            }
        })
    }
}
