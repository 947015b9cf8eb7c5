//! What only SQLite has: a file, and a lock that keeps other processes out.

use modelward::domain::plan::Edit;
use modelward::store::{Engine, Store, StoreConfig, StoreError};

use super::samples::{at, provider, provider_resource};
use super::writing::{initialised, set};
use crate::support::database::Database;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_use_is_refused_until_it_is_closed() {
    let database = Database::new(Engine::Sqlite).await;
    let store = database.open().await;
    let config = StoreConfig::new(database.url());
    let error = Store::connect(&config).await.err().unwrap();
    assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
    assert!(!error.to_string().contains('\n'), "one line: {error}");
    drop(store);
    database.open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_failed_does_not_keep_the_file_locked() {
    let database = Database::new(Engine::Sqlite).await;
    let store = initialised(&database).await;
    let twins = ["twin", "TWIN"].map(|name| Edit::create(provider_resource(&provider(name))));
    let twins = set(store.head().await.unwrap(), twins.into());
    let mut session = store.writer().await.unwrap();
    let mut transaction = session.begin().await.unwrap();
    transaction.write(&twins).await.unwrap_err();
    // Nothing is written after it, either.
    transaction.write(&set(store.head().await.unwrap(), Vec::new())).await.unwrap_err();
    drop(transaction);
    database.sql("CREATE TABLE other (one INTEGER) STRICT");
    assert_eq!(store.load_image().await.unwrap().providers, []);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_new_database_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/deeper/modelward.db");
    let store = Store::connect(&StoreConfig::new(format!("sqlite://{}", path.display()))).await.unwrap();
    store.migrate(None).await.unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&dir.path().join("new/deeper/modelward.db-wal")), 0o600);
    assert_eq!(mode(&dir.path().join("new")), 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_cannot_be_used_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "this is no database, and there is no directory below it").unwrap();
    for path in [file.clone(), file.join("below.db")] {
        let error = Store::connect(&StoreConfig::new(format!("sqlite://{}", path.display()))).await.err().unwrap();
        assert!(matches!(error, StoreError::File { .. }), "{error:?}");
    }
    for url in ["sqlite://", "sqlite://:memory:", "mysql://x", "modelward.db"] {
        let error = Store::connect(&StoreConfig::new(url)).await.err().unwrap();
        assert!(matches!(error, StoreError::BadUrl { .. }), "{url}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_strict() {
    let database = Database::new(Engine::Sqlite).await;
    let store = super::writing::initialised(&database).await;
    let refused = std::panic::catch_unwind(|| database.sql("UPDATE cluster SET create_time = 'yesterday'"));
    assert!(refused.is_err(), "text in a column of numbers");
    assert_eq!(store.cluster().await.unwrap().unwrap().create_time, at(0));
}
