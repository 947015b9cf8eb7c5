//! What only PostgreSQL has: a server that can be away, several processes at once, TLS.

use std::time::Duration;

use modelward::domain::image::StatusValue;
use modelward::domain::plan::Edit;
use modelward::store::{Engine, Hint, Store, StoreConfig, StoreError};

use super::samples::{at, id, token, token_resource};
use super::writing::{initialised, set, write};
use crate::support::database::Database;
use crate::support::postgres::Cluster;

fn chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map(chain).unwrap_or_default();
    format!("{error}: {source}")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_see_each_others_writes_and_hear_of_them() {
    let database = Database::new(Engine::Postgres).await;
    let (a, b) = (initialised(&database).await, database.open().await);
    let mut hints = b.notifications();
    assert_eq!(hints.recv().await, Hint::Any, "a new connection may have missed anything");
    let mut first = set(a.head().await.unwrap(), vec![Edit::create(token_resource(&token("t")))]);
    first.notify = true;
    write(&a, &first).await.unwrap();
    assert_eq!(hints.recv().await, Hint::Changes);
    assert_eq!(b.head().await.unwrap(), first.head);
    let mut batch = a.status_tx().await.unwrap();
    batch.put(&[StatusValue::TokenUse(id(), at(1))]).await.unwrap();
    batch.commit().await.unwrap();
    assert_eq!(hints.recv().await, Hint::Status);

    database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
    assert_eq!(hints.recv().await, Hint::Any, "it listens again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_another_process_keeps_is_not_waited_for_for_ever() {
    let database = Database::new(Engine::Postgres).await;
    let (a, b) = (initialised(&database).await, database.open().await);
    let (mut writer_a, mut writer_b) = (a.writer().await.unwrap(), b.writer().await.unwrap());
    let held = writer_a.begin().await.unwrap();
    let begin = std::time::Instant::now();
    let error = writer_b.begin().await.err().unwrap();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(begin.elapsed() < Duration::from_secs(4), "it waited for {:?}", begin.elapsed());
    drop(held);
    writer_b.begin().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_told_and_used_again_when_it_is_back() {
    let cluster = Cluster::start("");
    let config = StoreConfig::new(cluster.url(&cluster.create_database(None)));
    let store = Store::connect(&config).await.unwrap();
    store.migrate(None).await.unwrap();
    let row = modelward::store::ClusterRow {
        cluster_id: super::writing::CLUSTER,
        active_key_id: "k1".into(),
        keys: vec![],
        create_time: at(0),
    };
    store.initialise(&row).await.unwrap();
    let mut session = store.writer().await.unwrap();
    let mut transaction = session.begin().await.unwrap();
    let written = set(transaction.head(), vec![Edit::create(token_resource(&token("t")))]);
    transaction.write(&written).await.unwrap();
    cluster.kill();
    let error = transaction.commit().await.unwrap_err();
    assert!(matches!(error, StoreError::CommitUnknown(_)), "{error:?}");
    assert!(matches!(store.ping().await.unwrap_err(), StoreError::Unavailable(_)));
    assert!(matches!(session.begin().await.err().unwrap(), StoreError::Unavailable(_)));
    cluster.restart();
    store.ping().await.unwrap();
    let mut transaction = session.begin().await.unwrap();
    assert_eq!(store.find_commit(written.head.revision).await.unwrap(), None);
    transaction.write(&written).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(store.head().await.unwrap(), written.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_and_a_bad_url_are_told_without_the_password() {
    let urls = [
        "postgres://user:s3cr3t@127.0.0.1:1/db",
        "postgres://user:s3cr3t@127.0.0.1:port/db",
        "postgres://user:s3cr3t@127.0.0.1:1/db?sslmode=maybe",
        "postgres://user:s3cr3t@127.0.0.1:1/db?s3cr3t=s3cr3t",
    ];
    for url in urls {
        let config = StoreConfig::new(url);
        assert!(!format!("{config:?}").contains("s3cr3t"));
        let error = Store::connect(&config).await.err().unwrap();
        assert!(matches!(error, StoreError::Unavailable(_) | StoreError::BadUrl { .. }), "{error:?}");
        assert!(!chain(&error).contains("s3cr3t") && !format!("{error:?}").contains("s3cr3t"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_the_schema_has_a_comment() {
    let database = Database::new(Engine::Postgres).await;
    let name = database.url().rsplit('/').next().unwrap();
    let bare = "SELECT c.relname || '.' || a.attname FROM pg_class c \
                JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public' \
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum >= 0 AND NOT a.attisdropped \
                WHERE c.relkind = 'r' AND c.relname NOT LIKE '\\_\\_%' \
                AND (obj_description(c.oid) IS NULL OR col_description(c.oid, a.attnum) IS NULL)";
    assert_eq!(Cluster::shared().sql(name, bare), "", "tables or columns without a comment");
    let tables = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname = 'providers'";
    assert_eq!(Cluster::shared().sql(name, tables).trim(), "1", "the question asks the right schema");
}

#[tokio::test(flavor = "multi_thread")]
async fn sslmode_is_honoured() {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_cert = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();

    let cluster = Cluster::start("");
    cluster.enable_tls(&cert.pem(), &key.serialize_pem());
    let files = tempfile::tempdir().unwrap();
    let (trusted, other) = (files.path().join("ca.pem"), files.path().join("other.pem"));
    std::fs::write(&trusted, ca_cert.pem()).unwrap();
    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    std::fs::write(&other, stranger.cert.pem()).unwrap();
    let (trusted, other) = (trusted.display(), other.display());

    let connect = async |host: &str, query: String| {
        let port = cluster.port();
        let url = format!("postgres://modelward@{host}:{port}/postgres?{query}");
        Store::connect(&StoreConfig::new(url)).await.map(drop)
    };
    connect("localhost", "sslmode=require".into()).await.unwrap();
    connect("localhost", "sslmode=prefer".into()).await.unwrap();
    connect("localhost", format!("sslmode=verify-full&sslrootcert={trusted}")).await.unwrap();
    connect("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={trusted}")).await.unwrap();
    for (host, query) in [
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={trusted}")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={other}")),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={other}")),
        ("localhost", "sslmode=verify-full".into()),
        ("localhost", "sslmode=disable".into()),
    ] {
        let error = connect(host, query.clone()).await.err().unwrap_or_else(|| panic!("{query} to {host} connects"));
        assert!(matches!(error, StoreError::Unavailable(_)), "{query}: {error:?}");
    }
}
