//! Amazon Bedrock: models of many makers, listed by the control plane and run by the runtime.
//!
//! Models that cannot be invoked by their own id are listed through their inference profiles; without the permission
//! to list these a synchronisation fails, because half a list would deprecate the other half.

use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::client::Client;
use super::descriptor::Descriptor;
use super::dial::Pending;
use super::fault::CallError;
use super::listed;
use super::location::{Location, segment};
use super::request::Call;
use super::target::Target;
use super::verdict::{KeyVerdict, ModelVerdict};
use super::{Adapter, Catalogue, Subject};
use crate::domain::endpoint::Endpoint;
use crate::domain::model::ModelType;
use crate::domain::model::sync::ListedModel;
use crate::domain::provider::ProviderKind;

mod list;

/// The longest page that there is.
const PROFILES: &str = "inference-profiles?maxResults=1000";
/// A list that goes on for longer is none.
const MAX_PAGES: usize = 100;

pub(super) struct Bedrock;

impl Bedrock {
    async fn send(client: &Client, target: &Target<'_>, call: Call<'_>) -> Result<Value, CallError> {
        let no_region = || CallError::unexpected(None, "the endpoint has no region, and its host names none");
        let region = region(target.endpoint).ok_or_else(no_region)?;
        let call = call.signed(target.authority, region, client.now())?;
        client.call(&call, &target.terms(client)).await?.json()
    }

    /// Asks the control plane.
    async fn get(client: &Client, target: &Target<'_>, path: &str) -> Result<Value, CallError> {
        Self::send(client, target, Call::get(control(target.endpoint)?.join(path))).await
    }

    async fn listed(client: &Client, target: &Target<'_>) -> Result<Vec<ListedModel>, CallError> {
        let found = Self::get(client, target, "foundation-models").await?;
        let mut models = list::foundation_models(&found)?;
        let mut path = PROFILES.to_owned();
        for _ in 0..MAX_PAGES {
            let page = Self::get(client, target, &path).await?;
            let profiles = list::inference_profiles(&page, &found)?;
            models.extend(profiles);
            let next = page.get("nextToken").and_then(Value::as_str).filter(|token| !token.is_empty());
            let Some(token) = next else { return Ok(models) };
            path = format!("{PROFILES}&nextToken={}", segment(token));
        }
        Err(CallError::unexpected(Some(200), format!("the list does not end within {MAX_PAGES} pages")))
    }

    async fn test(client: &Client, target: &Target<'_>, subject: Subject<'_>) -> Result<(), CallError> {
        let id = subject.model_id;
        let (call, body, fields) = if subject.model_type == ModelType::Embedding {
            ("invoke", embedding(id), &["embedding", "embeddings"][..])
        } else {
            let messages = json!([{"role": "user", "content": [{"text": "ping"}]}]);
            ("converse", json!({"messages": messages, "inferenceConfig": {"maxTokens": 1}}), &["output"][..])
        };
        let url = Location::base(target.endpoint)?.join(&format!("model/{}/{call}", segment(id)));
        let answer = Self::send(client, target, Call::post(url, &body)).await?;
        // A framework in front of the model may answer its error with 200.
        let other = || CallError::unexpected(Some(200), format!("the answer has no {}", fields.concat()));
        fields.iter().find_map(|field| answer.get(field)).map(|_| ()).ok_or_else(other)
    }

    async fn presence(client: &Client, target: &Target<'_>, id: &str) -> Result<(), CallError> {
        Self::get(client, target, &format!("foundation-models/{}", segment(id))).await.map(|_| ())
    }
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
    fn descriptor(&self) -> Descriptor {
        Descriptor::of(ProviderKind::AwsBedrock)
    }

    fn validate<'a>(&'a self, client: &'a Client, target: &'a Target<'a>) -> Pending<'a, KeyVerdict> {
        Box::pin(async move {
            let short = Self::get(client, target, "foundation-models?byInferenceType=PROVISIONED").await;
            let checked = short.and_then(|answer| list::foundation_models(&answer).map(|_| KeyVerdict::valid()));
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
            Ok(listed::finish(models, ProviderKind::AwsBedrock, catalogue, |_| None))
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
