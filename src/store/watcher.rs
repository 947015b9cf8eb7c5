//! The open Watch streams of all replicas: rows that are status without an order, since nobody follows them.

use std::time::Duration;

use diesel::sql_types::BigInt;
use diesel::{ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, SelectableHelper as _};
use diesel_async::RunQueryDsl as _;

use super::Store;
use super::clock::Words;
use super::conn::{Conn, Purpose, Transaction, on_conn};
use super::error::Result;
use super::row::watcher::WatcherRow;
use super::schema::watchers;
use super::statement::{Existing, Part, Statement, by_ids, insert, run};
use super::value::DbId;
use crate::domain::Revision;
use crate::domain::watcher::{Watcher, WatcherId};

/// What has changed among watchers.
#[derive(Debug, Clone, Default)]
pub struct WatcherBatch {
    pub opened: Vec<Watcher>,
    pub closed: Vec<WatcherId>,
    /// Of watchers of any replica. An older acknowledgement never replaces a newer one.
    pub acknowledged: Vec<(WatcherId, Revision)>,
}

impl WatcherBatch {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.opened.is_empty() && self.closed.is_empty() && self.acknowledged.is_empty()
    }
}

impl Store {
    /// Writes what has changed among watchers.
    ///
    /// # Errors
    /// What the database says.
    pub async fn write_watchers(&self, batch: &WatcherBatch) -> Result<()> {
        let mut list = Vec::new();
        insert(&mut list, batch.opened.iter().map(WatcherRow::from).collect(), Existing::Keep);
        let mut acknowledged = batch.acknowledged.clone();
        // All replicas take the rows in the same order.
        acknowledged.sort_unstable_by_key(|(id, _)| *id);
        list.extend(acknowledged.into_iter().map(acknowledge));
        let closed: Vec<DbId> = batch.closed.iter().map(|id| DbId(id.uuid())).collect();
        by_ids(&mut list, "DELETE FROM watchers WHERE watch_id", &closed);
        self.run_watchers(list).await
    }

    /// Forgets the watchers of a replica that stops.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget_watchers(&self, replica_id: &str) -> Result<()> {
        let parts = [Part::Sql("DELETE FROM watchers WHERE replica_id = "), Part::Text(replica_id.to_owned())];
        self.run_watchers(vec![Statement::of(parts)]).await
    }

    /// Forgets the watchers of replicas that were not heard of for `lifetime`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sweep_watchers(&self, lifetime: Duration) -> Result<()> {
        let mut transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        let swept = sweep(transaction.conn()?, lifetime).await;
        transaction.note(swept)?;
        transaction.commit().await
    }

    async fn run_watchers(&self, list: Vec<Statement>) -> Result<()> {
        let mut transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        let done = run(transaction.conn()?, list).await;
        transaction.note(done)?;
        transaction.commit().await
    }

    /// Whether a stream is open somewhere.
    ///
    /// # Errors
    /// What the database says.
    pub async fn has_watcher(&self, id: WatcherId) -> Result<bool> {
        let mut held = self.reader().await?;
        let found = find(held.conn()?, id).await;
        held.note(found)
    }

    /// The watchers of the replicas that were heard of within `lifetime`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn watchers(&self, lifetime: Duration) -> Result<Vec<Watcher>> {
        let live: Vec<_> = self.live_replicas(lifetime).await?.into_iter().map(|replica| replica.replica_id).collect();
        let mut held = self.reader().await?;
        let rows = of_replicas(held.conn()?, live).await;
        Ok(held.note(rows)?.into_iter().map(Watcher::from).collect())
    }
}

fn acknowledge((id, revision): (WatcherId, Revision)) -> Statement {
    Statement::of([
        Part::Sql("UPDATE watchers SET acknowledged_revision = "),
        Part::Int(revision.0),
        Part::Sql(" WHERE watch_id = "),
        Part::Id(DbId(id.uuid())),
        Part::Sql(" AND acknowledged_revision < "),
        Part::Int(revision.0),
    ])
}

async fn sweep(conn: Conn<'_>, lifetime: Duration) -> Result<()> {
    let Words { now, micro, .. } = Words::of(&conn);
    let micros = i64::try_from(lifetime.as_micros()).unwrap_or(i64::MAX);
    let query = diesel::sql_query(format!(
        "DELETE FROM watchers WHERE NOT EXISTS (SELECT 1 FROM replicas WHERE \
         replicas.replica_id = watchers.replica_id AND heartbeat_time > {now} - $1 * {micro})"
    ))
    .bind::<BigInt, _>(micros);
    on_conn!(conn, |c| query.execute(c).await)?;
    Ok(())
}

async fn find(conn: Conn<'_>, id: WatcherId) -> Result<bool> {
    let query = watchers::table.filter(watchers::watch_id.eq(DbId(id.uuid()))).select(watchers::replica_id);
    let found: Option<String> = on_conn!(conn, |c| query.first(c).await).optional()?;
    Ok(found.is_some())
}

async fn of_replicas(conn: Conn<'_>, replicas: Vec<String>) -> Result<Vec<WatcherRow>> {
    let query = watchers::table.filter(watchers::replica_id.eq_any(replicas));
    Ok(on_conn!(conn, |c| query.select(WatcherRow::as_select()).load(c).await)?)
}
