//! The record of secrets that were handed out: added to, listed in pages, and forgotten after a time.

use diesel::QueryableByName;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Text, Untyped};
use diesel::sqlite::Sqlite;
use diesel_async::RunQueryDsl as _;

use super::Store;
use super::conn::{Conn, Purpose, Transaction, on_conn};
use super::error::Result;
use super::schema::sql_types::{Id, Ts};
use super::statement::{Part, Statement, run};
use super::value::{DbId, Instant};
use crate::domain::Timestamp;
use crate::domain::secret_use::{SecretUse, SecretUseFilter, SecretUseKey, UseCount};

/// What a list of uses is ordered by; behind it always stands the rest of the key, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretUseField {
    Identity,
    LastUseTime,
}

impl Store {
    /// Adds uses to the record, which has a line per key. No key may be there twice.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_secret_uses(&self, uses: &[SecretUse]) -> Result<()> {
        let mut uses: Vec<_> = uses.iter().collect();
        // All replicas take the rows' locks in the same order.
        uses.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let mut transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        let conn = transaction.conn()?;
        let (least, greatest) = match &conn {
            Conn::Pg(_) => ("least", "greatest"),
            Conn::Lite(_) => ("min", "max"),
        };
        let added = run(conn, vec![additions(&uses, least, greatest)]).await.map(drop);
        transaction.note(added)?;
        transaction.commit().await
    }

    /// At most `limit` lines of the record, those behind `after`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn secret_uses(
        &self,
        filter: &SecretUseFilter,
        order: &[(SecretUseField, bool)],
        after: Option<&SecretUse>,
        limit: i64,
    ) -> Result<Vec<SecretUse>> {
        let mut held = self.reader().await?;
        let query = page(filter, order, after, limit);
        let rows = load(held.conn()?, query).await;
        Ok(held.note(rows)?.into_iter().map(UseRow::read).collect())
    }

    /// How many lines a filter lets pass.
    ///
    /// # Errors
    /// What the database says.
    pub async fn count_secret_uses(&self, filter: &SecretUseFilter) -> Result<usize> {
        let mut parts = vec![Part::Sql("SELECT count(*) AS lines FROM secret_use WHERE ")];
        matching(filter, &mut parts);
        let mut held = self.reader().await?;
        let count = count(held.conn()?, Selection(parts)).await;
        Ok(usize::try_from(held.note(count)?).unwrap_or(0))
    }

    /// Forgets what was used in hours that began before `before`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget_secret_uses(&self, before: Timestamp) -> Result<()> {
        let mut transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        let old = Statement::of([Part::Sql("DELETE FROM secret_use WHERE hour < "), Part::Time(before.into())]);
        let forgotten = run(transaction.conn()?, vec![old]).await.map(drop);
        transaction.note(forgotten)?;
        transaction.commit().await
    }
}

const COLUMNS: &str = "credential_id, secret_version, identity, rpc, hour, uses, first_use_time, last_use_time";

fn additions(uses: &[&SecretUse], least: &'static str, greatest: &'static str) -> Statement {
    let mut parts = vec![Part::Sql("INSERT INTO secret_use ("), Part::Sql(COLUMNS), Part::Sql(") VALUES (")];
    for (place, SecretUse { key, uses }) in uses.iter().enumerate() {
        parts.push(Part::Sql(if place == 0 { "" } else { "), (" }));
        let values = [
            Part::Id(key.credential_id.into()),
            Part::Int(key.secret_version),
            Part::Text(key.identity.clone()),
            Part::Text(key.rpc.clone()),
            Part::Time(key.hour.into()),
            Part::Int(uses.count),
            Part::Time(uses.first_use_time.into()),
            Part::Time(uses.last_use_time.into()),
        ];
        for (column, value) in values.into_iter().enumerate() {
            parts.push(Part::Sql(if column == 0 { "" } else { ", " }));
            parts.push(value);
        }
    }
    parts.push(Part::Sql(
        ") ON CONFLICT (credential_id, secret_version, identity, rpc, hour) DO UPDATE SET \
         uses = secret_use.uses + excluded.uses, first_use_time = ",
    ));
    parts.push(Part::Sql(least));
    parts.push(Part::Sql("(secret_use.first_use_time, excluded.first_use_time), last_use_time = "));
    parts.push(Part::Sql(greatest));
    parts.push(Part::Sql("(secret_use.last_use_time, excluded.last_use_time)"));
    Statement::of(parts)
}

/// The condition of a filter.
fn matching(filter: &SecretUseFilter, parts: &mut Vec<Part>) {
    parts.push(Part::Sql("1 = 1"));
    if let Some(id) = filter.credential_id {
        parts.extend([Part::Sql(" AND credential_id = "), Part::Id(id.into())]);
    }
    if let Some(identity) = &filter.identity {
        parts.extend([Part::Sql(" AND identity = "), Part::Text(identity.clone())]);
    }
    if let Some(start) = filter.start_time {
        parts.extend([Part::Sql(" AND last_use_time >= "), Part::Time(start.into())]);
    }
    if let Some(end) = filter.end_time {
        parts.extend([Part::Sql(" AND first_use_time < "), Part::Time(end.into())]);
    }
}

/// A column that a list is ordered by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Credential,
    Version,
    Identity,
    Rpc,
    Hour,
    LastUse,
}

const KEY: [Column; 5] = [Column::Credential, Column::Version, Column::Identity, Column::Rpc, Column::Hour];

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::Credential => "credential_id",
            Self::Version => "secret_version",
            Self::Identity => "identity",
            Self::Rpc => "rpc",
            Self::Hour => "hour",
            Self::LastUse => "last_use_time",
        }
    }

    fn value(self, of: &SecretUse) -> Part {
        match self {
            Self::Credential => Part::Id(of.key.credential_id.into()),
            Self::Version => Part::Int(of.key.secret_version),
            Self::Identity => Part::Text(of.key.identity.clone()),
            Self::Rpc => Part::Text(of.key.rpc.clone()),
            Self::Hour => Part::Time(of.key.hour.into()),
            Self::LastUse => Part::Time(of.uses.last_use_time.into()),
        }
    }
}

/// All columns of an order, each with whether the largest comes first.
fn columns(order: &[(SecretUseField, bool)]) -> Vec<(Column, bool)> {
    let mut columns: Vec<_> = order
        .iter()
        .map(|(field, descending)| match field {
            SecretUseField::Identity => (Column::Identity, *descending),
            SecretUseField::LastUseTime => (Column::LastUse, *descending),
        })
        .collect();
    for column in KEY {
        if columns.iter().all(|(known, _)| *known != column) {
            columns.push((column, false));
        }
    }
    columns
}

fn page(
    filter: &SecretUseFilter,
    order: &[(SecretUseField, bool)],
    after: Option<&SecretUse>,
    limit: i64,
) -> Selection {
    let mut parts = vec![Part::Sql("SELECT "), Part::Sql(COLUMNS), Part::Sql(" FROM secret_use WHERE ")];
    matching(filter, &mut parts);
    let columns = columns(order);
    if let Some(after) = after {
        parts.push(Part::Sql(" AND ("));
        behind(&columns, after, &mut parts);
        parts.push(Part::Sql(")"));
    }
    for (place, (column, descending)) in columns.iter().enumerate() {
        parts.push(Part::Sql(if place == 0 { " ORDER BY " } else { ", " }));
        parts.push(Part::Sql(column.name()));
        parts.push(Part::Sql(if *descending { " DESC" } else { "" }));
    }
    parts.extend([Part::Sql(" LIMIT "), Part::Int(limit)]);
    Selection(parts)
}

/// Whether a row comes after `last`: it does so in the first column in which it differs.
fn behind(columns: &[(Column, bool)], last: &SecretUse, parts: &mut Vec<Part>) {
    for (place, (column, descending)) in columns.iter().enumerate() {
        parts.push(Part::Sql(if place == 0 { "(" } else { " OR (" }));
        for (equal, _) in columns.iter().take(place) {
            parts.extend([Part::Sql(equal.name()), Part::Sql(" = "), equal.value(last), Part::Sql(" AND ")]);
        }
        let than = if *descending { " < " } else { " > " };
        parts.extend([Part::Sql(column.name()), Part::Sql(than), column.value(last), Part::Sql(")")]);
    }
}

/// A query put together from pieces.
struct Selection(Vec<Part>);

impl QueryFragment<Pg> for Selection {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        Part::walk_all(&self.0, out)
    }
}

impl QueryFragment<Sqlite> for Selection {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        Part::walk_all(&self.0, out)
    }
}

impl QueryId for Selection {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Selection {
    type SqlType = Untyped;
}

#[derive(QueryableByName)]
struct UseRow {
    #[diesel(sql_type = Id)]
    credential_id: DbId,
    #[diesel(sql_type = BigInt)]
    secret_version: i64,
    #[diesel(sql_type = Text)]
    identity: String,
    #[diesel(sql_type = Text)]
    rpc: String,
    #[diesel(sql_type = Ts)]
    hour: Instant,
    #[diesel(sql_type = BigInt)]
    uses: i64,
    #[diesel(sql_type = Ts)]
    first_use_time: Instant,
    #[diesel(sql_type = Ts)]
    last_use_time: Instant,
}

impl UseRow {
    fn read(self) -> SecretUse {
        SecretUse {
            key: SecretUseKey {
                credential_id: self.credential_id.into(),
                secret_version: self.secret_version,
                identity: self.identity,
                rpc: self.rpc,
                hour: self.hour.into(),
            },
            uses: UseCount {
                count: self.uses,
                first_use_time: self.first_use_time.into(),
                last_use_time: self.last_use_time.into(),
            },
        }
    }
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    lines: i64,
}

async fn load(conn: Conn<'_>, query: Selection) -> Result<Vec<UseRow>> {
    Ok(on_conn!(conn, |c| query.load(c).await)?)
}

async fn count(conn: Conn<'_>, query: Selection) -> Result<i64> {
    let row: CountRow = on_conn!(conn, |c| query.get_result(c).await)?;
    Ok(row.lines)
}
