//! What makes a database a cluster: its id, its own wrapped keys, its counters. Written once, by whoever comes first.

use diesel::sql_types::BigInt;
use diesel::{OptionalExtension as _, QueryDsl as _, QueryableByName, SelectableHelper as _};
use diesel_async::RunQueryDsl as _;
use uuid::Uuid;

use super::Store;
use super::conn::{Conn, Purpose, Transaction, on_conn};
use super::error::{Result, StoreError};
use super::row::cluster::{ClusterDbRow, CounterRow, KeyRow, SINGLETON, StatusCounterRow};
use super::schema::{cluster, keyring};
use super::statement::{Existing, insert, run};
use super::value::{DbId, Instant};
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

    /// The same on a schema of any version, none included: for a look before the migrations. What it reads, the first
    /// migration made and no later one may change.
    ///
    /// # Errors
    /// What the database says.
    pub async fn cluster_before_migrations(&self) -> Result<Option<ClusterRow>> {
        let mut held = self.reader().await?;
        let found = has_tables(held.conn()?).await;
        if held.note(found)? { self.cluster().await } else { Ok(None) }
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
    let query = cluster::table.select((cluster::cluster_id, cluster::active_key_id, cluster::create_time));
    let row: Option<(DbId, String, Instant)> = on_conn!(conn.again(), |c| query.first(c).await).optional()?;
    let Some((cluster_id, active_key_id, create_time)) = row else { return Ok(None) };
    let query = keyring::table;
    let keys: Vec<KeyRow> = on_conn!(conn, |c| query.select(KeyRow::as_select()).load(c).await)?;
    let mut keys: Vec<WrappedKey> = keys.into_iter().map(Into::into).collect();
    keys.sort_by(|a, b| a.purpose.cmp(&b.purpose));
    Ok(Some(ClusterRow { cluster_id: cluster_id.0, active_key_id, keys, create_time: create_time.into() }))
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    tables: i64,
}

/// Whether the tables of [`ClusterRow`] are there.
async fn has_tables(conn: Conn<'_>) -> Result<bool> {
    let query = diesel::sql_query(match &conn {
        Conn::Pg(_) => {
            "SELECT count(to_regclass(name)) AS tables FROM (VALUES ('cluster'), ('keyring')) AS needed (name)"
        }
        Conn::Lite(_) => {
            "SELECT count(*) AS tables FROM sqlite_master WHERE type = 'table' AND name IN ('cluster', 'keyring')"
        }
    });
    let found: Found = on_conn!(conn, |c| query.get_result(c).await)?;
    Ok(found.tables == 2)
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
