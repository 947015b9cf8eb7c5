//! Every settable field × a value beyond its limit: refused, naming the field, and nothing is written.
//!
//! The descriptor tells which fields there are; the table below must have each of them.

use std::collections::BTreeSet;

use modelward::proto::v1::{self, Capability, ProviderKind};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{Duration, Struct, Timestamp, Value, value};
use tonic::{Code, Status};

use crate::support::resources::{binding, credential, endpoint, mask, model, provider, to_model, to_provider};
use crate::support::{Engine, Refusal, Server, dynamic};

/// A resource, the field it is wrong in, and the violation that says so where that is not the field itself.
struct Case<T> {
    field: &'static str,
    violation: &'static str,
    spoil: fn(&mut T),
}

const fn case<T>(field: &'static str, spoil: fn(&mut T)) -> Case<T> {
    Case { field, violation: field, spoil }
}

/// The violation names the place in a list or map.
const fn item<T>(field: &'static str, violation: &'static str, spoil: fn(&mut T)) -> Case<T> {
    Case { field, violation, spoil }
}

fn text(length: usize) -> Option<String> {
    Some("x".repeat(length))
}

const fn millis(millis: i64) -> Option<Duration> {
    Some(Duration { seconds: millis / 1000, nanos: (millis % 1000) as i32 * 1_000_000 })
}

fn labels(count: usize) -> std::collections::BTreeMap<String, String> {
    (0..count).map(|index| (format!("key{index}"), String::new())).collect()
}

const NO_ENUM: Option<i32> = Some(9999);

fn provider_cases() -> Vec<Case<v1::Provider>> {
    fn policy(interval: Option<Duration>) -> Option<v1::SyncPolicy> {
        Some(v1::SyncPolicy { enabled: None, interval })
    }
    vec![
        case("name", |p| p.name = text(101)),
        case("name", |p| p.name = text(0)),
        case("name", |p| p.name = Some(" x".into())),
        case("name", |p| p.name = Some("x\u{7}".into())),
        case("kind", |p| p.kind = NO_ENUM),
        case("kind", |p| p.kind = Some(0)),
        case("description", |p| p.description = text(1001)),
        case("description", |p| p.description = Some("a\nb".into())),
        case("sync_policy.interval", |p| p.sync_policy = policy(millis(59_999))),
        case("sync_policy.interval", |p| p.sync_policy = policy(millis(-60_000))),
        case("sync_policy.interval", |p| p.sync_policy = policy(Some(Duration { seconds: i64::MAX, nanos: 0 }))),
        case("labels", |p| p.labels = labels(33)),
        item("labels", "labels.key", |p| p.labels = [("x".repeat(64), String::new())].into()),
        item("labels", "labels[k]", |p| p.labels = [("k".into(), "x".repeat(257))].into()),
    ]
}

fn endpoint_cases() -> Vec<Case<v1::Endpoint>> {
    fn retry(change: fn(&mut v1::RetryPolicy)) -> Option<v1::RetryPolicy> {
        let mut policy = v1::RetryPolicy::default();
        change(&mut policy);
        Some(policy)
    }
    fn check(change: fn(&mut v1::HealthCheckPolicy)) -> Option<v1::HealthCheckPolicy> {
        let mut policy = v1::HealthCheckPolicy::default();
        change(&mut policy);
        Some(policy)
    }
    vec![
        case("provider_id", |e| e.provider_id = Some("no-uuid".into())),
        case("name", |e| e.name = text(101)),
        case("name", |e| e.name = text(0)),
        case("base_url", |e| e.base_url = Some(format!("https://h/{}", "x".repeat(500)))),
        case("base_url", |e| e.base_url = Some("ftp://h/v1".into())),
        case("base_url", |e| e.base_url = Some("https://user:password@h/v1".into())),
        case("base_url", |e| e.base_url = Some("https://h/v1?key=1".into())),
        case("base_url", |e| e.base_url = Some("https://h/v1#top".into())),
        case("base_url", |e| e.base_url = Some("nonsense".into())),
        case("base_url", |e| e.base_url = text(0)),
        case("api_version", |e| e.api_version = text(51)),
        case("region", |e| e.region = text(51)),
        case("connect_timeout", |e| e.connect_timeout = millis(99)),
        case("connect_timeout", |e| e.connect_timeout = millis(60_001)),
        case("read_timeout", |e| e.read_timeout = millis(999)),
        case("read_timeout", |e| e.read_timeout = millis(600_001)),
        case("retry.max_attempts", |e| e.retry = retry(|r| r.max_attempts = Some(0))),
        case("retry.max_attempts", |e| e.retry = retry(|r| r.max_attempts = Some(11))),
        case("retry.initial_backoff", |e| e.retry = retry(|r| r.initial_backoff = millis(-1))),
        case("retry.max_backoff", |e| e.retry = retry(|r| r.max_backoff = millis(-1))),
        case("priority", |e| e.priority = Some(-1)),
        case("weight", |e| e.weight = Some(0)),
        case("weight", |e| e.weight = Some(101)),
        case("health_check.interval", |e| e.health_check = check(|c| c.interval = millis(999))),
        case("health_check.interval", |e| e.health_check = check(|c| c.interval = millis(3_600_001))),
        case("health_check.timeout", |e| e.health_check = check(|c| c.timeout = millis(99))),
        case("health_check.timeout", |e| e.health_check = check(|c| c.timeout = millis(9_001))),
        case("health_check.unhealthy_threshold", |e| e.health_check = check(|c| c.unhealthy_threshold = Some(0))),
        case("health_check.healthy_threshold", |e| e.health_check = check(|c| c.healthy_threshold = Some(0))),
        case("health_check.degraded_latency", |e| e.health_check = check(|c| c.degraded_latency = millis(-1))),
        case("health_check.path", |e| e.health_check = check(|c| c.path = Some("no-slash".into()))),
        case("health_check.path", |e| e.health_check = check(|c| c.path = Some("//elsewhere".into()))),
        case("labels", |e| e.labels = labels(33)),
    ]
}

fn credential_cases() -> Vec<Case<v1::Credential>> {
    fn secret(change: fn(&mut v1::CredentialSecret)) -> Option<v1::CredentialSecret> {
        let mut secret = v1::CredentialSecret { api_key: Some("sk-good".into()), ..Default::default() };
        change(&mut secret);
        Some(secret)
    }
    fn quota(change: fn(&mut v1::CredentialQuota)) -> Option<v1::CredentialQuota> {
        let mut quota = v1::CredentialQuota { limit: Some(1), ..Default::default() };
        change(&mut quota);
        Some(quota)
    }
    vec![
        case("provider_id", |c| c.provider_id = Some("no-uuid".into())),
        case("alias", |c| c.alias = text(101)),
        case("alias", |c| c.alias = text(0)),
        case("description", |c| c.description = text(1001)),
        case("secret.api_key", |c| c.secret = secret(|s| s.api_key = text(501))),
        case("secret.secret_key", |c| c.secret = secret(|s| s.secret_key = text(501))),
        case("secret.access_token", |c| c.secret = secret(|s| s.access_token = text(4097))),
        case("secret.session_token", |c| c.secret = secret(|s| s.session_token = text(4097))),
        item("allowed_hosts", "allowed_hosts[1]", |c| {
            c.allowed_hosts = vec!["api.openai.com".into(), "https://h/path".into()];
        }),
        item("allowed_hosts", "allowed_hosts[0]", |c| c.allowed_hosts = vec!["*.openai.com".into()]),
        case("expire_time", |c| c.expire_time = Some(Timestamp { seconds: 0, nanos: -1 })),
        case("expire_time", |c| c.expire_time = Some(Timestamp { seconds: i64::MAX, nanos: 0 })),
        case("quota.limit", |c| c.quota = quota(|q| q.limit = Some(0))),
        case("quota.unit", |c| c.quota = quota(|q| q.unit = NO_ENUM)),
        case("quota.period", |c| c.quota = quota(|q| q.period = NO_ENUM)),
        case("labels", |c| c.labels = labels(33)),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn model_cases() -> Vec<Case<v1::Model>> {
    fn pricing(change: fn(&mut v1::Pricing)) -> Option<v1::Pricing> {
        let mut pricing = v1::Pricing::default();
        change(&mut pricing);
        Some(pricing)
    }
    fn parameters(change: fn(&mut v1::ModelParameters)) -> Option<v1::ModelParameters> {
        let mut parameters = v1::ModelParameters::default();
        change(&mut parameters);
        Some(parameters)
    }
    fn extra(value: Value) -> Option<v1::ModelParameters> {
        let extra = Struct { fields: [("k".to_owned(), value)].into() };
        Some(v1::ModelParameters { extra: Some(extra), ..Default::default() })
    }
    fn nested(levels: usize) -> Value {
        (1..levels).fold(Value { kind: Some(value::Kind::NumberValue(1.0)) }, |inner, _| Value {
            kind: Some(value::Kind::StructValue(Struct { fields: [("k".to_owned(), inner)].into() })),
        })
    }
    fn capability(capability: i32, score: i32) -> v1::ModelCapability {
        v1::ModelCapability { capability: Some(capability), score: Some(score) }
    }
    vec![
        case("provider_id", |m| m.provider_id = Some("no-uuid".into())),
        case("model_id", |m| m.model_id = text(201)),
        case("model_id", |m| m.model_id = text(0)),
        case("name", |m| m.name = text(101)),
        case("description", |m| m.description = text(1001)),
        case("version", |m| m.version = text(101)),
        case("type", |m| m.r#type = NO_ENUM),
        case("context_window", |m| m.context_window = Some(0)),
        case("max_output_tokens", |m| m.max_output_tokens = Some(0)),
        case("pricing.input_per_1k", |m| m.pricing = pricing(|p| p.input_per_1k = Some("-1".into()))),
        case("pricing.input_per_1k", |m| m.pricing = pricing(|p| p.input_per_1k = Some("1e-3".into()))),
        case("pricing.output_per_1k", |m| m.pricing = pricing(|p| p.output_per_1k = Some("0.0000000001".into()))),
        case("pricing.currency", |m| m.pricing = pricing(|p| p.currency = Some("dollars".into()))),
        item("capabilities.capability", "capabilities[0].capability", |m| {
            m.capabilities = vec![capability(9999, 1)];
        }),
        item("capabilities.capability", "capabilities[1].capability", |m| {
            m.capabilities = vec![capability(Capability::Chat.into(), 1), capability(Capability::Chat.into(), 2)];
        }),
        item("capabilities.score", "capabilities[0].score", |m| {
            m.capabilities = vec![capability(Capability::Chat.into(), 6)];
        }),
        case("recommended_uses", |m| m.recommended_uses = vec!["x".into(); 33]),
        item("recommended_uses", "recommended_uses[1]", |m| {
            m.recommended_uses = vec!["x".into(), "x".repeat(101)];
        }),
        case("default_parameters.temperature", |m| m.default_parameters = parameters(|p| p.temperature = Some(2.1))),
        case("default_parameters.temperature", |m| {
            m.default_parameters = parameters(|p| p.temperature = Some(f64::NAN));
        }),
        case("default_parameters.top_p", |m| m.default_parameters = parameters(|p| p.top_p = Some(1.1))),
        case("default_parameters.max_tokens", |m| m.default_parameters = parameters(|p| p.max_tokens = Some(0))),
        case("default_parameters.frequency_penalty", |m| {
            m.default_parameters = parameters(|p| p.frequency_penalty = Some(-2.1));
        }),
        case("default_parameters.presence_penalty", |m| {
            m.default_parameters = parameters(|p| p.presence_penalty = Some(2.1));
        }),
        case("default_parameters.stop", |m| m.default_parameters = parameters(|p| p.stop = vec!["x".into(); 17])),
        item("default_parameters.stop", "default_parameters.stop[0]", |m| {
            m.default_parameters = parameters(|p| p.stop = vec!["x".repeat(101)]);
        }),
        case("default_parameters.extra", |m| {
            m.default_parameters = extra(Value { kind: Some(value::Kind::StringValue("x".repeat(8 * 1024))) });
        }),
        case("default_parameters.extra", |m| m.default_parameters = extra(nested(9))),
        case("status", |m| m.status = NO_ENUM),
        case("labels", |m| m.labels = labels(33)),
    ]
}

fn binding_cases() -> Vec<Case<v1::Binding>> {
    fn parameters(change: fn(&mut v1::ModelParameters)) -> Option<v1::ModelParameters> {
        let mut parameters = v1::ModelParameters::default();
        change(&mut parameters);
        Some(parameters)
    }
    vec![
        case("consumer", |b| b.consumer = text(201)),
        case("consumer", |b| b.consumer = text(0)),
        case("consumer", |b| b.consumer = Some("a\nb".into())),
        case("purpose", |b| b.purpose = text(101)),
        case("purpose", |b| b.purpose = text(0)),
        case("model_id", |b| b.target = to_model("no-uuid")),
        case("provider_id", |b| b.target = to_provider("")),
        case("parameters.temperature", |b| b.parameters = parameters(|p| p.temperature = Some(-0.1))),
        case("parameters.top_p", |b| b.parameters = parameters(|p| p.top_p = Some(1.1))),
        case("parameters.max_tokens", |b| b.parameters = parameters(|p| p.max_tokens = Some(0))),
        case("parameters.frequency_penalty", |b| {
            b.parameters = parameters(|p| p.frequency_penalty = Some(-2.1));
        }),
        case("parameters.presence_penalty", |b| b.parameters = parameters(|p| p.presence_penalty = Some(2.1))),
        case("parameters.stop", |b| b.parameters = parameters(|p| p.stop = vec!["x".into(); 17])),
        case("parameters.extra", |b| {
            b.parameters = parameters(|p| {
                let kind = Some(value::Kind::StringValue("x".repeat(8 * 1024)));
                p.extra = Some(Struct { fields: [("k".to_owned(), Value { kind })].into() });
            });
        }),
        case("labels", |b| b.labels = labels(33)),
    ]
}

/// The settable fields of a message and of those in it: all but output-only ones, and but those of a type of which
/// every value is good.
fn settable(name: &str, prefix: &str) -> BTreeSet<String> {
    let (message, comments) = dynamic::message(name);
    let mut fields = BTreeSet::new();
    for (field, comment) in message.field.iter().zip(comments) {
        let path = format!("{prefix}{}", field.name());
        if comment.starts_with("Output only.") || field.r#type() == Type::Bool {
            continue;
        }
        let inner = field.type_name().strip_prefix(".modelward.v1.").filter(|_| field.r#type() == Type::Message);
        let map = field.label() == Label::Repeated && field.type_name().ends_with("Entry");
        match inner {
            Some(inner) if !map => fields.extend(settable(inner, &format!("{path}."))),
            _ => {
                fields.insert(path);
            }
        }
    }
    fields
}

fn assert_complete<T>(name: &str, cases: &[Case<T>]) {
    let covered: BTreeSet<_> = cases.iter().map(|case| case.field.to_owned()).collect();
    assert_eq!(covered, settable(name, ""), "the table of {name} and its settable fields");
}

#[test]
fn the_tables_have_every_settable_field() {
    assert_complete("Provider", &provider_cases());
    assert_complete("Endpoint", &endpoint_cases());
    assert_complete("Credential", &credential_cases());
    assert_complete("Model", &model_cases());
    assert_complete("Binding", &binding_cases());
}

/// Sends every case in creations and in updates; `send` takes the resource and whether to create it.
async fn check<T: Clone>(
    resource: &str,
    good: &T,
    cases: Vec<Case<T>>,
    send: impl AsyncFn(T, bool) -> Result<(), Status>,
) {
    for create in [true, false] {
        for case in &cases {
            let mut bad = good.clone();
            (case.spoil)(&mut bad);
            let title = format!("{resource}.{} when {}", case.violation, if create { "created" } else { "updated" });
            let Err(status) = send(bad, create).await else { panic!("{title} was taken") };
            let refusal = Refusal::of(&status);
            assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"), "{title}");
            assert_eq!(refusal.fields, [format!("{resource}.{}", case.violation)], "{title}: {refusal}");
        }
    }
}

async fn check_bindings(server: &Server, model: &v1::Model, there: &v1::Binding) {
    let good = binding("new", to_model(&model.id));
    check("binding", &good, binding_cases(), async |binding: v1::Binding, create| {
        if create {
            let request = v1::CreateBindingRequest { binding: Some(binding), ..Default::default() };
            return server.bindings().create_binding(request).await.map(drop);
        }
        let binding = Some(v1::Binding { id: there.id.clone(), ..binding });
        let request = v1::UpdateBindingRequest { binding, ..Default::default() };
        server.bindings().update_binding(request).await.map(drop)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_beyond_its_limit_is_refused_by_name_and_nothing_is_written() {
    let server = Server::start(Engine::Sqlite).await;
    let admin = server.admin();
    let stored = admin.add_provider("there", ProviderKind::Openai).await;
    let endpoint_there = admin.add_endpoint(endpoint(&stored.id, "there", "https://api.example.com/v1")).await;
    let credential_there = admin.add_credential(credential(&stored.id, "there", "sk-0123456789")).await;
    let model_there = admin.add_model(model(&stored.id, "there")).await;
    let binding_there = admin.add_binding(binding("new", to_model(&model_there.id))).await;
    let revision = head(&server).await;

    check(
        "provider",
        &provider("new", ProviderKind::Openai),
        provider_cases(),
        async |provider: v1::Provider, create| {
            if create {
                let request = v1::CreateProviderRequest { provider: Some(provider), ..Default::default() };
                return server.providers().create_provider(request).await.map(drop);
            }
            let provider = Some(v1::Provider { id: stored.id.clone(), ..provider });
            let request = v1::UpdateProviderRequest { provider, ..Default::default() };
            server.providers().update_provider(request).await.map(drop)
        },
    )
    .await;

    let good = endpoint(&stored.id, "new", "https://api.example.com/v1");
    check("endpoint", &good, endpoint_cases(), async |endpoint: v1::Endpoint, create| {
        if create {
            let request = v1::CreateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
            return server.endpoints().create_endpoint(request).await.map(drop);
        }
        let endpoint = Some(v1::Endpoint { id: endpoint_there.id.clone(), ..endpoint });
        let request = v1::UpdateEndpointRequest { endpoint, ..Default::default() };
        server.endpoints().update_endpoint(request).await.map(drop)
    })
    .await;

    let good = credential(&stored.id, "new", "sk-0123456789");
    let good_secret = good.secret.clone();
    check("credential", &good, credential_cases(), async |credential: v1::Credential, create| {
        if create {
            let request = v1::CreateCredentialRequest { credential: Some(credential), ..Default::default() };
            return server.credentials().create_credential(request).await.map(drop);
        }
        // Of a secret only what is named counts, and the mask has to let the other cases through.
        let secret_only = credential.secret != good_secret;
        let update_mask = if secret_only { mask(&["secret"]) } else { None };
        let credential = Some(v1::Credential { id: credential_there.id.clone(), ..credential });
        let request = v1::UpdateCredentialRequest { credential, update_mask, ..Default::default() };
        server.credentials().update_credential(request).await.map(drop)
    })
    .await;

    check("model", &model(&stored.id, "new"), model_cases(), async |model: v1::Model, create| {
        if create {
            let request = v1::CreateModelRequest { model: Some(model), ..Default::default() };
            return server.models().create_model(request).await.map(drop);
        }
        let model = Some(v1::Model { id: model_there.id.clone(), ..model });
        let request = v1::UpdateModelRequest { model, ..Default::default() };
        server.models().update_model(request).await.map(drop)
    })
    .await;

    check_bindings(&server, &model_there, &binding_there).await;

    assert_eq!(head(&server).await, revision, "nothing was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_bad_fields_are_told_at_once() {
    let server = Server::start(Engine::Sqlite).await;
    let provider = v1::Provider { name: text(101), description: text(1001), ..Default::default() };
    let request = v1::CreateProviderRequest {
        provider: Some(provider),
        reason: "x".repeat(501),
        request_id: "x".repeat(101),
        ..Default::default()
    };
    let status = server.providers().create_provider(request).await.unwrap_err();
    let mut fields = Refusal::of(&status).fields;
    fields.sort();
    assert_eq!(fields, ["provider.description", "provider.kind", "provider.name", "reason", "request_id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_is_none_is_a_bad_field_and_an_unknown_one_is_not_found() {
    let server = Server::start(Engine::Sqlite).await;
    let get = |id: &str| v1::GetProviderRequest { id: id.to_owned() };
    for bad in ["", "1", "../etc/passwd", "' OR 1=1 --", "0199aaaa-0000-7000-8000-00000000000"] {
        let status = server.providers().get_provider(get(bad)).await.unwrap_err();
        Refusal::of(&status).is(Code::InvalidArgument, "INVALID_FIELD").names(&["id"]);
    }
    let unknown = "0199aaaa-0000-4000-8000-000000000000";
    let status = server.providers().get_provider(get(unknown)).await.unwrap_err();
    Refusal::of(&status).is(Code::NotFound, "NOT_FOUND");
}

async fn head(server: &Server) -> i64 {
    let answer = server.tokens().get_server_info(v1::GetServerInfoRequest {}).await.unwrap();
    answer.into_inner().server_info.unwrap().revision
}
