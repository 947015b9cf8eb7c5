//! PostgreSQL's side of the promise: COMMIT is answered when it is on disk, and what a server does not know to be so it
//! refuses.

use modelward::proto::v1::ProviderKind;
use modelward::store::{Store, StoreConfig, StoreError};

use crate::support::database::Database;
use crate::support::postgres::Cluster;
use crate::support::{Engine, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_a_database_that_answers_before_the_disk_is_refused() {
    let database = Database::new(Engine::Postgres).await;
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    database.sql(&format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    let mut config = StoreConfig::new(database.url());
    let error = Store::connect(&config).await.err().unwrap();
    assert!(matches!(error, StoreError::AsyncCommitRefused), "{error:?}");
    config.allow_async_commit = true;
    Store::connect(&config).await.unwrap();
}

/// Each transaction that writes notes its own setting, whatever becomes of the cluster's in the meantime.
const NOTE: &str = "CREATE TABLE noted (setting text NOT NULL); \
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \
    $$ BEGIN INSERT INTO noted VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$; \
    CREATE TRIGGER note AFTER INSERT ON changes FOR EACH ROW EXECUTE FUNCTION note()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_every_commit_waits_for_the_disk_of_postgres() {
    // A cluster of its own: its settings change.
    let cluster = tokio::task::spawn_blocking(|| Cluster::start("")).await.unwrap();
    let name = cluster.create_database(None);
    let server = Server::start_on(&cluster.url(&name), |_| {}).await;
    cluster.sql(&name, NOTE);
    for number in 0..100 {
        server.admin().add_provider(&format!("before-{number}"), ProviderKind::Ollama).await;
    }
    for setting in ["ALTER SYSTEM SET synchronous_commit = off", "SELECT pg_reload_conf()"] {
        cluster.sql(&name, setting);
    }
    let new_session = || cluster.sql(&name, "SHOW synchronous_commit");
    while new_session().trim() != "off" {
        tokio::task::yield_now().await;
    }
    for number in 0..100 {
        server.admin().add_provider(&format!("after-{number}"), ProviderKind::Ollama).await;
    }
    let noted = cluster.sql(&name, "SELECT setting, count(*) FROM noted GROUP BY setting");
    assert_eq!(noted.trim(), "on|200");
    server.stop().await;
}
