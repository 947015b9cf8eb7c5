//! Reading the log and its head.

use diesel::dsl::min;
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, SelectableHelper as _,
};
use diesel_async::RunQueryDsl as _;

use super::Store;
use super::conn::{Conn, on_conn};
use super::error::{Result, StoreError};
use super::row::cluster::CounterRow;
use super::row::log::{LogRow, StoredLine};
use super::schema::{changes, revision_counter};
use crate::domain::{ChainHash, Head, Revision};

impl Store {
    /// How far the log goes.
    ///
    /// # Errors
    /// [`StoreError::NotInitialised`] in an empty database.
    pub async fn head(&self) -> Result<Head> {
        let mut held = self.reader().await?;
        let head = head(held.conn()?).await;
        held.note(head)
    }

    /// The lines after a revision: of at most `limit` revisions, each of them whole.
    ///
    /// # Errors
    /// What the database says.
    pub async fn log_after(&self, revision: Revision, limit: i64) -> Result<Vec<LogRow>> {
        let mut held = self.reader().await?;
        let rows = after(held.conn()?, revision, limit).await;
        held.note(rows)
    }

    /// The lines after a place in the log, at most `limit` of them, whatever their revisions.
    ///
    /// # Errors
    /// What the database says.
    pub async fn log_lines(&self, after: LogPlace, limit: i64) -> Result<Vec<LogRow>> {
        let mut held = self.reader().await?;
        let rows = lines(held.conn()?, after, limit).await;
        held.note(rows)
    }

    /// The revision after which the log is kept: who holds an older one has missed what is gone.
    ///
    /// # Errors
    /// What the database says.
    pub async fn log_begin(&self) -> Result<Revision> {
        let mut held = self.reader().await?;
        let first = first(held.conn()?).await;
        held.note(first)
    }

    /// The hash of a revision's last line: whether, and as what, a revision was committed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn find_commit(&self, revision: Revision) -> Result<Option<ChainHash>> {
        let mut held = self.reader().await?;
        let found = last_line(held.conn()?, revision).await;
        let found = held.note(found)?.map(|row| row.hash);
        drop(held);
        match found {
            Some(hash) => Ok(Some(hash)),
            // The last revision that was removed is known by its hash.
            None => {
                Ok(self.log_anchor().await?.filter(|anchor| anchor.head.revision == revision).map(|at| at.head.hash))
            }
        }
    }
}

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPlace {
    pub revision: Revision,
    /// The line of the revision; none: its last.
    pub ordinal: Option<u32>,
}

async fn lines(conn: Conn<'_>, LogPlace { revision, ordinal }: LogPlace, limit: i64) -> Result<Vec<LogRow>> {
    let ordinal = ordinal.map_or(i64::MAX, i64::from);
    let query = changes::table
        .filter(changes::revision.ge(revision.0))
        .filter(changes::revision.gt(revision.0).or(changes::ordinal.gt(ordinal)))
        .order((changes::revision, changes::ordinal))
        .limit(limit);
    let rows: Vec<StoredLine> = on_conn!(conn, |c| query.select(StoredLine::as_select()).load(c).await)?;
    rows.into_iter().map(LogRow::try_from).collect()
}

pub(super) async fn head(conn: Conn<'_>) -> Result<Head> {
    let query = revision_counter::table;
    let row: Option<CounterRow> =
        on_conn!(conn, |c| query.select(CounterRow::as_select()).first(c).await).optional()?;
    row.ok_or(StoreError::NotInitialised)?.try_into()
}

/// Revisions have no gaps, so a span of them is a number of them.
pub(super) async fn after(conn: Conn<'_>, revision: Revision, limit: i64) -> Result<Vec<LogRow>> {
    let query = changes::table
        .filter(changes::revision.gt(revision.0))
        .filter(changes::revision.le(revision.0.saturating_add(limit)))
        .order((changes::revision, changes::ordinal));
    let rows: Vec<StoredLine> = on_conn!(conn, |c| query.select(StoredLine::as_select()).load(c).await)?;
    rows.into_iter().map(LogRow::try_from).collect()
}

async fn first(mut conn: Conn<'_>) -> Result<Revision> {
    let query = changes::table.select(min(changes::revision));
    let first: Option<i64> = on_conn!(conn.again(), |c| query.first(c).await)?;
    match first {
        Some(first) => Ok(Revision(first.saturating_sub(1))),
        None => Ok(head(conn).await?.revision),
    }
}

async fn last_line(conn: Conn<'_>, revision: Revision) -> Result<Option<LogRow>> {
    let query = changes::table.filter(changes::revision.eq(revision.0)).order(changes::ordinal.desc());
    let row: Option<StoredLine> =
        on_conn!(conn, |c| query.select(StoredLine::as_select()).first(c).await).optional()?;
    row.map(LogRow::try_from).transpose()
}
