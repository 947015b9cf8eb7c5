//! History never forks silently.
//!
//! A backup is restored, and what is written then has the numbers of what was lost. Who saw what was lost learns it.

use std::path::Path;

use modelward::proto::v1::{self, ProviderKind};
use modelward::store::{Store, StoreConfig};
use tempfile::TempDir;
use tokio::task::block_in_place;
use tonic::Code;

use super::{effort, report};
use crate::support::listing::Listing;
use crate::support::postgres::Cluster;
use crate::support::process::{Process, on_postgres};
use crate::support::watching::{Checker, Watching, logged, resume};
use crate::support::{Engine, Refusal, eventually};

/// A server that runs on one database, then on a copy of it.
struct Place {
    directory: TempDir,
    /// The name of the database, of PostgreSQL.
    database: Option<String>,
}

impl Place {
    fn new(engine: Engine) -> Self {
        let database = (engine == Engine::Postgres).then(|| Cluster::shared().create_database(None));
        Self { directory: TempDir::new().unwrap(), database }
    }

    fn url(&self) -> String {
        let file = || format!("sqlite://{}", self.directory.path().join("data/modelward.db").display());
        self.database.as_ref().map_or_else(file, |name| Cluster::shared().url(name))
    }

    fn start(&self) -> Process {
        let url = self.url();
        let mut variables = vec![("MODELWARD_HEALTH__ENABLED", "false")];
        if self.database.is_some() {
            variables.extend(on_postgres(&url));
        }
        block_in_place(|| Process::start(self.directory.path(), &variables))
    }

    async fn store(&self) -> Store {
        let url = self.url();
        eventually("the database opens", || async { Store::connect(&StoreConfig::new(&url)).await.ok() }).await
    }

    /// Keeps the database as it is, while no server runs.
    fn back_up(&self) -> Backup {
        if let Some(name) = &self.database {
            return Backup::Database(Cluster::shared().create_database(Some(name)));
        }
        let copy = TempDir::new().unwrap();
        copy_files(&self.directory.path().join("data"), copy.path());
        Backup::Files(copy)
    }

    fn restore(&mut self, backup: Backup) {
        match backup {
            Backup::Database(name) => self.database = Some(name),
            Backup::Files(copy) => copy_files(copy.path(), &self.directory.path().join("data")),
        }
    }
}

enum Backup {
    Files(TempDir),
    Database(String),
}

/// Takes the database's files in the place of those that are there.
fn copy_files(from: &Path, to: &Path) {
    let is_database = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("modelward.db");
    let files = |path: &Path| {
        let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
        entries.filter(|name| is_database(name)).collect::<Vec<_>>()
    };
    for name in &files(to) {
        std::fs::remove_file(to.join(name)).unwrap();
    }
    for name in files(from) {
        std::fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

/// Writes, and keeps the token of each revision.
async fn write(process: &Process, label: &str, count: usize) -> Vec<(i64, String)> {
    let admin = process.admin();
    let mut watching = Watching::from_now(&admin).await;
    for number in 0..count {
        admin.add_provider(&format!("{label} {number}"), ProviderKind::Ollama).await;
    }
    let mut tokens = Vec::new();
    while tokens.len() < count {
        let message = watching.next_of(v1::WatchEvent::Changes).await;
        tokens.push((message.revision, message.resume_token));
    }
    tokens
}

async fn restored(engine: Engine) {
    let count = effort(20, 500);
    let mut place = Place::new(engine);
    let mut process = place.start();
    let kept = write(&process, "kept", count).await;
    block_in_place(|| process.terminate());
    let backup = block_in_place(|| place.back_up());
    let mut process = place.start();
    let lost = write(&process, "lost", count).await;
    block_in_place(|| process.terminate());

    place.restore(backup);
    let mut process = place.start();
    // The log ends before what they saw, then goes past it.
    for (revision, token) in &lost {
        refused(&process, *revision, token).await;
    }
    let new = write(&process, "new", 2 * count).await;
    assert!(new.last().unwrap().0 > lost.last().unwrap().0);
    block_in_place(|| process.terminate());
    let process = place.start();
    for (revision, token) in &lost {
        refused(&process, *revision, token).await;
    }
    // What was saved is history as before: nothing of it was taken back.
    let end = new.last().unwrap().0;
    for (revision, token) in [&kept[0], kept.last().unwrap(), &new[0]] {
        let mut checker = Checker::after(*revision);
        let mut watching = Watching::open(&process.admin(), resume(token)).await;
        while checker.revision() < end {
            checker.take(&watching.next().await);
        }
        checker.token.clear();
        let names: Vec<_> = checker.taken.iter().filter_map(name).collect();
        assert!(names.iter().all(|name| !name.starts_with("lost")), "{names:?}");
        assert_eq!(checker.complaints, Vec::<String>::new());
        assert_eq!(names.len(), usize::try_from(end - revision).unwrap());
    }
    let shown = Listing::read(&process.admin(), end).await;
    drop(process);
    let store = place.store().await;
    let image = store.load_image().await.unwrap();
    assert_eq!(shown.differences(&image), Vec::<String>::new());
    assert_eq!(logged(&store, 0).await.len(), 3 * count);
    report(&format!("{engine}: {} tokens of lost history refused, twice", lost.len()));
}

fn name(change: &v1::Change) -> Option<String> {
    match change.after.as_ref()?.resource.as_ref()? {
        v1::resource::Resource::Provider(provider) => provider.name.clone(),
        _ => None,
    }
}

async fn refused(process: &Process, revision: i64, token: &str) {
    let status = Watching::try_open(&process.admin(), resume(token)).await.err();
    let status = status.unwrap_or_else(|| panic!("a token of {revision}, which was lost, is taken"));
    Refusal::of(&status).is(Code::OutOfRange, "HISTORY_CHANGED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d6_tokens_of_a_lost_history_are_refused_on_sqlite() {
    Box::pin(restored(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d6_tokens_of_a_lost_history_are_refused_on_postgres() {
    Box::pin(restored(Engine::Postgres)).await;
}
