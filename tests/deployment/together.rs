//! Ten replicas that start at once on an empty database set it up once.

use std::collections::BTreeSet;
use std::time::Instant;

use modelward::proto::v1::{self, ProviderKind};
use modelward::secrets::{KeyRing, KeySource};
use modelward::store::{Store, StoreConfig};
use tempfile::TempDir;
use tokio::task::block_in_place;
use tonic::Request;
use zeroize::Zeroizing;

use crate::promises::{effort, report};
use crate::support::follower::check_chain;
use crate::support::ledger::Ledger;
use crate::support::postgres::Cluster;
use crate::support::process::{Process, on_postgres};
use crate::support::server::{Caller, MASTER_KEYS};

const REPLICAS: usize = 10;
const SECOND_TOKEN: &str = "INSERT INTO tokens SELECT gen_random_uuid(), revision, name || '2', roles, create_time, created_by, \
                            expire_time, revoke_time, secret_hash FROM tokens";

/// A database that one server alone has set up, as text: what each of them looks like.
fn set_up_by_one(cluster: &Cluster) -> String {
    let name = cluster.create_database(None);
    let (_directory, mut server) = spawn(&cluster.url(&name));
    server.wait_until_ready();
    assert!(server.terminate().success());
    cluster.schema(&name)
}

fn spawn(url: &str) -> (TempDir, Process) {
    let directory = TempDir::new().unwrap();
    let mut variables = vec![("MODELWARD_HEALTH__ENABLED", "false")];
    variables.extend(on_postgres(url));
    let process = Process::spawn(directory.path(), &variables);
    (directory, process)
}

/// What shows that a database was set up more than once, or not wholly.
async fn complaints(cluster: &Cluster, name: &str, expected: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut count = |sql: &str, wanted: &str, what: &str| {
        let found = cluster.sql(name, sql);
        if found.trim() != wanted {
            complaints.push(format!("{what}: {}", found.trim()));
        }
    };
    count("SELECT count(*) FROM revision_counter", "1", "counters");
    count("SELECT count(*) FROM tokens", "1", "tokens of the first admin");
    count("SELECT count(*) FROM changes WHERE revision = 1", "1", "beginnings of the log");
    let migrations = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres")).unwrap().count();
    count("SELECT count(*) FROM __diesel_schema_migrations", &migrations.to_string(), "migrations");
    if cluster.schema(name) != expected {
        complaints.push("the schema is not the one that a single server makes".to_owned());
    }
    let store = Store::connect(&StoreConfig::new(cluster.url(name))).await.unwrap();
    let ring = KeyRing::load(KeySource::Text(Zeroizing::new(MASTER_KEYS.to_owned()))).unwrap();
    complaints.extend(Ledger::read(&store).await.complaints());
    complaints.extend(check_chain(&store, ring).await);
    complaints
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_replicas_that_start_at_once_set_an_empty_database_up_once() {
    // A cluster of its own: ten servers take many connections.
    let cluster = block_in_place(|| Cluster::start(""));
    let expected = block_in_place(|| set_up_by_one(&cluster));
    for _ in 0..effort(1, 10) {
        let name = cluster.create_database(None);
        let began = Instant::now();
        let mut servers: Vec<_> = (0..REPLICAS).map(|_| spawn(&cluster.url(&name))).collect();
        block_in_place(|| servers.iter_mut().for_each(|(_, server)| server.wait_until_ready()));
        let took = began.elapsed();
        let made_token = |directory: &TempDir| directory.path().join("data/admin.token").exists();
        let firsts: Vec<_> = servers.iter().filter(|(directory, _)| made_token(directory)).collect();
        let [(_, first)] = firsts[..] else { panic!("{} replicas made the first token", firsts.len()) };
        assert_eq!(complaints(&cluster, &name, &expected).await, Vec::<String>::new());

        // All serve: each takes a write, and each shows all of them.
        let callers = servers.iter().map(|(_, server)| Caller::at(server.address(), Some(first.token())));
        let callers: Vec<_> = callers.collect();
        let (mut last, mut clusters) = (0, BTreeSet::new());
        for (number, caller) in callers.iter().enumerate() {
            last = caller.add_provider(&format!("p{number}"), ProviderKind::Ollama).await.revision;
            let info = caller.tokens().get_server_info(v1::GetServerInfoRequest {}).await.unwrap().into_inner();
            clusters.insert(info.server_info.unwrap().cluster_id);
        }
        for caller in &callers {
            let mut list = Request::new(v1::ListProvidersRequest::default());
            list.metadata_mut().insert("modelward-min-revision", last.to_string().parse().unwrap());
            let listed = caller.providers().list_providers(list).await.unwrap().into_inner();
            assert_eq!(listed.total_size, i32::try_from(REPLICAS).unwrap());
        }
        assert_eq!(clusters.len(), 1, "they are one cluster: {clusters:?}");
        report(&format!("{REPLICAS} replicas serve {took:?} after they were started on an empty database"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_set_up_twice_is_found() {
    let cluster = Cluster::shared();
    let expected = block_in_place(|| set_up_by_one(cluster));
    for (spoil, found) in [(SECOND_TOKEN, 2), ("DROP INDEX changes_resource", 1), ("DELETE FROM changes", 3)] {
        let name = cluster.create_database(None);
        block_in_place(|| {
            let (_directory, mut server) = spawn(&cluster.url(&name));
            server.wait_until_ready();
            assert!(server.terminate().success());
        });
        assert_eq!(complaints(cluster, &name, &expected).await, Vec::<String>::new());
        cluster.sql(&name, spoil);
        let complaints = complaints(cluster, &name, &expected).await;
        assert!(complaints.len() >= found, "{spoil}: {complaints:?}");
    }
}
