//! Doubao: Volcengine Ark. Models, and endpoints of inference that never appear in a list; the list itself is not
//! documented.

use serde_json::Value;

use super::openai::{KeyCheck, OpenAi};
use crate::domain::Timestamp;
use crate::domain::model::sync::{ListedModel, Sourced};
use crate::domain::model::{Capability, ModelType};
use crate::domain::provider::ProviderKind;

pub(super) static DOUBAO: OpenAi =
    OpenAi { key_check: KeyCheck::ListOrNobodysModel, tell, ..OpenAi::like(ProviderKind::Doubao) };

fn tell(row: &Value, model: &mut ListedModel, _now: Timestamp) {
    let domain = row.get("domain").and_then(Value::as_str).and_then(type_of_domain);
    if let Some(told) = domain {
        model.model_type = Some(Sourced::vendor(told));
    }
    model.deprecated |= matches!(row.get("status").and_then(Value::as_str), Some("Shutdown" | "Retiring"));
    let flags = [
        ("/features/tools/function_calling", Capability::FunctionCalling),
        ("/features/structured_outputs/json_schema", Capability::StructuredOutput),
    ];
    let is_set = |place| row.pointer(place).and_then(Value::as_bool) == Some(true);
    model.tell_capabilities(flags.into_iter().filter(|(place, _)| is_set(*place)).map(|(_, capability)| capability));
}

fn type_of_domain(domain: &str) -> Option<ModelType> {
    match domain {
        "LLM" | "VLM" => Some(ModelType::Chat),
        "Embedding" => Some(ModelType::Embedding),
        "ImageGeneration" | "VideoGeneration" => Some(ModelType::Image),
        _ => None,
    }
}
