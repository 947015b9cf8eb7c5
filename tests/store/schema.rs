//! The migrations of either engine: the same names, up and down.

use std::sync::Arc;

use modelward::domain::plan::Edit;
use modelward::store::{MigrationStep, Store, StoreError};

use super::samples::{full_provider, provider_resource};
use super::writing::{commit, initialised};
use crate::support::database::Database;

async fn applied(store: &Store) -> Vec<String> {
    let states = store.migration_status().await.unwrap();
    states.into_iter().filter(|state| state.applied).map(|state| state.version).collect()
}

pub async fn migrations_go_up_and_down_and_up_again_with_data(database: Database) {
    let store = initialised(&database).await;
    let provider = full_provider("p");
    commit(&store, vec![Edit::create(provider_resource(&provider))]).await;
    assert!(store.migrate(None).await.unwrap().is_empty(), "nothing to do");
    let count = applied(&store).await.len();

    let down = store.migrate(Some("0")).await.unwrap();
    assert_eq!(down.len(), count);
    assert!(down.iter().all(|step| !step.up));
    assert!(applied(&store).await.is_empty());

    let up = store.migrate(None).await.unwrap();
    let names = |steps: &[MigrationStep]| steps.iter().map(|step| step.name.clone()).collect::<Vec<_>>();
    let mut reversed = names(&down);
    reversed.reverse();
    assert_eq!(names(&up), reversed);
    drop(store);
    let store = initialised(&database).await;
    commit(&store, vec![Edit::create(provider_resource(&provider))]).await;
    assert_eq!(store.load_image().await.unwrap().providers, vec![Arc::new(provider)]);
}

pub async fn a_single_version_can_be_asked_for(database: Database) {
    let store = initialised(&database).await;
    let provider = full_provider("p");
    commit(&store, vec![Edit::create(provider_resource(&provider))]).await;
    store.migrate(Some("0002")).await.unwrap();
    assert_eq!(applied(&store).await, ["0001", "0002"]);
    store.migrate(Some("0001")).await.unwrap();
    let states = store.migration_status().await.unwrap();
    assert!(states.iter().all(|state| state.known && state.applied == (state.version == "0001")), "{states:?}");
    let up = store.migrate(Some("0003")).await.unwrap();
    assert_eq!(up.iter().map(|step| step.up).collect::<Vec<_>>(), [true, true]);
    assert!(matches!(store.head().await.unwrap_err(), StoreError::NotInitialised), "the log was lost on the way");
}

pub async fn a_newer_schema_is_refused(database: Database) {
    let store = database.open().await;
    let newest = store.migration_status().await.unwrap().pop().unwrap().version;
    database.sql("INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')");
    let error = store.migrate(None).await.unwrap_err();
    let StoreError::NewerSchema { found, known } = &error else { panic!("{error:?}") };
    assert_eq!((found.as_str(), known.as_str()), ("9999", newest.as_str()));
    assert!(matches!(store.migrate(Some("0001")).await.unwrap_err(), StoreError::NewerSchema { .. }));
    let states = store.migration_status().await.unwrap();
    let newest = states.last().unwrap();
    assert!(newest.applied && !newest.known, "{newest:?}");
}

pub async fn an_unknown_version_is_refused(database: Database) {
    let store = database.open().await;
    let error = store.migrate(Some("0099")).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownMigration { .. }), "{error:?}");
}

/// Both folders hold the same migrations, each with a way back.
#[test]
fn the_folders_are_twins() {
    let names = |engine: &str| {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
        let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        for name in &names {
            assert!(name.join("up.sql").exists() && name.join("down.sql").exists(), "{}", name.display());
        }
        names.into_iter().map(|path| path.file_name().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("postgres"), names("sqlite"));
}
