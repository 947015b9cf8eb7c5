//! Anthropic: the Messages API.

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
use crate::domain::model::{Capability, ModelType, NAME};
use crate::domain::provider::ProviderKind;

/// The longest page that there is.
const PAGE: &str = "v1/models?limit=1000";
pub(super) struct Anthropic;

impl Anthropic {
    async fn get(ask: Ask<'_>, path: &str) -> Result<Value, CallError> {
        ask.json(signed(ask, Call::get(at(ask.target, path)?))?).await
    }
}

fn signed<'a>(ask: Ask<'a>, call: Call<'a>) -> Result<Call<'a>, CallError> {
    call.header("anthropic-version", "2023-06-01").key_in("x-api-key", ask.target.authority)
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

/// Where the list goes on.
fn next(page: &Value) -> Result<Option<String>, CallError> {
    if page.get("has_more").and_then(Value::as_bool) != Some(true) {
        return Ok(None);
    }
    let last = page.get("last_id").and_then(Value::as_str);
    let last = last.ok_or_else(|| CallError::unexpected(Some(200), "the list goes on without saying where"))?;
    Ok(Some(format!("{PAGE}&after_id={}", segment(last))))
}

impl Adapter for Anthropic {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Anthropic
    }

    fn check_key<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<KeyVerdict, CallError>> {
        Box::pin(async move { rows(&Self::get(ask, "v1/models?limit=1").await?).map(|_| KeyVerdict::valid()) })
    }

    fn listed<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<Vec<ListedModel>, CallError>> {
        Box::pin(listed::pages(PAGE, move |path| async move {
            let page = Self::get(ask, &path).await?;
            Ok((rows(&page)?.iter().filter_map(row).collect(), next(&page)?))
        }))
    }

    fn try_model<'a>(&'a self, ask: Ask<'a>, subject: Subject<'a>) -> Pending<'a, Result<Tried, CallError>> {
        Box::pin(async move {
            let id = subject.model_id;
            if subject.is_costly() {
                return Self::get(ask, &format!("v1/models/{}", segment(id))).await.map(|_| Tried::Listed);
            }
            let messages = json!([{"role": "user", "content": "ping"}]);
            let body = json!({"model": id, "max_tokens": 1, "messages": messages});
            let call = signed(ask, Call::post(at(ask.target, "v1/messages")?, &body))?;
            ask.expect(call, &["content"]).await.map(|()| Tried::Answers)
        })
    }
}
