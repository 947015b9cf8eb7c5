//! Mistral AI, whose list says the most about its models.

use serde_json::Value;

use super::listed::is_past;
use super::openai::OpenAi;
use crate::domain::Timestamp;
use crate::domain::model::ModelType;
use crate::domain::model::sync::{ListedModel, Sourced};
use crate::domain::provider::ProviderKind;

pub(super) static MISTRAL: OpenAi = OpenAi { tell, ..OpenAi::like(ProviderKind::Mistral) };

fn tell(row: &Value, model: &mut ListedModel, now: Timestamp) {
    // The date of the retirement is announced long before.
    model.deprecated = row.get("deprecation").and_then(Value::as_str).is_some_and(|date| is_past(date, now));
    let does = |name: &str| row.pointer(&format!("/capabilities/{name}")).and_then(Value::as_bool) == Some(true);
    let told = if model.model_id.contains("embed") {
        Some(ModelType::Embedding)
    } else if does("completion_chat") {
        Some(ModelType::Chat)
    } else if does("moderation") || does("classification") {
        Some(ModelType::Moderation)
    } else if ["audio", "audio_transcription", "audio_transcription_realtime", "audio_speech"].into_iter().any(does) {
        Some(ModelType::Audio)
    } else {
        None
    };
    if let Some(told) = told {
        model.model_type = Some(Sourced::vendor(told));
    }
}
