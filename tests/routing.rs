//! What to call now: targets, their secrets, and what becomes of the calls.

use modelward::proto::v1::resolve_target_request::Selector;
use modelward::proto::v1::{self, Capability, ModelStatus, ModelType, ProviderKind, Role};
use tonic::Code;

use crate::support::resources::{credential, endpoint, model};
use crate::support::{Engine, Refusal, Refused as _, Server, for_each_engine};

const SECRET: &str = "sk-routing-0123456789";

/// A provider with an endpoint, a credential and a model, all with names of their own.
struct Account {
    provider: v1::Provider,
    endpoint: v1::Endpoint,
    credential: v1::Credential,
    model: v1::Model,
}

async fn account(server: &Server, name: &str) -> Account {
    let provider = server.admin().add_provider(name, ProviderKind::Openai).await;
    let url = format!("https://{name}.example.com/v1");
    let endpoint = server.admin().add_endpoint(endpoint(&provider.id, "main", &url)).await;
    let credential = server.admin().add_credential(credential(&provider.id, "main", SECRET)).await;
    let model = server.admin().add_model(model(&provider.id, &format!("{name}-model"))).await;
    Account { provider, endpoint, credential, model }
}

fn by_id(model: &v1::Model) -> v1::ResolveTargetRequest {
    v1::ResolveTargetRequest { selector: Some(Selector::ModelId(model.id.clone())), ..Default::default() }
}

fn by_name(name: &str) -> v1::ResolveTargetRequest {
    v1::ResolveTargetRequest { selector: Some(Selector::Model(name.to_owned())), ..Default::default() }
}

fn required(requirement: v1::ModelRequirement) -> v1::ResolveTargetRequest {
    v1::ResolveTargetRequest { selector: Some(Selector::Requirement(requirement)), ..Default::default() }
}

async fn ask(server: &Server, request: v1::ResolveTargetRequest) -> v1::ResolveTargetResponse {
    server.routing().resolve_target(request).await.unwrap().into_inner()
}

async fn refused(server: &Server, request: v1::ResolveTargetRequest, code: Code, reason: &str) -> Refusal {
    server.routing().resolve_target(request).await.refused(code, reason)
}

async fn update_credential(server: &Server, id: &str, change: v1::Credential, paths: &[&str]) {
    let credential = Some(v1::Credential { id: id.to_owned(), ..change });
    let update_mask = crate::support::resources::mask(paths);
    let request = v1::UpdateCredentialRequest { credential, update_mask, ..Default::default() };
    server.credentials().update_credential(request).await.unwrap();
}

fn scored(capability: Capability, score: i32) -> v1::ModelCapability {
    v1::ModelCapability { capability: Some(capability.into()), score: Some(score) }
}

for_each_engine! {
    async fn a_target_carries_all_that_is_needed_to_call(server: &Server) {
        let account = account(server, "one").await;
        let answer = ask(server, by_id(&account.model)).await;
        let target = answer.target.unwrap();
        assert_eq!(target.provider_id, account.provider.id);
        assert_eq!((target.provider_kind(), target.provider_name.as_str()), (ProviderKind::Openai, "one"));
        assert_eq!(target.endpoint.as_ref(), Some(&server.admin().get_endpoint(&account.endpoint.id).await));
        assert_eq!(target.model.as_ref(), Some(&server.admin().get_model(&account.model.id).await));
        assert_eq!(target.credential_id, account.credential.id);
        assert_eq!(target.secret, None);
        assert_eq!(target.parameters, Some(v1::ModelParameters::default()));
        assert_eq!((answer.fallbacks.len(), answer.revision), (0, account.model.revision));
    }

    async fn every_selector_is_served(server: &Server) {
        let first = account(server, "First").await;
        let second = account(server, "second").await;
        let model = v1::Model {
            r#type: Some(ModelType::Embedding.into()),
            capabilities: vec![scored(Capability::Embedding, 4)],
            context_window: Some(8000),
            ..model(&second.provider.id, "org/embed")
        };
        let request = v1::CreateModelRequest { model: Some(model), set_default: true, ..Default::default() };
        let embed = server.models().create_model(request).await.unwrap().into_inner().model.unwrap();
        let default = v1::SetDefaultModelRequest { id: first.model.id.clone(), ..Default::default() };
        server.models().set_default_model(default).await.unwrap();
        let need = |min_score, window| required(v1::ModelRequirement {
            capabilities: vec![Capability::Embedding.into()],
            min_score: Some(min_score),
            min_context_window: window,
            ..Default::default()
        });
        let default_of = |model_type: ModelType| v1::ResolveTargetRequest {
            selector: Some(Selector::DefaultType(model_type.into())),
            ..Default::default()
        };
        for (request, expected) in [
            (v1::ResolveTargetRequest::default(), &first.model.id),
            (default_of(ModelType::Unspecified), &first.model.id),
            (default_of(ModelType::Embedding), &embed.id),
            (by_id(&second.model), &second.model.id),
            (by_name("second-model"), &second.model.id),
            (by_name("first/First-model"), &first.model.id),
            (by_name("org/embed"), &embed.id),
            (by_name("SECOND/org/embed"), &embed.id),
            (need(4, Some(8000)), &embed.id),
        ] {
            let title = format!("{request:?}");
            assert_eq!(&ask(server, request).await.target.unwrap().model.unwrap().id, expected, "{title}");
        }
        for request in [by_name("nobody"), by_name("first/org/embed"), need(5, None), need(1, Some(8001)), default_of(ModelType::Audio)] {
            refused(server, request, Code::NotFound, "NOT_FOUND").await;
        }
    }

    async fn requirements_rank_by_score_price_and_name_and_deprecated_models_come_last(server: &Server) {
        let account = account(server, "p").await;
        let add = async |name: &str, score: i32, price: &str, status: ModelStatus| {
            let pricing = Some(v1::Pricing { input_per_1k: Some(price.into()), ..Default::default() });
            let capabilities = vec![scored(Capability::Reasoning, score), scored(Capability::Chat, 1)];
            let base = model(&account.provider.id, name);
            server.admin().add_model(v1::Model { pricing, capabilities, status: Some(status.into()), ..base }).await
        };
        add("cheap", 3, "0.1", ModelStatus::Available).await;
        add("b", 5, "1", ModelStatus::Available).await;
        add("a", 5, "1", ModelStatus::Available).await;
        add("best", 5, "0.9", ModelStatus::Available).await;
        add("old", 5, "0.1", ModelStatus::Deprecated).await;
        let capabilities = vec![Capability::Reasoning.into(), Capability::Chat.into()];
        let request = required(v1::ModelRequirement { capabilities, ..Default::default() });
        let answer = ask(server, v1::ResolveTargetRequest { max_fallbacks: Some(5), ..request }).await;
        let names: Vec<_> = answer.target.iter().chain(&answer.fallbacks).map(|t| t.model.clone().unwrap().model_id.unwrap()).collect();
        assert_eq!(names, ["best", "a", "b", "cheap", "old"]);
    }

    async fn what_cannot_be_called_says_why(server: &Server) {
        let account = account(server, "p").await;
        let ask = || by_id(&account.model);
        let set_provider = async |is_active| {
            let request = v1::UpdateProviderStatusRequest { id: account.provider.id.clone(), is_active: Some(is_active), ..Default::default() };
            server.providers().update_provider_status(request).await.unwrap();
        };
        set_provider(false).await;
        refused(server, ask(), Code::FailedPrecondition, "PROVIDER_DISABLED").await;
        set_provider(true).await;

        let set_model = async |is_active| {
            let request = v1::UpdateModelStatusRequest { id: account.model.id.clone(), is_active: Some(is_active), ..Default::default() };
            server.models().update_model_status(request).await.unwrap();
        };
        set_model(false).await;
        let refusal = refused(server, ask(), Code::FailedPrecondition, "MODEL_UNAVAILABLE").await;
        assert_eq!(refusal.metadata["cause"], "the model is disabled");
        assert_eq!(refusal.metadata["model_id"], account.model.id);
        set_model(true).await;

        let hosts = v1::Credential { allowed_hosts: vec!["other.example.com".into()], ..Default::default() };
        update_credential(server, &account.credential.id, hosts, &["allowed_hosts"]).await;
        let refusal = refused(server, ask(), Code::FailedPrecondition, "HOST_NOT_ALLOWED").await;
        assert_eq!(refusal.metadata["host"], "p.example.com");
        assert_eq!(refusal.metadata["credential_id"], account.credential.id);

        let exclude_endpoint_ids = vec![account.endpoint.id.clone()];
        let back = v1::Credential { allowed_hosts: vec!["p.example.com".into()], ..Default::default() };
        update_credential(server, &account.credential.id, back, &["allowed_hosts"]).await;
        let request = v1::ResolveTargetRequest { exclude_endpoint_ids, ..ask() };
        refused(server, request, Code::Unavailable, "NO_HEALTHY_ENDPOINT").await.says_when_to_retry();

        let revoke = v1::RevokeCredentialRequest { id: account.credential.id.clone(), ..Default::default() };
        server.credentials().revoke_credential(revoke).await.unwrap();
        let refusal = refused(server, ask(), Code::FailedPrecondition, "MODEL_UNAVAILABLE").await;
        assert_eq!(refusal.metadata["cause"], "the provider has no usable credential");

        let endpoint = v1::Endpoint { id: account.endpoint.id.clone(), is_active: Some(false), ..Default::default() };
        let request = v1::UpdateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
        server.endpoints().update_endpoint(request).await.unwrap();
        refused(server, ask(), Code::FailedPrecondition, "NO_ENDPOINT").await;

        let delete = v1::DeleteProviderRequest { id: account.provider.id.clone(), ..Default::default() };
        server.providers().delete_provider(delete).await.unwrap();
        refused(server, ask(), Code::NotFound, "NOT_FOUND").await;
    }

    async fn all_bad_fields_are_told_at_once(server: &Server) {
        let request = v1::ResolveTargetRequest {
            selector: Some(Selector::Requirement(v1::ModelRequirement {
                r#type: Some(99),
                capabilities: vec![1, 99],
                min_score: Some(6),
                min_context_window: Some(-1),
            })),
            parameters: Some(v1::ModelParameters { temperature: Some(3.0), max_tokens: Some(0), ..Default::default() }),
            exclude_endpoint_ids: vec!["nonsense".into()],
            max_fallbacks: Some(6),
            include_secret: false,
        };
        let mut fields = refused(server, request, Code::InvalidArgument, "INVALID_FIELD").await.fields;
        fields.sort_unstable();
        assert_eq!(fields, [
            "exclude_endpoint_ids[0]", "max_fallbacks", "parameters.max_tokens", "parameters.temperature",
            "requirement.capabilities[1]", "requirement.min_context_window", "requirement.min_score", "requirement.type",
        ]);
        for (selector, field) in [
            (Selector::ModelId("x".into()), "model_id"),
            (Selector::Model(String::new()), "model"),
            (Selector::Model("x".repeat(302)), "model"),
            (Selector::DefaultType(99), "default_type"),
        ] {
            let request = v1::ResolveTargetRequest { selector: Some(selector), ..Default::default() };
            assert_eq!(refused(server, request, Code::InvalidArgument, "INVALID_FIELD").await.fields, [field]);
        }
    }

    async fn parameters_of_the_request_come_before_the_models(server: &Server) {
        let provider = account(server, "p").await.provider;
        let text = |text: &str| prost_types::Value { kind: Some(prost_types::value::Kind::StringValue(text.into())) };
        let extra = |pairs: &[(&str, &str)]| Some(prost_types::Struct {
            fields: pairs.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect(),
        });
        let defaults = v1::ModelParameters {
            temperature: Some(0.5),
            max_tokens: Some(100),
            stop: vec!["END".into()],
            extra: extra(&[("a", "model"), ("b", "model")]),
            ..Default::default()
        };
        let made = v1::Model { default_parameters: Some(defaults.clone()), ..model(&provider.id, "m") };
        let made = server.admin().add_model(made).await;
        assert_eq!(ask(server, by_id(&made)).await.target.unwrap().parameters, Some(defaults.clone()));
        let own = v1::ModelParameters { temperature: Some(0.0), extra: extra(&[("b", "own"), ("c", "own")]), ..Default::default() };
        let request = v1::ResolveTargetRequest { parameters: Some(own), ..by_id(&made) };
        let expected = v1::ModelParameters {
            temperature: Some(0.0),
            extra: extra(&[("a", "model"), ("b", "own"), ("c", "own")]),
            ..defaults
        };
        assert_eq!(ask(server, request).await.target.unwrap().parameters, Some(expected));
    }

    async fn consumers_resolve_what_they_have_bound(server: &Server) {
        let account = account(server, "p").await;
        let defaults = v1::ModelParameters { temperature: Some(0.1), top_p: Some(0.1), max_tokens: Some(1), ..Default::default() };
        let made = v1::Model { default_parameters: Some(defaults), ..model(&account.provider.id, "bound") };
        let made = server.admin().add_model(made).await;
        let bind = async |purpose: Option<&str>, target: v1::binding::Target| {
            let binding = v1::Binding {
                consumer: Some("team/oncall".into()),
                purpose: purpose.map(Into::into),
                target: Some(target),
                parameters: Some(v1::ModelParameters { temperature: Some(0.2), top_p: Some(0.2), ..Default::default() }),
                ..Default::default()
            };
            let request = v1::CreateBindingRequest { binding: Some(binding), ..Default::default() };
            server.bindings().create_binding(request).await.unwrap();
        };
        bind(None, v1::binding::Target::ModelId(made.id.clone())).await;
        bind(Some("any"), v1::binding::Target::ProviderId(account.provider.id.clone())).await;
        let bound = |consumer: &str, purpose: Option<&str>| v1::ResolveTargetRequest {
            selector: Some(Selector::Binding(v1::BindingSelector {
                consumer: consumer.into(),
                purpose: purpose.map(Into::into),
            })),
            parameters: Some(v1::ModelParameters { temperature: Some(0.3), ..Default::default() }),
            ..Default::default()
        };
        let target = ask(server, bound("team/oncall", None)).await.target.unwrap();
        assert_eq!(target.model.unwrap().id, made.id);
        let expected = v1::ModelParameters { temperature: Some(0.3), top_p: Some(0.2), max_tokens: Some(1), ..Default::default() };
        assert_eq!(target.parameters, Some(expected.clone()));
        let target = ask(server, bound("team/oncall", Some("any"))).await.target.unwrap();
        assert_eq!((target.model, target.provider_id), (None, account.provider.id));
        assert_eq!(target.credential_id, account.credential.id);
        assert_eq!(target.parameters, Some(v1::ModelParameters { max_tokens: None, ..expected }));
        refused(server, bound("team/oncall", Some("other")), Code::NotFound, "NOT_FOUND").await;
        refused(server, bound("nobody", None), Code::NotFound, "NOT_FOUND").await;
        let refusal = refused(server, bound("", Some("")), Code::InvalidArgument, "INVALID_FIELD").await;
        assert_eq!(refusal.fields, ["binding.consumer", "binding.purpose"]);

        let delete = v1::RevokeCredentialRequest { id: account.credential.id.clone(), ..Default::default() };
        server.credentials().revoke_credential(delete).await.unwrap();
        let refusal = refused(server, bound("team/oncall", Some("any")), Code::FailedPrecondition, "MODEL_UNAVAILABLE").await;
        assert_eq!(refusal.metadata.get("model_id"), None, "there is no model to name");
    }

    async fn a_model_of_several_providers_is_shared_and_falls_back_to_the_others(server: &Server) {
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            let provider = account(server, name).await.provider;
            ids.push(server.admin().add_model(model(&provider.id, "shared")).await.id);
        }
        let mut counts = std::collections::BTreeMap::<String, u32>::new();
        for _ in 0..30 {
            let target = ask(server, by_name("shared")).await.target.unwrap();
            *counts.entry(target.provider_name).or_default() += 1;
        }
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [10, 10, 10]);
        let answer = ask(server, v1::ResolveTargetRequest { max_fallbacks: Some(5), ..by_name("shared") }).await;
        let mut found: Vec<_> = answer.target.iter().chain(&answer.fallbacks).map(|t| t.model.clone().unwrap().id).collect();
        assert_eq!(found.len(), 3);
        found.sort_unstable();
        ids.sort_unstable();
        assert_eq!(found, ids);
    }

    async fn secrets_are_for_consumers_who_ask_for_them(server: &Server) {
        let account = account(server, "p").await;
        let with_secret = || v1::ResolveTargetRequest { include_secret: true, max_fallbacks: Some(1), ..by_id(&account.model) };
        server.admin().add_endpoint(endpoint(&account.provider.id, "second", "https://p.example.com/v2")).await;
        for role in [Role::Viewer, Role::Editor] {
            let caller = server.as_role(role).await;
            let answer = caller.routing().resolve_target(by_id(&account.model)).await.unwrap().into_inner();
            assert_eq!(answer.target.unwrap().secret, None);
            let refusal = caller.routing().resolve_target(with_secret()).await.refused(Code::PermissionDenied, "FORBIDDEN");
            assert_eq!(refusal.metadata["role"], "consumer");
            // Who may not is not told what else is wrong.
            let bad = v1::ResolveTargetRequest { max_fallbacks: Some(-1), ..with_secret() };
            caller.routing().resolve_target(bad).await.refused(Code::PermissionDenied, "FORBIDDEN");
        }
        for role in [Role::Consumer, Role::Admin] {
            let caller = server.as_role(role).await;
            let answer = caller.routing().resolve_target(by_id(&account.model)).await.unwrap().into_inner();
            assert_eq!(answer.target.unwrap().secret, None, "not asked for");
            let answer = caller.routing().resolve_target(with_secret()).await.unwrap().into_inner();
            for target in answer.target.iter().chain(&answer.fallbacks) {
                assert_eq!(target.secret.as_ref().unwrap().api_key(), SECRET);
            }
            assert_eq!(answer.fallbacks.len(), 1);
        }
    }
}

async fn passes_over_what_does_not_open(engine: Engine) {
    let server = Server::start(engine).await;
    let account = account(&server, "p").await;
    let spare = server.admin().add_credential(credential(&account.provider.id, "spare", "sk-spare-0123456789")).await;
    let mut served = Vec::new();
    for _ in 0..2 {
        served.push(ask(&server, by_id(&account.model)).await.target.unwrap().credential_id);
    }
    served.sort_unstable();
    assert_eq!(served, [account.credential.id.clone(), spare.id.clone()], "both take turns while both open");
    let first = "SELECT credential_id FROM credential_secrets ORDER BY credential_id LIMIT 1";
    server.sql(&format!("UPDATE credential_secrets SET ciphertext = wrapped_key WHERE credential_id IN ({first})"));
    let server = server.restart().await;
    for _ in 0..3 {
        let request =
            v1::ResolveTargetRequest { include_secret: true, max_fallbacks: Some(5), ..by_id(&account.model) };
        let answer = ask(&server, request).await;
        assert_eq!(answer.target.unwrap().credential_id, spare.id);
        assert_eq!(answer.fallbacks, []);
    }
    let metrics = server.parts().metrics.render();
    assert!(!metrics.contains("modelward_unreadable_passed_over_total 0"), "it is counted: {metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_do_not_open_are_passed_over_on_sqlite() {
    Box::pin(passes_over_what_does_not_open(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_do_not_open_are_passed_over_on_postgres() {
    Box::pin(passes_over_what_does_not_open(Engine::Postgres)).await;
}
