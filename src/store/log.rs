//! Reading the log and its head.

use diesel::{ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, SelectableHelper as _};
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

    /// The hash of a revision's last line: whether, and as what, a revision was committed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn find_commit(&self, revision: Revision) -> Result<Option<ChainHash>> {
        let mut held = self.reader().await?;
        let found = last_line(held.conn()?, revision).await;
        let found = held.note(found)?;
        Ok(found.map(|row| row.hash))
    }
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

async fn last_line(conn: Conn<'_>, revision: Revision) -> Result<Option<LogRow>> {
    let query = changes::table.filter(changes::revision.eq(revision.0)).order(changes::ordinal.desc());
    let row: Option<StoredLine> =
        on_conn!(conn, |c| query.select(StoredLine::as_select()).first(c).await).optional()?;
    row.map(LogRow::try_from).transpose()
}
