//! The command line as a user meets it: what goes to stdout, what to stderr, and the exit code.

use std::fs;
use std::process::Output;

use modelward::proto::v1::ProviderKind;
use tempfile::TempDir;

use crate::support::database::run_on_file;
use crate::support::process::program;
use crate::support::{Engine, Server};

/// Runs the program in an empty directory with nothing but these variables.
fn modelward(arguments: &[&str], variables: &[(&str, &str)]) -> (TempDir, Output) {
    let dir = tempfile::tempdir().unwrap();
    let output = program(dir.path()).args(arguments).envs(variables.iter().copied()).output().unwrap();
    (dir, output)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn an_unknown_setting_is_one_line_with_a_remedy_and_starts_nothing() {
    type Case = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str);
    let cases: [Case; 4] = [
        (&["serve"], &[("MODELWARD_DATADIR", "d")], "did you mean MODELWARD_DATA_DIR?"),
        (&["serve", "--set", "egress.alow_private=true"], &[], "did you mean egress.allow_private?"),
        (&["migrate", "--set", "limits.max_message=4MB"], &[], "as in 4MiB"),
        (&["serve", "--config", "nowhere.toml"], &[], "nowhere.toml cannot be read"),
    ];
    for (arguments, variables, expected) in cases {
        let (dir, output) = modelward(arguments, variables);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert_eq!((told.lines().count(), output.stdout.len()), (1, 0), "{told}");
        assert!(told.starts_with("modelward: ") && told.contains(expected), "{told}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_wrong_command_line_has_its_own_exit_code() {
    for arguments in [&["serv"][..], &["serve", "--no-such-flag"], &["token", "create"], &[]] {
        let (_dir, output) = modelward(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn help_is_data_and_teaches_by_examples() {
    for verb in ["serve", "migrate", "token", "keys", "catalogue", "health"] {
        let (_dir, output) = modelward(&[verb, "--help"], &[]);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains(&format!("modelward {verb}")), "{verb}");
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn the_printed_example_is_a_configuration_that_is_accepted() {
    let (_dir, example) = modelward(&["config", "example"], &[]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("modelward.toml");
    fs::write(&path, &example.stdout).unwrap();
    let (_dir, output) = modelward(&["config", "check", "--config", path.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn what_is_in_force_is_shown_with_its_source_and_without_secrets() {
    let variables = [("MODELWARD_DATABASE_URL", "postgres://u:canary@h/d"), ("MODELWARD_MASTER_KEYS", "k:canary")];
    let (_dir, output) = modelward(&["config", "show", "--data-dir", "/d"], &variables);
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(0));
    assert!(shown.lines().any(|line| line.starts_with("data_dir = \"/d\"") && line.ends_with("# flag --data-dir")));
    assert!(shown.contains("postgres://u:hidden@h/d"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn keys_and_tokens_are_printed_as_exactly_one_line() {
    for arguments in [["keys", "generate"], ["token", "generate"]] {
        let (_dir, one) = modelward(&arguments, &[]);
        let (_dir, other) = modelward(&arguments, &[]);
        assert_eq!(stdout(&one).lines().count(), 1);
        assert!(one.stderr.is_empty());
        assert_ne!(one.stdout, other.stdout);
    }
}

#[test]
fn without_a_server_health_fails_and_says_what_to_do() {
    // Nothing listens on the reserved port.
    let (_dir, output) = modelward(&["health", "--address", "http://127.0.0.1:1"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(stderr(&output).contains("start it with `modelward serve`"), "{}", stderr(&output));
}

/// A server with a provider, and the arguments that name it.
async fn server_to_ask() -> (Server, [String; 2]) {
    let server = Server::start(Engine::Sqlite).await;
    server.admin().add_provider("told", ProviderKind::Ollama).await;
    let address = format!("--server=http://{}", server.address());
    let token = format!("--token-file={}", server.directory().join("admin.token").display());
    (server, [address, token])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_log_is_listed_for_people_and_for_programs() {
    let (_server, [address, token]) = server_to_ask().await;
    let list = |more: &[&str]| {
        let arguments = [&["audit", "list", &address, &token], more].concat();
        let (_dir, output) = modelward(&arguments, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    let table = list(&[]);
    let lines: Vec<_> = table.lines().collect();
    assert!(
        lines[0].starts_with("REVISION") && lines[1].contains("create") && lines[1].contains("provider"),
        "{table}"
    );
    assert_eq!(lines.len(), 3, "the token and the provider: {table}");
    let told = list(&["--kind", "provider", "--format", "json", "--limit", "1"]);
    let change: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((change["operation"].as_str(), change["resource_kind"].as_str()), (Some("create"), Some("provider")));
    assert_eq!(change["actor"].as_str(), Some("admin"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewritten_log_is_found_from_the_command_line() {
    let (server, _) = server_to_ask().await;
    let request = modelward::proto::v1::GetServerInfoRequest {};
    let anchor = server.tokens().get_server_info(request).await.unwrap().into_inner().server_info.unwrap().audit_anchor;
    let dir = tempfile::tempdir().unwrap();
    for file in ["modelward.db", "modelward.db-wal", "master.key"] {
        fs::copy(server.directory().join(file), dir.path().join(file)).unwrap();
    }
    let data_dir = format!("--data-dir={}", dir.path().display());
    let verify = |more: &[&str]| modelward(&[&["audit", "verify", &data_dir], more].concat(), &[]).1;
    let intact = verify(&["--anchor", &anchor]);
    assert_eq!(intact.status.code(), Some(0), "{}", stderr(&intact));
    assert_eq!(stdout(&intact), format!("intact: 2 changes; anchor {anchor}\n"));
    run_on_file(&dir.path().join("modelward.db"), "UPDATE changes SET actor = 'somebody else' WHERE revision = 2");
    let changed = verify(&[]);
    assert_eq!(changed.status.code(), Some(1));
    assert!(stdout(&changed).starts_with("2/0: the column actor is not what was hashed\n"), "{}", stdout(&changed));
    assert!(stderr(&changed).contains("the log was changed: 1 finding"), "{}", stderr(&changed));
    let wrong = verify(&["--anchor", "7"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
    let (_dir, none) = modelward(&["audit", "verify"], &[]);
    assert!(stderr(&none).contains("there is no database at"), "{}", stderr(&none));
}
