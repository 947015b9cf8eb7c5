//! Reading the log for people: what changed, and how a resource was.

use diesel::dsl::{max, min, sql};
use diesel::pg::Pg;
use diesel::sql_types::Bool;
use diesel::sqlite::Sqlite;
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, SelectableHelper as _,
};
use diesel_async::RunQueryDsl as _;
use uuid::Uuid;

use super::Store;
use super::conn::{Conn, Purpose, Transaction, on_conn};
use super::error::Result;
use super::row::cluster::AnchorRow;
use super::row::log::{ChangeRow, LogCopy, LogRow, StoredLine};
use super::schema::{changes, log_anchor};
use super::statement::{Existing, Part, Statement, insert, run};
use super::value::{DbId, Instant};
use crate::domain::{ChainHash, Head, Operation, ResourceKind, Revision, Timestamp};

/// Which changes are asked for; what is absent or empty lets everything pass.
#[derive(Debug, Clone, Default)]
pub struct ChangeFilter {
    pub resource_kind: Option<ResourceKind>,
    pub resource_id: Option<Uuid>,
    pub actor: Option<String>,
    pub operations: Vec<Operation>,
    /// This time or later.
    pub start_time: Option<Timestamp>,
    /// Before this time.
    pub end_time: Option<Timestamp>,
    pub request_id: Option<String>,
    /// No later revision than this.
    pub until: Revision,
}

/// Where the kept log begins, when its oldest lines were removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogAnchor {
    /// The last change that was removed.
    pub head: Head,
    /// Proves that it was removed on purpose.
    pub seal: ChainHash,
}

/// A place in the log.
pub type LinePlace = (i64, i64);

/// What the log says of one resource around a revision.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Where the kept log begins.
    pub anchor: Option<LogAnchor>,
    /// The last change at or before the revision.
    pub last: Option<LogRow>,
    /// The first change after it.
    pub next: Option<LogRow>,
}

/// Builds the query for a filter, for one engine.
macro_rules! matching {
    ($engine:ty, $filter:expr) => {{
        let filter = $filter;
        let mut query = changes::table.into_boxed::<$engine>().filter(changes::revision.le(filter.until.0));
        if let Some(kind) = filter.resource_kind {
            query = query.filter(changes::resource_kind.eq(kind.noun()));
        }
        if let Some(id) = filter.resource_id {
            query = query.filter(changes::resource_id.eq(DbId(id)));
        }
        if let Some(actor) = &filter.actor {
            query = query.filter(changes::actor.eq(actor.clone()));
        }
        if !filter.operations.is_empty() {
            let names: Vec<_> = filter.operations.iter().map(|operation| operation.name()).collect();
            query = query.filter(changes::operation.eq_any(names));
        }
        if let Some(start) = filter.start_time {
            query = query.filter(changes::time.ge(Instant(start)));
        }
        if let Some(end) = filter.end_time {
            query = query.filter(changes::time.lt(Instant(end)));
        }
        if let Some(id) = &filter.request_id {
            // In so many words, so that the index of those that are not empty serves.
            query = query.filter(changes::request_id.eq(id.clone())).filter(sql::<Bool>("request_id <> ''"));
        }
        query
    }};
}

/// Builds the query for a page of what matches.
macro_rules! page {
    ($engine:ty, $filter:expr, $behind:expr, $descending:expr, $limit:expr) => {{
        let mut query = matching!($engine, $filter).limit($limit);
        // The first condition alone bounds the walk through the index.
        query = match ($behind, $descending) {
            (None, _) => query,
            (Some((revision, ordinal)), false) => query
                .filter(changes::revision.ge(revision))
                .filter(changes::revision.gt(revision).or(changes::ordinal.gt(ordinal))),
            (Some((revision, ordinal)), true) => query
                .filter(changes::revision.le(revision))
                .filter(changes::revision.lt(revision).or(changes::ordinal.lt(ordinal))),
        };
        if $descending {
            query.order((changes::revision.desc(), changes::ordinal.desc()))
        } else {
            query.order((changes::revision.asc(), changes::ordinal.asc()))
        }
    }};
}

impl Store {
    /// The changes that match, strictly behind a place, and with `count` how many match in all.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_changes(
        &self,
        filter: &ChangeFilter,
        behind: Option<LinePlace>,
        descending: bool,
        limit: i64,
        count: bool,
    ) -> Result<(Vec<LogRow>, Option<i64>)> {
        let mut transaction = Transaction::begin(self.reader().await?, Purpose::Read).await?;
        let rows = list(transaction.conn()?, filter, behind, descending, limit).await;
        let rows = transaction.note(rows)?;
        let total = if count {
            let counted = total(transaction.conn()?, filter).await;
            Some(transaction.note(counted)?)
        } else {
            None
        };
        transaction.commit().await?;
        Ok((rows, total))
    }

    /// What the log says of a resource around a revision.
    ///
    /// # Errors
    /// What the database says.
    pub async fn trace(&self, kind: ResourceKind, id: Uuid, revision: Revision) -> Result<Trace> {
        let mut transaction = Transaction::begin(self.reader().await?, Purpose::Read).await?;
        let trace = trace(transaction.conn()?, kind, id, revision).await;
        let trace = transaction.note(trace)?;
        transaction.commit().await?;
        Ok(trace)
    }

    /// The rows of the log after a revision, up to another one, with all their columns.
    ///
    /// # Errors
    /// What the database says.
    pub async fn log_copies(&self, after: Revision, until: Revision) -> Result<Vec<LogCopy>> {
        let mut held = self.reader().await?;
        let copies = copies(held.conn()?, after, until).await;
        held.note(copies)
    }

    /// Removes the lines of the log up to an anchor, which takes their place. False: the log begins there already.
    ///
    /// # Errors
    /// What the database says.
    pub async fn shorten_log(&self, anchor: &LogAnchor) -> Result<bool> {
        let mut transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        let locked = lock(transaction.conn()?).await;
        transaction.note(locked)?;
        let known = self::anchor(transaction.conn()?).await;
        let known = transaction.note(known)?;
        if known.is_some_and(|known| known.head.revision >= anchor.head.revision) {
            transaction.rollback().await?;
            return Ok(false);
        }
        let mut list = Vec::new();
        insert(&mut list, vec![AnchorRow::from(anchor)], Existing::Replace);
        let until = Part::Int(anchor.head.revision.0);
        list.push(Statement::of([Part::Sql("DELETE FROM changes WHERE revision <= "), until]));
        let done = run(transaction.conn()?, list).await;
        transaction.note(done)?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The last revision all of whose lines are older than a time, if there is one.
    ///
    /// # Errors
    /// What the database says.
    pub async fn last_revision_before(&self, time: Timestamp) -> Result<Option<Revision>> {
        let mut held = self.reader().await?;
        let found = last_before(held.conn()?, time).await;
        held.note(found)
    }

    /// Where the kept log begins: the last change before it. None: at the beginning.
    ///
    /// # Errors
    /// What the database says.
    pub async fn log_anchor(&self) -> Result<Option<LogAnchor>> {
        let mut held = self.reader().await?;
        let anchor = anchor(held.conn()?).await;
        held.note(anchor)
    }
}

async fn list(
    conn: Conn<'_>,
    filter: &ChangeFilter,
    behind: Option<LinePlace>,
    descending: bool,
    limit: i64,
) -> Result<Vec<LogRow>> {
    let rows: Vec<StoredLine> = match conn {
        Conn::Pg(c) => page!(Pg, filter, behind, descending, limit).select(StoredLine::as_select()).load(c).await?,
        Conn::Lite(c) => {
            page!(Sqlite, filter, behind, descending, limit).select(StoredLine::as_select()).load(c).await?
        }
    };
    rows.into_iter().map(LogRow::try_from).collect()
}

async fn total(conn: Conn<'_>, filter: &ChangeFilter) -> Result<i64> {
    Ok(match conn {
        Conn::Pg(c) => matching!(Pg, filter).count().get_result(c).await?,
        Conn::Lite(c) => matching!(Sqlite, filter).count().get_result(c).await?,
    })
}

async fn trace(mut conn: Conn<'_>, kind: ResourceKind, id: Uuid, revision: Revision) -> Result<Trace> {
    let anchor = anchor(conn.again()).await?;
    let of = || changes::table.filter(changes::resource_id.eq(DbId(id))).filter(changes::resource_kind.eq(kind.noun()));
    let last = of().filter(changes::revision.le(revision.0)).order((changes::revision.desc(), changes::ordinal.desc()));
    let next = of().filter(changes::revision.gt(revision.0)).order((changes::revision, changes::ordinal));
    let last: Option<StoredLine> =
        on_conn!(conn.again(), |c| last.select(StoredLine::as_select()).first(c).await).optional()?;
    let next: Option<StoredLine> =
        on_conn!(conn, |c| next.select(StoredLine::as_select()).first(c).await).optional()?;
    let read = |line: Option<StoredLine>| line.map(LogRow::try_from).transpose();
    Ok(Trace { anchor, last: read(last)?, next: read(next)? })
}

async fn anchor(conn: Conn<'_>) -> Result<Option<LogAnchor>> {
    let query = log_anchor::table;
    let row: Option<AnchorRow> = on_conn!(conn, |c| query.select(AnchorRow::as_select()).first(c).await).optional()?;
    row.map(LogAnchor::try_from).transpose()
}

async fn copies(conn: Conn<'_>, after: Revision, until: Revision) -> Result<Vec<LogCopy>> {
    let query = changes::table
        .filter(changes::revision.gt(after.0))
        .filter(changes::revision.le(until.0))
        .order((changes::revision, changes::ordinal));
    let rows: Vec<ChangeRow> = on_conn!(conn, |c| query.select(ChangeRow::as_select()).load(c).await)?;
    rows.into_iter().map(LogCopy::try_from).collect()
}

/// Clocks of replicas differ: what lies before the first line that is younger counts.
async fn last_before(mut conn: Conn<'_>, time: Timestamp) -> Result<Option<Revision>> {
    let younger = changes::table.filter(changes::time.ge(Instant(time))).select(min(changes::revision));
    let younger: Option<i64> = on_conn!(conn.again(), |c| younger.first(c).await)?;
    let older = changes::table.filter(changes::revision.lt(younger.unwrap_or(i64::MAX)));
    let last: Option<i64> = on_conn!(conn, |c| older.select(max(changes::revision)).first(c).await)?;
    Ok(last.map(Revision))
}

/// Two replicas may shorten the log at once; SQLite has one writer anyway.
async fn lock(conn: Conn<'_>) -> Result<()> {
    match conn {
        Conn::Pg(_) => conn.execute_batch("LOCK TABLE log_anchor IN EXCLUSIVE MODE").await,
        Conn::Lite(_) => Ok(()),
    }
}
