//! Reading a list of models in OpenAI's form and in the forms that servers made of it.
//!
//! Only an id is certain; everything else is taken where it is found and left open where it is not.

use serde_json::Value;

use super::super::fault::CallError;
use super::super::listed::fits;
use crate::domain::model::sync::{ListedModel, Sourced};
use crate::domain::model::{Capability, DESCRIPTION, ModelType, NAME};

/// Where servers put the window and the limit of output, the first present counts.
const WINDOWS: [&str; 8] = [
    "/context_length",
    "/context_window",
    "/max_model_len",
    "/max_context_length",
    "/context_size",
    "/top_provider/context_length",
    "/token_limits/context_window",
    "/meta/n_ctx_train",
];
const OUTPUTS: [&str; 5] = [
    "/max_output_tokens",
    "/max_completion_tokens",
    "/max_output_length",
    "/top_provider/max_completion_tokens",
    "/token_limits/max_output_token_length",
];

/// Reads `{"data":[…]}`, `{"models":[…]}` or a bare array; `tell` takes over what only this vendor says of a model.
pub(super) fn read(answer: &Value, tell: impl Fn(&Value, &mut ListedModel)) -> Result<Vec<ListedModel>, CallError> {
    let rows = ["data", "models"].iter().find_map(|name| answer.get(name)?.as_array()).or_else(|| answer.as_array());
    let no_list = || CallError::unexpected(Some(200), "the answer is no list of models; check the base URL");
    let rows = rows.ok_or_else(no_list)?;
    let told = |row| {
        let mut model = model(row, rows)?;
        tell(row, &mut model);
        Some(model)
    };
    Ok(rows.iter().filter_map(told).collect())
}

fn model(row: &Value, rows: &[Value]) -> Option<ListedModel> {
    let mut model = ListedModel::named(id_of(row)?);
    let text = |names: [&str; 2]| names.iter().find_map(|name| row.get(name)?.as_str()).map(str::trim);
    let name = text(["display_name", "name"]).filter(|name| !name.is_empty() && fits(NAME, name));
    model.name = name.map(|name| Sourced::vendor(name.to_owned()));
    let description = text(["description", "summary"]).filter(|text| !text.is_empty() && fits(DESCRIPTION, text));
    model.description = description.map(|text| Sourced::vendor(text.to_owned()));
    // vLLM tells the window of a base model only; an adapter has its parent's.
    let parent = || {
        let id = row.get("parent")?.as_str()?;
        rows.iter().find(|other| id_of(other) == Some(id))
    };
    let window = tokens(row, &WINDOWS).or_else(|| tokens(parent()?, &WINDOWS));
    model.context_window = window.map(Sourced::vendor);
    model.max_output_tokens = tokens(row, &OUTPUTS).map(Sourced::vendor);
    let capabilities = capabilities(row);
    let told = row.get("type").and_then(Value::as_str).and_then(type_by_word);
    model.model_type = told.or_else(|| type_by_capabilities(&capabilities)).map(Sourced::vendor);
    model.tell_capabilities(capabilities);
    let shutdown = ["shutdown_date", "deprecation", "deprecation_date"]
        .iter()
        .any(|name| row.get(name).is_some_and(Value::is_string));
    model.deprecated = shutdown;
    Some(model)
}

fn id_of(row: &Value) -> Option<&str> {
    ["id", "model", "name"].iter().find_map(|name| row.get(name)?.as_str()).or_else(|| row.as_str())
}

fn tokens(row: &Value, places: &[&str]) -> Option<i64> {
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok()).filter(|tokens| *tokens > 0);
    places.iter().find_map(|place| number(row.pointer(place)?))
}

fn type_by_word(word: &str) -> Option<ModelType> {
    match word.to_ascii_lowercase().as_str() {
        "llm" | "vlm" | "language" => Some(ModelType::Chat),
        "embeddings" => Some(ModelType::Embedding),
        word => ModelType::parse(word),
    }
}

fn type_by_capabilities(told: &[Capability]) -> Option<ModelType> {
    let types = [(Capability::Chat, ModelType::Chat), (Capability::Embedding, ModelType::Embedding)];
    types.into_iter().find(|(capability, _)| told.contains(capability)).map(|(_, told)| told)
}

/// What a row says about capabilities, in any of the known ways.
fn capabilities(row: &Value) -> Vec<Capability> {
    let mut words: Vec<&str> = Vec::new();
    let list =
        |place: &str| row.pointer(place).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    words.extend(list("/capabilities"));
    words.extend(
        list("/supported_parameters").filter(|word| matches!(*word, "tools" | "structured_outputs" | "reasoning")),
    );
    for place in ["/architecture/input_modalities", "/modalities/input_modalities"] {
        words.extend(list(place).filter(|word| matches!(*word, "image" | "audio")));
    }
    let flags = row.get("capabilities").and_then(Value::as_object);
    words.extend(
        flags.into_iter().flatten().filter(|(_, value)| value.as_bool() == Some(true)).map(|(name, _)| name.as_str()),
    );
    words.into_iter().flat_map(|word| by_word(word).iter().copied()).collect()
}

/// What a word for a capability means.
pub(in crate::adapter) fn by_word(word: &str) -> &'static [Capability] {
    match word {
        "completion" | "chat" | "completion_chat" | "chat_completion" => {
            &[Capability::TextGeneration, Capability::Chat]
        }
        "text_generation" => &[Capability::TextGeneration],
        "code_generation" | "completion_fim" => &[Capability::CodeGeneration],
        "tools" | "tool_use" | "function_calling" => &[Capability::FunctionCalling],
        "vision" | "image" => &[Capability::Vision],
        "embedding" | "embeddings" => &[Capability::Embedding],
        "structured_output" | "structured_outputs" => &[Capability::StructuredOutput],
        "streaming" => &[Capability::Streaming],
        "thinking" | "reasoning" => &[Capability::Reasoning],
        "prompt_caching" => &[Capability::PromptCaching],
        "audio" => &[Capability::Audio],
        _ => &[],
    }
}

/// The type of a model by the patterns of OpenAI's ids.
pub(super) fn type_by_id(id: &str) -> Option<ModelType> {
    // Fine-tuned models and gateways put the plain name behind a prefix.
    let id = id.strip_prefix("ft:").unwrap_or(id);
    let name = id.rsplit('/').next().unwrap_or(id);
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if starts(&["text-embedding-"]) {
        Some(ModelType::Embedding)
    } else if starts(&["omni-moderation", "text-moderation"]) {
        Some(ModelType::Moderation)
    } else if starts(&["whisper", "tts-", "gpt-audio", "gpt-realtime"]) || has(&["-tts", "-transcribe", "-realtime"]) {
        Some(ModelType::Audio)
    } else if starts(&["dall-e-", "gpt-image-", "sora-"]) {
        Some(ModelType::Image)
    } else if name.ends_with("-instruct") && name.starts_with("gpt-") || starts(&["davinci-002", "babbage-002"]) {
        Some(ModelType::Completion)
    } else if starts(&["gpt-", "chatgpt-", "o1", "o3", "o4"]) {
        Some(ModelType::Chat)
    } else {
        None
    }
}
