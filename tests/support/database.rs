//! A database for one test, on either engine.

use std::path::Path;

use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};
use modelward::store::{Engine, Store, StoreConfig, StoreError};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::eventually;
use super::postgres::Cluster;

/// A migrated, empty database; its files are gone when this is dropped.
pub struct Database {
    config: StoreConfig,
    place: Place,
}

enum Place {
    Sqlite(TempDir),
    Postgres(String),
}

impl Database {
    pub async fn new(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let database = Self::unmigrated(engine);
                database.open().await.migrate(None).await.expect("the migrations run");
                database
            }
            Engine::Postgres => Self::postgres(Some(template().await)),
        }
    }

    /// Without any table.
    pub fn unmigrated(engine: Engine) -> Self {
        match engine {
            Engine::Postgres => Self::postgres(None),
            Engine::Sqlite => {
                let dir = tempfile::tempdir().expect("a directory");
                let url = format!("sqlite://{}", dir.path().join("modelward.db").display());
                Self { config: StoreConfig::new(url), place: Place::Sqlite(dir) }
            }
        }
    }

    fn postgres(template: Option<&str>) -> Self {
        let cluster = Cluster::shared();
        let name = cluster.create_database(template);
        Self { config: StoreConfig::new(cluster.url(&name)), place: Place::Postgres(name) }
    }

    pub fn url(&self) -> &str {
        &self.config.url
    }

    /// Opens it. Programs that other tests start hold on to what this process has open, for as long as they need to
    /// begin: so the lock of a file that was just closed may still be held.
    pub async fn open(&self) -> Store {
        eventually("the database opens", || async {
            match Store::connect(&self.config).await {
                Err(StoreError::Locked { .. }) => None,
                opened => Some(opened.expect("the database opens")),
            }
        })
        .await
    }

    /// Runs SQL behind the store's back.
    pub fn sql(&self, sql: &str) {
        match &self.place {
            Place::Postgres(name) => drop(Cluster::shared().sql(name, sql)),
            Place::Sqlite(dir) => run_on_file(&dir.path().join("modelward.db"), sql),
        }
    }
}

/// Runs SQL on an SQLite database behind the back of whoever uses it.
pub fn run_on_file(path: &Path, sql: &str) {
    let mut conn = SqliteConnection::establish(path.to_str().expect("a path")).expect("the file opens");
    conn.batch_execute("PRAGMA busy_timeout = 5000").expect("a setting");
    conn.batch_execute(sql).expect("the SQL runs");
}

/// The name of a PostgreSQL database that was migrated once and is copied for each test.
async fn template() -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let name = TEMPLATE.get_or_init(|| async {
        let cluster = Cluster::shared();
        let name = cluster.create_database(None);
        let store = Store::connect(&StoreConfig::new(cluster.url(&name))).await.expect("the template opens");
        store.migrate(None).await.expect("the migrations run");
        drop(store);
        // A copy needs a source that nobody is connected to; connections end a moment after they are dropped.
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        cluster.sql("postgres", &end);
        while cluster.sql("postgres", &format!("SELECT 1 FROM pg_stat_activity WHERE datname = '{name}'")).contains('1')
        {
            tokio::task::yield_now().await;
        }
        name
    });
    name.await
}
