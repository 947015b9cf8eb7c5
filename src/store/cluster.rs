//! What makes a database a cluster: its id, its own wrapped keys, its counters. Written once, by whoever comes first.

use diesel::{OptionalExtension as _, QueryDsl as _, SelectableHelper as _};
use diesel_async::RunQueryDsl as _;
use uuid::Uuid;

use super::Store;
use super::conn::{Conn, Purpose, Transaction, on_conn};
use super::error::{Result, StoreError};
use super::row::cluster::{ClusterDbRow, CounterRow, KeyRow, SINGLETON, StatusCounterRow};
use super::schema::{cluster, keyring};
use super::statement::{Existing, insert, run};
use super::value::DbId;
use crate::domain::keyring::WrappedKey;
use crate::domain::{Head, Timestamp};

/// What the database says of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterRow {
    pub cluster_id: Uuid,
    /// The master key that wraps what is written now.
    pub active_key_id: String,
    /// The cluster's own keys, wrapped: one of each purpose, in order of the purpose.
    pub keys: Vec<WrappedKey>,
    pub create_time: Timestamp,
}

impl Store {
    /// The cluster of this database, if it was initialised.
    ///
    /// # Errors
    /// What the database says.
    pub async fn cluster(&self) -> Result<Option<ClusterRow>> {
        let mut transaction = Transaction::begin(self.reader().await?, Purpose::Read).await?;
        let row = read(transaction.conn()?).await;
        let row = transaction.note(row)?;
        transaction.commit().await?;
        Ok(row)
    }

    /// Makes this database a cluster, unless it already is one. Answers the cluster that it is: compare the id to know
    /// who came first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn initialise(&self, fresh: &ClusterRow) -> Result<ClusterRow> {
        let mut transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        let row = first(transaction.conn()?, fresh).await;
        let row = transaction.note(row)?;
        transaction.commit().await?;
        Ok(row)
    }

    /// Replaces wrapped keys by the same keys wrapped by another master key.
    ///
    /// # Errors
    /// What the database says.
    pub async fn replace_wrapped_keys(&self, keys: &[WrappedKey]) -> Result<()> {
        let mut transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        let mut list = Vec::new();
        insert(&mut list, keys.iter().map(KeyRow::from).collect(), Existing::Replace);
        let replaced = run(transaction.conn()?, list).await.map(drop);
        transaction.note(replaced)?;
        transaction.commit().await
    }
}

async fn read(mut conn: Conn<'_>) -> Result<Option<ClusterRow>> {
    let query = cluster::table;
    let row: Option<ClusterDbRow> =
        on_conn!(conn.again(), |c| query.select(ClusterDbRow::as_select()).first(c).await).optional()?;
    let Some(row) = row else { return Ok(None) };
    let query = keyring::table;
    let keys: Vec<KeyRow> = on_conn!(conn, |c| query.select(KeyRow::as_select()).load(c).await)?;
    let mut keys: Vec<WrappedKey> = keys.into_iter().map(Into::into).collect();
    keys.sort_by(|a, b| a.purpose.cmp(&b.purpose));
    Ok(Some(ClusterRow {
        cluster_id: row.cluster_id.0,
        active_key_id: row.active_key_id,
        keys,
        create_time: row.create_time.into(),
    }))
}

/// The row of `cluster` decides: whoever comes second waits for the first one's and finds it.
async fn first(mut conn: Conn<'_>, fresh: &ClusterRow) -> Result<ClusterRow> {
    let row = ClusterDbRow {
        singleton: SINGLETON,
        cluster_id: DbId(fresh.cluster_id),
        create_time: fresh.create_time.into(),
        active_key_id: fresh.active_key_id.clone(),
        revision: 0,
        update_time: fresh.create_time.into(),
        updated_by: "system".into(),
    };
    let mut list = Vec::new();
    insert(&mut list, vec![row], Existing::Keep);
    let inserted: usize = run(conn.again(), list).await?.into_iter().sum();
    if inserted > 0 {
        let mut list = Vec::new();
        insert(&mut list, fresh.keys.iter().map(KeyRow::from).collect(), Existing::Refuse);
        insert(&mut list, vec![CounterRow::from(Head::default())], Existing::Refuse);
        insert(&mut list, vec![StatusCounterRow { singleton: SINGLETON, value: 0 }], Existing::Refuse);
        run(conn.again(), list).await?;
    }
    read(conn).await?.ok_or(StoreError::NotInitialised)
}
