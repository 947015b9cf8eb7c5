//! Ollama: a runtime in the operator's own network, spoken to in its native API.

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::Adapter;
use super::ask::{Ask, Subject, Tried};
use super::dial::Pending;
use super::fault::{CallError, CallErrorKind};
use super::location::Location;
use super::meaning::Meaning;
use super::openai::by_word;
use super::request::Call;
use super::target::{NOBODYS_MODEL, Target};
use super::verdict::KeyVerdict;
use crate::domain::model::ModelType;
use crate::domain::model::sync::{ListedModel, Sourced};
use crate::domain::provider::ProviderKind;

/// How many models are asked about at a time.
const AT_ONCE: usize = 4;

pub(super) struct Ollama;

impl Ollama {
    /// Older versions tell windows and capabilities only one by one. What cannot be had stays open.
    async fn with_details(ask: Ask<'_>, mut model: ListedModel) -> ListedModel {
        if (model.context_window.is_none() || model.capabilities.is_none())
            && let Ok(details) = Self::show(ask, &model.model_id).await
        {
            let family =
                details.pointer("/model_info/general.architecture").and_then(Value::as_str).unwrap_or_default();
            let window = details.get("model_info").and_then(|info| info.get(format!("{family}.context_length")));
            tell(&mut model, window, details.get("capabilities"));
        }
        model
    }

    async fn show(ask: Ask<'_>, id: &str) -> Result<Value, CallError> {
        let call = Call::post(at(ask.target, "api/show")?, &json!({"model": id})).repeatable();
        ask.json(call.bearer(ask.target.authority)?).await
    }
}

/// Operators also give the address of the compatible API, which ends in `/v1`.
fn at(target: &Target<'_>, path: &str) -> Result<url::Url, CallError> {
    Ok(Location::base(target.endpoint)?.without(&["/v1", "/api"]).join(path))
}

/// What a model is asked: the path, the body, and the field that the answer has.
fn question(subject: Subject<'_>) -> (&'static str, Value, &'static str) {
    let id = subject.model_id;
    match subject.model_type {
        ModelType::Embedding => ("api/embed", json!({"model": id, "input": "ping"}), "embeddings"),
        ModelType::Completion => {
            let body = json!({"model": id, "prompt": "ping", "stream": false, "options": {"num_predict": 1}});
            ("api/generate", body, "response")
        }
        _ => {
            let messages = json!([{"role": "user", "content": "ping"}]);
            let body = json!({"model": id, "messages": messages, "stream": false, "options": {"num_predict": 1}});
            ("api/chat", body, "message")
        }
    }
}

fn row(row: &Value) -> Option<ListedModel> {
    let id = row.get("model").or_else(|| row.get("name"))?.as_str()?;
    let mut model = ListedModel::named(id);
    tell(&mut model, row.pointer("/details/context_length"), row.get("capabilities"));
    Some(model)
}

/// Takes what the server says about the window and the capabilities.
fn tell(model: &mut ListedModel, window: Option<&Value>, capabilities: Option<&Value>) {
    if model.context_window.is_none() {
        model.context_window = window.and_then(Value::as_i64).filter(|tokens| *tokens > 0).map(Sourced::vendor);
    }
    let words: Vec<_> =
        capabilities.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if model.model_type.is_none() {
        let has = |word| words.contains(&word);
        let told = [("completion", ModelType::Chat), ("embedding", ModelType::Embedding), ("image", ModelType::Image)];
        model.model_type = told.into_iter().find(|(word, _)| has(*word)).map(|(_, told)| Sourced::vendor(told));
    }
    // Here "image" is making images, not seeing them.
    model.tell_capabilities(
        words.into_iter().filter(|word| *word != "image").flat_map(|word| by_word(word).iter().copied()),
    );
}

/// Ollama answers 503 when its queue is full: it asks to be spared.
fn busy_is_a_rate_limit(mut error: CallError) -> CallError {
    if let CallErrorKind::Http { status: 503, meaning } = &mut error.kind
        && error.message.contains("busy")
    {
        *meaning = Meaning::RateLimited;
    }
    error
}

impl Adapter for Ollama {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Ollama
    }

    /// A server that needs no key accepts any.
    fn check_key<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<KeyVerdict, CallError>> {
        Box::pin(async move {
            match Self::show(ask, NOBODYS_MODEL).await {
                Err(error) if error.http_status() != Some(404) || !error.message.contains("model") => {
                    Err(busy_is_a_rate_limit(error))
                }
                _ => Ok(KeyVerdict::valid()),
            }
        })
    }

    fn listed<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<Vec<ListedModel>, CallError>> {
        Box::pin(async move {
            let answer = ask.json(Call::get(at(ask.target, "api/tags")?).bearer(ask.target.authority)?).await?;
            let no_list = || CallError::unexpected(Some(200), "the answer is no list of models; check the base URL");
            let rows = answer.get("models").and_then(Value::as_array).ok_or_else(no_list)?;
            let models = rows.iter().filter_map(row).map(|model| Self::with_details(ask, model));
            Ok(futures_util::stream::iter(models).buffered(AT_ONCE).collect().await)
        })
    }

    fn try_model<'a>(&'a self, ask: Ask<'a>, subject: Subject<'a>) -> Pending<'a, Result<Tried, CallError>> {
        Box::pin(async move {
            if subject.is_costly() {
                return Self::show(ask, subject.model_id).await.map(|_| Tried::Listed);
            }
            let (path, body, field) = question(subject);
            let call = Call::post(at(ask.target, path)?, &body).bearer(ask.target.authority)?;
            let answered = ask.expect(call, &[field]).await;
            answered.map(|()| Tried::Answers).map_err(busy_is_a_rate_limit)
        })
    }
}

#[cfg(test)]
mod tests;
