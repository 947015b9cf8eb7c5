use serde_json::{Value, json};

use super::super::fault::CallErrorKind;
use super::super::testing::{KEY, Server, client, endpoint, only, reply, secret, target};
use super::super::{Catalogue, ModelVerdict, for_kind};
use super::*;
use crate::domain::credential::{ValidationCause, ValidationStatus};
use crate::domain::model::sync::Sourced;
use crate::domain::model::{AvailabilityCause, AvailabilityStatus, Capability, FieldSource};

async fn sync(kind: ProviderKind, body: &Value) -> Result<Vec<ListedModel>, CallError> {
    let text = body.to_string();
    let server = Server::start(move |_| reply(200, &text)).await;
    // OPENAI itself may not be on the loopback interface, so its adapter is asked directly.
    let (endpoint, secret) = (endpoint(&server.url("/v1")), secret());
    let hosts = only(&endpoint);
    let target = target(ProviderKind::OpenAiCompatible, &endpoint, &secret, &hosts);
    for_kind(kind).list_models(&client(), &Catalogue::builtin().unwrap(), &target).await
}

#[tokio::test]
async fn openais_list_is_completed_from_the_catalogue_and_by_ids() {
    let list = json!({"object": "list", "data": [
        {"id": "text-embedding-9-huge", "object": "model", "created": 1, "owned_by": "system"},
        {"id": "gpt-4o-mini", "object": "model", "created": 1_721_172_741, "owned_by": "system"},
        {"id": "gpt-4o-mini", "object": "model"},
        {"id": "gpt-4o-2030-01-01", "shutdown_date": "2031-01-01"},
        {"id": "something-new", "shutdown_date": null},
        {"id": 7}, {"object": "model"}, null,
    ]});
    let models = sync(ProviderKind::OpenAi, &list).await.unwrap();
    let ids: Vec<_> = models.iter().map(|model| model.model_id.as_str()).collect();
    assert_eq!(ids, ["gpt-4o-2030-01-01", "gpt-4o-mini", "something-new", "text-embedding-9-huge"]);

    let dated = &models[0];
    assert!(dated.deprecated && !models[1].deprecated && !models[2].deprecated);
    assert_eq!(dated.context_window.as_ref().unwrap().source, FieldSource::Catalogue);

    let known = &models[1];
    assert_eq!(known.context_window.as_ref().unwrap().value, 128_000);
    assert_eq!(known.pricing.as_ref().unwrap().value.input_per_1k.unwrap().to_string(), "0.00015");
    assert!(known.capabilities.as_ref().unwrap().value.contains(&Capability::Vision));
    assert_eq!(known.model_type.as_ref().unwrap().source, FieldSource::Catalogue);
    assert!(known.name.is_none());

    assert_eq!(models[2], ListedModel::named("something-new"));
    assert_eq!(models[3].model_type, Some(Sourced::vendor(ModelType::Embedding)));
}

#[tokio::test]
async fn vllms_list_tells_windows_and_an_adapter_has_its_parents() {
    let list = json!({"object": "list", "data": [
        {"id": "Qwen/Qwen3-8B", "root": "Qwen/Qwen3-8B", "parent": null, "max_model_len": 40_960, "permission": [{"id": "p"}]},
        {"id": "my-lora", "root": "/data/lora", "parent": "Qwen/Qwen3-8B", "max_model_len": null},
        {"id": "orphan", "parent": "gone", "max_model_len": null},
    ]});
    let models = sync(ProviderKind::Vllm, &list).await.unwrap();
    let windows: Vec<_> = models.iter().map(|model| model.context_window.as_ref().map(|window| window.value)).collect();
    assert_eq!(windows, [Some(40_960), Some(40_960), None]);
    assert_eq!(models[0].context_window.as_ref().unwrap().source, FieldSource::Vendor);
    assert!(models.iter().all(|model| model.model_type.is_none() && model.pricing.is_none()));
}

#[tokio::test]
async fn lists_of_compatible_servers_are_read_in_all_their_forms() {
    let row = json!({"id": "a", "display_name": "Model A", "context_length": "8192", "top_provider": {"max_completion_tokens": 512},
        "architecture": {"input_modalities": ["text", "image"]}, "supported_parameters": ["tools", "top_p", "structured_outputs"]});
    for list in [json!({"data": [row]}), json!({"models": [row]}), json!([row])] {
        let models = sync(ProviderKind::OpenAiCompatible, &list).await.unwrap();
        let model = &models[0];
        assert_eq!(model.name.as_ref().unwrap().value, "Model A");
        assert_eq!(model.context_window.as_ref().unwrap().value, 8192);
        assert_eq!(model.max_output_tokens.as_ref().unwrap().value, 512);
        let told: Vec<_> = model.capabilities.as_ref().unwrap().value.iter().copied().collect();
        assert_eq!(told, [Capability::FunctionCalling, Capability::Vision, Capability::StructuredOutput]);
    }
    for (field, value, window) in [
        ("context_window", json!(1), Some(1)),
        ("max_model_len", json!(2), Some(2)),
        ("meta", json!({"n_ctx_train": 3}), Some(3)),
        ("context_length", json!(0), None),
        ("context_length", json!(-1), None),
        ("context_length", json!("many"), None),
        ("context_length", json!(null), None),
    ] {
        let models = sync(ProviderKind::OpenAiCompatible, &json!([{"id": "a", field: value}])).await.unwrap();
        assert_eq!(models[0].context_window.as_ref().map(|window| window.value), window, "{field}");
    }
    let flags =
        json!([{"id": "a", "type": "LLM", "capabilities": {"completion_chat": true, "vision": false, "audio": true}}]);
    let models = sync(ProviderKind::OpenAiCompatible, &flags).await.unwrap();
    let told: Vec<_> = models[0].capabilities.as_ref().unwrap().value.iter().copied().collect();
    assert_eq!(told, [Capability::TextGeneration, Capability::Chat, Capability::Audio]);
    assert_eq!(models[0].model_type.as_ref().unwrap().value, ModelType::Chat);
    let words = json!([{"id": "a", "capabilities": ["embedding"]}, {"id": "b", "capabilities": ["chat", "embedding"]}]);
    let models = sync(ProviderKind::OpenAiCompatible, &words).await.unwrap();
    let types: Vec<_> = models.iter().map(|model| model.model_type.as_ref().unwrap().value).collect();
    assert_eq!(types, [ModelType::Embedding, ModelType::Chat]);
}

#[tokio::test]
async fn what_is_no_list_is_an_unexpected_answer() {
    for body in [json!({}), json!({"data": null}), json!("x"), json!(null), json!({"data": {"id": "m"}})] {
        let error = sync(ProviderKind::OpenAiCompatible, &body).await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::UnexpectedAnswer { status: Some(200) }, "{body}");
    }
    assert!(sync(ProviderKind::OpenAiCompatible, &json!({"data": []})).await.unwrap().is_empty());
}

#[test]
fn types_are_told_by_openais_ids() {
    for (id, expected) in [
        ("text-embedding-3-small", Some(ModelType::Embedding)),
        ("omni-moderation-latest", Some(ModelType::Moderation)),
        ("whisper-1", Some(ModelType::Audio)),
        ("tts-1-hd", Some(ModelType::Audio)),
        ("gpt-4o-mini-tts", Some(ModelType::Audio)),
        ("gpt-4o-transcribe", Some(ModelType::Audio)),
        ("gpt-4o-realtime-preview", Some(ModelType::Audio)),
        ("dall-e-3", Some(ModelType::Image)),
        ("gpt-image-1", Some(ModelType::Image)),
        ("gpt-3.5-turbo-instruct", Some(ModelType::Completion)),
        ("davinci-002", Some(ModelType::Completion)),
        ("gpt-5", Some(ModelType::Chat)),
        ("openai/gpt-5", Some(ModelType::Chat)),
        ("ft:gpt-4o-mini:org::id", Some(ModelType::Chat)),
        ("o3-mini", Some(ModelType::Chat)),
        ("llama-3.1-8b-instruct", None),
        ("mock-large", None),
    ] {
        assert_eq!(list::type_by_id(id), expected, "{id}");
    }
}

#[tokio::test]
async fn a_key_is_judged_by_what_the_list_call_answers() {
    for (status, body, expected, cause) in [
        (200, r#"{"data":[]}"#, Some(ValidationStatus::Valid), ValidationCause::None),
        (200, "<html>", Some(ValidationStatus::Unreachable), ValidationCause::UnexpectedAnswer),
        (200, r#"{"error":{"code":"invalid_api_key"}}"#, Some(ValidationStatus::Invalid), ValidationCause::BadKey),
        (401, r#"{"error":"Unauthorized"}"#, Some(ValidationStatus::Invalid), ValidationCause::BadKey),
        (403, "", Some(ValidationStatus::Valid), ValidationCause::NoPermission),
        (429, r#"{"error":{"type":"insufficient_quota"}}"#, Some(ValidationStatus::Valid), ValidationCause::NoCredit),
        (429, "", None, ValidationCause::RateLimited),
        (500, "", None, ValidationCause::ServerError),
        (404, "", Some(ValidationStatus::Unsupported), ValidationCause::UnexpectedAnswer),
        (302, "", Some(ValidationStatus::Unreachable), ValidationCause::UnexpectedAnswer),
    ] {
        let server = Server::start(move |_| reply(status, body)).await;
        let (endpoint, secret) = (endpoint(&server.url("/v1")), secret());
        let hosts = only(&endpoint);
        let target = target(ProviderKind::Vllm, &endpoint, &secret, &hosts);
        let verdict = for_kind(ProviderKind::Vllm).validate(&client(), &target).await;
        assert_eq!((verdict.status, verdict.cause), (expected, cause), "{status} {body}");
        assert_eq!(server.seen()[0].headers["authorization"], format!("Bearer {KEY}"));
    }
}

/// A server that knows one model, and what its calls answer.
async fn tested(kind: ProviderKind, subject: Subject<'_>, refuse: &'static str) -> (ModelVerdict, Vec<String>) {
    let server = Server::start(move |seen| {
        let body: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        match seen.path.as_str() {
            "/v1/models" => reply(200, r#"{"data":[{"id":"m"},{"id":"picture"}]}"#),
            _ if body["model"] != "m" => reply(404, r#"{"error":{"code":"model_not_found","message":"no such model"}}"#),
            _ if refuse == "all" => reply(404, r#"{"error":{"message":"This is not a chat model"}}"#),
            _ if body.get(refuse).is_some() => reply(
                400,
                &json!({"error": {"code": "unsupported_parameter", "message": format!("Unsupported parameter: '{refuse}'")}}).to_string(),
            ),
            "/v1/embeddings" => reply(200, r#"{"data":[{"embedding":[0.1]}]}"#),
            _ => reply(200, r#"{"choices":[{"finish_reason":"length","message":{"content":null}}]}"#),
        }
    })
    .await;
    let (endpoint, secret) = (endpoint(&server.url("/v1")), secret());
    let hosts = only(&endpoint);
    let target = target(ProviderKind::OpenAiCompatible, &endpoint, &secret, &hosts);
    let verdict = for_kind(kind).test_model(&client(), &target, subject).await;
    (verdict, server.seen().iter().map(|seen| format!("{} {}", seen.path, seen.body)).collect())
}

#[tokio::test]
async fn a_model_is_tried_by_its_type_with_one_small_request() {
    use AvailabilityStatus::{Available, Unavailable};
    use ProviderKind::{OpenAi, OpenAiCompatible};
    for (kind, id, model_type, status, cause, paths) in [
        (OpenAi, "m", ModelType::Chat, Available, AvailabilityCause::None, &["/v1/chat/completions"][..]),
        (OpenAi, "m", ModelType::Vision, Available, AvailabilityCause::None, &["/v1/chat/completions"]),
        (OpenAi, "m", ModelType::Completion, Available, AvailabilityCause::None, &["/v1/completions"]),
        (OpenAi, "m", ModelType::Embedding, Available, AvailabilityCause::None, &["/v1/embeddings"]),
        (OpenAi, "picture", ModelType::Image, Available, AvailabilityCause::NotTested, &["/v1/models"]),
        (OpenAi, "other", ModelType::Rerank, Unavailable, AvailabilityCause::UnknownModel, &["/v1/models"]),
        (
            OpenAiCompatible,
            "other",
            ModelType::Chat,
            Unavailable,
            AvailabilityCause::UnknownModel,
            &["/v1/chat/completions"],
        ),
    ] {
        let (verdict, asked) = tested(kind, Subject { model_id: id, model_type }, "nothing").await;
        assert_eq!((verdict.status, verdict.cause), (Some(status), cause), "{id} {model_type:?}");
        assert!(verdict.latency.is_some());
        let found: Vec<_> = asked.iter().map(|asked| asked.split(' ').next().unwrap()).collect();
        assert_eq!(found, paths);
    }
}

#[tokio::test]
async fn the_other_name_of_the_token_limit_is_tried_once() {
    let subject = Subject { model_id: "m", model_type: ModelType::Chat };
    for (kind, refuse, limits) in [
        (ProviderKind::OpenAi, "max_tokens", &["max_completion_tokens"][..]),
        (ProviderKind::OpenAi, "max_completion_tokens", &["max_completion_tokens", "max_tokens"]),
        (ProviderKind::OpenAiCompatible, "max_completion_tokens", &["max_tokens"]),
        (ProviderKind::OpenAiCompatible, "max_tokens", &["max_tokens", "max_completion_tokens"]),
    ] {
        let (verdict, asked) = tested(kind, subject, refuse).await;
        assert_eq!(verdict.status, Some(AvailabilityStatus::Available));
        assert_eq!(asked.len(), limits.len());
        for (asked, limit) in asked.iter().zip(limits) {
            assert!(asked.contains(&format!("\"{limit}\":16")) && !asked.contains("temperature"), "{asked}");
        }
    }
}

#[tokio::test]
async fn a_model_of_another_call_is_available_when_it_is_listed() {
    let subject = Subject { model_id: "m", model_type: ModelType::Chat };
    let (verdict, asked) = tested(ProviderKind::OpenAi, subject, "all").await;
    assert_eq!((verdict.status, verdict.cause), (Some(AvailabilityStatus::Available), AvailabilityCause::NotTested));
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn a_test_tells_why_a_model_cannot_be_had() {
    for (status, body, expected, cause) in [
        (401, "", Some(AvailabilityStatus::Unavailable), AvailabilityCause::Credential),
        (402, "", Some(AvailabilityStatus::Unavailable), AvailabilityCause::NoCredit),
        (403, "", Some(AvailabilityStatus::Unavailable), AvailabilityCause::Permission),
        (429, "", None, AvailabilityCause::RateLimited),
        (500, "", Some(AvailabilityStatus::Unavailable), AvailabilityCause::ServerError),
        (200, r#"{"choices":[]}"#, Some(AvailabilityStatus::Unavailable), AvailabilityCause::UnexpectedAnswer),
        (200, "{", Some(AvailabilityStatus::Unavailable), AvailabilityCause::UnexpectedAnswer),
    ] {
        let server = Server::start(move |_| reply(status, body)).await;
        let (endpoint, secret) = (endpoint(&server.url("/v1")), secret());
        let hosts = only(&endpoint);
        let target = target(ProviderKind::Vllm, &endpoint, &secret, &hosts);
        let subject = Subject { model_id: "m", model_type: ModelType::Chat };
        let verdict = for_kind(ProviderKind::Vllm).test_model(&client(), &target, subject).await;
        assert_eq!((verdict.status, verdict.cause), (expected, cause), "{status} {body}");
        assert_eq!(server.seen().len(), 1);
    }
}
