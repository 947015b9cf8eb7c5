//! SQLite: the file, the lock that keeps other processes out, and the settings that keep data safe.
//!
//! One connection writes, a few read. Each one asserts that its settings took hold.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _, SimpleAsyncConnection as _};
use futures_util::FutureExt as _;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::conn::{LiteConnection, LiteWriter};
use super::error::{Cause, Result, StoreError};
use super::{PoolState, StoreConfig};

/// More readers than this only wait for each other.
const MAX_READERS: usize = 4;

const SETTINGS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;";

pub(super) struct Sqlite {
    address: String,
    writer: Arc<Mutex<LiteWriter>>,
    readers: Pool<LiteConnection>,
    /// Held for as long as the database is open.
    _lock: File,
}

impl Sqlite {
    pub(super) async fn open(path: &str, config: &StoreConfig) -> Result<Self> {
        if path.is_empty() || path.contains(':') || path.contains('?') {
            return Err(StoreError::BadUrl {
                problem: "sqlite:// must be followed by the path of a file, without ':' and '?'".into(),
            });
        }
        let path = PathBuf::from(path);
        let lock = prepare(&path)?;
        let writer = connect(&path, "").await?;
        let manager = manager(path.clone());
        let readers = Pool::builder(manager).max_size(config.pool_size.clamp(1, MAX_READERS)).build();
        let readers = readers.map_err(|error| StoreError::Other(Cause(error.to_string())))?;
        let writer = Arc::new(Mutex::new(LiteWriter { conn: writer, open: false }));
        Ok(Self { address: format!("sqlite://{}", path.display()), writer, readers, _lock: lock })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn pool(&self) -> PoolState {
        let status = self.readers.status();
        PoolState::new(status.size, status.available, status.max_size, status.waiting)
    }

    pub(super) async fn reader(&self) -> Result<Object<LiteConnection>> {
        self.readers.get().await.map_err(|error| StoreError::unavailable(error.to_string()))
    }

    pub(super) async fn writer(&self) -> OwnedMutexGuard<LiteWriter> {
        Arc::clone(&self.writer).lock_owned().await
    }
}

/// Opens the pool's connections, which only read.
fn manager(path: PathBuf) -> AsyncDieselConnectionManager<LiteConnection> {
    let mut config = ManagerConfig::<LiteConnection>::default();
    config.recycling_method = RecyclingMethod::Fast;
    config.custom_setup = Box::new(move |_| {
        let path = path.clone();
        async move {
            let opened = connect(&path, "PRAGMA query_only = ON;").await;
            opened.map_err(|error| diesel::ConnectionError::BadConnection(Cause::chain(&error).0))
        }
        .boxed()
    });
    AsyncDieselConnectionManager::new_with_config("", config)
}

/// Makes directory, database file and lock file where they are missing, and takes the lock.
fn prepare(path: &Path) -> Result<File> {
    let failed = |error: std::io::Error| StoreError::File { path: path.to_owned(), cause: Cause(error.to_string()) };
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        make_directory(directory).map_err(failed)?;
    }
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock = private().create(true).write(true).truncate(false).open(&lock_path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    private().create(true).read(true).write(true).truncate(false).open(path).map_err(failed)?;
    Ok(lock)
}

/// Files for this user only.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make_directory(directory: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

#[derive(QueryableByName)]
struct Settings {
    #[diesel(sql_type = BigInt)]
    synchronous: i64,
    #[diesel(sql_type = BigInt)]
    foreign_keys: i64,
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

async fn connect(path: &Path, more: &str) -> Result<LiteConnection> {
    let file = |cause: Cause| StoreError::File { path: path.to_owned(), cause };
    let text = path.to_str().ok_or_else(|| file(Cause("the path is not valid Unicode".into())))?;
    let opened = LiteConnection::establish(text).await;
    let mut conn = opened.map_err(|error| file(Cause(error.to_string())))?;
    let set = conn.batch_execute(&format!("{SETTINGS}{more}")).await;
    set.map_err(|error| file(Cause(error.to_string())))?;
    let settings: Settings = diesel::sql_query(
        "SELECT (SELECT synchronous FROM pragma_synchronous) AS synchronous, \
         (SELECT foreign_keys FROM pragma_foreign_keys) AS foreign_keys, \
         (SELECT journal_mode FROM pragma_journal_mode) AS journal_mode",
    )
    .get_result(&mut conn)
    .await?;
    check(&settings)?;
    Ok(conn)
}

fn check(settings: &Settings) -> Result<()> {
    const FULL: i64 = 2;
    let refuse = |setting| Err(StoreError::Unsafe { setting });
    match settings {
        Settings { synchronous, .. } if *synchronous < FULL => refuse("synchronous = FULL"),
        Settings { foreign_keys: 0, .. } => refuse("foreign_keys = ON"),
        Settings { journal_mode, .. } if journal_mode != "wal" => refuse("journal_mode = WAL"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::keyring::WrappedKey;
    use crate::store::{Backing, ClusterRow, Store};

    fn settings(synchronous: i64, foreign_keys: i64, journal_mode: &str) -> Settings {
        Settings { synchronous, foreign_keys, journal_mode: journal_mode.into() }
    }

    #[test]
    fn settings_that_lose_data_are_refused() {
        assert!(check(&settings(2, 1, "wal")).is_ok());
        assert!(check(&settings(3, 1, "wal")).is_ok(), "EXTRA is more than FULL");
        for unsafe_settings in [settings(1, 1, "wal"), settings(2, 0, "wal"), settings(2, 1, "delete")] {
            assert!(matches!(check(&unsafe_settings), Err(StoreError::Unsafe { .. })));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_disk_is_told_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig::new(format!("sqlite://{}", dir.path().join("full.db").display()));
        let store = Store::connect(&config).await.unwrap();
        store.migrate(None).await.unwrap();
        let key = |byte, size| WrappedKey { purpose: "p".into(), master_key_id: "m".into(), wrapped: vec![byte; size] };
        let row = ClusterRow {
            cluster_id: uuid::Uuid::nil(),
            active_key_id: "m".into(),
            keys: vec![key(1, 60)],
            create_time: Timestamp::default(),
        };
        store.initialise(&row).await.unwrap();
        let Backing::Sqlite(sqlite) = &*store.backing else { panic!("it is SQLite") };
        // The setting belongs to the connection, so it stands for a disk that is full.
        sqlite.writer().await.conn.batch_execute("PRAGMA max_page_count = 1").await.unwrap();
        let error = store.replace_wrapped_keys(&[key(2, 1 << 20)]).await.unwrap_err();
        assert!(matches!(error, StoreError::Full(_)), "{error:?}");
        assert_eq!(crate::domain::Error::from(error), crate::domain::Error::StoreFull);
        assert_eq!(store.cluster().await.unwrap(), Some(row));
        sqlite.writer().await.conn.batch_execute("PRAGMA max_page_count = 1000000").await.unwrap();
        store.replace_wrapped_keys(&[key(2, 1 << 20)]).await.unwrap();
    }
}
