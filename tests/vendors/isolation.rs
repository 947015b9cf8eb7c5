//! No vendor's failure takes more than its own timeouts, or blocks another vendor's work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::account::Account;
use super::{Case, Engine, ROWS, Server, Simulator, ValidationStatus};

/// Calls to the vendor that hangs, all at the same time.
const HANGING: usize = 64;
/// What an account allows: two attempts, each to connect and to answer, and a pause between them.
const OWN: Duration = Duration::from_millis(2 * (500 + 1_000) + 1);
/// The answers are written and read on a machine with other work.
const SLACK: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_hangs_takes_its_own_time_and_nobody_elses() {
    let server = Server::start(Engine::Sqlite).await;
    let row = &ROWS[0];
    let (hanging, good) = (Simulator::start(row, Case::Hanging).await, Simulator::start(row, Case::Good).await);
    let stuck = Arc::new(Account::new(server.admin(), row, &hanging.url()).await);
    let well = Account::new(server.admin(), row, &good.url()).await;
    let ended = Arc::new(AtomicUsize::new(0));
    let mut calls = JoinSet::new();
    for number in 0..HANGING {
        let (stuck, ended) = (stuck.clone(), ended.clone());
        calls.spawn(async move {
            let began = Instant::now();
            if number % 2 == 0 {
                stuck.sync().await.unwrap_err();
            } else {
                assert_eq!(stuck.validate().await.status(), ValidationStatus::Unreachable);
            }
            ended.fetch_add(1, Ordering::SeqCst);
            began.elapsed()
        });
    }
    crate::support::eventually("all of them hang", || async { (hanging.questions().len() >= HANGING).then_some(()) })
        .await;
    // Its neighbour is asked everything while all of them hang.
    assert!(well.sync().await.is_ok());
    assert_eq!(well.validate().await.status(), ValidationStatus::Valid);
    let model = well.models().await.remove(0);
    well.test(&model.id).await;
    well.check().await;
    assert_eq!(ended.load(Ordering::SeqCst), 0, "the good vendor's work was done before the first call gave up");
    let slowest = calls.join_all().await.into_iter().max().unwrap();
    assert!(slowest < OWN + SLACK, "{slowest:?}");
    assert_eq!(hanging.faults(), Vec::<String>::new());
}
