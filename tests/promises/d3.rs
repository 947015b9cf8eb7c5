//! One total order: commit order is revision order, without gaps.
//!
//! Four processes write to one PostgreSQL, each pausing at random between lock and commit. A follower reads the log as
//! a replica does, while it grows.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::future::join_all;
use modelward::secrets::{KeyRing, KeySource};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{effort, report};
use crate::support::Engine;
use crate::support::database::Database;
use crate::support::follower::{Follower, Log};
use crate::support::ledger::Ledger;
use crate::support::listing::Listing;
use crate::support::load::{Attempt, Writer, books};
use crate::support::process::{Process, on_postgres};
use crate::support::server::MASTER_KEYS;

mod mutant;

const PROCESSES: usize = 4;
const CALLERS: usize = 8;
const PAUSES: &str = "writer.locked=delay(5);writer.written=delay(5)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_commit_order_is_revision_order_over_four_processes() {
    let database = Database::new(Engine::Postgres).await;
    let directory = TempDir::new().unwrap();
    let own = [("MODELWARD_FAIL_POINTS", PAUSES), ("MODELWARD_HEALTH__ENABLED", "false")];
    let variables: Vec<_> = on_postgres(database.url()).into_iter().chain(own).collect();
    let mut processes: Vec<_> = (0..PROCESSES).map(|_| Process::start(directory.path(), &variables)).collect();
    let ring = KeyRing::load(KeySource::Text(Zeroizing::new(MASTER_KEYS.to_owned()))).unwrap();
    let mut follower = Follower::new(Log::open(database.open().await, ring).await);

    let attempts = effort(40, 1000);
    let callers = processes.iter().enumerate().flat_map(|(process, server)| {
        (0..CALLERS).map(move |caller| Writer::new(server.admin(), format!("p{process}c{caller}"), None))
    });
    let work = callers.map(|mut writer| {
        tokio::spawn(async move {
            writer.steps(attempts).await;
            writer
        })
    });
    let mut writers = Vec::new();
    let work: Vec<_> = work.collect();
    follower.until(async { writers = join_all(work).await.into_iter().map(Result::unwrap).collect() }).await;

    let store = database.open().await;
    let head = store.head().await.unwrap();
    assert_eq!(follower.complaints, Vec::<String>::new());
    assert_eq!((follower.revision, follower.hash), (head.revision.0, head.hash.0), "all of it was seen");
    let ledger = Ledger::read(&store).await;
    assert_eq!([ledger.complaints(), ledger.differs_from(&books(&writers))].concat(), Vec::<String>::new());
    let recorded = recorded(&books(&writers), &ledger);
    report(&format!("{} changes over {PROCESSES} processes, {} revisions", recorded.len(), head.revision));
    assert!(recorded.len() >= PROCESSES * CALLERS * attempts / 2, "{} writes changed something", recorded.len());
    assert_eq!(out_of_order(recorded), Vec::<String>::new());

    let answers = join_all(processes.iter().map(|process| async {
        let admin = process.admin();
        Listing::read(&admin, head.revision.0).await
    }));
    let answers = answers.await;
    assert_eq!(answers[0].differences(&ledger.image), Vec::<String>::new());
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "all processes show the same");
    for process in &mut processes {
        assert!(process.terminate().success(), "{}", process.log());
    }
}

/// When a write was under way, and the revision that it took.
#[derive(Debug, Clone)]
struct Span {
    reason: String,
    began: Instant,
    ended: Instant,
    revision: i64,
}

fn recorded(book: &[Attempt], ledger: &Ledger) -> Vec<Span> {
    let revisions: BTreeMap<_, _> =
        ledger.changes.iter().map(|change| (change.reason.as_str(), change.revision.0)).collect();
    let span = |attempt: &Attempt| {
        let revision = *revisions.get(attempt.reason.as_str())?;
        Some(Span { reason: attempt.reason.clone(), began: attempt.began, ended: attempt.ended, revision })
    };
    book.iter().filter_map(span).collect()
}

/// Writes that began after the end of another one and took an earlier revision: on whichever process, the order of the
/// revisions is the order in which callers saw things happen.
fn out_of_order(mut spans: Vec<Span>) -> Vec<String> {
    spans.sort_by_key(|span| span.revision);
    let mut complaints = Vec::new();
    let mut first_ended: Option<&Span> = None;
    for span in spans.iter().rev() {
        if let Some(later) = first_ended.filter(|later| later.ended < span.began) {
            complaints.push(format!("{} began after {} had ended, and came before it", span.reason, later.reason));
        }
        if first_ended.is_none_or(|first| span.ended < first.ended) {
            first_ended = Some(span);
        }
    }
    complaints
}

#[test]
fn d3_an_order_that_callers_did_not_see_is_found() {
    let now = Instant::now();
    let at = |tick: u64| now + std::time::Duration::from_millis(tick);
    let span = |reason: &str, began, ended, revision| Span {
        reason: reason.into(),
        began: at(began),
        ended: at(ended),
        revision,
    };
    let (one, two, three) = (span("one", 0, 2, 1), span("two", 1, 4, 2), span("three", 5, 6, 3));
    assert_eq!(out_of_order(vec![two.clone(), three.clone(), one.clone()]), Vec::<String>::new());
    let early = Span { revision: 0, ..three };
    assert_eq!(out_of_order(vec![one, two, early]).len(), 1);
}
