//! What holds for every resource alike.

use proptest::prelude::*;
mod input;

use prost::Message as _;

use super::{arbitrary, binding, credential, endpoint, keyring, model, provider, token};
use crate::domain::keyring::Keyring;
use crate::domain::{Revision, Timestamp};
use crate::proto::v1;

fn joined(parts: [bytes::Bytes; 2]) -> Vec<u8> {
    parts.concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_provider_is_the_same_there_and_back(provider in arbitrary::provider()) {
        let message = v1::Provider::decode(provider::config_bytes(&provider)).unwrap();
        prop_assert_eq!(provider::read(message).unwrap(), provider);
    }

    #[test]
    fn an_endpoint_is_the_same_there_and_back(endpoint in arbitrary::endpoint()) {
        let message = v1::Endpoint::decode(endpoint::config_bytes(&endpoint)).unwrap();
        prop_assert_eq!(endpoint::read(message).unwrap(), endpoint);
    }

    #[test]
    fn a_credential_is_the_same_there_and_back(credential in arbitrary::credential()) {
        let message = v1::Credential::decode(credential::config_bytes(&credential)).unwrap();
        prop_assert_eq!(&message.secret, &None);
        prop_assert_eq!(credential::read(message).unwrap(), credential);
    }

    #[test]
    fn a_model_is_the_same_there_and_back(model in arbitrary::model()) {
        let message = v1::Model::decode(model::config_bytes(&model)).unwrap();
        prop_assert_eq!(model::read(message).unwrap(), model);
    }

    #[test]
    fn a_binding_is_the_same_there_and_back(binding in arbitrary::binding()) {
        let message = v1::Binding::decode(binding::config_bytes(&binding)).unwrap();
        prop_assert_eq!(binding::read(message).unwrap(), binding);
    }

    #[test]
    fn a_token_is_the_same_there_and_back(token in arbitrary::token()) {
        prop_assert_eq!(token::read(token::config(&token), token.secret_hash).unwrap(), token);
    }

    #[test]
    fn a_key_ring_is_the_same_there_and_back(keyring in arbitrary::keyring()) {
        prop_assert_eq!(keyring::read(keyring::config(&keyring)).unwrap(), keyring);
    }

    #[test]
    fn configuration_and_status_of_a_provider_make_the_whole(
        provider in arbitrary::provider(), sync in proptest::option::of(arbitrary::sync_status()),
    ) {
        let bytes = joined([provider::config_bytes(&provider), provider::status_bytes(sync.as_ref())]);
        prop_assert_eq!(v1::Provider::decode(&*bytes).unwrap(), provider::full(&provider, sync.as_ref()));
    }

    #[test]
    fn configuration_and_status_of_an_endpoint_make_the_whole(
        endpoint in arbitrary::endpoint(), health in proptest::option::of(arbitrary::health()),
    ) {
        let bytes = joined([endpoint::config_bytes(&endpoint), endpoint::status_bytes(health.as_ref())]);
        prop_assert_eq!(v1::Endpoint::decode(&*bytes).unwrap(), endpoint::full(&endpoint, health.as_ref()));
    }

    #[test]
    fn configuration_and_status_of_a_credential_make_the_whole(
        credential in arbitrary::credential(), state in arbitrary::credential_state(), decryptable in any::<bool>(),
        validation in proptest::option::of(arbitrary::validation()),
        usage in proptest::option::of(arbitrary::credential_usage()),
    ) {
        let status =
            credential::Status { state, decryptable, validation: validation.as_ref(), usage: usage.as_ref(), quota: credential.quota, now: Timestamp::default() };
        let bytes = joined([credential::config_bytes(&credential), credential::status_bytes(status)]);
        prop_assert_eq!(v1::Credential::decode(&*bytes).unwrap(), credential::full(&credential, status));
    }

    #[test]
    fn configuration_and_status_of_a_model_make_the_whole(
        model in arbitrary::model(), availability in proptest::option::of(arbitrary::availability()),
        usage in proptest::option::of(arbitrary::model_usage()),
    ) {
        let status = model::status_bytes(availability.as_ref(), usage.as_ref());
        let whole = model::full(&model, availability.as_ref(), usage.as_ref());
        prop_assert_eq!(v1::Model::decode(&*joined([model::config_bytes(&model), status])).unwrap(), whole);
    }
}

#[test]
fn what_was_never_seen_is_unknown_and_not_unspecified() {
    assert_eq!(endpoint::health(None).status(), v1::HealthStatus::Unknown);
    assert_eq!(credential::validation(None).status(), v1::ValidationStatus::Unknown);
    assert_eq!(model::availability(None).status(), v1::AvailabilityStatus::Unknown);
}

#[test]
fn what_was_only_validated_has_no_id_no_revision_and_no_times() {
    let keyring = Keyring {
        id: uuid::Uuid::nil(),
        revision: Revision(0),
        active_key_id: "k1".into(),
        update_time: Timestamp::default(),
        updated_by: String::new(),
    };
    let message = keyring::config(&keyring);
    assert_eq!((message.id.as_str(), message.revision, message.update_time), ("", 0, None));
}
