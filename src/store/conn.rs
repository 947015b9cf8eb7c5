//! A connection of either engine, and transactions over one.
//!
//! Invariant: a transaction that was neither committed nor rolled back never goes on living: its connection is closed
//! (PostgreSQL, readers), or rolled back by whoever takes the write connection next (SQLite).

use diesel::SqliteConnection;
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use tokio::sync::OwnedMutexGuard;

use super::error::{Result, StoreError};

pub(super) type LiteConnection = SyncConnectionWrapper<SqliteConnection>;

/// What repository functions take: a statement is type-checked once per engine by [`on_conn!`].
pub(super) enum Conn<'a> {
    Pg(&'a mut AsyncPgConnection),
    Lite(&'a mut LiteConnection),
}

/// Runs one expression on whichever connection it is.
macro_rules! on_conn {
    ($conn:expr, |$c:ident| $body:expr) => {
        match $conn {
            $crate::store::conn::Conn::Pg($c) => $body,
            $crate::store::conn::Conn::Lite($c) => $body,
        }
    };
}
pub(super) use on_conn;

impl Conn<'_> {
    /// The same connection for one more statement.
    pub(super) fn again(&mut self) -> Conn<'_> {
        match self {
            Self::Pg(c) => Conn::Pg(c),
            Self::Lite(c) => Conn::Lite(c),
        }
    }

    pub(super) async fn execute_batch(self, sql: &str) -> Result<()> {
        Ok(on_conn!(self, |c| c.batch_execute(sql).await)?)
    }
}

/// SQLite's one write connection.
pub(super) struct LiteWriter {
    pub(super) conn: LiteConnection,
    /// A transaction was begun and not ended.
    pub(super) open: bool,
}

/// A connection that somebody holds for a while.
pub(super) enum Held<'s> {
    /// The writer's own PostgreSQL connection, lent; taken out when it must not be used again.
    Own(&'s mut Option<Box<AsyncPgConnection>>),
    Pg(Option<Box<Object<AsyncPgConnection>>>),
    LiteWriter(OwnedMutexGuard<LiteWriter>),
    LiteReader(Option<Box<Object<LiteConnection>>>),
}

impl Held<'_> {
    pub(super) fn conn(&mut self) -> Result<Conn<'_>> {
        let conn = match self {
            Self::Own(slot) => slot.as_deref_mut().map(Conn::Pg),
            Self::Pg(slot) => slot.as_deref_mut().map(|object| Conn::Pg(object)),
            Self::LiteWriter(guard) => Some(Conn::Lite(&mut guard.conn)),
            Self::LiteReader(slot) => slot.as_deref_mut().map(|object| Conn::Lite(object)),
        };
        conn.ok_or_else(|| StoreError::unavailable("the connection was lost"))
    }

    /// Closes the connection instead of giving it back.
    fn discard(&mut self) {
        match self {
            Self::Own(slot) => drop(slot.take()),
            Self::Pg(slot) => drop(slot.take().map(|object| Object::take(*object))),
            Self::LiteReader(slot) => drop(slot.take().map(|object| Object::take(*object))),
            Self::LiteWriter(_) => {}
        }
    }

    /// Passes a result on; a connection that reported its own end is not used again.
    pub(super) fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        if result.as_ref().is_err_and(StoreError::spoils_connection) {
            self.discard();
        }
        result
    }

    fn mark(&mut self, open: bool) {
        if let Self::LiteWriter(guard) = self {
            guard.open = open;
        }
    }

    const fn is_postgres(&self) -> bool {
        matches!(self, Self::Own(_) | Self::Pg(_))
    }
}

const FAILED: &str = "a statement of the transaction failed";

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// All statements see the same moment.
    Read,
    Write,
}

/// An open transaction.
pub(super) struct Transaction<'s> {
    held: Held<'s>,
    open: bool,
    failed: bool,
}

impl<'s> Transaction<'s> {
    pub(super) async fn begin(mut held: Held<'s>, purpose: Purpose) -> Result<Self> {
        if let Held::LiteWriter(guard) = &mut held
            && guard.open
        {
            // Whoever began it is gone. It may already be undone, so the answer does not matter.
            drop(guard.conn.batch_execute("ROLLBACK").await);
        }
        let sql = match (held.is_postgres(), purpose) {
            (true, Purpose::Read) => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0"
            }
            (true, Purpose::Write) => "BEGIN ISOLATION LEVEL READ COMMITTED",
            (false, Purpose::Read) => "BEGIN",
            (false, Purpose::Write) => "BEGIN IMMEDIATE",
        };
        let mut transaction = Self { held, open: true, failed: false };
        transaction.held.mark(true);
        let begun = transaction.conn()?.execute_batch(sql).await;
        transaction.note(begun)?;
        Ok(transaction)
    }

    /// # Errors
    /// After an error there is nothing to go on with: on SQLite the transaction has ended, and what came now would stay.
    pub(super) fn conn(&mut self) -> Result<Conn<'_>> {
        if self.failed { Err(StoreError::unavailable(FAILED)) } else { self.held.conn() }
    }

    /// Passes a result on; after an error nothing can be committed any more.
    pub(super) fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        self.failed |= result.is_err();
        self.held.note(result)
    }

    /// # Errors
    /// [`StoreError::CommitUnknown`] when the database did not say how it ended; all others are definite failures.
    pub(super) async fn commit(mut self) -> Result<()> {
        if self.failed {
            self.rollback().await?;
            return Err(StoreError::unavailable(FAILED));
        }
        let committed = self.conn()?.execute_batch("COMMIT").await.map_err(StoreError::at_commit);
        if committed.is_ok() {
            self.open = false;
            self.held.mark(false);
        }
        self.held.note(committed)
    }

    pub(super) async fn rollback(mut self) -> Result<()> {
        let ended = self.held.conn()?.execute_batch("ROLLBACK").await;
        // What failed may have ended before.
        if !self.failed || self.held.is_postgres() {
            ended?;
        }
        self.open = false;
        self.held.mark(false);
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open {
            self.held.discard();
        }
    }
}
