//! Where one server after the other lives, as processes of their own.

use std::path::PathBuf;

use modelward::store::{Store, StoreConfig};
use tempfile::TempDir;

use super::postgres::Cluster;
use super::process::{Process, on_postgres};
use super::{Engine, eventually};

pub struct Place {
    pub directory: TempDir,
    /// With the URL of its database. None: SQLite in the directory.
    pub cluster: Option<(Cluster, String)>,
}

impl Place {
    pub fn new(engine: Engine) -> Self {
        let cluster = (engine == Engine::Postgres).then(|| {
            let cluster = Cluster::start("");
            let url = cluster.url(&cluster.create_database(None));
            (cluster, url)
        });
        Self { directory: TempDir::new().unwrap(), cluster }
    }

    /// Starts a server that checks no endpoint's health.
    pub fn start(&self, variable: (&str, &str)) -> Process {
        let mut variables = vec![("MODELWARD_HEALTH__ENABLED", "false"), variable];
        if let Some((_, url)) = &self.cluster {
            variables.extend(on_postgres(url));
        }
        Process::start(self.directory.path(), &variables)
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("data/modelward.db")
    }

    /// Opens the database. A process that has just ended may still hold it.
    pub async fn store(&self) -> Store {
        let file = || format!("sqlite://{}", self.file().display());
        let url = self.cluster.as_ref().map_or_else(file, |(_, url)| url.clone());
        let store = eventually("the database opens", || async { Store::connect(&StoreConfig::new(&url)).await.ok() });
        let store = store.await;
        // Whatever the last server had begun has ended when the lock is free.
        store.writer().await.unwrap().begin().await.unwrap().rollback().await.unwrap();
        store
    }
}
