//! Trying one model with one minimal request.

use serde_json::{Value, json};

use super::super::ask::{Ask, Subject, Tried};
use super::super::fault::{CallError, CallErrorKind};
use super::super::meaning::Meaning;
use super::super::request::Call;
use super::{OpenAi, TokenLimit};
use crate::domain::model::ModelType;

/// Reasoning models refuse a limit of 1.
const FEW_TOKENS: i64 = 16;

impl TokenLimit {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Old => "max_tokens",
            Self::New => "max_completion_tokens",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }
}

impl OpenAi {
    pub(super) async fn test(&self, ask: Ask<'_>, subject: Subject<'_>) -> Result<Tried, CallError> {
        if subject.is_costly() {
            return self.look_up(ask, subject.model_id).await;
        }
        match self.call_model(ask, subject).await {
            Ok(()) => Ok(Tried::Answers),
            // How the call failed counts where there is no list.
            Err(error) if is_another_call(&error) => self.look_up(ask, subject.model_id).await.or(Err(error)),
            Err(error) => Err(error),
        }
    }

    async fn call_model(&self, ask: Ask<'_>, subject: Subject<'_>) -> Result<(), CallError> {
        let id = subject.model_id;
        match subject.model_type {
            ModelType::Completion => {
                let body = json!({"model": id, "prompt": "ping", "max_tokens": 1});
                self.question(ask, "completions", &body, "choices").await
            }
            ModelType::Embedding => {
                let body = json!({"model": id, "input": ["ping"]});
                self.question(ask, "embeddings", &body, "data").await
            }
            _ => self.chat(ask, id).await,
        }
    }

    async fn chat(&self, ask: Ask<'_>, id: &str) -> Result<(), CallError> {
        let say = async |limit: TokenLimit, stream: bool| {
            let messages = json!([{"role": "user", "content": "ping"}]);
            let body = json!({"model": id, "messages": messages, "stream": stream, limit.name(): FEW_TOKENS});
            self.question(ask, "chat/completions", &body, "choices").await
        };
        match say(self.token_limit, false).await {
            Err(error) if error.meaning() == Some(Meaning::WrongParameter) => {
                say(self.token_limit.other(), false).await
            }
            Err(error) if wants_a_stream(&error) => say(self.token_limit, true).await,
            outcome => outcome,
        }
    }

    /// Asks, and expects an answer with something in the list `field`.
    pub(super) async fn question(&self, ask: Ask<'_>, path: &str, body: &Value, field: &str) -> Result<(), CallError> {
        let model = body.get("model").and_then(Value::as_str);
        let call = Call::post((self.url)(ask.target.endpoint, path, model)?, body);
        let call = (self.send_key)(call, ask.target.authority)?;
        let answer = ask.client.call(&call, &ask.target.terms(ask.client)).await?.first_event()?;
        let other = || CallError::unexpected(Some(200), format!("the answer has no {field}"));
        // The first event of Azure's streams has no choices, but the results of its filter.
        let answered = answer.get(field).and_then(Value::as_array).is_some_and(|list| !list.is_empty())
            || answer.get("prompt_filter_results").is_some();
        // Ark's multimodal embeddings are one object.
        let answered = answered || answer.get(field).is_some_and(Value::is_object);
        answered.then_some(()).ok_or_else(other)
    }

    /// Whether the vendor lists the model.
    async fn look_up(&self, ask: Ask<'_>, id: &str) -> Result<Tried, CallError> {
        let models = self.models(ask).await?;
        let listed = models.iter().any(|model| model.model_id == id);
        Ok(if listed { Tried::Listed } else { Tried::Unknown })
    }
}

/// Several of Alibaba's models only stream.
fn wants_a_stream(error: &CallError) -> bool {
    let says = ["stream", "enable_thinking"];
    error.http_status() == Some(400) && says.iter().any(|text| error.message.contains(text))
}

/// Whether the model, if it exists, wants another call than the one that was made.
fn is_another_call(error: &CallError) -> bool {
    let CallErrorKind::Http { status: 400 | 404, meaning } = error.kind else { return false };
    let says = ["not a chat model", "v1/responses", "does not support chat", "not supported in the v1/chat"];
    meaning == Meaning::NoSuchCall || says.iter().any(|text| error.message.contains(text))
}
