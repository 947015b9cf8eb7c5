//! What callers send: every bad value is a violation of exactly its field.

use proptest::prelude::*;
use prost_types::{Duration, Timestamp};

use crate::domain::binding::input::BindingInput;
use crate::domain::{Error, Violations};
use crate::proto::v1;
use crate::wire::{arbitrary, binding, credential, endpoint, model, provider};

fn bad_fields(read: impl FnOnce(&mut Violations)) -> Vec<String> {
    let mut violations = Violations::default();
    read(&mut violations);
    match violations.into_result() {
        Err(Error::InvalidField { violations }) => violations.into_iter().map(|violation| violation.field).collect(),
        _ => Vec::new(),
    }
}

const NEGATIVE: Option<Duration> = Some(Duration { seconds: -1, nanos: 0 });
const NO_TIME: Option<Timestamp> = Some(Timestamp { seconds: i64::MAX, nanos: 0 });

#[test]
fn bad_values_of_a_provider_are_named() {
    for kind in [0, 16, -1] {
        let message = v1::Provider {
            kind: Some(kind),
            sync_policy: Some(v1::SyncPolicy { enabled: None, interval: NEGATIVE }),
            ..v1::Provider::default()
        };
        let fields = bad_fields(|violations| _ = provider::input(message, "provider", violations));
        assert_eq!(fields, ["provider.kind", "provider.sync_policy.interval"]);
    }
}

#[test]
fn bad_values_of_an_endpoint_are_named() {
    let message = v1::Endpoint {
        provider_id: Some("x".into()),
        connect_timeout: NEGATIVE,
        read_timeout: NEGATIVE,
        retry: Some(v1::RetryPolicy { initial_backoff: NEGATIVE, max_backoff: NEGATIVE, max_attempts: None }),
        health_check: Some(v1::HealthCheckPolicy {
            interval: NEGATIVE,
            timeout: NEGATIVE,
            degraded_latency: NEGATIVE,
            ..v1::HealthCheckPolicy::default()
        }),
        ..v1::Endpoint::default()
    };
    let fields = bad_fields(|violations| _ = endpoint::input(message, "e", violations));
    let expected = [
        "e.provider_id",
        "e.connect_timeout",
        "e.read_timeout",
        "e.retry.initial_backoff",
        "e.retry.max_backoff",
        "e.health_check.interval",
        "e.health_check.timeout",
        "e.health_check.degraded_latency",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn bad_values_of_a_credential_are_named() {
    let message = v1::Credential {
        provider_id: Some(String::new()),
        expire_time: NO_TIME,
        quota: Some(v1::CredentialQuota { limit: None, unit: Some(0), period: Some(9) }),
        ..v1::Credential::default()
    };
    let fields = bad_fields(|violations| _ = credential::input(message, "c", violations));
    assert_eq!(fields, ["c.provider_id", "c.expire_time", "c.quota.unit", "c.quota.period"]);
}

#[test]
fn bad_values_of_a_model_are_named() {
    let bad = v1::ModelCapability { capability: Some(99), score: None };
    let message = v1::Model {
        provider_id: Some("x".into()),
        r#type: Some(0),
        status: Some(99),
        capabilities: vec![v1::ModelCapability { capability: Some(1), score: None }, bad],
        ..v1::Model::default()
    };
    let fields = bad_fields(|violations| _ = model::input(message, "m", violations));
    assert_eq!(fields, ["m.provider_id", "m.type", "m.capabilities[1].capability", "m.status"]);
}

#[test]
fn bad_values_of_a_binding_are_named() {
    use v1::binding::Target;
    for (target, field) in
        [(Target::ModelId("x".into()), "b.model_id"), (Target::ProviderId(String::new()), "b.provider_id")]
    {
        let message = v1::Binding { target: Some(target), ..v1::Binding::default() };
        let fields = bad_fields(|violations| {
            // A bad target is not also a missing one.
            let input = binding::input(message, "b", violations);
            let presence = crate::domain::mask::Presence::Create;
            BindingInput { consumer: Some("c".into()), ..input }.check("b", presence, violations);
        });
        assert_eq!(fields, [field]);
    }
}

#[test]
fn an_empty_field_of_a_secret_holds_no_secret() {
    let message = v1::CredentialSecret { api_key: Some(String::new()), ..v1::CredentialSecret::default() };
    assert!(credential::read_secret(message).is_empty());
}

#[test]
fn a_secret_is_handed_out_as_it_came_in() {
    let message = v1::CredentialSecret { secret_key: Some("s3".into()), ..v1::CredentialSecret::default() };
    assert_eq!(credential::secret(&credential::read_secret(message.clone())), message);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_answered_may_be_sent_back(
        provider in arbitrary::provider(), endpoint in arbitrary::endpoint(), credential in arbitrary::credential(),
        model in arbitrary::model(), state in arbitrary::credential_state(),
    ) {
        let status = credential::Status { state, decryptable: true, validation: None, usage: None, quota: None, now: crate::domain::Timestamp::default() };
        let fields = bad_fields(|violations| {
            let input = provider::input(provider::full(&provider, None), "p", violations);
            assert_eq!((input.name, input.kind), (Some(provider.name), Some(provider.kind)));
            let input = endpoint::input(endpoint::full(&endpoint, None), "e", violations);
            assert_eq!((input.name, input.weight), (Some(endpoint.name), Some(endpoint.weight)));
            let input = credential::input(credential::full(&credential, status), "c", violations);
            assert_eq!((input.alias, input.expire_time), (Some(credential.alias), credential.expire_time));
            let input = model::input(model::full(&model, None, None), "m", violations);
            assert_eq!(Some(input.default_parameters), model.default_parameters.or(Some(<_>::default())));
        });
        prop_assert_eq!(fields, Vec::<String>::new());
    }
}
