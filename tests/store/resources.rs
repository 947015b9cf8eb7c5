//! Resources as they were written.

use std::sync::Arc;

use modelward::domain::binding::{Binding, Target};
use modelward::domain::plan::Edit;
use modelward::domain::{Id, Resource};
use modelward::store::StoreError;

use super::samples::{
    binding, binding_resource, credential, credential_resource, endpoint, endpoint_resource, full_binding,
    full_credential, full_endpoint, full_model, full_provider, full_token, model, model_resource, provider,
    provider_resource, sealed, token, token_resource,
};
use super::writing::{commit, initialised, set, write};
use crate::support::database::Database;

pub async fn resources_come_back_with_every_field_set(database: Database) {
    let store = initialised(&database).await;
    let provider = full_provider("Provider");
    let endpoint = full_endpoint(provider.id, "Endpoint");
    let credential = full_credential(provider.id, "Alias");
    let model = full_model(provider.id, "vendor/model:1");
    let binding = full_binding("team/on-call", Target::Model(model.id));
    let token = full_token("token");
    let resources = [
        provider_resource(&provider),
        endpoint_resource(&endpoint),
        credential_resource(&credential),
        model_resource(&model),
        binding_resource(&binding),
        token_resource(&token),
    ];
    let mut created = set(store.head().await.unwrap(), resources.map(Edit::create).into());
    let mut old = sealed(credential.id, 2);
    old.expire_time = Some(super::samples::at(99));
    created.sealed = vec![old, sealed(credential.id, 3)];
    write(&store, &created).await.unwrap();
    let image = store.load_image().await.unwrap();
    assert_eq!(image.providers, vec![Arc::new(provider)]);
    assert_eq!(image.endpoints, vec![Arc::new(endpoint)]);
    assert_eq!(image.credentials, vec![Arc::new(credential)]);
    assert_eq!(image.models, vec![Arc::new(model)]);
    assert_eq!(image.bindings, vec![Arc::new(binding)]);
    assert_eq!(image.tokens, vec![Arc::new(token)]);
    assert_eq!(image.sealed, created.sealed);
}

pub async fn resources_come_back_with_hardly_a_field_set(database: Database) {
    let store = initialised(&database).await;
    let provider = provider("p");
    let endpoint = endpoint(provider.id, "e");
    let credential = credential(provider.id, "c");
    let model = model(provider.id, "m");
    let binding = binding("c", Target::Provider(provider.id));
    let token = token("t");
    let resources = [
        provider_resource(&provider),
        endpoint_resource(&endpoint),
        credential_resource(&credential),
        model_resource(&model),
        binding_resource(&binding),
        token_resource(&token),
    ];
    commit(&store, resources.map(Edit::create).into()).await;
    let image = store.load_image().await.unwrap();
    assert_eq!(image.providers, vec![Arc::new(provider)]);
    assert_eq!(image.endpoints, vec![Arc::new(endpoint)]);
    assert_eq!(image.credentials, vec![Arc::new(credential)]);
    assert_eq!(image.models, vec![Arc::new(model)]);
    assert_eq!(image.bindings, vec![Arc::new(binding)]);
    assert_eq!(image.tokens, vec![Arc::new(token)]);
}

/// From full to empty, so that a column which the update forgets keeps a value that is seen.
pub async fn an_update_replaces_every_column(database: Database) {
    let store = initialised(&database).await;
    let mut parent = provider("parent");
    parent.id = Id::nil();
    let full = full_provider("full");
    let mut empty = provider("empty");
    empty.id = full.id;
    let full_e = full_endpoint(parent.id, "full");
    let mut empty_e = endpoint(full.id, "empty");
    empty_e.id = full_e.id;
    let full_c = full_credential(parent.id, "full");
    let mut empty_c = credential(full.id, "empty");
    empty_c.id = full_c.id;
    let full_m = full_model(parent.id, "full");
    let mut empty_m = model(full.id, "empty");
    empty_m.id = full_m.id;
    let full_b = full_binding("b", Target::Model(full_m.id));
    let empty_b = Binding { id: full_b.id, ..binding("b", Target::Provider(full.id)) };
    let full_t = full_token("full");
    let mut empty_t = token("empty");
    empty_t.id = full_t.id;
    let pairs = [
        (provider_resource(&full), provider_resource(&empty)),
        (endpoint_resource(&full_e), endpoint_resource(&empty_e)),
        (credential_resource(&full_c), credential_resource(&empty_c)),
        (model_resource(&full_m), model_resource(&empty_m)),
        (binding_resource(&full_b), binding_resource(&empty_b)),
        (token_resource(&full_t), token_resource(&empty_t)),
    ];
    let parent_edit = Edit::create(provider_resource(&parent));
    let created = pairs.iter().map(|(full, _)| Edit::create(full.clone()));
    commit(&store, std::iter::once(parent_edit).chain(created).collect()).await;
    let update = |(before, after): &(Resource, Resource)| Edit::update(before.clone(), after.clone(), vec![]);
    commit(&store, pairs.iter().map(update).collect()).await;
    let image = store.load_image().await.unwrap();
    assert_eq!(image.providers, vec![Arc::new(parent), Arc::new(empty)]);
    assert_eq!(image.endpoints, vec![Arc::new(empty_e)]);
    assert_eq!(image.credentials, vec![Arc::new(empty_c)]);
    assert_eq!(image.models, vec![Arc::new(empty_m)]);
    assert_eq!(image.bindings, vec![Arc::new(empty_b)]);
    assert_eq!(image.tokens, vec![Arc::new(empty_t)]);
}

/// As when a batch holds both writes: the reference goes before what it refers to.
pub async fn a_binding_may_leave_a_model_that_goes_in_the_same_write(database: Database) {
    let store = initialised(&database).await;
    let provider = provider("p");
    let (old, new) = (model(provider.id, "old"), model(provider.id, "new"));
    let (turned, gone) = (binding("turned", Target::Model(old.id)), binding("gone", Target::Model(old.id)));
    let made = [model_resource(&old), model_resource(&new), binding_resource(&turned), binding_resource(&gone)];
    commit(&store, std::iter::once(provider_resource(&provider)).chain(made).map(Edit::create).collect()).await;
    let after = Binding { target: Target::Model(new.id), ..turned.clone() };
    let again = binding("gone", Target::Provider(provider.id));
    let edits = vec![
        Edit::update(binding_resource(&turned), binding_resource(&after), vec![]),
        Edit::destroy(binding_resource(&gone)),
        Edit::destroy(model_resource(&old)),
        Edit::create(binding_resource(&again)),
    ];
    commit(&store, edits).await;
    let image = store.load_image().await.unwrap();
    assert_eq!(image.bindings, vec![Arc::new(after), Arc::new(again)]);
    assert_eq!(image.models, vec![Arc::new(new)]);
}

pub async fn a_value_that_no_resource_has_is_named_by_table_and_column(database: Database) {
    let store = initialised(&database).await;
    let provider = provider("p");
    let credential = credential(provider.id, "c");
    commit(&store, vec![Edit::create(provider_resource(&provider)), Edit::create(credential_resource(&credential))])
        .await;
    database.sql("UPDATE credentials SET allowed_hosts = '[\"sk-secret with blanks\"]'");
    let error = store.load_image().await.unwrap_err();
    let StoreError::Corrupt { table, column, row } = &error else { panic!("{error:?}") };
    assert_eq!((*table, *column, row.as_str()), ("credentials", "allowed_hosts", credential.id.to_string().as_str()));
    assert!(!error.to_string().contains("sk-secret"), "{error}");
}
