//! Gemini: Google's own API of its models.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::Client;
use super::descriptor::Descriptor;
use super::dial::Pending;
use super::fault::CallError;
use super::listed::{self, fits};
use super::location::{Location, segment};
use super::request::Call;
use super::target::Target;
use super::verdict::{KeyVerdict, ModelVerdict};
use super::{Adapter, Catalogue, Subject};
use crate::domain::model::sync::{ListedModel, Sourced};
use crate::domain::model::{Capability, DESCRIPTION, ModelType, NAME};
use crate::domain::provider::ProviderKind;

/// The longest page that there is.
const PAGE: &str = "models?pageSize=1000";
/// A list that goes on for longer is none.
const MAX_PAGES: usize = 100;

pub(super) struct Gemini;

impl Gemini {
    /// The key goes into a header: in a URL it would end up in logs.
    async fn send(client: &Client, target: &Target<'_>, call: Call<'_>) -> Result<Value, CallError> {
        let call = call.key_in("x-goog-api-key", target.authority)?;
        client.call(&call, &target.terms(client)).await?.json()
    }

    async fn get(client: &Client, target: &Target<'_>, path: &str) -> Result<Value, CallError> {
        Self::send(client, target, Call::get(at(target, path)?)).await
    }

    async fn listed(client: &Client, target: &Target<'_>) -> Result<Vec<ListedModel>, CallError> {
        let mut models = Vec::new();
        let mut path = PAGE.to_owned();
        for _ in 0..MAX_PAGES {
            let page = Self::get(client, target, &path).await?;
            models.extend(rows(&page)?.iter().filter_map(row));
            let next = page.get("nextPageToken").and_then(Value::as_str).filter(|token| !token.is_empty());
            let Some(token) = next else { return Ok(models) };
            path = format!("{PAGE}&pageToken={}", segment(token));
        }
        Err(CallError::unexpected(Some(200), format!("the list does not end within {MAX_PAGES} pages")))
    }

    /// Asks for one answer. Models that think may use up the limit before they say anything; that is an answer, too.
    async fn test(client: &Client, target: &Target<'_>, subject: Subject<'_>) -> Result<(), CallError> {
        let parts = json!({"parts": [{"text": "ping"}]});
        let (call, body, field) = if subject.model_type == ModelType::Embedding {
            ("embedContent", json!({"content": parts}), "embedding")
        } else {
            let body = json!({"contents": [parts], "generationConfig": {"maxOutputTokens": 1}});
            ("generateContent", body, "candidates")
        };
        let url = at(target, &format!("models/{}:{call}", segment(subject.model_id)))?;
        let answer = Self::send(client, target, Call::post(url, &body)).await?;
        let other = || CallError::unexpected(Some(200), format!("the answer has no {field}"));
        answer.get(field).map(|_| ()).ok_or_else(other)
    }

    async fn presence(client: &Client, target: &Target<'_>, id: &str) -> Result<(), CallError> {
        Self::get(client, target, &format!("models/{}", segment(id))).await.map(|_| ())
    }
}

/// Operators also give the address of the compatible API, which ends in `/openai`.
fn at(target: &Target<'_>, path: &str) -> Result<url::Url, CallError> {
    Ok(Location::base(target.endpoint)?.without(&["/openai"]).join(path))
}

/// The rows of a page; an account without models has a page without rows.
fn rows(page: &Value) -> Result<&[Value], CallError> {
    match page.get("models") {
        Some(Value::Array(rows)) => Ok(rows),
        None if page.as_object().is_some_and(serde_json::Map::is_empty) => Ok(&[]),
        _ => Err(CallError::unexpected(Some(200), "the answer is no list of models; check the base URL")),
    }
}

fn row(row: &Value) -> Option<ListedModel> {
    let id = row.get("name")?.as_str()?;
    let mut model = ListedModel::named(id.strip_prefix("models/").unwrap_or(id));
    let text = |field: &str| row.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    model.name = text("displayName").filter(|name| fits(NAME, name)).map(|name| Sourced::vendor(name.to_owned()));
    let description = text("description").filter(|text| fits(DESCRIPTION, text));
    model.description = description.map(|text| Sourced::vendor(text.to_owned()));
    let tokens = |field: &str| row.get(field).and_then(Value::as_i64).filter(|tokens| *tokens > 0).map(Sourced::vendor);
    model.context_window = tokens("inputTokenLimit");
    model.max_output_tokens = tokens("outputTokenLimit");
    let methods = row.get("supportedGenerationMethods").and_then(Value::as_array);
    let methods: Vec<_> = methods.into_iter().flatten().filter_map(Value::as_str).collect();
    let types = [
        ("generateContent", ModelType::Chat),
        ("embedContent", ModelType::Embedding),
        ("predict", ModelType::Image),
        ("predictLongRunning", ModelType::Image),
        ("bidiGenerateContent", ModelType::Audio),
    ];
    let told = types.into_iter().find(|(method, _)| methods.contains(method));
    model.model_type = told.map(|(_, told)| Sourced::vendor(told));
    let mut capabilities = Vec::new();
    if methods.contains(&"generateContent") {
        capabilities.extend([Capability::TextGeneration, Capability::Chat, Capability::Streaming]);
    }
    if methods.contains(&"embedContent") {
        capabilities.push(Capability::Embedding);
    }
    if methods.contains(&"createCachedContent") {
        capabilities.push(Capability::PromptCaching);
    }
    if row.get("thinking").and_then(Value::as_bool) == Some(true) {
        capabilities.push(Capability::Reasoning);
    }
    model.tell_capabilities(capabilities);
    Some(model)
}

impl Adapter for Gemini {
    fn descriptor(&self) -> Descriptor {
        Descriptor::of(ProviderKind::Gemini)
    }

    fn validate<'a>(&'a self, client: &'a Client, target: &'a Target<'a>) -> Pending<'a, KeyVerdict> {
        Box::pin(async move {
            let page = Self::get(client, target, "models?pageSize=1").await;
            let checked = page.and_then(|page| rows(&page).map(|_| KeyVerdict::valid()));
            checked.unwrap_or_else(|error| KeyVerdict::of_error(&error))
        })
    }

    fn list_models<'a>(
        &'a self,
        client: &'a Client,
        catalogue: &'a Catalogue,
        target: &'a Target<'a>,
    ) -> Pending<'a, Result<Vec<ListedModel>, CallError>> {
        Box::pin(async move {
            let models = Self::listed(client, target).await?;
            Ok(listed::finish(models, ProviderKind::Gemini, catalogue, |_| None))
        })
    }

    fn test_model<'a>(
        &'a self,
        client: &'a Client,
        target: &'a Target<'a>,
        subject: Subject<'a>,
    ) -> Pending<'a, ModelVerdict> {
        Box::pin(async move {
            let began = Instant::now();
            let costly = matches!(
                subject.model_type,
                ModelType::Image | ModelType::Audio | ModelType::Rerank | ModelType::Moderation
            );
            let (tried, good): (_, fn(_) -> _) = if costly {
                (Self::presence(client, target, subject.model_id).await, ModelVerdict::listed)
            } else {
                (Self::test(client, target, subject).await, ModelVerdict::available)
            };
            let latency = began.elapsed();
            tried.map_or_else(|error| ModelVerdict::of_error(&error, latency), |()| good(latency))
        })
    }
}
