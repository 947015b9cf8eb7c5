//! Anthropic: the Messages API.

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
use crate::domain::model::{Capability, ModelType, NAME};
use crate::domain::provider::ProviderKind;

/// The longest page that there is.
const PAGE: &str = "v1/models?limit=1000";
/// A list that goes on for longer is none.
const MAX_PAGES: usize = 100;

pub(super) struct Anthropic;

impl Anthropic {
    async fn send(client: &Client, target: &Target<'_>, call: Call<'_>) -> Result<Value, CallError> {
        let call = call.header("anthropic-version", "2023-06-01").key_in("x-api-key", target.authority)?;
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
            if page.get("has_more").and_then(Value::as_bool) != Some(true) {
                return Ok(models);
            }
            let last = page.get("last_id").and_then(Value::as_str);
            let last = last.ok_or_else(|| CallError::unexpected(Some(200), "the list goes on without saying where"))?;
            path = format!("{PAGE}&after_id={}", segment(last));
        }
        Err(CallError::unexpected(Some(200), format!("the list does not end within {MAX_PAGES} pages")))
    }

    async fn test(client: &Client, target: &Target<'_>, subject: Subject<'_>) -> Result<(), CallError> {
        let messages = json!([{"role": "user", "content": "ping"}]);
        let body = json!({"model": subject.model_id, "max_tokens": 1, "messages": messages});
        let answer = Self::send(client, target, Call::post(at(target, "v1/messages")?, &body)).await?;
        let other = || CallError::unexpected(Some(200), "the answer has no content");
        answer.get("content").filter(|content| content.is_array()).map(|_| ()).ok_or_else(other)
    }

    async fn presence(client: &Client, target: &Target<'_>, id: &str) -> Result<(), CallError> {
        Self::get(client, target, &format!("v1/models/{}", segment(id))).await.map(|_| ())
    }
}

/// Operators also give the address with the version behind it.
fn at(target: &Target<'_>, path: &str) -> Result<url::Url, CallError> {
    Ok(Location::base(target.endpoint)?.without(&["/v1"]).join(path))
}

fn rows(page: &Value) -> Result<&Vec<Value>, CallError> {
    let no_list = || CallError::unexpected(Some(200), "the answer is no list of models; check the base URL");
    page.get("data").and_then(Value::as_array).ok_or_else(no_list)
}

fn row(row: &Value) -> Option<ListedModel> {
    let mut model = ListedModel::named(row.get("id")?.as_str()?);
    let name = row.get("display_name").and_then(Value::as_str).map(str::trim);
    model.name = name.filter(|name| !name.is_empty() && fits(NAME, name)).map(|name| Sourced::vendor(name.to_owned()));
    let tokens = |field: &str| row.get(field).and_then(Value::as_i64).filter(|tokens| *tokens > 0).map(Sourced::vendor);
    model.context_window = tokens("max_input_tokens");
    model.max_output_tokens = tokens("max_tokens");
    model.model_type = Some(Sourced::vendor(ModelType::Chat));
    let flags = [
        ("image_input", Capability::Vision),
        ("structured_outputs", Capability::StructuredOutput),
        ("thinking", Capability::Reasoning),
    ];
    let does =
        |name: &str| row.pointer(&format!("/capabilities/{name}/supported")).and_then(Value::as_bool) == Some(true);
    let told = flags.into_iter().filter(|(name, _)| does(name)).map(|(_, capability)| capability);
    // What all models of this vendor do is not in the list.
    let all = [
        Capability::TextGeneration,
        Capability::Chat,
        Capability::FunctionCalling,
        Capability::Streaming,
        Capability::PromptCaching,
    ];
    model.tell_capabilities(told.chain(all));
    Some(model)
}

impl Adapter for Anthropic {
    fn descriptor(&self) -> Descriptor {
        Descriptor::of(ProviderKind::Anthropic)
    }

    fn validate<'a>(&'a self, client: &'a Client, target: &'a Target<'a>) -> Pending<'a, KeyVerdict> {
        Box::pin(async move {
            let page = Self::get(client, target, "v1/models?limit=1").await;
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
            Ok(listed::finish(models, ProviderKind::Anthropic, catalogue, |_| None))
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
            let is_chat = matches!(subject.model_type, ModelType::Chat | ModelType::Vision | ModelType::Completion);
            let (tried, good): (_, fn(_) -> _) = if is_chat {
                (Self::test(client, target, subject).await, ModelVerdict::available)
            } else {
                (Self::presence(client, target, subject.model_id).await, ModelVerdict::listed)
            };
            let latency = began.elapsed();
            tried.map_or_else(|error| ModelVerdict::of_error(&error, latency), |()| good(latency))
        })
    }
}
