//! Resources for tests: valid, with small numbers as ids, everything else at its default.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::domain::binding::{Binding, DEFAULT_PURPOSE, Target};
use crate::domain::caller::Roles;
use crate::domain::change::{Change, Operation, Resource};
use crate::domain::credential::{AllowedHosts, Credential};
use crate::domain::endpoint::{
    BaseUrl, CONNECT_TIMEOUT, Endpoint, HealthCheckPolicy, Host, PRIORITY, READ_TIMEOUT, RetryPolicy, WEIGHT,
};
use crate::domain::id::Id;
use crate::domain::image::Image;
use crate::domain::keyring::Keyring;
use crate::domain::meta::Meta;
use crate::domain::model::{Model, ModelSource, ModelStatus, ModelType, Price, Pricing};
use crate::domain::plan::Edit;
use crate::domain::provider::{Provider, ProviderKind, SyncPolicy};
use crate::domain::revision::{Head, Revision};
use crate::domain::secret::SealedSecret;
use crate::domain::time::Timestamp;
use crate::domain::token::Token;

pub const HOST: &str = "api.example.com";

pub fn id<T>(number: u128) -> Id<T> {
    Id::new(Uuid::from_u128(number))
}

pub fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub fn provider(number: u128) -> Provider {
    Provider {
        id: id(number),
        meta: Meta::default(),
        name: format!("Provider {number}"),
        kind: ProviderKind::OpenAi,
        description: String::new(),
        is_active: true,
        sync_policy: SyncPolicy::default(),
        delete_time: None,
        purge_time: None,
    }
}

pub fn endpoint(number: u128, provider: u128) -> Endpoint {
    Endpoint {
        id: id(number),
        provider_id: id(provider),
        meta: Meta::default(),
        name: format!("endpoint {number}"),
        base_url: BaseUrl::parse(&format!("https://{HOST}/v1")).unwrap(),
        api_version: String::new(),
        region: String::new(),
        connect_timeout: CONNECT_TIMEOUT.default,
        read_timeout: READ_TIMEOUT.default,
        retry: RetryPolicy::default(),
        is_default: false,
        is_active: true,
        priority: PRIORITY.default,
        weight: WEIGHT.default,
        health_check: HealthCheckPolicy::default(),
    }
}

pub fn credential(number: u128, provider: u128) -> Credential {
    Credential {
        id: id(number),
        provider_id: id(provider),
        meta: Meta::default(),
        alias: format!("credential {number}"),
        description: String::new(),
        hint: "****".into(),
        fingerprint: String::new(),
        secret_version: 1,
        allowed_hosts: AllowedHosts::new([Host::parse(HOST).unwrap()], false),
        expire_time: None,
        quota: None,
        is_active: true,
        revoke_time: None,
        rotate_time: None,
        previous_secret_expire_time: None,
    }
}

pub fn model(number: u128, provider: u128) -> Model {
    Model {
        id: id(number),
        provider_id: id(provider),
        meta: Meta::default(),
        model_id: format!("model-{number}"),
        name: format!("Model {number}"),
        description: String::new(),
        version: String::new(),
        model_type: ModelType::Chat,
        context_window: None,
        max_output_tokens: None,
        pricing: None,
        capabilities: BTreeMap::new(),
        recommended_uses: Vec::new(),
        default_parameters: None,
        is_active: true,
        status: ModelStatus::Available,
        source: ModelSource::Manual,
        pinned_fields: BTreeSet::new(),
        field_sources: BTreeMap::new(),
        is_default: false,
    }
}

pub fn binding(number: u128, target: Target) -> Binding {
    Binding {
        id: id(number),
        meta: Meta::default(),
        consumer: format!("consumer {number}"),
        purpose: DEFAULT_PURPOSE.into(),
        target,
        parameters: None,
    }
}

pub fn pricing(nanos: i64) -> Pricing {
    Pricing { input_per_1k: Some(Price::from_nanos(nanos)), output_per_1k: None, currency: "USD".into() }
}

pub fn token(number: u128) -> Token {
    Token {
        id: id(number),
        revision: Revision(1),
        name: format!("token {number}"),
        roles: Roles::default(),
        create_time: at(0),
        created_by: String::new(),
        expire_time: None,
        revoke_time: None,
        secret_hash: [0; 32],
    }
}

pub fn sealed(credential: u128, version: i64) -> SealedSecret {
    SealedSecret {
        credential_id: id(credential),
        version,
        master_key_id: "k1".into(),
        wrapped_key: Arc::new([1]),
        ciphertext: Arc::new([u8::try_from(version).unwrap()]),
        create_time: at(0),
        expire_time: None,
    }
}

/// An empty configuration at revision 0.
pub fn image() -> Image {
    Image {
        head: Head::default(),
        providers: Vec::new(),
        endpoints: Vec::new(),
        credentials: Vec::new(),
        models: Vec::new(),
        bindings: Vec::new(),
        tokens: Vec::new(),
        keyring: Arc::new(Keyring {
            id: Uuid::from_u128(1),
            revision: Revision(0),
            active_key_id: "k1".into(),
            update_time: at(0),
            updated_by: String::new(),
        }),
        sealed: Vec::new(),
    }
}

/// The log line of an edit at `revision`, whose time is the same number of microseconds.
pub fn change(revision: i64, edit: Edit) -> Change {
    let resource = edit.resource().map(|resource| (resource.kind(), resource.id())).unwrap();
    Change {
        revision: Revision(revision),
        ordinal: 0,
        resource_kind: resource.0,
        resource_id: resource.1,
        operation: edit.operation,
        actor: "test".into(),
        rpc: "Test".into(),
        request_id: String::new(),
        reason: String::new(),
        peer_address: String::new(),
        user_agent: String::new(),
        time: at(revision),
        before: edit.before,
        after: edit.after,
        changed_fields: edit.changed_fields,
    }
}

/// An edit that leaves `after` behind.
pub fn put(operation: Operation, after: Resource) -> Edit {
    Edit { operation, before: None, after: Some(after), changed_fields: Vec::new() }
}

pub fn head(revision: i64) -> Head {
    Head { revision: Revision(revision), ..Head::default() }
}
