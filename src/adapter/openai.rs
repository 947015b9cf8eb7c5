//! Vendors and servers that speak OpenAI's API: one implementation, parameterised by what differs.

mod list;
pub(super) use list::by_word;
mod trial;

use super::client::Client;
use super::descriptor::Descriptor;
use super::dial::Pending;
use super::fault::CallError;
use super::listed;
use super::location::Location;
use super::request::Call;
use super::target::Target;
use super::verdict::{KeyVerdict, ModelVerdict};
use super::{Adapter, Catalogue, Subject};
use crate::domain::model::ModelType;
use crate::domain::model::sync::ListedModel;
use crate::domain::provider::ProviderKind;

pub(super) struct OpenAi {
    kind: ProviderKind,
    /// The name of the limit of generated tokens that is tried first.
    token_limit: TokenLimit,
    /// The type of a model that nobody else knows, by its id.
    type_by_id: fn(&str) -> Option<ModelType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenLimit {
    /// `max_tokens`, which newer models of `OpenAI` refuse.
    Old,
    /// `max_completion_tokens`, which most other servers do not know.
    New,
}

pub(super) static OPENAI: OpenAi =
    OpenAi { kind: ProviderKind::OpenAi, token_limit: TokenLimit::New, type_by_id: list::type_by_id };
pub(super) static COMPATIBLE: OpenAi =
    OpenAi { kind: ProviderKind::OpenAiCompatible, token_limit: TokenLimit::Old, type_by_id: list::type_by_id };
pub(super) static VLLM: OpenAi =
    OpenAi { kind: ProviderKind::Vllm, token_limit: TokenLimit::Old, type_by_id: |_| None };

impl OpenAi {
    async fn listed(&self, client: &Client, target: &Target<'_>) -> Result<Vec<ListedModel>, CallError> {
        let call = Call::get(Location::base(target.endpoint)?.join("models")).bearer(target.authority)?;
        list::read(&client.call(&call, &target.terms(client)).await?.json()?)
    }

    async fn check_key(&self, client: &Client, target: &Target<'_>) -> Result<(), CallError> {
        let base = Location::base(target.endpoint)?;
        // OpenRouter lists its models to everybody, so the list says nothing about a key.
        if base.host() == "openrouter.ai" {
            let call = Call::get(base.join("key")).bearer(target.authority)?;
            return client.call(&call, &target.terms(client)).await?.json().map(|_| ());
        }
        self.listed(client, target).await.map(|_| ())
    }
}

impl Adapter for OpenAi {
    fn descriptor(&self) -> Descriptor {
        Descriptor::complete(self.kind)
    }

    fn validate<'a>(&'a self, client: &'a Client, target: &'a Target<'a>) -> Pending<'a, KeyVerdict> {
        Box::pin(async move {
            let checked = self.check_key(client, target).await;
            checked.map_or_else(|error| KeyVerdict::of_error(&error), |()| KeyVerdict::valid())
        })
    }

    fn list_models<'a>(
        &'a self,
        client: &'a Client,
        catalogue: &'a Catalogue,
        target: &'a Target<'a>,
    ) -> Pending<'a, Result<Vec<ListedModel>, CallError>> {
        Box::pin(async move {
            let models = self.listed(client, target).await?;
            Ok(listed::finish(models, self.kind, catalogue, self.type_by_id))
        })
    }

    fn test_model<'a>(
        &'a self,
        client: &'a Client,
        target: &'a Target<'a>,
        subject: Subject<'a>,
    ) -> Pending<'a, Result<ModelVerdict, CallError>> {
        Box::pin(async move { Ok(self.test(client, target, subject).await) })
    }
}

#[cfg(test)]
mod tests;
