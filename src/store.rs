//! The database: one set of repositories for SQLite and PostgreSQL, both always compiled in; the URL chooses.
//!
//! Invariants: configuration is written only inside a [`WriteTx`], which holds the lock of the revision counter;
//! status only inside a [`StatusTx`], which holds that of the status counter. Locks are taken in the order lease,
//! counter, rows. No value that cannot be a resource gets out, and no secret ever gets into an error.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use diesel_async::AsyncPgConnection;
use tokio::sync::OwnedMutexGuard;

mod clock;
mod cluster;
mod conn;
mod error;
mod history;
mod image;
mod lease;
mod log;
mod migrations;
mod names;
mod notify;
mod postgres;
mod row;
mod schema;
mod secret;
mod secret_use;
mod sqlite;
mod statement;
mod status;
mod value;
mod watcher;
mod write;

pub use cluster::ClusterRow;
pub use error::{Cause, Result, StoreError};
pub use history::{ChangeFilter, LinePlace, LogAnchor, Trace};
pub use lease::{Claim, Lease, ReplicaRow};
pub use log::LogPlace;
pub use migrations::{MigrationState, MigrationStep};
pub use notify::{Hint, Notifications};
pub use row::log::{LogCopy, LogRow};
pub use secret_use::SecretUseField;
pub use status::StatusTx;
pub use watcher::WatcherBatch;
pub use write::{LogLine, RequestKey, StoredRequest, WriteSet, WriteTx, WriterSession};

use conn::{Held, LiteWriter};
use postgres::Postgres;
use sqlite::Sqlite;

/// Where the database is and how it is used.
#[derive(Clone)]
pub struct StoreConfig {
    /// `postgres://…` or `sqlite://path`.
    pub url: String,
    /// Connections besides the writer's.
    pub pool_size: usize,
    /// For opening a connection, and for waiting for a free one.
    pub connect_timeout: Duration,
    /// Accept a PostgreSQL session that acknowledges writes before they are safe.
    pub allow_async_commit: bool,
}

impl StoreConfig {
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), pool_size: 10, connect_timeout: Duration::from_secs(5), allow_async_commit: false }
    }
}

impl fmt::Debug for StoreConfig {
    /// Without the URL: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("pool_size", &self.pool_size)
            .field("connect_timeout", &self.connect_timeout)
            .field("allow_async_commit", &self.allow_async_commit)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

/// How many connections there are, besides the writer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    pub idle: usize,
    pub used: usize,
    /// So many there may be.
    pub max: usize,
    /// So many wait for one.
    pub waiting: usize,
}

impl PoolState {
    const fn new(size: usize, idle: usize, max: usize, waiting: usize) -> Self {
        Self { idle, used: size.saturating_sub(idle), max, waiting }
    }
}

/// The database, open. Cheap to clone.
///
/// A call to SQLite that is dropped before it ends waits for the statement that runs, which needs a runtime with
/// several threads.
#[derive(Clone)]
pub struct Store {
    backing: Arc<Backing>,
}

enum Backing {
    Postgres(Postgres),
    Sqlite(Sqlite),
}

impl Store {
    /// Opens the database; makes an SQLite file (and its directory) that does not exist. Does not migrate.
    ///
    /// # Errors
    /// A bad URL, an unreachable server, a file that cannot be used, another process on the same file.
    pub async fn connect(config: &StoreConfig) -> Result<Self> {
        let url = config.url.as_str();
        let backing = if let Some(path) = url.strip_prefix("sqlite://") {
            Backing::Sqlite(Sqlite::open(path, config).await?)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Backing::Postgres(Postgres::open(config).await?)
        } else {
            return Err(StoreError::BadUrl {
                problem: "it must begin with sqlite:// or postgres://, as in sqlite://data/modelward.db".into(),
            });
        };
        Ok(Self { backing: Arc::new(backing) })
    }

    #[must_use]
    pub fn engine(&self) -> Engine {
        match &*self.backing {
            Backing::Postgres(_) => Engine::Postgres,
            Backing::Sqlite(_) => Engine::Sqlite,
        }
    }

    /// Where the database is, for the operator; without a password.
    #[must_use]
    pub fn address(&self) -> &str {
        match &*self.backing {
            Backing::Postgres(postgres) => postgres.address(),
            Backing::Sqlite(sqlite) => sqlite.address(),
        }
    }

    /// How the pool of connections fares.
    #[must_use]
    pub fn pool(&self) -> PoolState {
        match &*self.backing {
            Backing::Postgres(postgres) => postgres.pool(),
            Backing::Sqlite(sqlite) => sqlite.pool(),
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<()> {
        let mut held = self.reader().await?;
        let answer = held.conn()?.execute_batch("SELECT 1").await;
        held.note(answer)
    }

    /// A connection for reading.
    async fn reader(&self) -> Result<Held<'static>> {
        match &*self.backing {
            Backing::Postgres(postgres) => Ok(Held::Pg(Some(Box::new(postgres.pooled().await?)))),
            Backing::Sqlite(sqlite) => Ok(Held::LiteReader(Some(Box::new(sqlite.reader().await?)))),
        }
    }

    /// A connection for one short transaction that writes.
    async fn short_writer(&self) -> Result<Held<'static>> {
        match &*self.backing {
            Backing::Postgres(postgres) => Ok(Held::Pg(Some(Box::new(postgres.pooled().await?)))),
            Backing::Sqlite(sqlite) => Ok(Held::LiteWriter(sqlite.writer().await)),
        }
    }

    /// SQLite's one write connection.
    async fn lite_writer(&self) -> Option<OwnedMutexGuard<LiteWriter>> {
        match &*self.backing {
            Backing::Postgres(_) => None,
            Backing::Sqlite(sqlite) => Some(sqlite.writer().await),
        }
    }

    /// A PostgreSQL connection outside of the pool.
    async fn own_connection(&self) -> Result<Option<Box<AsyncPgConnection>>> {
        match &*self.backing {
            Backing::Postgres(postgres) => Ok(Some(Box::new(postgres.connection().await?))),
            Backing::Sqlite(_) => Ok(None),
        }
    }
}
