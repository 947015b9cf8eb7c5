//! The write transaction: what a set does to the rows, and what happens when it does not come to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use modelward::domain::credential::Credential;
use modelward::domain::image::Page;
use modelward::domain::plan::Edit;
use modelward::domain::{ChainHash, Change, Head, Operation, Resource, ResourceKind, Revision};
use modelward::store::{ClusterRow, LogLine, Store, StoreError, WriteSet};
use uuid::Uuid;

use super::samples::{
    at, credential, credential_resource, endpoint, endpoint_resource, id, keyring, model, model_resource, provider,
    provider_resource, sealed, token, token_resource,
};
use crate::support::database::Database;

pub const CLUSTER: Uuid = Uuid::from_u128(7);

/// Opens the database and makes it a cluster.
pub async fn initialised(database: &Database) -> Store {
    let store = database.open().await;
    let row = ClusterRow { cluster_id: CLUSTER, active_key_id: "k1".into(), keys: Vec::new(), create_time: at(0) };
    store.initialise(&row).await.unwrap();
    store
}

/// The lines for edits as one revision after `head`.
pub fn set(head: Head, edits: Vec<Edit>) -> WriteSet {
    let revision = head.revision.next();
    let mut set = WriteSet { head, ..WriteSet::default() };
    for (ordinal, edit) in (0..).zip(edits) {
        let line = line(revision, ordinal, edit);
        set.head = Head { revision, hash: line.hash };
        set.log.push(line);
    }
    set
}

fn line(revision: Revision, ordinal: u32, edit: Edit) -> LogLine {
    let resource = edit.resource().unwrap();
    let change = Change {
        revision,
        ordinal,
        resource_kind: resource.kind(),
        resource_id: resource.id(),
        operation: edit.operation,
        actor: "alice".into(),
        rpc: "modelward.v1.Test/Write".into(),
        request_id: "r".into(),
        reason: "because".into(),
        peer_address: "127.0.0.1".into(),
        user_agent: "test".into(),
        time: at(revision.0),
        before: edit.before,
        after: edit.after,
        changed_fields: Vec::new(),
    };
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&revision.0.to_be_bytes());
    hash[8..12].copy_from_slice(&ordinal.to_be_bytes());
    let payload = Bytes::from(format!("{revision}/{ordinal}"));
    LogLine { change: Arc::new(change), hash: ChainHash(hash), payload }
}

pub async fn write(store: &Store, set: &WriteSet) -> Result<(), StoreError> {
    let mut session = store.writer().await?;
    let mut transaction = session.begin().await?;
    transaction.write(set).await?;
    transaction.commit().await
}

/// Commits edits as one revision.
pub async fn commit(store: &Store, edits: Vec<Edit>) -> Head {
    let set = set(store.head().await.unwrap(), edits);
    write(store, &set).await.unwrap();
    set.head
}

pub async fn only_the_net_effect_of_several_changes_is_written(database: Database) {
    let store = initialised(&database).await;
    let first = provider("first");
    let passing = provider("passing");
    let second = modelward::domain::provider::Provider { name: "second".into(), ..first.clone() };
    let third = modelward::domain::provider::Provider { name: "third".into(), ..first.clone() };
    let on_passing = endpoint(passing.id, "e");
    let edits = vec![
        Edit::create(provider_resource(&first)),
        Edit::create(provider_resource(&passing)),
        Edit::create(endpoint_resource(&on_passing)),
        Edit::update(provider_resource(&first), provider_resource(&second), vec![]),
        Edit::destroy(endpoint_resource(&on_passing)),
        Edit::destroy(provider_resource(&passing)),
        Edit::update(provider_resource(&second), provider_resource(&third), vec![]),
    ];
    let head = commit(&store, edits).await;
    let image = store.load_image().await.unwrap();
    assert_eq!(image.head, head);
    assert_eq!(image.providers, vec![Arc::new(third)]);
    assert!(image.endpoints.is_empty());
    assert_eq!(store.log_after(Revision(0), 10).await.unwrap().len(), 7, "the log keeps every change");
}

pub async fn names_are_swapped_in_one_set(database: Database) {
    let store = initialised(&database).await;
    let (a, b) = (provider("Ä"), provider("b"));
    let mut e1 = endpoint(a.id, "one");
    e1.is_default = true;
    let e2 = endpoint(a.id, "two");
    let (c1, c2) = (credential(a.id, "one"), credential(a.id, "two"));
    let created = [provider_resource(&a), provider_resource(&b), endpoint_resource(&e1), endpoint_resource(&e2)];
    let created = created.into_iter().chain([credential_resource(&c1), credential_resource(&c2)]);
    commit(&store, created.map(Edit::create).collect()).await;

    let (mut a2, mut b2, mut e1b, mut e2b) = (a.clone(), b.clone(), e1.clone(), e2.clone());
    let (mut c1b, mut c2b) = (c1.clone(), c2.clone());
    std::mem::swap(&mut a2.name, &mut b2.name);
    std::mem::swap(&mut e1b.name, &mut e2b.name);
    std::mem::swap(&mut e1b.is_default, &mut e2b.is_default);
    std::mem::swap(&mut c1b.alias, &mut c2b.alias);
    let edits = vec![
        Edit::update(provider_resource(&b), provider_resource(&b2), vec![]),
        Edit::update(provider_resource(&a), provider_resource(&a2), vec![]),
        Edit::update(endpoint_resource(&e2), endpoint_resource(&e2b), vec![]),
        Edit::update(endpoint_resource(&e1), endpoint_resource(&e1b), vec![]),
        Edit::update(credential_resource(&c2), credential_resource(&c2b), vec![]),
        Edit::update(credential_resource(&c1), credential_resource(&c1b), vec![]),
    ];
    commit(&store, edits).await;
    let image = store.load_image().await.unwrap();
    assert_eq!(image.providers, vec![Arc::new(a2), Arc::new(b2)]);
    assert_eq!(image.endpoints, vec![Arc::new(e1b), Arc::new(e2b)]);
    assert_eq!(image.credentials, vec![Arc::new(c1b), Arc::new(c2b)]);
}

pub async fn a_soft_delete_keeps_the_row_and_frees_the_name(database: Database) {
    let store = initialised(&database).await;
    let live = provider("Straße");
    let mut hidden = live.clone();
    hidden.delete_time = Some(at(1));
    hidden.purge_time = Some(at(2));
    let model = model(live.id, "m");
    commit(&store, vec![Edit::create(provider_resource(&live)), Edit::create(model_resource(&model))]).await;
    let successor = provider("STRASSE");
    let same_name = modelward::domain::provider::Provider { name: "straße".into(), ..successor };
    let edits = vec![
        Edit::hide(provider_resource(&live), provider_resource(&hidden)),
        Edit::hide(model_resource(&model), model_resource(&model)),
        Edit::create(provider_resource(&same_name)),
    ];
    commit(&store, edits).await;
    let image = store.load_image().await.unwrap();
    assert_eq!(image.providers, vec![Arc::new(hidden.clone()), Arc::new(same_name.clone())]);
    assert_eq!(image.models, vec![Arc::new(model)]);

    let undelete = Edit {
        operation: Operation::Undelete,
        before: Some(provider_resource(&hidden)),
        after: Some(provider_resource(&live)),
        changed_fields: vec![],
    };
    let edits = vec![Edit::destroy(provider_resource(&same_name)), undelete];
    commit(&store, edits).await;
    assert_eq!(store.load_image().await.unwrap().providers, vec![Arc::new(live)]);
}

pub async fn a_purge_removes_the_rows_and_the_ciphertexts(database: Database) {
    let store = initialised(&database).await;
    let provider = provider("p");
    let (endpoint, credential, model) =
        (endpoint(provider.id, "e"), credential(provider.id, "c"), model(provider.id, "m"));
    let resources = [
        provider_resource(&provider),
        endpoint_resource(&endpoint),
        credential_resource(&credential),
        model_resource(&model),
    ];
    let mut created = set(store.head().await.unwrap(), resources.iter().cloned().map(Edit::create).collect());
    created.sealed = vec![sealed(credential.id, 1)];
    write(&store, &created).await.unwrap();
    assert_eq!(store.load_image().await.unwrap().sealed.len(), 1);
    // The parent first: the order of the changes does not matter.
    commit(&store, resources.into_iter().map(Edit::destroy).collect()).await;
    let image = store.load_image().await.unwrap();
    assert!(image.providers.is_empty() && image.endpoints.is_empty() && image.models.is_empty());
    assert!(image.credentials.is_empty() && image.sealed.is_empty());
}

pub async fn an_access_touches_no_row(database: Database) {
    let store = initialised(&database).await;
    let provider = provider("p");
    let stored = credential(provider.id, "c");
    commit(&store, vec![Edit::create(provider_resource(&provider)), Edit::create(credential_resource(&stored))]).await;
    let mut other = stored.clone();
    other.description = "as nobody wrote it".into();
    let access = Edit {
        operation: Operation::Access,
        before: None,
        after: Some(credential_resource(&other)),
        changed_fields: vec![],
    };
    let head = commit(&store, vec![access]).await;
    let image = store.load_image().await.unwrap();
    assert_eq!(image.credentials, vec![Arc::new(stored)]);
    assert_eq!(image.head, head);
}

pub async fn thousands_of_rows_are_written_at_once(database: Database) {
    const COUNT: usize = 5_000;
    let store = initialised(&database).await;
    let provider = provider("p");
    let models: Vec<_> = (0..COUNT).map(|number| model(provider.id, &format!("m{number}"))).collect();
    let created = std::iter::once(provider_resource(&provider)).chain(models.iter().map(model_resource));
    commit(&store, created.map(Edit::create).collect()).await;
    assert_eq!(store.load_image().await.unwrap().models.len(), COUNT);
    commit(&store, models.iter().map(model_resource).map(Edit::destroy).collect()).await;
    assert!(store.load_image().await.unwrap().models.is_empty());
}

pub async fn thousands_of_rows_come_in_pages_of_one_moment(database: Database) {
    const VERSIONS: i64 = 250;
    let store = initialised(&database).await;
    let (provider, other) = (provider("p"), provider("q"));
    let credentials: Vec<_> = (0..10).map(|number| credential(provider.id, &format!("c{number}"))).collect();
    let created = std::iter::once(provider_resource(&provider)).chain(credentials.iter().map(credential_resource));
    let mut created = set(store.head().await.unwrap(), created.map(Edit::create).collect());
    let versions = |one: &Credential| (1..=VERSIONS).map(|version| sealed(one.id, version)).collect::<Vec<_>>();
    created.sealed = credentials.iter().flat_map(versions).collect();
    write(&store, &created).await.unwrap();

    let mut reader = store.read_image().await.unwrap();
    assert_eq!(reader.head(), created.head);
    commit(&store, vec![Edit::create(provider_resource(&other))]).await;
    let mut sealed = Vec::new();
    while let Some(page) = reader.next().await.unwrap() {
        assert!(!page.is_empty() && page.len() <= 1000, "{} rows", page.len());
        match page {
            Page::Providers(providers) => assert_eq!(providers, vec![Arc::new(provider.clone())], "no later one"),
            Page::Sealed(rows) => sealed.extend(rows),
            _ => {}
        }
    }
    reader.close().await.unwrap();
    created.sealed.sort_by_key(|secret| (secret.credential_id, secret.version));
    assert_eq!(sealed, created.sealed, "each once, in order");
}

pub async fn a_violated_constraint_is_told_and_spoils_the_transaction(database: Database) {
    let store = initialised(&database).await;
    commit(&store, vec![Edit::create(provider_resource(&provider("Taken")))]).await;
    let head = store.head().await.unwrap();
    let mut session = store.writer().await.unwrap();
    let mut transaction = session.begin().await.unwrap();
    let twice = set(head, vec![Edit::create(provider_resource(&provider("tAKEN")))]);
    let error = transaction.write(&twice).await.unwrap_err();
    let StoreError::Constraint { name } = &error else { panic!("{error:?}") };
    assert!(name.contains("providers"), "{name}");
    assert!(!error.to_string().contains("tAKEN"), "no value of a row in: {error}");
    transaction.commit().await.unwrap_err();
    assert_eq!(store.head().await.unwrap(), head);

    let orphan = set(head, vec![Edit::create(endpoint_resource(&endpoint(id(), "e")))]);
    let mut transaction = session.begin().await.unwrap();
    let error = transaction.write(&orphan).await.unwrap_err();
    assert!(matches!(error, StoreError::Constraint { .. }), "{error:?}");
    transaction.rollback().await.unwrap();
    // The session goes on.
    let transaction = session.begin().await.unwrap();
    assert_eq!(transaction.head(), head);
}

pub async fn a_dropped_transaction_writes_nothing(database: Database) {
    let store = initialised(&database).await;
    let head = store.head().await.unwrap();
    let dropped = set(head, vec![Edit::create(token_resource(&token("t")))]);
    let mut session = store.writer().await.unwrap();
    let mut transaction = session.begin().await.unwrap();
    transaction.write(&dropped).await.unwrap();
    drop(transaction);
    // Others are not held up, neither status nor the next write.
    let mut status = store.status_tx().await.unwrap();
    status.revision().await.unwrap();
    status.commit().await.unwrap();
    let mut transaction = session.begin().await.unwrap();
    assert_eq!(transaction.head(), head);
    transaction.write(&dropped).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(store.load_image().await.unwrap().tokens.len(), 1);
}

pub async fn a_second_writer_waits_for_the_first(database: Database) {
    let store = initialised(&database).await;
    let mut first = store.writer().await.unwrap();
    let mut second = store.writer().await.unwrap();
    let mut transaction = first.begin().await.unwrap();
    let waiting = tokio::spawn(async move {
        let transaction = second.begin().await.unwrap();
        let head = transaction.head();
        transaction.rollback().await.unwrap();
        head
    });
    // Long enough for the second one to ask for the lock, whose limit is 2 s.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "the lock was given twice");
    let written = set(transaction.head(), vec![Edit::create(token_resource(&token("t")))]);
    transaction.write(&written).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap(), written.head, "the second writer sees what the first one wrote");
}

pub async fn the_keyring_changes_with_its_resource(database: Database) {
    let store = initialised(&database).await;
    let before = store.load_image().await.unwrap().keyring;
    assert_eq!((before.id, before.active_key_id.as_str(), before.revision), (CLUSTER, "k1", Revision(0)));
    let after = Arc::new(keyring(CLUSTER, "k2"));
    let edit = Edit::update(Resource::Keyring(before), Resource::Keyring(Arc::clone(&after)), vec![]);
    assert_eq!(edit.resource().unwrap().kind(), ResourceKind::Keyring);
    commit(&store, vec![edit]).await;
    assert_eq!(store.load_image().await.unwrap().keyring, after);
    assert_eq!(store.cluster().await.unwrap().unwrap().active_key_id, "k2");
}
