//! Fail points: a process dies or freezes exactly where it was told to. Debug builds only, as these tests are.

use std::os::unix::process::ExitStatusExt as _;

use modelward::failpoint::VARIABLE;
use modelward::proto::v1::{ListProvidersRequest, ProviderKind};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::support::Engine;
use crate::support::database::Database;
use crate::support::process::{Process, on_postgres, program};
use crate::support::proxy::Proxy;
use crate::support::resources::provider;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_is_killed_at_its_point_the_time_that_was_named() {
    let directory = TempDir::new().unwrap();
    // The first admin token is a write of its own.
    let mut process = Process::start(directory.path(), &[(VARIABLE, "writer.written=kill@3")]);
    let admin = process.admin();
    admin.add_provider("first", ProviderKind::Ollama).await;
    admin.try_provider(provider("second", ProviderKind::Ollama)).await.unwrap_err();
    assert_eq!(process.wait().signal(), Some(Signal::SIGKILL as i32));
    let process = Process::start(directory.path(), &[]);
    let stored =
        process.admin().providers().list_providers(ListProvidersRequest::default()).await.unwrap().into_inner();
    assert_eq!(stored.total_size, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_is_frozen_at_its_point_until_it_may_go_on() {
    let directory = TempDir::new().unwrap();
    let mut process = Process::start(directory.path(), &[(VARIABLE, "writer.committed=stop@2")]);
    let admin = process.admin();
    let writing = tokio::spawn(async move { admin.add_provider("p", ProviderKind::Ollama).await });
    process.wait_until_stopped();
    assert!(!writing.is_finished());
    process.cont();
    writing.await.unwrap();
    assert!(!process.is_stopped());
    assert!(process.terminate().success(), "{}", process.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_stopped_answers_when_it_goes_on() {
    let (directory, database) = (TempDir::new().unwrap(), Database::new(Engine::Postgres).await);
    let mut process = Process::start(directory.path(), &on_postgres(database.url()));
    let proxy = Proxy::start(process.address());
    let admin = process.admin_at(proxy.address());
    process.stop();
    let writing = tokio::spawn(async move { admin.add_provider("p", ProviderKind::Ollama).await });
    assert!(process.is_stopped());
    process.cont();
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_between_two_migrations_goes_on_with_the_rest() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let (directory, database) = (TempDir::new().unwrap(), Database::unmigrated(engine));
        let place = if engine == Engine::Postgres { on_postgres(database.url()).to_vec() } else { Vec::new() };
        for step in 1..=2 {
            let rule = format!("migration.step=kill@{step}");
            let mut process = Process::spawn(directory.path(), &[&place[..], &[(VARIABLE, &rule)]].concat());
            assert_eq!(process.wait().signal(), Some(Signal::SIGKILL as i32), "{engine:?}: {}", process.log());
        }
        let process = Process::start(directory.path(), &place);
        process.admin().add_provider("p", ProviderKind::Ollama).await;
    }
}

#[test]
fn a_rule_that_cannot_be_meant_ends_the_process_at_its_start() {
    let directory = TempDir::new().unwrap();
    for (rules, complaint) in [("writer.lockd=kill", "unknown point"), ("writer.locked=explode", "a rule that is not")]
    {
        let output = program(directory.path()).arg("serve").env(VARIABLE, rules).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(complaint) && text.contains(VARIABLE), "{text}");
    }
    assert_eq!(directory.path().read_dir().unwrap().count(), 0, "nothing was begun");
}
