//! Status: the latest values, in an order of their own.
//!
//! Invariant: a batch takes its status revision from the counter before it writes anything and holds the counter's row
//! until it commits, so batches commit in the order of their revisions, and no reader ever misses one.

use std::collections::HashMap;

use diesel::sql_types::BigInt;
use diesel::{ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, QueryableByName, SelectableHelper as _};
use diesel_async::RunQueryDsl as _;

use super::Store;
use super::clock::Words;
use super::conn::{Conn, Purpose, Transaction, on_conn};
use super::error::{Result, StoreError};
use super::lease::{self, Claim};
use super::row::secret::SecretRow;
use super::row::status::{
    AvailabilityRow, CredentialUsageRow, HealthRow, ModelUsageRow, StoredStatus, SyncRow, TokenUseRow, ValidationRow,
};
use super::schema::{
    credential_secrets, credential_status, endpoint_status, model_status, provider_status, status_counter, token_status,
};
use super::statement::{Existing, Part, Statement, insert, run};
use super::value::DbId;
use crate::domain::health::EndpointHealth;
use crate::domain::image::{StatusBatch, StatusRevision, StatusValue};
use crate::domain::usage::{CredentialUsage, ModelUsage};
use crate::domain::{CredentialId, EndpointId, ModelId};

impl Store {
    /// All status values.
    ///
    /// # Errors
    /// What the database says.
    pub async fn load_statuses(&self) -> Result<StatusBatch> {
        self.statuses_after(StatusRevision(i64::MIN)).await
    }

    /// The values written after a status revision, secrets whose data keys were wrapped anew among them. A batch whose
    /// revision is lower than the one asked for tells that the database was restored.
    ///
    /// # Errors
    /// What the database says.
    pub async fn statuses_after(&self, seen: StatusRevision) -> Result<StatusBatch> {
        let mut held = self.reader().await?;
        let revision = counter(held.conn()?).await;
        let revision = held.note(revision)?;
        if revision == seen {
            return Ok(StatusBatch { revision, values: Vec::new() });
        }
        let mut transaction = Transaction::begin(held, Purpose::Read).await?;
        let batch = after(transaction.conn()?, seen).await;
        let batch = transaction.note(batch)?;
        transaction.commit().await?;
        Ok(batch)
    }

    /// Begins a batch of status.
    ///
    /// # Errors
    /// What the database says.
    pub async fn status_tx(&self) -> Result<StatusTx> {
        let transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        Ok(StatusTx { transaction, revision: None })
    }

    /// Removes the status of resources that no longer exist.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sweep_statuses(&self) -> Result<usize> {
        let mut transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        let touched = run(transaction.conn()?, ORPHANS.map(|sql| Statement::of([Part::Sql(sql)])).into()).await;
        let touched = transaction.note(touched)?;
        transaction.commit().await?;
        Ok(touched.into_iter().sum())
    }
}

const ORPHANS: [&str; 5] = [
    "DELETE FROM endpoint_status WHERE NOT EXISTS (SELECT 1 FROM endpoints WHERE id = endpoint_id)",
    "DELETE FROM credential_status WHERE NOT EXISTS (SELECT 1 FROM credentials WHERE id = credential_id)",
    "DELETE FROM model_status WHERE NOT EXISTS (SELECT 1 FROM models WHERE models.id = model_status.model_id)",
    "DELETE FROM provider_status WHERE NOT EXISTS (SELECT 1 FROM providers WHERE id = provider_id)",
    "DELETE FROM token_status WHERE NOT EXISTS (SELECT 1 FROM tokens WHERE id = token_id)",
];

/// An open batch of status. Dropped without [`commit`](Self::commit), it writes nothing.
pub struct StatusTx {
    transaction: Transaction<'static>,
    revision: Option<StatusRevision>,
}

impl StatusTx {
    /// Whether the lease is still held as claimed; it stays so until the batch ends. To be asked before
    /// [`revision`](Self::revision), so that all transactions take their locks in the same order.
    ///
    /// # Errors
    /// What the database says.
    pub async fn check_lease(&mut self, claim: &Claim) -> Result<bool> {
        let held = lease::is_held(self.transaction.conn()?, claim, true).await;
        self.transaction.note(held)
    }

    /// The status revision of this batch. The first call takes it and holds back all other batches until this one ends.
    ///
    /// # Errors
    /// What the database says.
    pub async fn revision(&mut self) -> Result<StatusRevision> {
        if let Some(revision) = self.revision {
            return Ok(revision);
        }
        let taken = take_revision(self.transaction.conn()?).await;
        let taken = self.transaction.note(taken)?;
        self.revision = Some(taken);
        Ok(taken)
    }

    /// The stored health of endpoints, to fold evidence over. Takes the batch's revision first, so nobody changes it
    /// meanwhile.
    ///
    /// # Errors
    /// What the database says.
    pub async fn healths(&mut self, ids: &[EndpointId]) -> Result<HashMap<EndpointId, EndpointHealth>> {
        self.revision().await?;
        let healths = healths(self.transaction.conn()?, ids).await;
        self.transaction.note(healths)
    }

    /// The stored usage of credentials, to add to. Takes the batch's revision first, so nobody adds to it meanwhile.
    ///
    /// # Errors
    /// What the database says.
    pub async fn credential_usages(&mut self, ids: &[CredentialId]) -> Result<HashMap<CredentialId, CredentialUsage>> {
        self.revision().await?;
        let usages = credential_usages(self.transaction.conn()?, ids).await;
        self.transaction.note(usages)
    }

    /// The same of models.
    ///
    /// # Errors
    /// What the database says.
    pub async fn model_usages(&mut self, ids: &[ModelId]) -> Result<HashMap<ModelId, ModelUsage>> {
        self.revision().await?;
        let usages = model_usages(self.transaction.conn()?, ids).await;
        self.transaction.note(usages)
    }

    /// Writes latest values; of several for the same resource the last one counts. A re-wrapped secret is written only
    /// if its version still exists with the same ciphertext.
    ///
    /// # Errors
    /// What the database says.
    pub async fn put(&mut self, values: &[StatusValue]) -> Result<()> {
        let revision = self.revision().await?;
        let written = run(self.transaction.conn()?, puts(values, revision)).await.map(drop);
        self.transaction.note(written)
    }

    /// Commits, and tells the other replicas.
    ///
    /// # Errors
    /// What the database says.
    pub async fn commit(mut self) -> Result<()> {
        if self.revision.is_some() && matches!(self.transaction.conn()?, Conn::Pg(_)) {
            let told = self.transaction.conn()?.execute_batch("NOTIFY modelward_status").await;
            self.transaction.note(told)?;
        }
        self.transaction.commit().await
    }
}

#[derive(QueryableByName)]
struct Taken {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

async fn take_revision(conn: Conn<'_>) -> Result<StatusRevision> {
    let Words { larger, now_micros, .. } = Words::of(&conn);
    let query = diesel::sql_query(format!(
        "UPDATE status_counter SET value = {larger}(value + 1, {now_micros}) RETURNING value"
    ));
    let taken: Option<Taken> = on_conn!(conn, |c| query.get_result(c).await).optional()?;
    Ok(StatusRevision(taken.ok_or(StoreError::NotInitialised)?.value))
}

async fn counter(conn: Conn<'_>) -> Result<StatusRevision> {
    let query = status_counter::table.select(status_counter::value);
    let value: Option<i64> = on_conn!(conn, |c| query.first(c).await).optional()?;
    Ok(StatusRevision(value.ok_or(StoreError::NotInitialised)?))
}

async fn healths(conn: Conn<'_>, ids: &[EndpointId]) -> Result<HashMap<EndpointId, EndpointHealth>> {
    let ids: Vec<DbId> = ids.iter().map(|id| (*id).into()).collect();
    let query = endpoint_status::table.filter(endpoint_status::endpoint_id.eq_any(ids));
    let rows: Vec<HealthRow> = on_conn!(conn, |c| query.select(HealthRow::as_select()).load(c).await)?;
    rows.into_iter().map(HealthRow::read).collect()
}

async fn credential_usages(conn: Conn<'_>, ids: &[CredentialId]) -> Result<HashMap<CredentialId, CredentialUsage>> {
    let ids: Vec<DbId> = ids.iter().map(|id| (*id).into()).collect();
    let query = credential_status::table.filter(credential_status::credential_id.eq_any(ids));
    let rows: Vec<CredentialUsageRow> =
        on_conn!(conn, |c| query.select(CredentialUsageRow::as_select()).load(c).await)?;
    rows.into_iter().filter_map(|row| row.usage().transpose()).collect()
}

async fn model_usages(conn: Conn<'_>, ids: &[ModelId]) -> Result<HashMap<ModelId, ModelUsage>> {
    let ids: Vec<DbId> = ids.iter().map(|id| (*id).into()).collect();
    let query = model_status::table.filter(model_status::model_id.eq_any(ids));
    let rows: Vec<ModelUsageRow> = on_conn!(conn, |c| query.select(ModelUsageRow::as_select()).load(c).await)?;
    rows.into_iter().filter_map(|row| row.usage().transpose()).collect()
}

/// Reads the rows of a status table that were written after a revision.
macro_rules! newer {
    ($conn:expr, $seen:expr, $values:expr, $table:ident => $row:ty) => {{
        let query = $table::table.filter($table::status_revision.gt($seen)).order($table::status_revision);
        let rows: Vec<$row> = on_conn!($conn.again(), |c| query.select(<$row>::as_select()).load(c).await)?;
        for row in rows {
            row.values($values)?;
        }
    }};
}

async fn after(mut conn: Conn<'_>, seen: StatusRevision) -> Result<StatusBatch> {
    let revision = counter(conn.again()).await?;
    // A counter that went back means another history: then everything is news.
    let seen = if revision < seen { i64::MIN } else { seen.0 };
    let mut values = Vec::new();
    newer!(conn, seen, &mut values, endpoint_status => HealthRow);
    newer!(conn, seen, &mut values, credential_status => (ValidationRow, CredentialUsageRow));
    newer!(conn, seen, &mut values, model_status => (AvailabilityRow, ModelUsageRow));
    newer!(conn, seen, &mut values, provider_status => SyncRow);
    newer!(conn, seen, &mut values, token_status => TokenUseRow);
    // 0: never wrapped anew.
    newer!(conn, seen.max(0), &mut values, credential_secrets => SecretRow);
    Ok(StatusBatch { revision, values })
}

/// The last value for each resource, as rows.
macro_rules! latest {
    ($list:expr, $values:expr, $revision:expr, $variant:ident => $row:ident) => {{
        let mut latest = HashMap::new();
        for value in $values {
            if let StatusValue::$variant(id, value) = value {
                latest.insert(*id, value);
            }
        }
        let mut latest: Vec<_> = latest.into_iter().collect();
        latest.sort_by_key(|(id, _)| *id);
        let rows = latest.into_iter().map(|(id, value)| $row::new(id, Clone::clone(&value), $revision)).collect();
        insert::<$row>($list, rows, Existing::Replace);
    }};
}

fn puts(values: &[StatusValue], revision: StatusRevision) -> Vec<Statement> {
    let mut list = Vec::new();
    latest!(&mut list, values, revision, Health => HealthRow);
    latest!(&mut list, values, revision, Validation => ValidationRow);
    latest!(&mut list, values, revision, CredentialUsage => CredentialUsageRow);
    latest!(&mut list, values, revision, Availability => AvailabilityRow);
    latest!(&mut list, values, revision, ModelUsage => ModelUsageRow);
    latest!(&mut list, values, revision, Sync => SyncRow);
    latest!(&mut list, values, revision, TokenUse => TokenUseRow);
    list.extend(values.iter().filter_map(|value| rewrap(value, revision)));
    list
}

fn rewrap(value: &StatusValue, revision: StatusRevision) -> Option<Statement> {
    let StatusValue::Rewrapped(secret) = value else { return None };
    Some(Statement::of([
        Part::Sql("UPDATE credential_secrets SET master_key_id = "),
        Part::Text(secret.master_key_id.clone()),
        Part::Sql(", wrapped_key = "),
        Part::Bytes(secret.wrapped_key.to_vec()),
        Part::Sql(", status_revision = "),
        Part::Int(revision.0),
        Part::Sql(" WHERE credential_id = "),
        Part::Id(secret.credential_id.into()),
        Part::Sql(" AND version = "),
        Part::Int(secret.version),
        Part::Sql(" AND ciphertext = "),
        Part::Bytes(secret.ciphertext.to_vec()),
    ]))
}
