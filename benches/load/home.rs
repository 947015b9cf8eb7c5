//! A place where a server lives: its directory and its database, which outlast it.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use modelward::store::Engine;
use tempfile::TempDir;

use crate::postgres::Cluster;
use crate::server::Server;

/// A master key for measuring.
const MASTER_KEYS: &str = "bench:o1rfunDf/cWXVRSBFlFwYq+Rq37dAxaj4gsLBawB80Y=";

/// Background probes would disturb what is measured; vendors are on the loopback interface.
const SETTINGS: [&str; 2] = ["health.enabled=false", "egress.allow_private=true"];

pub struct Home {
    directory: TempDir,
    /// The database in the shared cluster; none is SQLite.
    postgres: Option<String>,
}

impl Home {
    pub fn new(engine: Engine) -> anyhow::Result<Self> {
        let postgres = (engine == Engine::Postgres).then(|| Cluster::shared().create_database(None));
        Ok(Self { directory: TempDir::new()?, postgres })
    }

    /// A second home on the same PostgreSQL, with the token of the first.
    pub fn replica(&self) -> anyhow::Result<Self> {
        let replica = Self { directory: TempDir::new()?, postgres: self.postgres.clone() };
        std::fs::create_dir(replica.directory().join("data"))?;
        std::fs::copy(self.directory().join("data/admin.token"), replica.directory().join("data/admin.token"))?;
        Ok(replica)
    }

    pub fn engine(&self) -> Engine {
        if self.postgres.is_some() { Engine::Postgres } else { Engine::Sqlite }
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self) -> PathBuf {
        self.directory().join("data/modelward.db")
    }

    pub fn start(&self) -> anyhow::Result<Server> {
        self.start_with(&SETTINGS)
    }

    pub fn start_with(&self, settings: &[&str]) -> anyhow::Result<Server> {
        let mut variables = Vec::new();
        if let Some(database) = &self.postgres {
            variables.push(("MODELWARD_DATABASE_URL", Cluster::shared().url(database)));
            variables.push(("MODELWARD_MASTER_KEYS", MASTER_KEYS.to_owned()));
        }
        Server::start(self.directory(), &variables, settings)
    }

    /// Runs SQL behind the server's back, while it is stopped.
    pub fn sql(&self, sql: &str) -> anyhow::Result<()> {
        match &self.postgres {
            Some(database) => drop(Cluster::shared().sql(database, sql)),
            None => SqliteConnection::establish(&self.file().to_string_lossy())?.batch_execute(sql)?,
        }
        Ok(())
    }
}
