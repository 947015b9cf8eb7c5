//! Vendors and servers that speak OpenAI's API: one implementation, parameterised by what differs.

use serde_json::{Value, json};
use url::Url;

mod list;
pub(super) use list::by_word;
mod trial;

use super::Adapter;
use super::ask::{Ask, Subject, Tried};
use super::dial::Pending;
use super::fault::{CallError, CallErrorKind};
use super::location::Location;
use super::meaning::Meaning;
use super::request::{Authority, Call};
use super::target::NOBODYS_MODEL;
use super::verdict::KeyVerdict;
use crate::domain::Timestamp;
use crate::domain::endpoint::Endpoint;
use crate::domain::model::ModelType;
use crate::domain::model::sync::ListedModel;
use crate::domain::provider::ProviderKind;

/// What is different about one of them. [`OpenAi::like`] has what most of them share.
pub(super) struct OpenAi {
    pub(super) kind: ProviderKind,
    /// The name of the limit of generated tokens that is tried first.
    pub(super) token_limit: TokenLimit,
    pub(super) key_check: KeyCheck,
    /// Takes over what a line of the list says in this vendor's own words.
    pub(super) tell: fn(&Value, &mut ListedModel, Timestamp),
    /// The type of a model that nobody else knows, by its id.
    pub(super) type_by_id: fn(&str) -> Option<ModelType>,
    /// Where a call goes, given its path below the API and the model that it is about.
    pub(super) url: fn(&Endpoint, &str, Option<&str>) -> Result<Url, CallError>,
    /// How the key is sent.
    pub(super) send_key: SendKey,
}

pub(super) type SendKey = for<'a> fn(Call<'a>, Option<Authority<'a>>) -> Result<Call<'a>, CallError>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenLimit {
    /// `max_tokens`, which newer models of `OpenAI` refuse.
    Old,
    /// `max_completion_tokens`, which most other servers do not know.
    New,
}

/// What tells a good key from a bad one, without spending tokens.
#[derive(Clone, Copy)]
pub(super) enum KeyCheck {
    /// The list of models is for good keys only.
    List,
    /// The account's balance; the list where there is none.
    Balance { path: &'static str, is_spent: fn(&Value) -> bool },
    /// The list, which is not documented; where it is gone, a call of a model that nobody has: a bad key is refused
    /// before anybody looks for the model.
    ListOrNobodysModel,
}

pub(super) static OPENAI: OpenAi =
    OpenAi { token_limit: TokenLimit::New, type_by_id: list::type_by_id, ..OpenAi::like(ProviderKind::OpenAi) };
pub(super) static COMPATIBLE: OpenAi =
    OpenAi { type_by_id: list::type_by_id, ..OpenAi::like(ProviderKind::OpenAiCompatible) };
pub(super) static VLLM: OpenAi = OpenAi::like(ProviderKind::Vllm);

impl OpenAi {
    pub(super) const fn like(kind: ProviderKind) -> Self {
        Self {
            kind,
            token_limit: TokenLimit::Old,
            key_check: KeyCheck::List,
            tell: |_, _, _| {},
            type_by_id: |_| None,
            url: |endpoint, path, _| Ok(Location::base(endpoint)?.join(path)),
            send_key: |call, authority| call.bearer(authority),
        }
    }

    async fn get(&self, ask: Ask<'_>, path: &str) -> Result<Value, CallError> {
        let call = Call::get((self.url)(ask.target.endpoint, path, None)?);
        ask.json((self.send_key)(call, ask.target.authority)?).await
    }

    async fn models(&self, ask: Ask<'_>) -> Result<Vec<ListedModel>, CallError> {
        let now = ask.client.now();
        list::read(&self.get(ask, "models").await?, |row, model| (self.tell)(row, model, now))
    }

    /// Servers and vendors that promise no list may have none.
    fn without_list(&self, error: CallError) -> CallError {
        let promised =
            self.kind != ProviderKind::OpenAiCompatible && !matches!(self.key_check, KeyCheck::ListOrNobodysModel);
        if promised || error.meaning() != Some(Meaning::NoSuchCall) {
            return error;
        }
        CallError { kind: CallErrorKind::Unsupported { kind: self.kind.name(), call: "SyncModels" }, ..error }
    }

    async fn key_verdict(&self, ask: Ask<'_>) -> Result<KeyVerdict, CallError> {
        // OpenRouter lists its models to everybody, so the list says nothing about a key.
        if Location::base(ask.target.endpoint)?.host() == "openrouter.ai" {
            return self.get(ask, "key").await.map(|_| KeyVerdict::valid());
        }
        let there = |outcome: &Result<_, CallError>| {
            outcome.as_ref().err().and_then(CallError::meaning) != Some(Meaning::NoSuchCall)
        };
        if let KeyCheck::Balance { path, is_spent } = self.key_check {
            let balance = self.get(ask, path).await;
            if there(&balance) {
                let verdict = |balance| if is_spent(&balance) { KeyVerdict::no_credit() } else { KeyVerdict::valid() };
                return balance.map(verdict);
            }
        }
        let listed = self.get(ask, "models").await;
        if there(&listed) || !matches!(self.key_check, KeyCheck::ListOrNobodysModel) {
            return list::read(&listed?, |_, _| {}).map(|_| KeyVerdict::valid());
        }
        let messages = json!([{"role": "user", "content": "ping"}]);
        let body = json!({"model": NOBODYS_MODEL, "messages": messages, self.token_limit.name(): 1});
        self.question(ask, "chat/completions", &body, "choices").await.map(|()| KeyVerdict::valid())
    }
}

impl Adapter for OpenAi {
    fn kind(&self) -> ProviderKind {
        self.kind
    }

    fn check_key<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<KeyVerdict, CallError>> {
        Box::pin(self.key_verdict(ask))
    }

    fn listed<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<Vec<ListedModel>, CallError>> {
        Box::pin(async move { self.models(ask).await.map_err(|error| self.without_list(error)) })
    }

    fn try_model<'a>(&'a self, ask: Ask<'a>, subject: Subject<'a>) -> Pending<'a, Result<Tried, CallError>> {
        Box::pin(self.test(ask, subject))
    }

    fn type_by_id(&self, id: &str) -> Option<ModelType> {
        (self.type_by_id)(id)
    }
}

#[cfg(test)]
mod tests;
