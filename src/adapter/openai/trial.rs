//! Trying one model with one minimal request.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::Subject;
use super::super::client::Client;
use super::super::fault::{CallError, CallErrorKind};
use super::super::meaning::Meaning;
use super::super::request::Call;
use super::super::target::Target;
use super::super::verdict::ModelVerdict;
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
    pub(super) async fn test(&self, client: &Client, target: &Target<'_>, subject: Subject<'_>) -> ModelVerdict {
        let began = Instant::now();
        let id = subject.model_id;
        let tried = match subject.model_type {
            ModelType::Chat | ModelType::Vision => self.chat(client, target, id).await,
            ModelType::Completion => {
                let body = json!({"model": id, "prompt": "ping", "max_tokens": 1});
                self.ask(client, target, "completions", &body, "choices").await
            }
            ModelType::Embedding => {
                let body = json!({"model": id, "input": ["ping"]});
                self.ask(client, target, "embeddings", &body, "data").await
            }
            // A call would cost, or make files.
            ModelType::Image | ModelType::Audio | ModelType::Rerank | ModelType::Moderation => {
                return self.presence(client, target, id, None).await;
            }
        };
        match tried {
            Ok(()) => ModelVerdict::available(began.elapsed()),
            Err(error) if is_another_call(&error) => self.presence(client, target, id, Some(error)).await,
            Err(error) => ModelVerdict::of_error(&error, began.elapsed()),
        }
    }

    async fn chat(&self, client: &Client, target: &Target<'_>, id: &str) -> Result<(), CallError> {
        let ask = async |limit: TokenLimit, stream: bool| {
            let messages = json!([{"role": "user", "content": "ping"}]);
            let body = json!({"model": id, "messages": messages, "stream": stream, limit.name(): FEW_TOKENS});
            self.ask(client, target, "chat/completions", &body, "choices").await
        };
        match ask(self.token_limit, false).await {
            Err(error) if error.meaning() == Some(Meaning::WrongParameter) => {
                ask(self.token_limit.other(), false).await
            }
            Err(error) if wants_a_stream(&error) => ask(self.token_limit, true).await,
            outcome => outcome,
        }
    }

    /// Asks, and expects an answer with something in the list `field`.
    pub(super) async fn ask(
        &self,
        client: &Client,
        target: &Target<'_>,
        path: &str,
        body: &Value,
        field: &str,
    ) -> Result<(), CallError> {
        let model = body.get("model").and_then(Value::as_str);
        let call = Call::post((self.url)(target.endpoint, path, model)?, body);
        let call = (self.send_key)(call, target.authority)?;
        let answer = client.call(&call, &target.terms(client)).await?.first_event()?;
        let other = || CallError::unexpected(Some(200), format!("the answer has no {field}"));
        // The first event of Azure's streams has no choices, but the results of its filter.
        let answered = answer.get(field).and_then(Value::as_array).is_some_and(|list| !list.is_empty())
            || answer.get("prompt_filter_results").is_some();
        // Ark's multimodal embeddings are one object.
        let answered = answered || answer.get(field).is_some_and(Value::is_object);
        answered.then_some(()).ok_or_else(other)
    }

    /// Whether the vendor lists the model. `tried` is how a call of it failed, and what counts without a list.
    async fn presence(&self, client: &Client, target: &Target<'_>, id: &str, tried: Option<CallError>) -> ModelVerdict {
        let began = Instant::now();
        match self.listed(client, target).await {
            Ok(models) if models.iter().any(|model| model.model_id == id) => ModelVerdict::listed(began.elapsed()),
            Ok(_) => ModelVerdict::unknown_model(began.elapsed()),
            Err(error) => ModelVerdict::of_error(&tried.unwrap_or(error), began.elapsed()),
        }
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
