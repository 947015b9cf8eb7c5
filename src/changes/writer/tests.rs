//! Over a real SQLite file; replicas of one cluster share it.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::join_all;

use crate::changes::testing::{Database, Replica, Running, create, idle, names, provider_name, under, write};
use crate::domain::image::{StatusBatch, StatusRevision, StatusValue};
use crate::domain::provider::Provider;
use crate::domain::{ChainHash, Edit, Error, Head, Operation, Resource, Revision, Timestamp, TokenId, View as _};
use crate::snapshot::{Snapshot, fixtures};
use crate::store::{LogLine, WriteSet};

/// Compares the log and the tables of the database with what a replica holds.
async fn agrees(database: &Database, replica: &Running) {
    let image = database.store.load_image().await.unwrap();
    let held = replica.snapshot.load();
    assert_eq!(image.head, held.head());
    assert_eq!(names(&*held), names(&Snapshot::from_image(image)));
    let rows = database.store.log_after(Revision(0), 100_000).await.unwrap();
    let mut head = Head::default();
    for row in rows {
        assert_eq!(row.revision.0, head.revision.0 + i64::from(row.ordinal == 0), "no gaps");
        let hash = database.secrets.chain(row.revision, row.ordinal, &head.hash, &row.payload);
        assert_eq!(row.hash, hash, "revision {}", row.revision);
        head = Head { revision: row.revision, hash };
    }
    assert_eq!(head, held.head());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writes_share_transactions_and_each_caller_gets_its_own_answer() {
    let database = Database::new().await;
    let replica = database.replica().await.start();
    let wanted: Vec<_> = (0..200).map(|number| format!("p{number:03}")).collect();
    let answers = join_all(wanted.iter().map(|name| replica.writer.submit(create(name)))).await;
    let mut revisions = Vec::new();
    for (name, answer) in wanted.iter().zip(answers) {
        let committed = answer.unwrap();
        assert_eq!(provider_name(&committed.answer), name);
        revisions.push(committed.revision.0);
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=200).collect::<Vec<_>>());
    assert_eq!(names(&*replica.snapshot.load()), wanted, "applied before it is answered");
    agrees(&database, &replica).await;
    let metrics = replica.metrics.render();
    let batches = metrics.lines().find_map(|line| line.strip_prefix("modelward_writer_batch_size_count "));
    let batches: usize = batches.unwrap().parse().unwrap();
    assert!(batches < 50, "{batches} transactions");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_cancels_nothing() {
    let database = Database::new().await;
    let replica = database.replica().await.start();
    assert!(replica.writer.submit(create("left alone")).now_or_never().is_none());
    let after = replica.writer.submit(create("after")).await.unwrap();
    assert_eq!(after.revision, Revision(2));
    assert_eq!(names(&*replica.snapshot.load()), ["after", "left alone"]);
    agrees(&database, &replica).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_id_is_remembered_by_all_replicas() {
    let database = Database::new().await;
    let (one, two) = (database.replica().await.start(), database.replica().await.start());
    let first = one.writer.submit(under("r", 1, create("a"))).await.unwrap();
    let again = two.writer.submit(under("r", 1, create("a"))).await.unwrap();
    assert_eq!((again.replayed, again.revision), (true, first.revision));
    assert_eq!(again.answer, first.answer);
    let other = two.writer.submit(under("r", 2, create("b"))).await.unwrap_err();
    assert_eq!(other, Error::RequestIdReused { request_id: "r".into() });
    assert_eq!(two.writer.submit(under("idle", 1, idle())).await.unwrap().revision, Revision(1));
    assert!(one.writer.submit(under("idle", 1, idle())).await.unwrap().replayed);
    agrees(&database, &one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_write_in_turn_see_each_others_writes() {
    let database = Database::new().await;
    let (one, two) = (database.replica().await.start(), database.replica().await.start());
    for number in 0..10 {
        one.writer.submit(create(&format!("one {number}"))).await.unwrap();
        let taken = two.writer.submit(create(&format!("ONE {number}"))).await.unwrap_err();
        assert_eq!(taken.reason(), "ALREADY_EXISTS", "planned over what the other has written");
        two.writer.submit(create(&format!("two {number}"))).await.unwrap();
    }
    agrees(&database, &two).await;
    one.snapshot.wait_for(Revision(20), std::time::Duration::from_secs(10)).await.unwrap();
    agrees(&database, &one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_far_behind_catches_up_before_it_writes() {
    let database = Database::new().await;
    let behind = database.replica().await;
    let ahead = database.replica().await.start();
    while ahead.snapshot.head().revision.0 <= 1000 {
        let from = ahead.snapshot.head().revision.0;
        let names: Vec<_> = (from..from + 64).map(|number| format!("p{number}")).collect();
        for answer in join_all(names.iter().map(|name| ahead.writer.submit(create(name)))).await {
            answer.unwrap();
        }
    }
    let before = ahead.snapshot.head().revision;
    let behind = behind.start();
    assert_eq!(behind.writer.submit(create("late")).await.unwrap().revision, before.next());
    agrees(&database, &behind).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_of_another_history_loads_everything_anew_status_too() {
    let database = Database::new().await;
    let mut image = fixtures::image();
    image.head = Head { revision: Revision(7), hash: ChainHash([7; 32]) };
    image.providers.push(Arc::new(fixtures::provider(1)));
    let replica = Replica::build(&database, Snapshot::from_image(image));
    // The restored database's counter is past what this replica has seen, so the counter alone tells nothing.
    let (gone, kept) = (TokenId::new(uuid::Uuid::from_u128(8)), TokenId::new(uuid::Uuid::from_u128(9)));
    let used = |token| StatusValue::TokenUse(token, Timestamp::from_micros(1));
    database.replica().await.statuses.store(&[used(kept)]).await.unwrap();
    replica.statuses.board().apply(&StatusBatch { revision: StatusRevision(1), values: vec![used(gone)] });
    let replica = replica.start();
    let created = replica.writer.submit(create("a")).await.unwrap();
    assert_eq!(created.revision, Revision(1));
    assert_eq!(names(&*replica.snapshot.load()), ["a"]);
    assert!(replica.tail.contact().borrow().loads > 0);
    let board = replica.statuses.board().clone();
    replica.eventually("the old status is gone", || board.load().token_use(gone).is_none()).await;
    assert!(board.load().token_use(kept).is_some());
    agrees(&database, &replica).await;
}

/// Puts a provider into the database that no log tells of.
async fn smuggle(database: &Database, provider: Provider) {
    let edit = Edit::create(Resource::Provider(Arc::new(provider)));
    let change = fixtures::change(1_000_000, edit);
    assert_eq!(change.operation, Operation::Create);
    let line = LogLine { change: Arc::new(change), hash: ChainHash::default(), payload: bytes::Bytes::new() };
    let mut session = database.store.writer().await.unwrap();
    let mut transaction = session.begin().await.unwrap();
    let set = WriteSet { head: transaction.head(), log: vec![line], ..WriteSet::default() };
    transaction.write(&set).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_memory_and_database_differ_everything_is_loaded_anew_and_run_again() {
    for alone in [true, false] {
        let database = Database::new().await;
        let replica = database.replica().await;
        smuggle(&database, Provider { name: "taken".into(), ..fixtures::provider(5) }).await;
        let others: Vec<_> = if alone { Vec::new() } else { vec!["a", "b"] };
        let (writer, taken) = (replica.writer.clone(), create("taken"));
        // All are in the queue before the writer runs: one batch.
        let mut others: Vec<_> = others.iter().map(|name| writer.submit(create(name)).boxed()).collect();
        let mut taken = writer.submit(taken).boxed();
        assert!(others.iter_mut().all(|other| other.now_or_never().is_none()));
        assert!((&mut taken).now_or_never().is_none());
        let replica = replica.start();
        assert_eq!(taken.await.unwrap_err().reason(), "ALREADY_EXISTS", "the second run sees what stood in the way");
        for other in others {
            other.await.unwrap();
        }
        assert!(replica.snapshot.load().provider(fixtures::id(5)).is_some());
        assert_eq!(replica.tail.contact().borrow().loads, 1);
        assert!(replica.metrics.render().contains("modelward_store_errors_total{kind=\"constraint\"} 1"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_stops_writes_what_is_queued_and_refuses_the_rest() {
    let database = Database::new().await;
    let replica = database.replica().await;
    let writer = replica.writer.clone();
    let mut queued = writer.submit(create("queued")).boxed();
    assert!((&mut queued).now_or_never().is_none());
    let replica = replica.start();
    let limit = std::time::Duration::from_secs(10);
    let (queued, late) = tokio::join!(queued, replica.tasks.shutdown(limit));
    assert_eq!(queued.unwrap().revision, Revision(1));
    assert!(!late.contains(&"writer"));
    let refused = replica.writer.submit(write(|_, _| panic!("planned"))).await.unwrap_err();
    assert_eq!(refused, Error::StoreUnavailable);
}
