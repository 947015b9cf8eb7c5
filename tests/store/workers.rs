//! The cluster and those who work in it: initialisation, leases, heartbeats.

use std::time::Duration;

use modelward::domain::Revision;
use modelward::domain::keyring::WrappedKey;
use modelward::store::{Claim, ClusterRow, ReplicaRow};
use uuid::Uuid;

use super::samples::at;
use super::writing::initialised;
use crate::support::database::Database;

fn claim(name: &'static str, owner: &str, epoch: i64) -> Claim {
    Claim { name, owner: owner.into(), epoch }
}

const LONG: Duration = Duration::from_mins(1);

fn key(purpose: &str, master_key_id: &str, byte: u8) -> WrappedKey {
    WrappedKey { purpose: purpose.into(), master_key_id: master_key_id.into(), wrapped: vec![byte; 60] }
}

pub async fn the_first_to_initialise_wins(database: Database) {
    let store = database.open().await;
    let row = |number: u8| ClusterRow {
        cluster_id: Uuid::from_u128(number.into()),
        active_key_id: format!("k{number}"),
        keys: vec![key("chain", "m", number), key("request", "m", number)],
        create_time: at(number.into()),
    };
    let rows: Vec<_> = (0..6).map(row).collect();
    let tasks: Vec<_> = rows
        .iter()
        .cloned()
        .map(|row| {
            let store = store.clone();
            tokio::spawn(async move { store.initialise(&row).await.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert!(rows.contains(&answers[0]), "the winner's row is stored whole");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "all agree: {answers:?}");
    assert_eq!(store.cluster().await.unwrap().as_ref(), answers.first());
}

pub async fn wrapped_keys_are_replaced(database: Database) {
    let store = database.open().await;
    let keys = vec![key("chain", "m1", 1), key("request", "m1", 2)];
    let row = ClusterRow { cluster_id: Uuid::nil(), active_key_id: "m1".into(), keys, create_time: at(0) };
    store.initialise(&row).await.unwrap();
    store.replace_wrapped_keys(&[key("chain", "m2", 3)]).await.unwrap();
    let keys = store.cluster().await.unwrap().unwrap().keys;
    assert_eq!(keys, vec![key("chain", "m2", 3), key("request", "m1", 2)]);
}

pub async fn a_lease_has_one_owner_until_it_ends(database: Database) {
    let store = initialised(&database).await;
    let lease = store.lease("probes", "a", LONG).await.unwrap().unwrap();
    assert_eq!(lease.epoch, 1);
    assert!(lease.expire_time > at(0), "by the clock of the database");
    assert_eq!(store.lease("probes", "b", LONG).await.unwrap(), None);
    assert!(store.lease("other", "b", LONG).await.unwrap().is_some(), "another lease");
    let renewed = store.lease("probes", "a", LONG).await.unwrap().unwrap();
    assert_eq!(renewed.epoch, 1);
    assert!(renewed.expire_time >= lease.expire_time);
}

pub async fn the_epoch_rises_when_the_owner_changes(database: Database) {
    let store = initialised(&database).await;
    assert_eq!(store.lease("probes", "a", Duration::ZERO).await.unwrap().unwrap().epoch, 1);
    assert_eq!(store.lease("probes", "b", LONG).await.unwrap().unwrap().epoch, 2, "an ended lease is free");
    store.release_lease("probes", "a").await.unwrap();
    assert_eq!(store.lease("probes", "a", LONG).await.unwrap(), None, "only the owner gives it up");
    store.release_lease("probes", "b").await.unwrap();
    assert_eq!(store.lease("probes", "a", LONG).await.unwrap().unwrap().epoch, 3);
}

pub async fn a_batch_knows_whether_its_lease_is_held(database: Database) {
    let store = initialised(&database).await;
    let old = store.lease("probes", "a", LONG).await.unwrap().unwrap();
    let mut batch = store.status_tx().await.unwrap();
    assert!(batch.check_lease(&claim("probes", "a", old.epoch)).await.unwrap());
    assert!(!batch.check_lease(&claim("probes", "b", old.epoch)).await.unwrap());
    assert!(!batch.check_lease(&claim("none", "a", old.epoch)).await.unwrap());
    batch.commit().await.unwrap();
    store.release_lease("probes", "a").await.unwrap();
    let mut batch = store.status_tx().await.unwrap();
    assert!(!batch.check_lease(&claim("probes", "a", old.epoch)).await.unwrap(), "it has ended");
    drop(batch);
    store.lease("probes", "b", LONG).await.unwrap().unwrap();
    let mut batch = store.status_tx().await.unwrap();
    assert!(!batch.check_lease(&claim("probes", "a", old.epoch)).await.unwrap(), "it is another one's");
}

pub async fn replicas_that_are_silent_are_not_listed(database: Database) {
    let store = initialised(&database).await;
    let row = |replica_id: &str, revision| ReplicaRow {
        replica_id: replica_id.into(),
        readable_key_ids: vec!["k1".into(), "k2".into()],
        used_key_ids: (revision > 1).then(|| vec!["k2".into()]),
        applied_revision: Revision(revision),
    };
    store.heartbeat(&row("b", 1)).await.unwrap();
    store.heartbeat(&row("a", 2)).await.unwrap();
    store.heartbeat(&row("b", 3)).await.unwrap();
    assert_eq!(store.live_replicas(LONG).await.unwrap(), vec![row("a", 2), row("b", 3)]);
    assert!(store.live_replicas(Duration::ZERO).await.unwrap().is_empty());
}
