//! A replica that is frozen while it holds the write lock.

use std::time::{Duration, Instant};

use modelward::failpoint::VARIABLE;
use modelward::proto::v1::ProviderKind;
use tempfile::TempDir;

use super::super::report;
use super::load::{Outcome, outcome};
use super::{FAILS, NOISE, WORKS, listed};
use crate::support::database::Database;
use crate::support::process::{Process, on_postgres};
use crate::support::resources::provider;
use crate::support::{Engine, Server, within};

/// How long the others may be stopped.
const OTHERS: Duration = Duration::from_secs(6);

/// Freezes a replica at a point of its first write; the other one goes on soon, and the frozen one learns later that
/// nothing of its own was written.
async fn frozen_at(point: &str) {
    let (directory, database) = (TempDir::new().unwrap(), Database::new(Engine::Postgres).await);
    let other = Server::start_on(database.url(), |_| {}).await;
    let admin = other.admin().clone();
    admin.add_provider("before", ProviderKind::Ollama).await;
    let rule = format!("{point}=stop@1");
    let variables: Vec<_> = on_postgres(database.url()).into_iter().chain([(VARIABLE, rule.as_str())]).collect();
    let mut frozen = Process::start(directory.path(), &variables);
    let its = frozen.caller(admin.token());

    let writing = tokio::spawn({
        let its = its.clone();
        async move { its.try_provider(provider("frozen", ProviderKind::Ollama)).await }
    });
    frozen.wait_until_stopped();
    let began = Instant::now();
    let mut refused = 0;
    loop {
        let attempt = Instant::now();
        let name = format!("meanwhile{refused}");
        if outcome(admin.try_provider(provider(&name, ProviderKind::Ollama)).await) == Outcome::Stored {
            break;
        }
        assert!(attempt.elapsed() < FAILS + NOISE, "a write failed after {:?}", attempt.elapsed());
        refused += 1;
    }
    let stopped = began.elapsed();
    report(&format!("{point}: the other replica was stopped for {stopped:?}, {refused} writes were refused"));
    assert!(stopped < OTHERS, "{stopped:?}");

    frozen.cont();
    assert_eq!(outcome(writing.await.unwrap()), Outcome::Refused, "the lock was lost, and with it the write");
    let number = std::cell::Cell::new(0);
    within(WORKS, "it writes again", || async {
        number.set(number.get() + 1);
        let wanted = provider(&format!("again{}", number.get()), ProviderKind::Ollama);
        (outcome(its.try_provider(wanted).await) == Outcome::Stored).then_some(())
    })
    .await;
    let mut names = listed(&its).await;
    names.sort_unstable();
    assert_eq!(names, [format!("again{}", number.get()), "before".to_owned(), format!("meanwhile{refused}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_a_replica_frozen_with_the_lock_stops_the_others_for_six_seconds() {
    frozen_at("writer.locked").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_a_replica_frozen_before_its_commit_stops_the_others_for_six_seconds() {
    frozen_at("writer.written").await;
}
