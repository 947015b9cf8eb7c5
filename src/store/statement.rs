//! Statements for many rows at once, in the SQL that both engines share.
//!
//! A [`Statement`] is built without knowing the engine and runs on either; a list of them takes one hop to SQLite's
//! thread. Diesel's own multi-row inserts run row by row on SQLite, which is why these exist. The column types are
//! those of `schema.rs`, checked at compile time where a row is declared.

use diesel::backend::Backend;
use diesel::connection::SimpleConnection as _;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, BigInt, Binary, HasSqlType, Text};
use diesel::sqlite::Sqlite;

use super::conn::Conn;
use super::error::Result;
use super::schema::sql_types::{Id, Ts};
use super::value::{DbId, Instant};

mod row;

pub(super) use row::{Bind, Frame, Row, row};

/// How many values a statement may carry: SQLite allows 32,766, PostgreSQL 65,535.
const MAX_BINDS: usize = 32_000;
/// Statements of up to this many rows are worth a place among the prepared ones: batches of every size up to it come
/// again and again.
const MAX_CACHED_ROWS: usize = 32;

/// What an insert does when its key exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// A violation.
    Refuse,
    /// The row takes the new values of the listed columns.
    Replace,
    /// The row stays as it is.
    Keep,
}

/// `INSERT … VALUES (…), (…) ON CONFLICT …`.
struct Insert<R> {
    rows: Vec<R>,
    existing: Existing,
}

impl<R: Row> Insert<R> {
    fn walk<'b, DB: Backend>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()>
    where
        R: Bind<DB>,
    {
        if self.rows.len() > MAX_CACHED_ROWS {
            out.unsafe_to_cache_prepared();
        }
        let frame = R::frame();
        out.push_sql(&frame.head);
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                out.push_sql("), (");
            }
            row.bind(&mut out)?;
        }
        out.push_sql(match self.existing {
            Existing::Refuse => ")",
            Existing::Keep => &frame.keep,
            Existing::Replace => &frame.replace,
        });
        Ok(())
    }
}

/// A statement about the rows with certain ids: `<before> IN (ids) <after>`.
struct ByIds {
    before: String,
    ids: Vec<DbId>,
}

impl<R: Bind<Pg>> QueryFragment<Pg> for Insert<R> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.walk(out)
    }
}

impl<R: Bind<Sqlite>> QueryFragment<Sqlite> for Insert<R> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.walk(out)
    }
}

impl QueryFragment<Pg> for ByIds {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(&self.before);
        out.push_sql(" = ANY(");
        out.push_bind_param::<Array<Id>, Vec<DbId>>(&self.ids)?;
        out.push_sql(")");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for ByIds {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        if self.ids.len() > MAX_CACHED_ROWS {
            out.unsafe_to_cache_prepared();
        }
        out.push_sql(&self.before);
        out.push_sql(" IN (");
        for (index, id) in self.ids.iter().enumerate() {
            if index > 0 {
                out.push_sql(", ");
            }
            out.push_bind_param::<Id, DbId>(id)?;
        }
        out.push_sql(")");
        Ok(())
    }
}

/// A piece of a statement that is written out by hand: text, or a value.
#[derive(Debug)]
pub(super) enum Part {
    Sql(&'static str),
    Id(DbId),
    Int(i64),
    Time(Instant),
    Text(String),
    Bytes(Vec<u8>),
}

/// A statement put together from pieces.
struct Parts(Vec<Part>);

/// More pieces than statements have that come again and again: not worth a place among the prepared ones.
const MAX_CACHED_PARTS: usize = 200;

impl Part {
    pub(super) fn walk_all<'b, DB>(parts: &'b [Self], mut out: AstPass<'_, 'b, DB>) -> QueryResult<()>
    where
        DB: Backend + HasSqlType<Id> + HasSqlType<Ts>,
        DbId: ToSql<Id, DB>,
        i64: ToSql<BigInt, DB>,
        Instant: ToSql<Ts, DB>,
        String: ToSql<Text, DB>,
        Vec<u8>: ToSql<Binary, DB>,
    {
        if parts.len() > MAX_CACHED_PARTS {
            out.unsafe_to_cache_prepared();
        }
        for part in parts {
            match part {
                Part::Sql(sql) => out.push_sql(sql),
                Part::Id(id) => out.push_bind_param::<Id, _>(id)?,
                Part::Int(number) => out.push_bind_param::<BigInt, _>(number)?,
                Part::Time(time) => out.push_bind_param::<Ts, _>(time)?,
                Part::Text(text) => out.push_bind_param::<Text, _>(text)?,
                Part::Bytes(bytes) => out.push_bind_param::<Binary, _>(bytes)?,
            }
        }
        Ok(())
    }
}

impl QueryFragment<Pg> for Parts {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        Part::walk_all(&self.0, out)
    }
}

impl QueryFragment<Sqlite> for Parts {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        Part::walk_all(&self.0, out)
    }
}

trait OnBoth: QueryFragment<Pg> + QueryFragment<Sqlite> + Send {
    /// The same as statements of one row each.
    fn singly(self: Box<Self>) -> Vec<Statement>;
}

impl<R: Bind<Pg> + Bind<Sqlite>> OnBoth for Insert<R> {
    fn singly(self: Box<Self>) -> Vec<Statement> {
        let existing = self.existing;
        self.rows.into_iter().map(|row| Statement(Box::new(Self { rows: vec![row], existing }))).collect()
    }
}

impl OnBoth for ByIds {
    fn singly(self: Box<Self>) -> Vec<Statement> {
        vec![Statement(self)]
    }
}

impl OnBoth for Parts {
    fn singly(self: Box<Self>) -> Vec<Statement> {
        vec![Statement(self)]
    }
}

/// One statement for either engine.
pub(super) struct Statement(Box<dyn OnBoth>);

impl Statement {
    /// A statement from pieces of SQL and values.
    pub(super) fn of(parts: impl Into<Vec<Part>>) -> Self {
        Self(Box::new(Parts(parts.into())))
    }
}

impl QueryFragment<Pg> for Statement {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        <dyn OnBoth as QueryFragment<Pg>>::walk_ast(&*self.0, out)
    }
}

impl QueryFragment<Sqlite> for Statement {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        <dyn OnBoth as QueryFragment<Sqlite>>::walk_ast(&*self.0, out)
    }
}

impl QueryId for Statement {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C> diesel::RunQueryDsl<C> for Statement {}

/// Inserts rows, in as few statements as the engines' limits allow.
pub(super) fn insert<R>(list: &mut Vec<Statement>, rows: Vec<R>, existing: Existing)
where
    R: Bind<Pg> + Bind<Sqlite>,
{
    let at_once = MAX_BINDS / R::COLUMNS.len().max(1);
    let mut rest = rows.into_iter();
    loop {
        let rows: Vec<R> = rest.by_ref().take(at_once).collect();
        if rows.is_empty() {
            return;
        }
        list.push(Statement(Box::new(Insert { rows, existing })));
    }
}

/// `<before> IN (ids)`, as in `DELETE FROM providers WHERE id`.
pub(super) fn by_ids(list: &mut Vec<Statement>, before: &str, ids: &[DbId]) {
    for ids in ids.chunks(MAX_BINDS) {
        list.push(Statement(Box::new(ByIds { before: before.to_owned(), ids: ids.to_vec() })));
    }
}

/// Runs the statements of a transaction in order; answers how many rows each one touched. After an error SQLite's
/// transaction ends here: its connection would keep the file locked until somebody writes again.
///
/// To SQLite rows go one by one: a prepared statement that is run again costs less than preparing one for all rows,
/// and needs no journal of its own to be undone half-way.
pub(super) async fn run(conn: Conn<'_>, list: Vec<Statement>) -> Result<Vec<usize>> {
    let mut touched = Vec::with_capacity(list.len());
    match conn {
        Conn::Pg(conn) => {
            for statement in list {
                touched.push(diesel_async::RunQueryDsl::execute(statement, conn).await?);
            }
            Ok(touched)
        }
        Conn::Lite(conn) => Ok(conn
            .spawn_blocking(move |conn| {
                for statement in list {
                    let single = statement.0.singly().into_iter();
                    let rows: diesel::QueryResult<usize> =
                        single.map(|statement| diesel::RunQueryDsl::execute(statement, conn)).sum();
                    // The error itself may have ended it.
                    touched.push(rows.inspect_err(|_| drop(conn.batch_execute("ROLLBACK")))?);
                }
                Ok(touched)
            })
            .await?),
    }
}
