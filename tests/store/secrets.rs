//! Sealed secrets: versions come, end and go with their credential.

use modelward::domain::credential::Credential;
use modelward::domain::plan::Edit;
use modelward::store::{Store, WriteSet};

use super::samples::{at, credential, credential_resource, provider, provider_resource, sealed};
use super::writing::{initialised, set, write};
use crate::support::database::Database;

async fn with_credential(database: &Database) -> (Store, Credential) {
    let store = initialised(database).await;
    let provider = provider("p");
    let credential = credential(provider.id, "c");
    let edits = vec![Edit::create(provider_resource(&provider)), Edit::create(credential_resource(&credential))];
    let mut created = set(store.head().await.unwrap(), edits);
    created.sealed = vec![sealed(credential.id, 1), sealed(credential.id, 2)];
    write(&store, &created).await.unwrap();
    (store, credential)
}

/// A set that touches secrets alone.
async fn secrets_only(store: &Store) -> WriteSet {
    WriteSet { head: store.head().await.unwrap(), ..WriteSet::default() }
}

async fn versions(store: &Store) -> Vec<i64> {
    store.load_image().await.unwrap().sealed.iter().map(|secret| secret.version).collect()
}

pub async fn versions_are_sealed_expired_and_destroyed(database: Database) {
    let (store, credential) = with_credential(&database).await;
    let mut next = secrets_only(&store).await;
    next.sealed = vec![sealed(credential.id, 3)];
    next.expire = vec![(credential.id, 2, at(50))];
    next.destroy = vec![(credential.id, Some(1))];
    write(&store, &next).await.unwrap();
    assert_eq!(versions(&store).await, [2, 3]);
    let mut second = sealed(credential.id, 2);
    second.expire_time = Some(at(50));
    let asked = [(credential.id, 2), (credential.id, 1)];
    assert_eq!(store.secrets_of(&asked).await.unwrap(), vec![second], "only what is asked for and there");
    assert!(store.secrets_of(&[]).await.unwrap().is_empty());
}

pub async fn what_is_sealed_survives_a_destruction_of_all_others(database: Database) {
    let (store, credential) = with_credential(&database).await;
    let mut next = secrets_only(&store).await;
    next.destroy = vec![(credential.id, None)];
    next.sealed = vec![sealed(credential.id, 3)];
    write(&store, &next).await.unwrap();
    assert_eq!(versions(&store).await, [3]);
}

pub async fn a_secret_of_a_credential_that_is_gone_again_is_not_written(database: Database) {
    let (store, kept) = with_credential(&database).await;
    let passing = credential(kept.provider_id, "passing");
    let edits = vec![Edit::create(credential_resource(&passing)), Edit::destroy(credential_resource(&passing))];
    let mut both = set(store.head().await.unwrap(), edits);
    both.sealed = vec![sealed(passing.id, 1)];
    both.expire = vec![(passing.id, 1, at(50))];
    write(&store, &both).await.unwrap();
    let image = store.load_image().await.unwrap();
    assert!(image.sealed.iter().all(|secret| secret.credential_id == kept.id));
}

pub async fn secrets_under_other_keys_are_listed_and_counted(database: Database) {
    let (store, credential) = with_credential(&database).await;
    let mut next = secrets_only(&store).await;
    let mut third = sealed(credential.id, 3);
    third.master_key_id = "k2".into();
    next.sealed = vec![third];
    write(&store, &next).await.unwrap();
    let mut counts = store.count_secrets_by_key().await.unwrap();
    counts.sort();
    assert_eq!(counts, vec![("k1".to_owned(), 2), ("k2".to_owned(), 1)]);
    let others = store.secrets_under_other_keys("k2", 1).await.unwrap();
    assert_eq!(others, vec![sealed(credential.id, 1)]);
    assert_eq!(store.secrets_under_other_keys("k2", 10).await.unwrap().len(), 2);
}
