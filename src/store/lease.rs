//! Leases (who may run a background task) and heartbeats (which replicas live), both by the database's clock.

use std::time::Duration;

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, QueryableByName};
use diesel_async::RunQueryDsl as _;

use super::Store;
use super::clock::Words;
use super::conn::{Conn, Purpose, Transaction, on_conn};
use super::error::{Result, StoreError};
use super::schema::leases;
use super::schema::sql_types::{Json, Ts};
use super::value::{Instant, JsonText};
use crate::domain::{Revision, Timestamp};

/// A lease that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Rises whenever the owner changes: work done under an older epoch is void.
    pub epoch: i64,
    /// By the database's clock.
    pub expire_time: Timestamp,
}

/// That an owner holds a lease under an epoch: what a transaction of its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub name: &'static str,
    pub owner: String,
    pub epoch: i64,
}

/// What a replica tells about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaRow {
    pub replica_id: String,
    /// The master keys that it can read, sorted.
    pub readable_key_ids: Vec<String>,
    /// The master keys that wrap the secrets which it holds in memory, sorted; none: its version does not tell.
    pub used_key_ids: Option<Vec<String>>,
    pub applied_revision: Revision,
}

/// Replicas that were silent for this long are forgotten.
const FORGET_REPLICAS: Duration = Duration::from_hours(24);

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[derive(QueryableByName)]
struct LeaseRow {
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Ts)]
    expire_time: Instant,
}

#[derive(QueryableByName)]
struct HeartbeatRow {
    #[diesel(sql_type = Text)]
    replica_id: String,
    #[diesel(sql_type = Json)]
    readable_key_ids: JsonText,
    #[diesel(sql_type = Nullable<Json>)]
    used_key_ids: Option<JsonText>,
    #[diesel(sql_type = BigInt)]
    applied_revision: i64,
}

impl Store {
    /// Takes a lease, or prolongs it. None: another owner holds it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn lease(&self, name: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>> {
        let mut transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        let lease = acquire(transaction.conn()?, name, owner, ttl).await;
        let lease = transaction.note(lease)?;
        transaction.commit().await?;
        Ok(lease)
    }

    /// Gives a lease up, if this owner holds it. Its row stays, so that the epoch goes on rising.
    ///
    /// # Errors
    /// What the database says.
    pub async fn release_lease(&self, name: &str, owner: &str) -> Result<()> {
        let mut transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        let released = release(transaction.conn()?, name, owner).await;
        transaction.note(released)?;
        transaction.commit().await
    }

    /// Says that this replica lives, and what it can do.
    ///
    /// # Errors
    /// What the database says.
    pub async fn heartbeat(&self, replica: &ReplicaRow) -> Result<()> {
        let mut transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        let beaten = beat(transaction.conn()?, replica).await;
        transaction.note(beaten)?;
        transaction.commit().await
    }

    /// Says that this replica stops: it does not count any more.
    ///
    /// # Errors
    /// What the database says.
    pub async fn farewell(&self, replica_id: &str) -> Result<()> {
        let mut transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        let forgotten = forget(transaction.conn()?, replica_id).await;
        transaction.note(forgotten)?;
        transaction.commit().await
    }

    /// The replicas that gave a sign of life within `ttl`, in order of their ids.
    ///
    /// # Errors
    /// What the database says.
    pub async fn live_replicas(&self, ttl: Duration) -> Result<Vec<ReplicaRow>> {
        let mut held = self.reader().await?;
        let rows = live(held.conn()?, ttl).await;
        let rows = held.note(rows)?;
        let mut replicas = rows.into_iter().map(replica).collect::<Result<Vec<_>>>()?;
        replicas.sort_by(|a, b| a.replica_id.cmp(&b.replica_id));
        Ok(replicas)
    }
}

fn replica(row: HeartbeatRow) -> Result<ReplicaRow> {
    let ids = |column: &'static str, ids: &JsonText| {
        serde_json::from_str(&ids.0).map_err(|_| StoreError::corrupt("replicas", column, &row.replica_id))
    };
    Ok(ReplicaRow {
        readable_key_ids: ids("readable_key_ids", &row.readable_key_ids)?,
        used_key_ids: row.used_key_ids.as_ref().map(|used| ids("used_key_ids", used)).transpose()?,
        applied_revision: Revision(row.applied_revision),
        replica_id: row.replica_id,
    })
}

/// Values are numbered in the order of their first use, which SQLite needs.
async fn acquire(conn: Conn<'_>, name: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>> {
    let Words { now, micro, .. } = Words::of(&conn);
    let query = diesel::sql_query(format!(
        "INSERT INTO leases (name, owner, epoch, expire_time) VALUES ($1, $2, 1, {now} + $3 * {micro}) \
         ON CONFLICT (name) DO UPDATE SET \
         epoch = leases.epoch + CASE WHEN leases.owner = excluded.owner THEN 0 ELSE 1 END, \
         owner = excluded.owner, expire_time = excluded.expire_time \
         WHERE leases.owner = excluded.owner OR leases.expire_time <= {now} RETURNING epoch, expire_time"
    ))
    .bind::<Text, _>(name)
    .bind::<Text, _>(owner)
    .bind::<BigInt, _>(micros(ttl));
    let row: Option<LeaseRow> = on_conn!(conn, |c| query.get_result(c).await).optional()?;
    Ok(row.map(|row| Lease { epoch: row.epoch, expire_time: row.expire_time.into() }))
}

async fn release(conn: Conn<'_>, name: &str, owner: &str) -> Result<()> {
    let now = Words::of(&conn).now;
    let query = diesel::sql_query(format!("UPDATE leases SET expire_time = {now} WHERE name = $1 AND owner = $2"))
        .bind::<Text, _>(name)
        .bind::<Text, _>(owner);
    on_conn!(conn, |c| query.execute(c).await)?;
    Ok(())
}

/// Whether a lease is held as claimed; with `keep`, so that nobody changes it before the transaction ends.
pub(super) async fn is_held(mut conn: Conn<'_>, claim: &Claim, keep: bool) -> Result<bool> {
    let Claim { name, owner, epoch } = claim;
    let query =
        leases::table.filter(leases::name.eq(name)).filter(leases::owner.eq(owner)).filter(leases::epoch.eq(epoch));
    let query = query.select(leases::expire_time);
    let end: Option<Instant> = match conn.again() {
        Conn::Pg(c) if keep => query.for_share().first(c).await.optional()?,
        Conn::Pg(c) => query.first(c).await.optional()?,
        Conn::Lite(c) => query.first(c).await.optional()?,
    };
    let Some(end) = end else { return Ok(false) };
    Ok(now(conn).await? < Timestamp::from(end))
}

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = BigInt)]
    micros: i64,
}

async fn now(conn: Conn<'_>) -> Result<Timestamp> {
    let query = diesel::sql_query(format!("SELECT {} AS micros", Words::of(&conn).now_micros));
    let now: Now = on_conn!(conn, |c| query.get_result(c).await)?;
    Ok(Timestamp::from_micros(now.micros))
}

async fn beat(mut conn: Conn<'_>, replica: &ReplicaRow) -> Result<()> {
    let Words { now, micro, .. } = Words::of(&conn);
    let json = |ids: &Vec<String>| JsonText(serde_json::Value::from(ids.clone()).to_string());
    let query = diesel::sql_query(format!(
        "INSERT INTO replicas (replica_id, readable_key_ids, used_key_ids, applied_revision, heartbeat_time) \
         VALUES ($1, $2, $3, $4, {now}) ON CONFLICT (replica_id) DO UPDATE SET \
         readable_key_ids = excluded.readable_key_ids, used_key_ids = excluded.used_key_ids, \
         applied_revision = excluded.applied_revision, heartbeat_time = excluded.heartbeat_time"
    ))
    .bind::<Text, _>(&replica.replica_id)
    .bind::<Json, _>(json(&replica.readable_key_ids))
    .bind::<Nullable<Json>, _>(replica.used_key_ids.as_ref().map(json))
    .bind::<BigInt, _>(replica.applied_revision.0);
    on_conn!(conn.again(), |c| query.execute(c).await)?;
    let forget = diesel::sql_query(format!("DELETE FROM replicas WHERE heartbeat_time < {now} - $1 * {micro}"))
        .bind::<BigInt, _>(micros(FORGET_REPLICAS));
    on_conn!(conn, |c| forget.execute(c).await)?;
    Ok(())
}

async fn forget(conn: Conn<'_>, replica_id: &str) -> Result<()> {
    let query = diesel::sql_query("DELETE FROM replicas WHERE replica_id = $1").bind::<Text, _>(replica_id);
    on_conn!(conn, |c| query.execute(c).await)?;
    Ok(())
}

async fn live(conn: Conn<'_>, ttl: Duration) -> Result<Vec<HeartbeatRow>> {
    let Words { now, micro, .. } = Words::of(&conn);
    let query = diesel::sql_query(format!(
        "SELECT replica_id, readable_key_ids, used_key_ids, applied_revision FROM replicas \
         WHERE heartbeat_time > {now} - $1 * {micro}"
    ))
    .bind::<BigInt, _>(micros(ttl));
    Ok(on_conn!(conn, |c| query.load(c).await)?)
}
