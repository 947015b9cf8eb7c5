//! The write side: one transaction per batch, under the lock of the revision counter.
//!
//! Invariant: whoever has a [`WriteTx`] holds the lock, so no other process of the cluster writes configuration until
//! it ends; and a [`WriteTx`] that is dropped writes nothing.

use std::sync::Arc;

use bytes::Bytes;
use diesel::{ExpressionMethods as _, QueryDsl as _, SelectableHelper as _};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use super::Store;
use super::conn::{Conn, Held, Purpose, Transaction, on_conn};
use super::error::{Cause, Result, StoreError};
use super::lease::{self, Claim};
use super::row::cluster::CounterRow;
use super::row::log::{LogRow, RequestRow};
use super::schema::{request_ids, revision_counter};
use super::statement::{Part, Statement};
use super::{log, statement};
use crate::domain::secret::SealedSecret;
use crate::domain::{ChainHash, Change, CredentialId, Head, Revision, Timestamp};

mod net;
mod set;

use set::Statements;

/// One line to append to the log.
#[derive(Debug, Clone)]
pub struct LogLine {
    pub change: Arc<Change>,
    pub hash: ChainHash,
    /// What the hash covers: the encoded change.
    pub payload: Bytes,
}

/// A caller's request id: unique per identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey {
    pub identity: String,
    pub request_id: String,
}

/// The answer kept for repetitions of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRequest {
    pub key: RequestKey,
    pub payload_hash: [u8; 32],
    pub answer: Bytes,
    pub revision: Revision,
    pub time: Timestamp,
}

/// All that one transaction writes.
#[derive(Debug, Clone, Default)]
pub struct WriteSet {
    /// The head after this set; the one that was read when nothing was appended.
    pub head: Head,
    pub log: Vec<LogLine>,
    pub requests: Vec<StoredRequest>,
    pub sealed: Vec<SealedSecret>,
    /// Ciphertexts to destroy: one version, or (`None`) all but those that this set seals.
    pub destroy: Vec<(CredentialId, Option<i64>)>,
    pub expire: Vec<(CredentialId, i64, Timestamp)>,
    /// Tell the other replicas.
    pub notify: bool,
}

/// The writer's own connection. PostgreSQL: opened when needed, reopened after a loss. SQLite: the store's one write
/// connection, borrowed for each transaction.
pub struct WriterSession {
    store: Store,
    own: Option<Box<AsyncPgConnection>>,
}

impl Store {
    /// Opens a session for the one writer of this process.
    ///
    /// # Errors
    /// The database is not reachable, or its session settings could lose acknowledged writes.
    pub async fn writer(&self) -> Result<WriterSession> {
        let own = self.own_connection().await?;
        Ok(WriterSession { store: self.clone(), own })
    }
}

impl Store {
    /// Forgets answers that are older than `before`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget_requests(&self, before: Timestamp) -> Result<usize> {
        self.forget("DELETE FROM request_ids WHERE time < ", before).await
    }

    /// Destroys older versions of secrets that were readable until `now` at most.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget_expired_secrets(&self, now: Timestamp) -> Result<usize> {
        self.forget("DELETE FROM credential_secrets WHERE expire_time < ", now).await
    }

    /// Runs a deletion that ends in an instant.
    async fn forget(&self, deletion: &'static str, time: Timestamp) -> Result<usize> {
        let mut transaction = Transaction::begin(self.short_writer().await?, Purpose::Write).await?;
        let old = Statement::of([Part::Sql(deletion), Part::Time(time.into())]);
        let forgotten = statement::run(transaction.conn()?, vec![old]).await;
        let forgotten = transaction.note(forgotten)?;
        transaction.commit().await?;
        Ok(forgotten.into_iter().sum())
    }
}

impl WriterSession {
    /// Begins a transaction, takes the write lock and reads the head.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] also when another replica holds the lock for too long.
    pub async fn begin(&mut self) -> Result<WriteTx<'_>> {
        let held = if let Some(guard) = self.store.lite_writer().await {
            Held::LiteWriter(guard)
        } else {
            if self.own.is_none() {
                self.own = self.store.own_connection().await?;
            }
            Held::Own(&mut self.own)
        };
        let mut transaction = Transaction::begin(held, Purpose::Write).await?;
        let head = lock_head(transaction.conn()?).await;
        let head = transaction.note(head)?;
        Ok(WriteTx { transaction, head })
    }
}

async fn lock_head(conn: Conn<'_>) -> Result<Head> {
    let counter = revision_counter::table;
    let rows: Vec<CounterRow> = match conn {
        Conn::Pg(c) => counter.select(CounterRow::as_select()).for_update().load(c).await?,
        Conn::Lite(c) => counter.select(CounterRow::as_select()).load(c).await?,
    };
    rows.into_iter().next().ok_or(StoreError::NotInitialised)?.try_into()
}

/// An open write transaction.
pub struct WriteTx<'s> {
    transaction: Transaction<'s>,
    head: Head,
}

impl WriteTx<'_> {
    /// How far the log goes; nobody moves it while this transaction is open.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// The lines of the log after a revision: of at most `limit` revisions, each of them whole.
    ///
    /// # Errors
    /// What the database says.
    pub async fn log_after(&mut self, revision: Revision, limit: i64) -> Result<Vec<LogRow>> {
        let rows = log::after(self.transaction.conn()?, revision, limit).await;
        self.transaction.note(rows)
    }

    /// Those of the requests that were answered before.
    ///
    /// # Errors
    /// What the database says.
    pub async fn requests(&mut self, keys: &[RequestKey]) -> Result<Vec<StoredRequest>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let found = find_requests(self.transaction.conn()?, keys).await;
        let found = self.transaction.note(found)?;
        Ok(found.into_iter().filter(|request| keys.contains(&request.key)).collect())
    }

    /// Whether a lease is still held as claimed. Its row is not locked: who takes the lease over now writes after this
    /// transaction, whose lock it needs.
    ///
    /// # Errors
    /// What the database says.
    pub async fn check_lease(&mut self, claim: &Claim) -> Result<bool> {
        let held = lease::is_held(self.transaction.conn()?, claim, false).await;
        self.transaction.note(held)
    }

    /// Writes a set.
    ///
    /// # Errors
    /// [`StoreError::Constraint`] means that memory and database differ. After any error the transaction can only be
    /// rolled back.
    pub async fn write(&mut self, set: &WriteSet) -> Result<()> {
        let conn = self.transaction.conn()?;
        let Statements { list, log } = set::statements(set, self.head, &conn);
        let touched = statement::run(conn, list).await;
        self.transaction.note(touched.and_then(|touched| all_recorded(set, touched.get(log).unwrap_or_default())))
    }

    /// Commits.
    ///
    /// # Errors
    /// [`StoreError::CommitUnknown`]: it may or may not have happened; look for the head's revision and hash on a new
    /// connection. All other errors: nothing was written.
    pub async fn commit(self) -> Result<()> {
        self.transaction.commit().await
    }

    /// Ends the transaction without writing.
    ///
    /// # Errors
    /// What the database says; nothing is written even then.
    pub async fn rollback(self) -> Result<()> {
        self.transaction.rollback().await
    }
}

/// A trigger or a rule of the database may swallow rows without an error. No change goes without its record.
fn all_recorded(set: &WriteSet, touched: &[usize]) -> Result<()> {
    let (taken, lines) = (touched.iter().sum::<usize>(), set.log.len());
    if taken == lines {
        return Ok(());
    }
    Err(StoreError::Other(Cause(format!("the log took {taken} of {lines} lines"))))
}

/// All combinations of the given identities and request ids that exist.
async fn find_requests(conn: Conn<'_>, keys: &[RequestKey]) -> Result<Vec<StoredRequest>> {
    let ids: Vec<_> = keys.iter().map(|key| key.request_id.clone()).collect();
    let identities: Vec<_> = keys.iter().map(|key| key.identity.clone()).collect();
    let query =
        request_ids::table.filter(request_ids::request_id.eq_any(ids)).filter(request_ids::identity.eq_any(identities));
    let rows: Vec<RequestRow> = on_conn!(conn, |c| query.select(RequestRow::as_select()).load(c).await)?;
    rows.into_iter().map(StoredRequest::try_from).collect()
}
