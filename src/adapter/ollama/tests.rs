use tokio::time::Instant;

use super::super::testing::{Reply, Server, client, endpoint, only, reply, secret, target};
use super::super::{Catalogue, for_kind};
use super::*;
use crate::domain::credential::{ValidationCause, ValidationStatus};
use crate::domain::model::{AvailabilityCause, AvailabilityStatus, Capability};

const TAGS: &str = r#"{"models":[
  {"name":"llama3.2:3b","model":"llama3.2:3b","size":2019393189,"digest":"a80c",
   "details":{"family":"llama","context_length":131072},"capabilities":["completion","tools"]},
  {"name":"old:7b","model":"old:7b","details":{"family":"llama"}},
  {"name":"nomic-embed-text:latest","model":"nomic-embed-text:latest","details":{"context_length":2048},"capabilities":["embedding"]},
  {"name":"broken:1b"}]}"#;
const SHOW: &str = r#"{"model_info":{"general.architecture":"llama","llama.context_length":4096},"capabilities":["completion","vision","thinking"]}"#;

fn serve(seen: &super::super::testing::Seen) -> Reply {
    match seen.path.as_str() {
        "/api/tags" => reply(200, TAGS),
        "/api/show" if seen.body.contains("old:7b") => reply(200, SHOW),
        "/api/chat" if seen.body.contains("\"m\"") => {
            reply(200, r#"{"message":{"role":"assistant","content":""},"done":true}"#)
        }
        "/api/embed" if seen.body.contains("\"m\"") => reply(200, r#"{"embeddings":[[0.1]]}"#),
        "/api/generate" if seen.body.contains("\"m\"") => reply(200, r#"{"response":"","done":true}"#),
        _ => reply(404, r#"{"error":"model 'x' not found"}"#),
    }
}

#[tokio::test]
async fn installed_models_are_listed_and_older_servers_asked_one_by_one() {
    let server = Server::start(serve).await;
    for base in ["", "/v1"] {
        let endpoint = endpoint(&server.url(base));
        let target = Target {
            kind: ProviderKind::Ollama,
            endpoint: &endpoint,
            authority: None,
            deadline: Instant::now() + std::time::Duration::from_secs(5),
        };
        let catalogue = Catalogue::builtin().unwrap();
        let models = for_kind(ProviderKind::Ollama).list_models(&client(), &catalogue, &target).await.unwrap();
        let told: Vec<_> = models
            .iter()
            .map(|model| {
                let window = model.context_window.as_ref().map(|window| window.value);
                (model.model_id.as_str(), model.model_type.as_ref().map(|told| told.value), window)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("broken:1b", None, None),
                ("llama3.2:3b", Some(ModelType::Chat), Some(131_072)),
                ("nomic-embed-text:latest", Some(ModelType::Embedding), Some(2048)),
                ("old:7b", Some(ModelType::Chat), Some(4096)),
            ]
        );
        let capabilities: Vec<_> = models[3].capabilities.as_ref().unwrap().value.iter().copied().collect();
        assert_eq!(
            capabilities,
            [Capability::TextGeneration, Capability::Chat, Capability::Vision, Capability::Reasoning]
        );
    }
    assert!(server.seen().iter().all(|seen| !seen.headers.contains_key("authorization")));
    let shown = server.seen().iter().filter(|seen| seen.path == "/api/show").count();
    assert_eq!(shown, 4, "only what the list left open is asked for");
}

#[tokio::test]
async fn a_key_is_tried_on_a_model_that_nobody_has() {
    for (status, body, expected, cause) in [
        (
            404,
            r#"{"error":"model 'modelward-key-check' not found"}"#,
            Some(ValidationStatus::Valid),
            ValidationCause::None,
        ),
        (404, "<html>404</html>", Some(ValidationStatus::Unsupported), ValidationCause::UnexpectedAnswer),
        (401, r#"{"error":"unauthorized"}"#, Some(ValidationStatus::Invalid), ValidationCause::BadKey),
        (503, r#"{"error":"server busy, please try again"}"#, None, ValidationCause::RateLimited),
        (500, "", None, ValidationCause::ServerError),
    ] {
        let server = Server::start(move |_| reply(status, body)).await;
        let (endpoint, secret) = (endpoint(&server.url("")), secret());
        let hosts = only(&endpoint);
        let target = target(ProviderKind::Ollama, &endpoint, &secret, &hosts);
        let verdict = for_kind(ProviderKind::Ollama).validate(&client(), &target).await;
        assert_eq!((verdict.status, verdict.cause), (expected, cause), "{status} {body}");
        assert!(server.seen()[0].headers.contains_key("authorization"));
    }
}

#[tokio::test]
async fn a_model_is_tried_by_its_type() {
    let server = Server::start(serve).await;
    let (endpoint, secret) = (endpoint(&server.url("")), secret());
    let hosts = only(&endpoint);
    let client = client();
    for (model_id, model_type, path, status, cause) in [
        ("m", ModelType::Chat, "/api/chat", AvailabilityStatus::Available, AvailabilityCause::None),
        ("m", ModelType::Embedding, "/api/embed", AvailabilityStatus::Available, AvailabilityCause::None),
        ("m", ModelType::Completion, "/api/generate", AvailabilityStatus::Available, AvailabilityCause::None),
        ("x", ModelType::Chat, "/api/chat", AvailabilityStatus::Unavailable, AvailabilityCause::UnknownModel),
    ] {
        let target = target(ProviderKind::Ollama, &endpoint, &secret, &hosts);
        let subject = Subject { model_id, model_type };
        let verdict = for_kind(ProviderKind::Ollama).test_model(&client, &target, subject).await;
        assert_eq!((verdict.status, verdict.cause), (Some(status), cause), "{path}");
        assert_eq!(server.seen().pop().unwrap().path, path);
    }
}
