//! The log, its head, and the answers kept for repetitions.

use modelward::domain::plan::Edit;
use modelward::domain::{Head, Revision};
use modelward::store::{RequestKey, StoreError, StoredRequest, WriteSet};

use super::samples::{at, token, token_resource};
use super::writing::{commit, initialised, set, write};
use crate::support::database::Database;

fn tokens(count: usize) -> Vec<Edit> {
    (0..count).map(|number| Edit::create(token_resource(&token(&format!("t{number}"))))).collect()
}

fn request(identity: &str, request_id: &str, micros: i64) -> StoredRequest {
    StoredRequest {
        key: RequestKey { identity: identity.into(), request_id: request_id.into() },
        payload_hash: [7; 32],
        answer: vec![0, 1, 255].into(),
        revision: Revision(3),
        time: at(micros),
    }
}

pub async fn an_empty_database_has_no_head(database: Database) {
    let store = database.open().await;
    store.ping().await.unwrap();
    assert!(matches!(store.head().await.unwrap_err(), StoreError::NotInitialised));
    assert!(matches!(store.load_image().await.unwrap_err(), StoreError::NotInitialised));
    let mut session = store.writer().await.unwrap();
    let begun = session.begin().await.map(|transaction| transaction.head());
    assert!(matches!(begun.unwrap_err(), StoreError::NotInitialised));
    assert_eq!(store.cluster().await.unwrap(), None);
    initialised_again(store).await;
}

async fn initialised_again(store: modelward::store::Store) {
    let row = modelward::store::ClusterRow {
        cluster_id: super::writing::CLUSTER,
        active_key_id: "k".into(),
        keys: vec![],
        create_time: at(0),
    };
    store.initialise(&row).await.unwrap();
    assert_eq!(store.head().await.unwrap(), Head::default());
}

pub async fn whole_revisions_are_read_in_order(database: Database) {
    let store = initialised(&database).await;
    for count in [3, 1, 12] {
        commit(&store, tokens(count)).await;
    }
    let rows = store.log_after(Revision(1), 1).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].revision, rows[0].ordinal), (Revision(2), 0));
    assert_eq!(rows[0].payload.as_ref(), b"2/0");
    let rows = store.log_after(Revision(0), 1_000).await.unwrap();
    let places: Vec<_> = rows.iter().map(|row| (row.revision.0, row.ordinal)).collect();
    let expected: Vec<_> = (0..3).map(|o| (1, o)).chain([(2, 0)]).chain((0..12).map(|o| (3, o))).collect();
    assert_eq!(places, expected);
    assert!(store.log_after(Revision(3), 1_000).await.unwrap().is_empty());

    let mut session = store.writer().await.unwrap();
    let mut transaction = session.begin().await.unwrap();
    assert_eq!(transaction.log_after(Revision(2), 1_000).await.unwrap().len(), 12);
}

pub async fn a_commit_is_found_by_its_revision(database: Database) {
    let store = initialised(&database).await;
    let first = commit(&store, tokens(3)).await;
    let second = commit(&store, tokens(2)).await;
    assert_eq!(store.head().await.unwrap(), second);
    assert_eq!(store.find_commit(first.revision).await.unwrap(), Some(first.hash));
    assert_eq!(store.find_commit(second.revision).await.unwrap(), Some(second.hash));
    assert_eq!(store.find_commit(second.revision.next()).await.unwrap(), None);
}

pub async fn an_answer_is_kept_for_its_identity_and_request_id(database: Database) {
    let store = initialised(&database).await;
    let mut written = set(store.head().await.unwrap(), tokens(1));
    let (mine, other) = (request("alice", "1", 1), request("bob", "2", 2));
    written.requests = vec![mine.clone(), other.clone()];
    write(&store, &written).await.unwrap();
    let mut session = store.writer().await.unwrap();
    let mut transaction = session.begin().await.unwrap();
    // Both identities and both ids exist, but not together.
    let crossed = [request("alice", "2", 0).key, request("bob", "1", 0).key];
    assert!(transaction.requests(&crossed).await.unwrap().is_empty());
    assert!(transaction.requests(&[]).await.unwrap().is_empty());
    let mut found = transaction.requests(&[mine.key.clone(), other.key.clone(), crossed[0].clone()]).await.unwrap();
    found.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(found, vec![mine, other]);
}

pub async fn an_answer_without_a_change_leaves_the_head(database: Database) {
    let store = initialised(&database).await;
    let head = commit(&store, tokens(1)).await;
    let mut answer = request("alice", "1", 1);
    for bytes in [b"first".as_slice(), b"second"] {
        answer.answer = bytes.to_vec().into();
        write(&store, &WriteSet { head, requests: vec![answer.clone()], ..WriteSet::default() }).await.unwrap();
    }
    assert_eq!(store.head().await.unwrap(), head);
    let mut session = store.writer().await.unwrap();
    let mut transaction = session.begin().await.unwrap();
    assert_eq!(transaction.requests(std::slice::from_ref(&answer.key)).await.unwrap(), vec![answer]);
}

pub async fn old_answers_are_forgotten(database: Database) {
    let store = initialised(&database).await;
    let head = store.head().await.unwrap();
    let requests = vec![request("alice", "old", 10), request("alice", "new", 20)];
    write(&store, &WriteSet { head, requests, ..WriteSet::default() }).await.unwrap();
    assert_eq!(store.forget_requests(at(20)).await.unwrap(), 1);
    let mut session = store.writer().await.unwrap();
    let mut transaction = session.begin().await.unwrap();
    let keys = ["old", "new"].map(|request_id| RequestKey { identity: "alice".into(), request_id: request_id.into() });
    let left = transaction.requests(&keys).await.unwrap();
    assert_eq!(left.iter().map(|request| request.key.request_id.as_str()).collect::<Vec<_>>(), ["new"]);
}
