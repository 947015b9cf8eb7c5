//! No secret in logs, errors, responses, metrics, Debug output or the database.
//!
//! A random canary goes into every secret field of the real program, by every way and with every error on the way, at
//! TRACE, on both databases; then everything that is left behind is searched. Some texts that are no secrets are
//! planted, as a leak would be, and must be found: in the log, the answers, the errors' places and the database.

pub mod canary;
mod evidence;
mod vendors;
mod ways;

use std::collections::BTreeSet;

use modelward::proto::v1::{self, ProviderKind};
use modelward::secrets::generate_key_line;
use prost::Message as _;
use prost_types::field_descriptor_proto::Type;
use tempfile::TempDir;

use self::canary::{Canary, Finder};
use self::evidence::Evidence;
use self::ways::Ways;
use crate::support::database::run_on_file;
use crate::support::dynamic;
use crate::support::postgres::Cluster;
use crate::support::process::{Process, program, run_to_end};
use crate::support::vendor::Vendor;
use crate::support::watching::Watching;

/// Every field of the API that carries a secret.
const SECRET: &[&str] = &[
    "CredentialSecret.api_key",
    "CredentialSecret.secret_key",
    "CredentialSecret.access_token",
    "CredentialSecret.session_token",
    "CreateTokenResponse.secret",
];

/// Fields that are named like a secret and hold none.
const HARMLESS: &[(&str, &str)] = &[
    ("page_token", "a position in a list"),
    ("next_page_token", "a position in a list"),
    ("resume_token", "a position in the log"),
    ("key_id", "names a master key"),
    ("active_key_id", "names a master key"),
    ("secret_fields", "names fields"),
];

#[test]
fn s1_every_secret_field_of_the_api_is_known() {
    let suspicious = |name: &str| ["secret", "key", "token", "password", "auth"].iter().any(|word| name.contains(word));
    let mut found = BTreeSet::new();
    for file in dynamic::files() {
        for message in &file.message_type {
            let texts = message.field.iter().filter(|field| matches!(field.r#type(), Type::String | Type::Bytes));
            for field in texts.filter(|field| suspicious(field.name())) {
                if !HARMLESS.iter().any(|(name, _)| *name == field.name()) {
                    found.insert(format!("{}.{}", message.name(), field.name()));
                }
            }
        }
    }
    assert_eq!(found, SECRET.iter().map(ToString::to_string).collect(), "a canary has to go into each of these");
}

#[test]
fn s1_a_leak_in_every_form_and_place_is_found() {
    let (canary, other) = (Canary::new(), Canary::new());
    let mut finder = Finder::default();
    finder.add("seeded", &canary);
    let text = &canary.0;
    let noise = "x".repeat(5000);
    for before in ["", "a", "ab", "abc", "Bearer "] {
        let whole = format!("{before}{text} and more");
        for leak in [whole.clone(), base64(&whole), hex::encode(&whole), hex::encode_upper(&whole)] {
            let mut evidence = Evidence::default();
            evidence.add("a place", noise.clone());
            evidence.add("another", format!("{noise}{leak}"));
            assert_eq!(evidence.search(&finder).len(), 1, "{leak}");
        }
    }
    for leak in [format!("{}…", &text[..8]), format!("…{}", &text[32..])] {
        let mut evidence = Evidence::default();
        evidence.refused(&tonic::Status::with_details(tonic::Code::Internal, "", leak.clone().into()));
        assert!(!evidence.search(&finder).is_empty(), "{leak}");
        evidence = Evidence::default();
        evidence.metadata(&tonic::metadata::MetadataMap::from_headers(
            [(http::header::LOCATION, http::HeaderValue::from_str(&leak.replace('…', "/")).unwrap())]
                .into_iter()
                .collect(),
        ));
        assert!(!evidence.search(&finder).is_empty(), "{leak}");
    }
    let hint = format!("****{} {}", &text[36..], base64(&other.0));
    assert!(finder.find(hint.as_bytes()).is_none(), "the hint is no leak");
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// A run of the real program with everything that is a secret in it.
struct Run {
    directory: TempDir,
    vendor: Vendor,
    finder: Finder,
    variables: Vec<(&'static str, String)>,
    cluster: Option<(Cluster, String)>,
}

impl Run {
    async fn new(cluster: Option<Cluster>) -> Self {
        let mut finder = Finder::default();
        let lines = ["k1", "k2"].map(|id| generate_key_line(Some(id)).unwrap().to_string());
        for line in &lines {
            finder.add("a master key", &Canary(line[3..].trim_end_matches('=').to_owned()));
        }
        let mut variables = vec![("MODELWARD_LOG", "trace".to_owned()), ("MODELWARD_MASTER_KEYS", lines.join(","))];
        variables.push(("MODELWARD_EGRESS__ALLOW_PRIVATE", "true".into()));
        let cluster = cluster.map(|cluster| {
            let password = Canary::new();
            finder.add("the database's password", &password);
            let name = cluster.create_database(None);
            let url = cluster.url(&name).replace("modelward@", &format!("modelward:{}@", password.0));
            variables.push(("MODELWARD_DATABASE_URL", url));
            (cluster, name)
        });
        Self { directory: TempDir::new().unwrap(), vendor: Vendor::start().await, finder, variables, cluster }
    }

    fn start(&self) -> Process {
        let variables: Vec<_> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Process::start(self.directory.path(), &variables)
    }

    /// Behind the program's back.
    fn sql(&self, sql: &str) {
        match &self.cluster {
            Some((cluster, name)) => drop(cluster.sql(name, sql)),
            None => run_on_file(&self.directory.path().join("data/modelward.db"), sql),
        }
    }

    /// What is left behind outside of the answers.
    fn collect(&self, process: &Process, evidence: &mut Evidence) {
        evidence.operations(process.ops_address());
        evidence.directory(self.directory.path());
        evidence.directory(&self.directory.path().join("data"));
        if let Some((cluster, name)) = &self.cluster {
            evidence.add("the dump", cluster.dump(name));
            evidence.add("the database server's log", cluster.log());
        }
        let shown = run_to_end(
            program(self.directory.path()).args(["config", "show", "--data-dir", "data"]).envs(self.variables.clone()),
        );
        assert!(shown.status.success(), "{}", shown.output);
        evidence.add("the settings as they are shown", shown.output);
    }
}

/// All that a watcher can be shown: the log from its beginning, and the state.
async fn watched(process: &Process, evidence: &mut Evidence) {
    let admin = process.admin();
    let revision = admin.add_provider("the last", ProviderKind::Ollama).await.revision;
    let beginning = v1::WatchRequest { from_revision: Some(0), ..Default::default() };
    let state = v1::WatchRequest { include_state: true, ..Default::default() };
    for request in [beginning, state] {
        for message in Watching::open(&admin, request).await.up_to(revision).await {
            evidence.add("a watched message", message.encode_to_vec());
            evidence.add("a printed message", format!("{message:?}"));
        }
    }
}

async fn nothing_leaks(cluster: Option<Cluster>) {
    let mut run = Run::new(cluster).await;
    let mut process = run.start();
    let mut evidence = Evidence::default();
    let planted = Canary::new();
    let mut ways = Ways::new(&mut run, process.admin(), &planted, &mut evidence).await;
    ways.every_rpc().await;
    ways.every_field().await;
    ways.every_refusal().await;
    ways.the_vendor().await;
    ways.every_vendor().await;
    ways.a_broken_database().await;
    ways.a_new_master_key().await;
    drop(ways);
    watched(&process, &mut evidence).await;
    if run.cluster.is_some() {
        let admin = process.admin();
        Ways::new(&mut run, admin, &planted, &mut evidence).await.a_database_that_dies().await;
    }
    run.collect(&process, &mut evidence);
    assert!(process.terminate().success());
    // Again when the program has ended: what it says last, and the files as they stay.
    evidence.directory(run.directory.path());
    evidence.directory(&run.directory.path().join("data"));

    let leaks = evidence.search(&run.finder);
    assert!(leaks.is_empty(), "{} leaks: {leaks:#?}", leaks.len());
    assert!(evidence.size("the file run-0.log") > 100_000, "the log is a trace");
    let mut finder = Finder::default();
    finder.add("planted", &planted);
    let found: BTreeSet<_> = evidence.search(&finder).into_iter().map(|(place, _)| place).collect();
    let mut expected = vec![
        "an answer",
        "a watched message",
        "a printed answer",
        "an error",
        "details of an error",
        "the file run-0.log",
    ];
    expected.extend(match run.cluster {
        Some(_) => ["the dump", "the database server's log"],
        None => ["the file modelward.db", "the file modelward.db-wal"],
    });
    for place in expected {
        assert!(found.contains(place), "what was planted is not found in {place}; only in {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_no_secret_is_left_anywhere_on_sqlite() {
    nothing_leaks(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_no_secret_is_left_anywhere_on_postgres() {
    let settings = "log_statement = 'all'\nlog_min_error_statement = 'debug5'\nlog_min_messages = 'debug1'\n";
    nothing_leaks(Some(tokio::task::spawn_blocking(|| Cluster::start(settings)).await.unwrap())).await;
}
