//! Trying one model with one minimal request.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::Subject;
use super::super::client::Client;
use super::super::fault::{CallError, CallErrorKind};
use super::super::location::Location;
use super::super::meaning::Meaning;
use super::super::request::Call;
use super::super::target::Target;
use super::super::verdict::ModelVerdict;
use super::{OpenAi, TokenLimit};
use crate::domain::model::ModelType;

/// Reasoning models refuse a limit of 1.
const FEW_TOKENS: i64 = 16;

impl TokenLimit {
    const fn name(self) -> &'static str {
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
                ask(client, target, "completions", &body, "choices").await
            }
            ModelType::Embedding => {
                let body = json!({"model": id, "input": ["ping"]});
                ask(client, target, "embeddings", &body, "data").await
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
        let body = |limit: TokenLimit| {
            let mut body = json!({"model": id, "messages": [{"role": "user", "content": "ping"}], "stream": false});
            if let Some(fields) = body.as_object_mut() {
                fields.insert(limit.name().to_owned(), FEW_TOKENS.into());
            }
            body
        };
        match ask(client, target, "chat/completions", &body(self.token_limit), "choices").await {
            Err(error) if error.meaning() == Some(Meaning::WrongParameter) => {
                ask(client, target, "chat/completions", &body(self.token_limit.other()), "choices").await
            }
            outcome => outcome,
        }
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

/// Asks, and expects an answer with something in the list `field`.
async fn ask(client: &Client, target: &Target<'_>, path: &str, body: &Value, field: &str) -> Result<(), CallError> {
    let call = Call::post(Location::base(target.endpoint)?.join(path), body).bearer(target.authority)?;
    let answer = client.call(&call, &target.terms(client)).await?.json()?;
    let answered = answer.get(field).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let other = || CallError::unexpected(Some(200), format!("the answer has no {field}"));
    answered.then_some(()).ok_or_else(other)
}

/// Whether the model, if it exists, wants another call than the one that was made.
fn is_another_call(error: &CallError) -> bool {
    let CallErrorKind::Http { status: 400 | 404, meaning } = error.kind else { return false };
    let says = ["not a chat model", "v1/responses", "does not support chat", "not supported in the v1/chat"];
    meaning == Meaning::NoSuchCall || says.iter().any(|text| error.message.contains(text))
}
