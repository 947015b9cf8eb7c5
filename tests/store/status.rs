//! Status: latest values in an order of their own.

use std::time::Duration;

use modelward::domain::credential::{Validation, ValidationCause, ValidationStatus};
use modelward::domain::endpoint::HealthCheckPolicy;
use modelward::domain::health::{EndpointHealth, Evidence, HealthCause, HealthStatus, Verdict, Weight};
use modelward::domain::image::{StatusRevision, StatusValue};
use modelward::domain::model::{Availability, AvailabilityCause, AvailabilityStatus};
use modelward::domain::plan::Edit;
use modelward::domain::provider::{SyncResult, SyncStatus};
use modelward::domain::usage::{CredentialUsage, ModelUsage, Window};
use modelward::store::Store;

use super::samples::{
    at, credential, credential_resource, endpoint, endpoint_resource, id, provider, provider_resource, sealed,
};
use super::writing::{commit, initialised, set, write};
use crate::support::database::Database;

fn health(failures: u32) -> EndpointHealth {
    EndpointHealth {
        status: HealthStatus::Degraded,
        cause: HealthCause::RateLimited,
        latency: Some(Duration::from_nanos(1_234_567_891)),
        last_check_time: Some(at(1)),
        last_transition_time: Some(at(2)),
        consecutive_failures: failures,
        consecutive_successes: u32::MAX,
        message: "answers 429".into(),
        http_status: Some(429),
    }
}

fn validation() -> Validation {
    Validation {
        status: ValidationStatus::Invalid,
        cause: ValidationCause::BadKey,
        message: "refused".into(),
        last_validate_time: Some(at(3)),
        secret_version: 2,
    }
}

fn usage() -> CredentialUsage {
    CredentialUsage {
        day: Window { start_time: Some(at(4)), requests: 1, tokens: 6 },
        month: Window { start_time: Some(at(2)), requests: 7, tokens: 8 },
        total_requests: 2,
        total_failures: 3,
        total_tokens: i64::MAX,
        last_use_time: Some(at(5)),
    }
}

fn sync() -> SyncStatus {
    SyncStatus {
        last_time: at(7),
        result: SyncResult::Failed,
        message: "no answer".into(),
        added: 1,
        updated: 2,
        deprecated: 3,
        restored: 4,
        unchanged: u32::MAX,
    }
}

async fn put(store: &Store, values: &[StatusValue]) -> StatusRevision {
    let mut batch = store.status_tx().await.unwrap();
    batch.put(values).await.unwrap();
    let revision = batch.revision().await.unwrap();
    batch.commit().await.unwrap();
    revision
}

pub async fn values_of_every_kind_come_back(database: Database) {
    let store = initialised(&database).await;
    let values = vec![
        StatusValue::Health(id(), health(0)),
        StatusValue::Validation(id(), validation()),
        StatusValue::CredentialUsage(id(), usage()),
        StatusValue::Availability(
            id(),
            Availability {
                status: AvailabilityStatus::Unavailable,
                cause: AvailabilityCause::ServerError,
                latency: Some(Duration::from_millis(5)),
                message: "500".into(),
                last_test_time: Some(at(6)),
            },
        ),
        StatusValue::ModelUsage(
            id(),
            ModelUsage {
                total_requests: 1,
                total_failures: 2,
                total_input_tokens: 3,
                total_output_tokens: 4,
                last_use_time: None,
            },
        ),
        StatusValue::Sync(id(), sync()),
        StatusValue::TokenUse(id(), at(8)),
    ];
    let empty = vec![
        StatusValue::Health(id(), EndpointHealth::default()),
        StatusValue::Validation(id(), Validation::default()),
        StatusValue::CredentialUsage(id(), CredentialUsage::default()),
        StatusValue::Availability(id(), Availability::default()),
        StatusValue::ModelUsage(id(), ModelUsage::default()),
    ];
    put(&store, &values).await;
    put(&store, &empty).await;
    let loaded = store.load_statuses().await.unwrap().values;
    assert_eq!(loaded.len(), values.len() + empty.len());
    for value in values.iter().chain(&empty) {
        assert!(loaded.contains(value), "{value:?} is not in {loaded:?}");
    }
}

pub async fn pieces_of_one_resource_are_written_apart(database: Database) {
    let store = initialised(&database).await;
    let credential = id();
    put(&store, &[StatusValue::Validation(credential, validation())]).await;
    let batch = store.load_statuses().await.unwrap();
    assert_eq!(batch.values, vec![StatusValue::Validation(credential, validation())]);
    put(&store, &[StatusValue::CredentialUsage(credential, usage())]).await;
    let values = store.load_statuses().await.unwrap().values;
    let both = [StatusValue::Validation(credential, validation()), StatusValue::CredentialUsage(credential, usage())];
    assert_eq!(values, both);
}

pub async fn only_what_is_newer_is_read(database: Database) {
    let store = initialised(&database).await;
    let (old, new) = (StatusValue::Health(id(), health(1)), StatusValue::Health(id(), health(2)));
    let first = put(&store, std::slice::from_ref(&old)).await;
    let second = put(&store, std::slice::from_ref(&new)).await;
    assert!(second > first && first > StatusRevision(0));
    assert!(first.0 > at(0).micros(), "the counter is ahead of the clock, so it rises after a restore too");
    let batch = store.statuses_after(first).await.unwrap();
    assert_eq!((batch.revision, batch.values), (second, vec![new.clone()]));
    assert!(store.statuses_after(second).await.unwrap().values.is_empty());
    // A revision from another history: the whole of this one.
    let other = StatusRevision(second.0 + 1_000);
    let batch = store.statuses_after(other).await.unwrap();
    assert!(batch.revision < other);
    assert_eq!(batch.values, vec![old, new]);
}

pub async fn of_several_values_the_last_one_counts(database: Database) {
    let store = initialised(&database).await;
    let endpoint = id();
    put(&store, &[StatusValue::Health(endpoint, health(1)), StatusValue::Health(endpoint, health(2))]).await;
    put(&store, &[StatusValue::Health(endpoint, health(3)), StatusValue::Health(endpoint, health(4))]).await;
    let values = store.load_statuses().await.unwrap().values;
    assert_eq!(values, vec![StatusValue::Health(endpoint, health(4))]);
}

/// Two replicas fold a failure each, at the same time: neither is lost.
pub async fn health_is_folded_over_the_stored_row(database: Database) {
    async fn fold(store: Store, endpoint: modelward::domain::EndpointId) {
        let evidence = Evidence {
            verdict: Verdict::Down,
            cause: HealthCause::Connect,
            latency: None,
            http_status: None,
            time: at(9),
            message: String::new(),
        };
        let mut batch = store.status_tx().await.unwrap();
        let stored = batch.healths(&[endpoint, id()]).await.unwrap();
        let before = stored.get(&endpoint).cloned().unwrap_or_default();
        let after = before.fold(&evidence, &HealthCheckPolicy::default(), Weight::Background);
        batch.put(&[StatusValue::Health(endpoint, after)]).await.unwrap();
        batch.commit().await.unwrap();
    }
    let store = initialised(&database).await;
    let endpoint = id();
    let folds = (0..8).map(|_| tokio::spawn(fold(store.clone(), endpoint)));
    for fold in folds.collect::<Vec<_>>() {
        fold.await.unwrap();
    }
    let values = store.load_statuses().await.unwrap().values;
    let [StatusValue::Health(_, health)] = values.as_slice() else { panic!("{values:?}") };
    assert_eq!(health.consecutive_failures, 8);
}

pub async fn a_dropped_batch_writes_nothing(database: Database) {
    let store = initialised(&database).await;
    let mut batch = store.status_tx().await.unwrap();
    batch.put(&[StatusValue::Health(id(), health(1))]).await.unwrap();
    drop(batch);
    assert!(store.load_statuses().await.unwrap().values.is_empty());
    put(&store, &[StatusValue::Health(id(), health(2))]).await;
    assert_eq!(store.load_statuses().await.unwrap().values.len(), 1);
}

pub async fn a_secret_is_rewrapped_only_while_it_is_the_same(database: Database) {
    let store = initialised(&database).await;
    let provider = provider("p");
    let credential = credential(provider.id, "c");
    let edits = vec![Edit::create(provider_resource(&provider)), Edit::create(credential_resource(&credential))];
    let mut created = set(store.head().await.unwrap(), edits);
    created.sealed = vec![sealed(credential.id, 1), sealed(credential.id, 2)];
    write(&store, &created).await.unwrap();
    assert!(store.load_statuses().await.unwrap().values.is_empty(), "a new secret is not a status");

    let mut again = sealed(credential.id, 1);
    again.master_key_id = "k2".into();
    again.wrapped_key = vec![9; 60].into();
    let mut stale = again.clone();
    stale.version = 2;
    let mut unknown = again.clone();
    unknown.version = 7;
    put(&store, &[again.clone(), stale, unknown].map(StatusValue::Rewrapped)).await;
    let values = store.load_statuses().await.unwrap().values;
    assert_eq!(values, vec![StatusValue::Rewrapped(again.clone())]);
    assert_eq!(store.load_image().await.unwrap().sealed, vec![again, sealed(credential.id, 2)]);
}

pub async fn orphans_are_swept(database: Database) {
    let store = initialised(&database).await;
    let provider = provider("p");
    let endpoint = endpoint(provider.id, "e");
    commit(&store, vec![Edit::create(provider_resource(&provider)), Edit::create(endpoint_resource(&endpoint))]).await;
    let kept = [StatusValue::Sync(provider.id, sync()), StatusValue::Health(endpoint.id, health(1))];
    let orphans = [
        StatusValue::Sync(id(), sync()),
        StatusValue::Health(id(), health(1)),
        StatusValue::Validation(id(), validation()),
        StatusValue::ModelUsage(id(), ModelUsage::default()),
        StatusValue::TokenUse(id(), at(1)),
    ];
    put(&store, &[kept.as_slice(), orphans.as_slice()].concat()).await;
    assert_eq!(store.sweep_statuses().await.unwrap(), orphans.len());
    let values = store.load_statuses().await.unwrap().values;
    assert_eq!(values.len(), kept.len());
    assert!(kept.iter().all(|value| values.contains(value)));
}
