//! One conversation with a vendor: through which client, with whom, about what.

use serde_json::Value;

use super::client::Client;
use super::fault::CallError;
use super::request::Call;
use super::target::Target;
use crate::domain::model::ModelType;

#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub(super) client: &'a Client,
    pub(super) target: &'a Target<'a>,
}

impl Ask<'_> {
    pub(super) async fn json(self, call: Call<'_>) -> Result<Value, CallError> {
        self.client.call(&call, &self.target.terms(self.client)).await?.json()
    }

    /// Expects an answer with one of these fields: a framework in front of a model may answer its error with 200.
    pub(super) async fn expect(self, call: Call<'_>, fields: &[&str]) -> Result<(), CallError> {
        let answer = self.json(call).await?;
        let missing = || CallError::unexpected(Some(200), format!("the answer has no {}", fields.join(" or ")));
        fields.iter().any(|field| answer.get(field).is_some()).then_some(()).ok_or_else(missing)
    }
}

/// The model that a test is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The vendor's identifier.
    pub model_id: &'a str,
    pub model_type: ModelType,
}

impl Subject<'_> {
    /// Whether a call would cost more than a token, or make files. Such a model is looked up instead.
    #[must_use]
    pub const fn is_costly(&self) -> bool {
        matches!(self.model_type, ModelType::Image | ModelType::Audio | ModelType::Rerank | ModelType::Moderation)
    }
}

/// What came of trying a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    Answers,
    /// The vendor offers it; nothing more was tried.
    Listed,
    /// The vendor does not offer it.
    Unknown,
}
