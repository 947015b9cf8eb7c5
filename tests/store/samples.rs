//! Resources to store: with every field set, and with as few as possible.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use modelward::domain::binding::{Binding, Target};
use modelward::domain::caller::Role;
use modelward::domain::credential::{AllowedHosts, Credential, Quota, QuotaPeriod, QuotaUnit};
use modelward::domain::endpoint::{BaseUrl, Endpoint, HealthCheckPolicy, Host, RetryPolicy};
use modelward::domain::keyring::Keyring;
use modelward::domain::model::{
    Capability, FieldSource, Model, ModelParameters, ModelSource, ModelStatus, ModelType, Price, Pricing,
};
use modelward::domain::provider::{Provider, ProviderKind, SyncPolicy};
use modelward::domain::secret::SealedSecret;
use modelward::domain::token::Token;
use modelward::domain::{
    CredentialId, Id, IdSource as _, Meta, ProviderId, RandomIds, Resource, Revision, Roles, Timestamp,
};
use uuid::Uuid;

pub fn id<T>() -> Id<T> {
    Id::new(RandomIds.next())
}

pub fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_764_000_000_000_000 + micros)
}

fn meta(full: bool) -> Meta {
    let labels = [("team", "on-call"), ("ключ", "значение 🔑"), ("empty", "")];
    Meta {
        revision: Revision(1),
        create_time: at(1),
        update_time: at(2),
        created_by: if full { "alice".into() } else { String::new() },
        updated_by: if full { "böb".into() } else { String::new() },
        labels: labels
            .iter()
            .filter(|_| full)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
    }
}

pub fn provider(name: &str) -> Provider {
    Provider {
        id: id(),
        meta: meta(false),
        name: name.into(),
        kind: ProviderKind::OpenAiCompatible,
        description: String::new(),
        is_active: false,
        sync_policy: SyncPolicy::default(),
        delete_time: None,
        purge_time: None,
    }
}

pub fn full_provider(name: &str) -> Provider {
    Provider {
        meta: meta(true),
        kind: ProviderKind::AwsBedrock,
        description: "a \"quoted\"\tdescription with 'both' — and ünïcödé".into(),
        is_active: true,
        sync_policy: SyncPolicy { enabled: true, interval: Duration::new(61, 1) },
        delete_time: Some(at(-3)),
        purge_time: Some(at(i64::from(u32::MAX))),
        ..provider(name)
    }
}

pub fn endpoint(provider_id: ProviderId, name: &str) -> Endpoint {
    Endpoint {
        id: id(),
        provider_id,
        meta: meta(false),
        name: name.into(),
        base_url: BaseUrl::parse("http://[::1]:11434").unwrap(),
        api_version: String::new(),
        region: String::new(),
        connect_timeout: Duration::from_millis(100),
        read_timeout: Duration::from_secs(1),
        retry: RetryPolicy::default(),
        is_default: false,
        is_active: false,
        priority: 0,
        weight: 1,
        health_check: HealthCheckPolicy::default(),
    }
}

pub fn full_endpoint(provider_id: ProviderId, name: &str) -> Endpoint {
    Endpoint {
        meta: meta(true),
        base_url: BaseUrl::parse("https://Example.com:8443/v1/openai").unwrap(),
        api_version: "2024-10-21".into(),
        region: "eu-central-1".into(),
        connect_timeout: Duration::new(5, 999_999_999),
        read_timeout: Duration::from_mins(10),
        retry: RetryPolicy {
            max_attempts: 10,
            initial_backoff: Duration::from_micros(1_001),
            max_backoff: Duration::from_mins(10),
        },
        is_default: true,
        is_active: true,
        priority: 1_000_000,
        weight: 100,
        health_check: HealthCheckPolicy {
            enabled: false,
            interval: Duration::from_hours(1),
            timeout: Duration::from_millis(8_999),
            unhealthy_threshold: 7,
            healthy_threshold: 5,
            degraded_latency: Duration::from_nanos(1_500_000_001),
            path: "/health?deep=true".into(),
        },
        ..endpoint(provider_id, name)
    }
}

pub fn credential(provider_id: ProviderId, alias: &str) -> Credential {
    Credential {
        id: id(),
        provider_id,
        meta: meta(false),
        alias: alias.into(),
        description: String::new(),
        hint: "****".into(),
        fingerprint: String::new(),
        secret_version: 1,
        allowed_hosts: AllowedHosts::default(),
        expire_time: None,
        quota: None,
        is_active: false,
        revoke_time: None,
        rotate_time: None,
        previous_secret_expire_time: None,
    }
}

pub fn full_credential(provider_id: ProviderId, alias: &str) -> Credential {
    let hosts = ["api.example.com", "api.example.com:8443", "http://localhost:11434"];
    Credential {
        meta: meta(true),
        description: "the production key".into(),
        hint: "****abcd".into(),
        fingerprint: "0123456789abcdef".into(),
        secret_version: 3,
        allowed_hosts: AllowedHosts::new(hosts.map(|host| Host::parse(host).unwrap()), true),
        expire_time: Some(at(10)),
        quota: Some(Quota { limit: i64::MAX, unit: QuotaUnit::Tokens, period: QuotaPeriod::Month }),
        is_active: true,
        revoke_time: Some(at(11)),
        rotate_time: Some(at(12)),
        previous_secret_expire_time: Some(at(13)),
        ..credential(provider_id, alias)
    }
}

pub fn model(provider_id: ProviderId, model_id: &str) -> Model {
    Model {
        id: id(),
        provider_id,
        meta: meta(false),
        model_id: model_id.into(),
        name: model_id.into(),
        description: String::new(),
        version: String::new(),
        model_type: ModelType::Chat,
        context_window: None,
        max_output_tokens: None,
        pricing: None,
        capabilities: BTreeMap::new(),
        recommended_uses: Vec::new(),
        default_parameters: None,
        is_active: false,
        status: ModelStatus::Available,
        source: ModelSource::Manual,
        pinned_fields: BTreeSet::new(),
        field_sources: BTreeMap::new(),
        is_default: false,
    }
}

fn parameters() -> ModelParameters {
    let extra = serde_json::json!({
        "seed": 42, "big": u64::MAX, "float": 1e16, "one": 1.0, "tenth": 0.1, "deep": {"a": [true, null, "\u{0}nul"]},
    });
    ModelParameters {
        temperature: Some(0.1 + 0.2),
        top_p: Some(1.0 / 3.0),
        max_tokens: Some(4_096),
        frequency_penalty: Some(-2.0),
        presence_penalty: Some(f64::MIN_POSITIVE),
        stop: vec!["\n\n".into(), "</s>".into()],
        extra: extra.as_object().cloned(),
    }
}

pub fn full_model(provider_id: ProviderId, model_id: &str) -> Model {
    Model {
        meta: meta(true),
        name: "A model".into(),
        description: "what it is good for".into(),
        version: "2025-01".into(),
        model_type: ModelType::Embedding,
        context_window: Some(1_048_576),
        max_output_tokens: Some(1),
        pricing: Some(Pricing {
            input_per_1k: Some(Price::from_nanos(1)),
            output_per_1k: Some(Price::from_nanos(i64::MAX)),
            currency: "EUR".into(),
        }),
        capabilities: Capability::ALL.iter().copied().zip((0..=5).cycle()).collect(),
        recommended_uses: vec!["search".into(), "clustering, in \"bulk\"".into()],
        default_parameters: Some(parameters()),
        is_active: true,
        status: ModelStatus::Maintenance,
        source: ModelSource::Synced,
        pinned_fields: ["name", "pricing"].map(String::from).into(),
        field_sources: [("name".into(), FieldSource::Person), ("pricing".into(), FieldSource::Catalogue)].into(),
        is_default: true,
        ..model(provider_id, model_id)
    }
}

pub fn binding(consumer: &str, target: Target) -> Binding {
    let (consumer, purpose) = (consumer.into(), "default".into());
    Binding { id: id(), meta: meta(false), consumer, purpose, target, parameters: None }
}

pub fn full_binding(consumer: &str, target: Target) -> Binding {
    let (meta, purpose, parameters) = (meta(true), "für Einbettungen".into(), Some(parameters()));
    Binding { meta, purpose, parameters, ..binding(consumer, target) }
}

pub fn token(name: &str) -> Token {
    Token {
        id: id(),
        revision: Revision(1),
        name: name.into(),
        roles: Roles::default(),
        create_time: at(5),
        created_by: String::new(),
        expire_time: None,
        revoke_time: None,
        secret_hash: [0; 32],
    }
}

pub fn full_token(name: &str) -> Token {
    Token {
        roles: Role::ALL.into_iter().collect(),
        created_by: "bootstrap".into(),
        expire_time: Some(at(20)),
        revoke_time: Some(at(21)),
        secret_hash: std::array::from_fn(|index| u8::try_from(index * 8).unwrap()),
        ..token(name)
    }
}

pub fn keyring(cluster_id: Uuid, active: &str) -> Keyring {
    Keyring {
        id: cluster_id,
        revision: Revision(9),
        active_key_id: active.into(),
        update_time: at(30),
        updated_by: "carol".into(),
    }
}

pub fn sealed(credential_id: CredentialId, version: i64) -> SealedSecret {
    let byte = u8::try_from(version).unwrap();
    SealedSecret {
        credential_id,
        version,
        master_key_id: "k1".into(),
        wrapped_key: Arc::from([byte; 60]),
        ciphertext: Arc::from([byte, 0, 255].repeat(50)),
        create_time: at(40),
        expire_time: None,
    }
}

pub fn provider_resource(provider: &Provider) -> Resource {
    Resource::Provider(Arc::new(provider.clone()))
}

pub fn endpoint_resource(endpoint: &Endpoint) -> Resource {
    Resource::Endpoint(Arc::new(endpoint.clone()))
}

pub fn credential_resource(credential: &Credential) -> Resource {
    Resource::Credential(Arc::new(credential.clone()))
}

pub fn model_resource(model: &Model) -> Resource {
    Resource::Model(Arc::new(model.clone()))
}

pub fn binding_resource(binding: &Binding) -> Resource {
    Resource::Binding(Arc::new(binding.clone()))
}

pub fn token_resource(token: &Token) -> Resource {
    Resource::Token(Arc::new(token.clone()))
}
