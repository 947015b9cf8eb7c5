//! Vendors: one adapter per kind of provider, and the one guarded client through which all of them speak.
//!
//! An adapter answers four questions. `probe`: is an endpoint alive (no credential, no tokens spent)? `validate`: what
//! does the vendor say about a key? `list_models`: what does it offer? `test_model`: does one model answer? Verdicts
//! are values, not errors; only a list that cannot be had is an error.
//!
//! Invariant: every connection that leaves this server is opened by [`Client`], and a secret leaves it only as part of
//! an [`Authority`]. To add a vendor: a file with an [`Adapter`], and its line in [`for_kind`].

mod address;
mod answer;
mod anthropic;
mod azure;
mod baidu;
mod bedrock;
mod catalogue;
mod client;
mod connection;
mod deepseek;
mod descriptor;
mod dial;
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
pub use catalogue::{Catalogue, CatalogueError, Entry};
pub use client::{Client, ClientConfig};
pub use descriptor::{Descriptor, SecretField};
pub use dial::{Pending, Resolve, SystemResolver};
pub use fault::{CallError, CallErrorKind};
pub use meaning::Meaning;
pub use request::Authority;
pub use target::Target;
pub use tls::SetupError;
pub use verdict::{KeyVerdict, ModelVerdict};

use crate::domain::credential::hosts::VendorHosts;
use crate::domain::endpoint::{Endpoint, Host};
use crate::domain::health::Evidence;
use crate::domain::model::ModelType;
use crate::domain::model::sync::ListedModel;
use crate::domain::provider::ProviderKind;

/// The model that a test is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The vendor's identifier.
    pub model_id: &'a str,
    pub model_type: ModelType,
}

/// What a kind of provider can be asked.
pub trait Adapter: Send + Sync {
    fn descriptor(&self) -> Descriptor;

    /// Whether an endpoint is alive, within its health check's timeout.
    fn probe<'a>(&'a self, client: &'a Client, endpoint: &'a Endpoint) -> Pending<'a, Evidence> {
        Box::pin(probe::probe(client, self.descriptor().kind, endpoint))
    }

    /// What the vendor says about the target's key.
    fn validate<'a>(&'a self, client: &'a Client, target: &'a Target<'a>) -> Pending<'a, KeyVerdict>;

    /// What the vendor offers, completed from the catalogue; one entry per id, sorted by it.
    fn list_models<'a>(
        &'a self,
        client: &'a Client,
        catalogue: &'a Catalogue,
        target: &'a Target<'a>,
    ) -> Pending<'a, Result<Vec<ListedModel>, CallError>>;

    /// Whether the model answers one minimal request.
    fn test_model<'a>(
        &'a self,
        client: &'a Client,
        target: &'a Target<'a>,
        subject: Subject<'a>,
    ) -> Pending<'a, ModelVerdict>;
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
