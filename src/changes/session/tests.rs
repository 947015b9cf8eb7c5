use tokio::time::timeout;
use uuid::Uuid;

use super::*;
use crate::changes::testing::{Database, Running, create};
use crate::changes::{Start, Wanted};

async fn open(replica: &Running, start: Start) -> Session {
    let wanted = Wanted {
        watch_id: Uuid::from_u128(1),
        start,
        state: false,
        deleted: false,
        filter: Filter::default(),
        client: String::new(),
        token: None,
        pass: None,
    };
    replica.watches.open(wanted).await.unwrap()
}

async fn next(session: &mut Session) -> Result<RawWatch> {
    timeout(Duration::from_secs(20), session.next()).await.unwrap()
}

/// The revisions that are shown next.
async fn shown(session: &mut Session, count: usize) -> Vec<i64> {
    let mut revisions = Vec::new();
    while revisions.len() < count {
        let message = next(session).await.unwrap();
        if message.event == Event::Changes {
            revisions.push(message.revision.0);
        }
    }
    revisions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_in_memory_any_more_is_read_from_the_log() {
    let database = Database::new().await;
    let replica = database.replica().await.start();
    for number in 0..300 {
        replica.writer.submit(create(&format!("{number:0200}"))).await.unwrap();
    }
    let mut session = open(&replica, Start::After(Revision(0))).await;
    replica.writer.submit(create("one more")).await.unwrap();
    assert_eq!(shown(&mut session, 301).await, (1..=301).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_of_the_same_history_ends_no_stream_and_one_of_another_ends_all() {
    let database = Database::new().await;
    let replica = database.replica().await.start();
    replica.writer.submit(create("one")).await.unwrap();
    let mut session = open(&replica, Start::After(Revision(0))).await;
    assert_eq!(shown(&mut session, 1).await, [1]);
    replica.tail.reload().await;
    replica.writer.submit(create("two")).await.unwrap();
    assert_eq!(shown(&mut session, 1).await, [2]);

    replica.watches.restart(crate::domain::Head::default(), false);
    loop {
        match next(&mut session).await {
            Ok(message) => assert_ne!(message.event, Event::Changes),
            Err(error) => break assert_eq!(error, Error::HistoryChanged),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_taken_for_what_it_is() {
    let database = Database::new().await;
    let replica = database.replica().await.start();
    replica.writer.submit(create("one")).await.unwrap();
    let head = replica.snapshot.head();
    let good = ResumeToken {
        cluster_id: database.secrets.cluster_id(),
        revision: head.revision,
        hash: head.hash.into(),
        status: StatusRevision(0),
    };
    let other_hash = ResumeToken { hash: ShortHash([9; 16]), ..good };
    let other_cluster = ResumeToken { cluster_id: Uuid::from_u128(9), ..good };
    let ahead = ResumeToken { revision: Revision(9), ..good };
    assert_eq!(replica.watches.check(&good).await, Ok(()));
    assert_eq!(replica.watches.check(&ResumeToken::read(&good.write()).unwrap()).await, Ok(()));
    for bad in [other_hash, other_cluster, ahead] {
        assert_eq!(replica.watches.check(&bad).await, Err(Error::HistoryChanged));
    }
    // A replica that has not heard of a revision catches up first.
    let late = database.replica().await.start();
    replica.writer.submit(create("two")).await.unwrap();
    let head = replica.snapshot.head();
    let newer = ResumeToken { revision: head.revision, hash: head.hash.into(), ..good };
    assert_eq!(late.watches.check(&newer).await, Ok(()));
}
