//! PostgreSQL: connecting, the pool, and the settings of a session.
//!
//! Every session bounds how long it waits for a lock and how long it may sit in a transaction, so that a frozen
//! replica never holds the write lock for ever.
//!
//! Invariant: every connection is to a server that takes writes. A standby is none: it tells late of changes, and takes
//! no LISTEN. The URL may name several servers; whichever is the primary is found when a connection is opened.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::pooled_connection::deadpool::{Hook, HookError, Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use futures_util::{FutureExt as _, future};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Cause, Result, StoreError};
use super::{PoolState, StoreConfig};

mod hosts;
mod tls;

const SESSION: &str = "SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '5s'";
/// What a session began with it keeps: a changed configuration of the database reaches sessions that are open.
const KEEP_COMMIT: &str =
    "SELECT set_config('synchronous_commit', current_setting('synchronous_commit'), false) AS value";
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections are renewed after this time, so that a failover or a changed password is noticed.
const LIFETIME: Duration = Duration::from_hours(1);

pub(super) struct Postgres {
    connector: Arc<Connector>,
    pool: Pool<AsyncPgConnection>,
}

/// How a connection is opened.
struct Connector {
    /// One for each server of the URL.
    configs: Vec<tokio_postgres::Config>,
    tls: MakeRustlsConnect,
    address: String,
    timeout: Duration,
    allow_async_commit: bool,
}

impl Postgres {
    pub(super) async fn open(config: &StoreConfig) -> Result<Self> {
        let connector = Arc::new(Connector::new(config)?);
        // Tells at once what is wrong: the pool opens its connections when they are needed.
        let mut first = connector.open().await?;
        let fsync: Setting =
            diesel::sql_query("SELECT current_setting('fsync') AS value").get_result(&mut first).await?;
        if fsync.value == "off" {
            tracing::warn!("the database has fsync = off: a power cut can lose acknowledged writes and damage it");
        }
        drop(first);
        let pool = Pool::builder(manager(Arc::clone(&connector)))
            .max_size(config.pool_size.max(1))
            .pre_recycle(Hook::sync_fn(|_, metrics| {
                if metrics.created.elapsed() > LIFETIME { Err(HookError::message("too old")) } else { Ok(()) }
            }))
            .build()
            .map_err(|error| StoreError::Other(Cause(error.to_string())))?;
        Ok(Self { connector, pool })
    }

    pub(super) fn address(&self) -> &str {
        &self.connector.address
    }

    pub(super) fn pool(&self) -> PoolState {
        let status = self.pool.status();
        PoolState::new(status.size, status.available, status.max_size, status.waiting)
    }

    pub(super) async fn pooled(&self) -> Result<Object<AsyncPgConnection>> {
        match tokio::time::timeout(self.connector.timeout, self.pool.get()).await {
            Ok(got) => got.map_err(|error| StoreError::unavailable(error.to_string())),
            Err(_) => Err(StoreError::unavailable("no connection became free in time")),
        }
    }

    /// A connection outside of the pool.
    pub(super) async fn connection(&self) -> Result<AsyncPgConnection> {
        self.connector.open().await
    }
}

fn manager(connector: Arc<Connector>) -> AsyncDieselConnectionManager<AsyncPgConnection> {
    let mut config = ManagerConfig::<AsyncPgConnection>::default();
    config.custom_setup = Box::new(move |_| {
        let connector = Arc::clone(&connector);
        async move {
            let opened = connector.open().await;
            opened.map_err(|error| diesel::ConnectionError::BadConnection(Cause::chain(&error).0))
        }
        .boxed()
    });
    AsyncDieselConnectionManager::new_with_config("", config)
}

#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    value: String,
}

impl Connector {
    fn new(store: &StoreConfig) -> Result<Self> {
        let (url, demands) = tls::split_url(&store.url)?;
        // The parser's own words may quote what it could not read, which may be a password.
        let mut config = tokio_postgres::Config::from_str(&url).map_err(|_| StoreError::BadUrl {
            problem: "it must look like postgres://user:password@host:5432/database; special characters in user and \
                      password must be percent-encoded"
                .into(),
        })?;
        config.ssl_mode(demands.mode.negotiation());
        config.connect_timeout(store.connect_timeout).tcp_user_timeout(TCP_TIMEOUT);
        config.keepalives(true).keepalives_idle(TCP_TIMEOUT).keepalives_interval(Duration::from_secs(1));
        config.keepalives_retries(3);
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        if config.get_application_name().is_none() {
            config.application_name("modelward");
        }
        Ok(Self {
            address: hosts::address(&config),
            tls: tls::connector(&demands)?,
            configs: hosts::each(&config),
            timeout: store.connect_timeout,
            allow_async_commit: store.allow_async_commit,
        })
    }

    async fn open(&self) -> Result<AsyncPgConnection> {
        match tokio::time::timeout(self.timeout, self.connect()).await {
            Ok(opened) => opened,
            Err(_) => Err(StoreError::Unavailable(Cause(format!("{} does not answer in time", self.address)))),
        }
    }

    /// Asks all servers at once: one that is frozen takes connections and says nothing.
    async fn connect(&self) -> Result<AsyncPgConnection> {
        let failed = |error: tokio_postgres::Error| {
            StoreError::Unavailable(Cause(format!("{}: {}", self.address, Cause::chain(&error))))
        };
        let attempts = self.configs.iter().map(|config| config.connect(self.tls.clone()).boxed());
        let ((client, connection), _) = future::select_ok(attempts).await.map_err(failed)?;
        let mut conn = AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
        conn.batch_execute(SESSION).await?;
        if !self.allow_async_commit {
            let setting: Setting = diesel::sql_query(KEEP_COMMIT).get_result(&mut conn).await?;
            if setting.value == "off" {
                return Err(StoreError::AsyncCommitRefused);
            }
        }
        Ok(conn)
    }
}
