//! Ollama: a runtime in the operator's own network, spoken to in its native API.

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::Client;
use super::descriptor::Descriptor;
use super::dial::Pending;
use super::fault::{CallError, CallErrorKind};
use super::listed;
use super::location::Location;
use super::meaning::Meaning;
use super::openai::by_word;
use super::request::Call;
use super::target::{NOBODYS_MODEL, Target};
use super::verdict::{KeyVerdict, ModelVerdict};
use super::{Adapter, Catalogue, Subject};
use crate::domain::model::ModelType;
use crate::domain::model::sync::{ListedModel, Sourced};
use crate::domain::provider::ProviderKind;

/// How many models are asked about at a time.
const AT_ONCE: usize = 4;

pub(super) struct Ollama;

impl Ollama {
    /// Operators also give the address of the compatible API, which ends in `/v1`.
    fn at(target: &Target<'_>, path: &str) -> Result<url::Url, CallError> {
        Ok(Location::base(target.endpoint)?.without(&["/v1", "/api"]).join(path))
    }

    async fn listed(client: &Client, target: &Target<'_>) -> Result<Vec<ListedModel>, CallError> {
        let call = Call::get(Self::at(target, "api/tags")?).bearer(target.authority)?;
        let answer = client.call(&call, &target.terms(client)).await?.json()?;
        let rows = answer.get("models").and_then(Value::as_array);
        let rows = rows
            .ok_or_else(|| CallError::unexpected(Some(200), "the answer is no list of models; check the base URL"))?;
        let models = rows.iter().filter_map(row).map(|model| Self::with_details(client, target, model));
        Ok(futures_util::stream::iter(models).buffered(AT_ONCE).collect().await)
    }

    /// Older versions tell windows and capabilities only one by one. What cannot be had stays open.
    async fn with_details(client: &Client, target: &Target<'_>, mut model: ListedModel) -> ListedModel {
        if (model.context_window.is_none() || model.capabilities.is_none())
            && let Ok(details) = Self::show(client, target, &model.model_id).await
        {
            let family =
                details.pointer("/model_info/general.architecture").and_then(Value::as_str).unwrap_or_default();
            let window = details.get("model_info").and_then(|info| info.get(format!("{family}.context_length")));
            tell(&mut model, window, details.get("capabilities"));
        }
        model
    }

    async fn show(client: &Client, target: &Target<'_>, id: &str) -> Result<Value, CallError> {
        let call = Call::post(Self::at(target, "api/show")?, &json!({"model": id})).repeatable();
        client.call(&call.bearer(target.authority)?, &target.terms(client)).await?.json()
    }

    async fn test(client: &Client, target: &Target<'_>, subject: Subject<'_>) -> Result<(), CallError> {
        let id = subject.model_id;
        let (path, body, field) = match subject.model_type {
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
        };
        let call = Call::post(Self::at(target, path)?, &body).bearer(target.authority)?;
        let answer = client.call(&call, &target.terms(client)).await?.json()?;
        let other = || CallError::unexpected(Some(200), format!("the answer has no {field}"));
        answer.get(field).map(|_| ()).ok_or_else(other)
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
    fn descriptor(&self) -> Descriptor {
        Descriptor::of(ProviderKind::Ollama)
    }

    /// A server that needs no key accepts any.
    fn validate<'a>(&'a self, client: &'a Client, target: &'a Target<'a>) -> Pending<'a, KeyVerdict> {
        Box::pin(async move {
            match Self::show(client, target, NOBODYS_MODEL).await {
                Ok(_) => KeyVerdict::valid(),
                Err(error) if error.http_status() == Some(404) && error.message.contains("model") => {
                    KeyVerdict::valid()
                }
                Err(error) => KeyVerdict::of_error(&busy_is_a_rate_limit(error)),
            }
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
            Ok(listed::finish(models, ProviderKind::Ollama, catalogue, |_| None))
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
            match Self::test(client, target, subject).await {
                Ok(()) => ModelVerdict::available(began.elapsed()),
                Err(error) => ModelVerdict::of_error(&busy_is_a_rate_limit(error), began.elapsed()),
            }
        })
    }
}

#[cfg(test)]
mod tests;
