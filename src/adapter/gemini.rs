//! Gemini: Google's own API of its models.

use serde_json::{Value, json};

use super::Adapter;
use super::ask::{Ask, Subject, Tried};
use super::dial::Pending;
use super::fault::CallError;
use super::listed::{self, fits};
use super::location::{Location, segment};
use super::request::Call;
use super::target::Target;
use super::verdict::KeyVerdict;
use crate::domain::model::sync::{ListedModel, Sourced};
use crate::domain::model::{Capability, DESCRIPTION, ModelType, NAME};
use crate::domain::provider::ProviderKind;

/// The longest page that there is.
const PAGE: &str = "models?pageSize=1000";
pub(super) struct Gemini;

impl Gemini {
    async fn get(ask: Ask<'_>, path: &str) -> Result<Value, CallError> {
        ask.json(signed(ask, Call::get(at(ask.target, path)?))?).await
    }
}

/// The key goes into a header: in a URL it would end up in logs.
fn signed<'a>(ask: Ask<'a>, call: Call<'a>) -> Result<Call<'a>, CallError> {
    call.key_in("x-goog-api-key", ask.target.authority)
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

/// What a model is asked, and where it answers. Models that think may use up the limit before they say anything; that is
/// an answer, too.
fn question(subject: Subject<'_>) -> (&'static str, Value, &'static str) {
    let parts = json!({"parts": [{"text": "ping"}]});
    if subject.model_type == ModelType::Embedding {
        return ("embedContent", json!({"content": parts}), "embedding");
    }
    let body = json!({"contents": [parts], "generationConfig": {"maxOutputTokens": 1}});
    ("generateContent", body, "candidates")
}

impl Adapter for Gemini {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Gemini
    }

    fn check_key<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<KeyVerdict, CallError>> {
        Box::pin(async move { rows(&Self::get(ask, "models?pageSize=1").await?).map(|_| KeyVerdict::valid()) })
    }

    fn listed<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<Vec<ListedModel>, CallError>> {
        Box::pin(listed::pages(PAGE, move |path| async move {
            let page = Self::get(ask, &path).await?;
            let next = page.get("nextPageToken").and_then(Value::as_str).filter(|token| !token.is_empty());
            let next = next.map(|token| format!("{PAGE}&pageToken={}", segment(token)));
            Ok((rows(&page)?.iter().filter_map(row).collect(), next))
        }))
    }

    fn try_model<'a>(&'a self, ask: Ask<'a>, subject: Subject<'a>) -> Pending<'a, Result<Tried, CallError>> {
        Box::pin(async move {
            let path = format!("models/{}", segment(subject.model_id));
            if subject.is_costly() {
                return Self::get(ask, &path).await.map(|_| Tried::Listed);
            }
            let (call, body, field) = question(subject);
            let url = at(ask.target, &format!("{path}:{call}"))?;
            ask.expect(signed(ask, Call::post(url, &body))?, &[field]).await.map(|()| Tried::Answers)
        })
    }
}
