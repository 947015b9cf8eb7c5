//! `modelward doctor` finds what was broken on purpose, says what to do, and ends.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use modelward::proto::v1::{ProviderKind, Role};
use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::database::{Database, run_on_file};
use crate::support::postgres::Cluster;
use crate::support::process::{Ended, Process, program, run_to_end};
use crate::support::proxy::{Fault, Proxy};
use crate::support::resources::{credential, endpoint};
use crate::support::server::MASTER_KEYS;
use crate::support::{Engine, Server, eventually};

/// However broken it is, it ends in this time.
const ENDS: Duration = Duration::from_secs(25);

/// A run: its exit code and what it found.
struct Told {
    code: Option<i32>,
    checks: Vec<Value>,
    output: String,
}

impl Told {
    /// # Panics
    /// When it does not say this about a check, or has no remedy for what is not well.
    fn says(&self, check: &str, state: &str, detail: &str) -> &Self {
        let found =
            self.checks.iter().find(|one| one["check"] == check).unwrap_or_else(|| panic!("no {check}: {self}"));
        assert_eq!(found["state"], state, "{check}: {self}");
        assert!(found["detail"].as_str().unwrap().contains(detail), "{check}: {self}");
        let is_bad = ["warn", "fail"].contains(&state);
        assert_eq!(found["remedy"].as_str().is_some_and(|remedy| remedy.len() > 10), is_bad, "{check}: {self}");
        self
    }

    fn is_well(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self}");
        assert!(self.checks.iter().all(|check| check["state"] != "fail"), "{self}");
        self
    }

    fn fails(&self) -> &Self {
        assert_eq!(self.code, Some(1), "{self}");
        self
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.output)
    }
}

fn run(arguments: &[&str]) -> Told {
    let directory = TempDir::new().unwrap();
    let begun = Instant::now();
    let mut command = program(directory.path());
    command.arg("doctor").args(arguments).args(["--format", "json"]);
    let Ended { status, output, .. } = tokio::task::block_in_place(|| run_to_end(&mut command));
    assert!(begun.elapsed() < ENDS, "{:?}: {output}", begun.elapsed());
    let json = output.rsplit_once('}').map_or("null", |(json, _)| json).to_owned() + "}";
    let report: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {output}"));
    let code = status.code();
    assert_eq!(report["ok"], code == Some(0), "{output}");
    Told { code, checks: report["checks"].as_array().unwrap().clone(), output }
}

/// Asks a server with a token.
fn ask(server: &Server, token: &str) -> Told {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, token).unwrap();
    let at = [format!("--server=http://{}", server.address()), format!("--ops-server=http://{}", server.ops_address())];
    run(&[&at[0], &at[1], "--token-file", file.to_str().unwrap()])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_what_needs_none_is_asked() {
    let server = Server::start(Engine::Sqlite).await;
    let at = [format!("--server=http://{}", server.address()), format!("--ops-server=http://{}", server.ops_address())];
    let told = run(&[&at[0], &at[1], "--without-token"]);
    told.is_well();
    for (check, state) in [("health", "ok"), ("database", "ok"), ("metrics", "ok"), ("token", "skip")] {
        told.says(check, state, "");
    }
    run(&[&at[0], &at[1]]).fails().says("token", "fail", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_well_passes_and_each_role_is_told_what_it_may_know() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let server = Server::start(engine).await;
        let there = server.admin().add_provider("p", ProviderKind::OpenaiCompatible).await;
        server.admin().add_endpoint(endpoint(&there.id, "e", "http://127.0.0.1:9/")).await;
        server.admin().add_credential(credential(&there.id, "c", "sk-0123456789")).await;
        let revision = server.parts().snapshot.head();
        let told = ask(&server, server.admin().token().unwrap());
        told.is_well();
        let fine = [
            ("connection", "is reached"),
            ("tls", "loopback"),
            ("health", "takes calls"),
            ("database", "answers"),
            ("token", "knows it"),
            ("clock", "agrees"),
            ("version", env!("CARGO_PKG_VERSION")),
            ("write", "none was made"),
            ("store", "answered"),
            ("keys", "active key"),
            ("secrets", "1 credentials"),
            ("watch", "began at revision"),
            ("probes", "1 endpoints"),
            ("metrics", "values"),
        ];
        for (check, detail) in fine {
            told.says(check, "ok", detail);
        }
        let editor = server.as_role(Role::Editor).await;
        ask(&server, editor.token().unwrap()).is_well().says("keys", "skip", "admin").says("store", "ok", "answered");
        let viewer = server.as_role(Role::Viewer).await;
        ask(&server, viewer.token().unwrap()).is_well().says("write", "skip", "only read").says("watch", "ok", "began");
        let now = server.parts().snapshot.head().revision.0;
        assert_eq!(now, revision.revision.0 + 2, "two tokens were made here, and nothing by the doctor");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_wrong_are_told_and_not_shown() {
    let server = Server::start(Engine::Sqlite).await;
    let other = Server::start(Engine::Sqlite).await;
    let foreign = other.admin().token().unwrap();
    let told = ask(&server, foreign);
    told.fails().says("token", "fail", "").says("health", "ok", "");
    assert!(!told.output.contains(foreign) && !told.output.contains(&foreign[foreign.len() - 12..]), "{told}");
    let address = format!("--server=http://{}", server.address());
    run(&[&address, "--token-file", "/nowhere"]).fails().says("token", "fail", "/nowhere cannot be read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_or_frozen_is_told_in_time() {
    run(&["--server", "http://127.0.0.1:1"]).fails().says("connection", "fail", "refused");
    run(&["--server", "nonsense:"]).fails().says("connection", "fail", "");
    run(&["--set", "egress.alow_private=true"]).fails().says("settings", "fail", "egress.alow_private");

    let directory = TempDir::new().unwrap();
    let mut process = Process::start(directory.path(), &[]);
    let (address, ops) = (process.address(), process.ops_address());
    let token = directory.path().join("data/admin.token");
    let at = [format!("--server=http://{address}"), format!("--ops-server=http://{ops}")];
    let ask = || run(&[&at[0], &at[1], "--token-file", token.to_str().unwrap()]);
    ask().is_well();
    process.stop();
    let told = ask();
    told.fails().says("health", "fail", "no answer within").says("metrics", "fail", "no answer within");
    process.cont();
    ask().is_well();
    let wrong = format!("--ops-server=http://{address}");
    run(&[&at[0], &wrong, "--token-file", token.to_str().unwrap()]).fails().says("metrics", "fail", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_told() {
    let database = Database::new(Engine::Postgres).await;
    let name = database.url().rsplit('/').next().unwrap();
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], Cluster::shared().port())));
    let server = Server::start_on(&format!("postgres://modelward@{}/{name}", proxy.address()), |_| {}).await;
    let token = server.admin().token().unwrap();
    ask(&server, token).is_well();
    proxy.set(Fault::Reset);
    eventually("the server knows", || async { (!server.parts().contact.borrow().connected).then_some(()) }).await;
    ask(&server, token)
        .fails()
        .says("database", "fail", "does not answer")
        .says("watch", "ok", "")
        .says("health", "ok", "");
}

/// An authority, and certificates that it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes a certificate for `name` until `end`, and its key.
    fn sign(&self, directory: &Path, name: &str, end: i32) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(end, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let files = [("pem", certificate), ("key", key.serialize_pem())];
        let [certificate, key] = files.map(|(end, text)| {
            let path = directory.join(format!("{name}.{end}"));
            fs::write(&path, text).unwrap();
            path
        });
        (certificate, key)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_certificate_is_told_apart() {
    let directory = TempDir::new().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let [trusted, foreign] = [("ca.pem", &authority), ("other.pem", &stranger)].map(|(name, authority)| {
        let path = directory.path().join(name);
        fs::write(&path, &authority.pem).unwrap();
        path.display().to_string()
    });
    let start = async |name: &str, end: i32| {
        let (certificate, key) = authority.sign(directory.path(), name, end);
        Server::start_with(Engine::Sqlite, |settings| {
            settings.tls.cert_file = Some(certificate);
            settings.tls.key_file = Some(key);
        })
        .await
    };
    let good = start("localhost", 2090).await;
    let token = directory.path().join("token");
    fs::write(&token, good.admin().token().unwrap()).unwrap();
    let ask = |server: &Server, scheme: &str, authority: &str| {
        let url = format!("{scheme}://localhost:{}", server.address().port());
        run(&["--server", &url, "--ca-file", authority, "--token-file", token.to_str().unwrap()])
    };
    ask(&good, "https", &trusted).is_well().says("tls", "ok", "valid for this name").says("watch", "ok", "");
    ask(&good, "https", &foreign).fails().says("tls", "fail", "descends from none that is trusted");
    ask(&good, "http", &trusted).fails().says("health", "fail", "");
    ask(&start("elsewhere.example", 2090).await, "https", &trusted).fails().says("tls", "fail", "another name");
    ask(&start("localhost", 2021).await, "https", &trusted).fails().says("tls", "fail", "has expired");
    let plain = Server::start(Engine::Sqlite).await;
    ask(&plain, "https", &trusted).fails().says("tls", "fail", "speaks no TLS");
}

/// A data directory that a server has used and left.
fn left() -> TempDir {
    let directory = TempDir::new().unwrap();
    assert!(Process::start(directory.path(), &[]).terminate().success());
    directory
}

fn offline(directory: &Path, more: &[&str]) -> Told {
    let data = format!("--data-dir={}", directory.join("data").display());
    run(&[&["--offline", &data], more].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_keys_and_schema_are_looked_at_beside_a_stopped_server() {
    let directory = tokio::task::block_in_place(left);
    let (path, data) = (directory.path(), directory.path().join("data"));
    let told = offline(path, &[]);
    told.is_well().says("files", "ok", "3 files").says("keys", "ok", "").says("schema", "ok", "migrations ran");
    told.says("key match", "ok", "opens").says("database", "ok", "modelward.db");

    fs::set_permissions(data.join("admin.token"), fs::Permissions::from_mode(0o644)).unwrap();
    offline(path, &[]).fails().says("files", "fail", "admin.token").says("schema", "ok", "");
    fs::set_permissions(data.join("admin.token"), fs::Permissions::from_mode(0o600)).unwrap();

    let other = path.join("other.key");
    fs::write(&other, format!("{MASTER_KEYS}\n")).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    let wrong = format!("--master-key-file={}", other.display());
    let told = offline(path, &[&wrong]);
    told.fails().says("keys", "ok", "").says("key match", "fail", "");
    assert!(!told.output.contains(&MASTER_KEYS[5..]), "{told}");
    offline(path, &["--master-key-file=/nowhere"]).fails().says("keys", "fail", "");

    run_on_file(
        &data.join("modelward.db"),
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')",
    );
    offline(path, &[]).fails().says("schema", "fail", "newer");
    run_on_file(&data.join("modelward.db"), "DELETE FROM __diesel_schema_migrations WHERE version = '99990101000000'");
    let status = |arguments: &[&str]| {
        let data = format!("--data-dir={}", data.display());
        tokio::task::block_in_place(|| run_to_end(program(path).args(arguments).arg(data)))
    };
    let states = status(&["migrate", "--status"]).output;
    let versions: Vec<_> = states.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(versions.len() > 1, "{states}");
    assert!(status(&["migrate", "--to", versions[versions.len() - 2]]).status.success());
    offline(path, &[]).is_well().says("schema", "warn", "1 of");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_made_where_nothing_is_and_a_database_in_use_is_left_alone() {
    let empty = TempDir::new().unwrap();
    offline(empty.path(), &[]).is_well().says("database", "skip", "there is none yet").says("keys", "skip", "");
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);

    let directory = TempDir::new().unwrap();
    let _process = Process::start(directory.path(), &[]);
    offline(directory.path(), &[]).is_well().says("database", "warn", "a server uses it");

    let nowhere = ["--database-url=postgres://u:canary-secret@127.0.0.1:1/d", "--master-key-file=/nowhere"];
    let told = offline(empty.path(), &nowhere);
    told.fails().says("database", "fail", "does not answer");
    assert!(!told.output.contains("canary"), "{told}");
    let database = Database::new(Engine::Postgres).await;
    let url = format!("--database-url={}", database.url());
    offline(empty.path(), &[&url, "--master-key-file=/nowhere"])
        .fails()
        .says("database", "ok", "postgres")
        .says("schema", "ok", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_read_one_line_for_each_check_and_a_remedy_below() {
    let directory = TempDir::new().unwrap();
    let ended = run_to_end(program(directory.path()).args(["doctor", "--server", "http://127.0.0.1:1"]));
    assert_eq!(ended.status.code(), Some(1));
    let expected = "\
ok    settings    all values are readable
FAIL  connection  no server answers at http://127.0.0.1:1 (Connection refused (os error 111))
                  remedy: start it with `modelward serve`, or name another one with --server
modelward: 1 check failed; its remedy is above
";
    assert_eq!(ended.output, expected);
}
