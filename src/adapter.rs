//! Vendors: one adapter per kind of provider, and the one guarded client through which all of them speak.
//!
//! Four questions can be asked. `probe`: is an endpoint alive (no credential, no tokens spent)? `validate`: what does the
//! vendor say about a key? `list_models`: what does it offer? `test_model`: does one model answer? Verdicts are values,
//! not errors; only a list that cannot be had is an error. An [`Adapter`] knows how its vendor is asked; what is the
//! same for all of them is beside it.
//!
//! Invariant: every connection that leaves this server is opened by [`Client`], and a secret leaves it only as part of
//! an [`Authority`]. To add a vendor: a file with an [`Adapter`], and its line in [`for_kind`].

mod address;
mod answer;
mod anthropic;
mod ask;
mod asked;
mod azure;
mod baidu;
mod bedrock;
mod catalogue;
mod client;
mod connection;
mod deepseek;
mod descriptor;
mod dial;
mod document;
mod doubao;
mod fault;
mod gemini;
mod listed;
mod location;
mod meaning;
mod mistral;
mod moonshot;
mod ollama;
mod openai;
mod pool;
mod probe;
mod redact;
mod request;
mod retry;
mod sigv4;
mod target;
mod tls;
mod tongyi;
mod vendor_error;
mod verdict;
mod zhipu;

pub use address::{AddressClass, Reach, classify};
pub use ask::{Ask, Subject, Tried};
pub use catalogue::{Catalogue, CatalogueError, CurrentCatalogue, Entry};
pub use client::{Client, ClientConfig};
pub use descriptor::{Descriptor, SecretField};
pub use dial::{Pending, Resolve, SystemResolver};
pub use fault::{Ailment, CallError, CallErrorKind};
pub use meaning::Meaning;
pub use request::Authority;
pub use target::Target;
pub use tls::SetupError;
pub use verdict::{KeyVerdict, ModelVerdict};

use tokio::time::Instant;

use crate::domain::credential::hosts::VendorHosts;
use crate::domain::endpoint::{Endpoint, Host};
use crate::domain::health::Evidence;
use crate::domain::model::ModelType;
use crate::domain::model::sync::ListedModel;
use crate::domain::provider::ProviderKind;

/// How a kind of provider is asked.
pub trait Adapter: Send + Sync {
    fn kind(&self) -> ProviderKind;

    /// Makes a call that only a good key can make, and that spends no tokens.
    fn check_key<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<KeyVerdict, CallError>>;

    /// What the vendor says about its models, to the list's last page.
    fn listed<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<Vec<ListedModel>, CallError>>;

    /// Makes one minimal request of a model, or looks up one that [is costly](Subject::is_costly).
    fn try_model<'a>(&'a self, ask: Ask<'a>, subject: Subject<'a>) -> Pending<'a, Result<Tried, CallError>>;

    /// The type of a model that neither the vendor nor the catalogue tells.
    fn type_by_id(&self, _id: &str) -> Option<ModelType> {
        None
    }
}

impl dyn Adapter {
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(self.kind())
    }

    /// Whether an endpoint is alive, within its health check's timeout.
    pub async fn probe(&self, client: &Client, endpoint: &Endpoint) -> Evidence {
        probe::probe(client, self.kind(), endpoint).await
    }

    /// What the vendor says about the target's key.
    pub async fn validate(&self, client: &Client, target: &Target<'_>) -> KeyVerdict {
        let checked = self.check_key(Ask { client, target }).await;
        checked.unwrap_or_else(|error| KeyVerdict::of_error(&error))
    }

    /// What the vendor offers, completed from the catalogue; one entry per id, sorted by it.
    pub async fn list_models(
        &self,
        client: &Client,
        catalogue: &Catalogue,
        target: &Target<'_>,
    ) -> Result<Vec<ListedModel>, CallError> {
        let models = self.listed(Ask { client, target }).await?;
        Ok(listed::finish(models, self.kind(), catalogue, |id| self.type_by_id(id)))
    }

    /// Whether the model answers.
    pub async fn test_model(&self, client: &Client, target: &Target<'_>, subject: Subject<'_>) -> ModelVerdict {
        let began = Instant::now();
        let tried = self.try_model(Ask { client, target }, subject).await;
        ModelVerdict::of(tried, began.elapsed())
    }
}

/// The adapter of a kind.
#[must_use]
pub fn for_kind(kind: ProviderKind) -> &'static dyn Adapter {
    match kind {
        ProviderKind::OpenAi => &openai::OPENAI,
        ProviderKind::OpenAiCompatible => &openai::COMPATIBLE,
        ProviderKind::Vllm => &openai::VLLM,
        ProviderKind::Ollama => &ollama::Ollama,
        ProviderKind::Anthropic => &anthropic::Anthropic,
        ProviderKind::AwsBedrock => &bedrock::Bedrock,
        ProviderKind::AzureOpenAi => &azure::AZURE_OPENAI,
        ProviderKind::Tongyi => &tongyi::TONGYI,
        ProviderKind::Baidu => &baidu::BAIDU,
        ProviderKind::DeepSeek => &deepseek::DEEPSEEK,
        ProviderKind::Doubao => &doubao::DOUBAO,
        ProviderKind::Zhipu => &zhipu::ZHIPU,
        ProviderKind::Moonshot => &moonshot::MOONSHOT,
        ProviderKind::Gemini => &gemini::Gemini,
        ProviderKind::Mistral => &mistral::MISTRAL,
    }
}

/// What there is to know about every kind, in the order of the kinds.
pub fn descriptors() -> impl Iterator<Item = Descriptor> {
    ProviderKind::ALL.into_iter().map(|kind| for_kind(kind).descriptor())
}

/// What the rules of `allowed_hosts` ask about vendors.
#[must_use]
pub fn hosts() -> &'static dyn VendorHosts {
    &Hosts
}

struct Hosts;

impl VendorHosts for Hosts {
    fn own(&self, kind: ProviderKind) -> Vec<Host> {
        for_kind(kind).descriptor().own_hosts(&[])
    }

    fn derived(&self, kind: ProviderKind, endpoint: &Endpoint) -> Vec<Host> {
        for_kind(kind).descriptor().control_host(endpoint.base_url.host()).into_iter().collect()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "these servers end with their test")]
mod testing;
#[cfg(test)]
mod tests;
