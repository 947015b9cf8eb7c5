use std::sync::Arc;

use super::*;
use crate::changes::testing::{Database, create, names};
use crate::domain::{ChainHash, Edit, Revision};
use crate::snapshot::fixtures;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_continue_the_chain_is_never_applied() {
    let database = Database::new().await;
    let replica = database.replica().await.start();
    replica.writer.submit(create("a")).await.unwrap();
    let rows = database.store.log_after(Revision(0), 10).await.unwrap();
    let forged = LogRow { revision: Revision(2), hash: ChainHash([1; 32]), ..rows[0].clone() };
    let gap = LogRow { revision: Revision(3), ..rows[0].clone() };
    let held = replica.snapshot.head();
    for (bad, loads) in [(forged, 1), (gap, 2)] {
        replica.tail.rows(vec![bad]);
        let contact = replica.tail.contact();
        replica.eventually("everything is loaded anew", || contact.borrow().loads == loads).await;
        assert_eq!(replica.snapshot.head(), held);
    }
    // Rows that are held already are no news.
    replica.tail.rows(rows);
    replica.writer.submit(create("b")).await.unwrap();
    assert_eq!(names(&*replica.snapshot.load()), ["a", "b"]);
    assert_eq!(replica.tail.contact().borrow().loads, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_over_another_base_is_read_from_the_log() {
    let database = Database::new().await;
    let replica = database.replica().await;
    let other = database.replica().await.start();
    other.writer.submit(create("a")).await.unwrap();
    let base = other.snapshot.head();
    other.writer.submit(create("b")).await.unwrap();
    let head = other.snapshot.head();
    // As if this replica had committed the second one without having applied the first.
    let replica = replica.start();
    replica.tail.own(Transition { base, head, changes: Vec::new(), hashes: Vec::new(), sealed: Vec::new() });
    replica.snapshot.wait_for(head.revision, SOON).await.unwrap();
    assert_eq!(names(&*replica.snapshot.load()), ["a", "b"]);
    assert_eq!((replica.snapshot.head(), replica.tail.contact().borrow().loads), (head, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_another_replica_is_noticed_without_being_told() {
    let database = Database::new().await;
    let (one, two) = (database.replica().await.start(), database.replica().await.start());
    one.writer.submit(create("a")).await.unwrap();
    two.snapshot.wait_for(Revision(1), SOON).await.unwrap();
    assert_eq!(names(&*two.snapshot.load()), ["a"]);
    assert!(two.tail.contact().borrow().connected);
}

#[test]
fn only_new_versions_of_secrets_are_read() {
    let credential = |version| {
        let credential =
            crate::domain::credential::Credential { secret_version: version, ..fixtures::credential(2, 1) };
        Resource::Credential(Arc::new(credential))
    };
    let update = |before, after| Edit::update(credential(before), credential(after), Vec::new());
    let access = Edit { operation: Operation::Access, before: None, ..update(3, 3) };
    let edits = [
        Edit::create(credential(1)),
        update(1, 1),
        update(1, 2),
        access,
        Edit::destroy(credential(2)),
        Edit::create(Resource::Provider(Arc::new(fixtures::provider(1)))),
    ];
    let changes: Vec<_> = edits.into_iter().map(|edit| fixtures::change(1, edit)).collect();
    assert_eq!(new_versions(&changes), [(fixtures::id(2), 1), (fixtures::id(2), 2)]);
}
