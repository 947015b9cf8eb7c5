//! Amazon Bedrock: models of many makers, listed by the control plane and run by the runtime.
//!
//! Models that cannot be invoked by their own id are listed through their inference profiles; without the permission
//! to list these a synchronisation fails, because half a list would deprecate the other half.

use serde_json::{Value, json};
use url::Url;

use super::Adapter;
use super::ask::{Ask, Subject, Tried};
use super::descriptor::Descriptor;
use super::dial::Pending;
use super::fault::CallError;
use super::listed;
use super::location::{Location, segment};
use super::request::Call;
use super::verdict::KeyVerdict;
use crate::domain::endpoint::Endpoint;
use crate::domain::model::ModelType;
use crate::domain::model::sync::ListedModel;
use crate::domain::provider::ProviderKind;

mod list;

/// The longest page that there is.
const PROFILES: &str = "inference-profiles?maxResults=1000";
pub(super) struct Bedrock;

impl Bedrock {
    /// Asks the control plane.
    async fn get(ask: Ask<'_>, path: &str) -> Result<Value, CallError> {
        ask.json(signed(ask, Call::get(control(ask.target.endpoint)?.join(path)))?).await
    }
}

fn signed<'a>(ask: Ask<'a>, call: Call<'a>) -> Result<Call<'a>, CallError> {
    let no_region = || CallError::unexpected(None, "the endpoint has no region, and its host names none");
    let region = region(ask.target.endpoint).ok_or_else(no_region)?;
    call.signed(ask.target.authority, region, ask.client.now())
}

/// What a model is asked: the call, its body, and the fields of which the answer has one.
fn question(subject: Subject<'_>) -> (&'static str, Value, &'static [&'static str]) {
    if subject.model_type == ModelType::Embedding {
        return ("invoke", embedding(subject.model_id), &["embedding", "embeddings"]);
    }
    let messages = json!([{"role": "user", "content": [{"text": "ping"}]}]);
    ("converse", json!({"messages": messages, "inferenceConfig": {"maxTokens": 1}}), &["output"])
}

/// What an embedding model of each maker is asked.
fn embedding(id: &str) -> Value {
    if id.contains("cohere.") {
        json!({"texts": ["ping"], "input_type": "search_document"})
    } else if id.contains("multimodal-embeddings") {
        let text = json!({"truncationMode": "END", "value": "ping"});
        json!({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams":
            {"embeddingPurpose": "GENERIC_INDEX", "embeddingDimension": 256, "text": text}})
    } else {
        json!({"inputText": "ping"})
    }
}

/// The endpoint's region, or the one that its host names.
fn region(endpoint: &Endpoint) -> Option<&str> {
    if !endpoint.region.is_empty() {
        return Some(&endpoint.region);
    }
    let mut labels = endpoint.base_url.host().name.split('.');
    labels.find(|label| label.starts_with("bedrock"))?;
    labels.next().filter(|label| label.contains('-'))
}

/// The control plane beside a runtime; a proxy, or another address of one's own, has to be both.
fn control(endpoint: &Endpoint) -> Result<Location, CallError> {
    let base = Location::base(endpoint)?;
    match Descriptor::of(ProviderKind::AwsBedrock).control_host(endpoint.base_url.host()) {
        Some(host) => Ok(Location::root(&url_of(&host.to_string(), host.secure)?)),
        None => Ok(base),
    }
}

fn url_of(host: &str, secure: bool) -> Result<Url, CallError> {
    let scheme = if secure { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{host}")).map_err(|_| CallError::unexpected(None, "the base URL cannot be read"))
}

impl Adapter for Bedrock {
    fn kind(&self) -> ProviderKind {
        ProviderKind::AwsBedrock
    }

    fn check_key<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<KeyVerdict, CallError>> {
        Box::pin(async move {
            let short = Self::get(ask, "foundation-models?byInferenceType=PROVISIONED").await?;
            list::foundation_models(&short).map(|_| KeyVerdict::valid())
        })
    }

    fn listed<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<Vec<ListedModel>, CallError>> {
        Box::pin(async move {
            let found = &Self::get(ask, "foundation-models").await?;
            let mut models = list::foundation_models(found)?;
            let profiles = listed::pages(PROFILES, move |path| async move {
                let page = Self::get(ask, &path).await?;
                let next = page.get("nextToken").and_then(Value::as_str).filter(|token| !token.is_empty());
                let next = next.map(|token| format!("{PROFILES}&nextToken={}", segment(token)));
                Ok((list::inference_profiles(&page, found)?, next))
            });
            models.extend(profiles.await?);
            Ok(models)
        })
    }

    fn try_model<'a>(&'a self, ask: Ask<'a>, subject: Subject<'a>) -> Pending<'a, Result<Tried, CallError>> {
        Box::pin(async move {
            let id = segment(subject.model_id);
            if subject.is_costly() {
                return Self::get(ask, &format!("foundation-models/{id}")).await.map(|_| Tried::Listed);
            }
            let (call, body, fields) = question(subject);
            let url = Location::base(ask.target.endpoint)?.join(&format!("model/{id}/{call}"));
            ask.expect(signed(ask, Call::post(url, &body))?, fields).await.map(|()| Tried::Answers)
        })
    }
}
