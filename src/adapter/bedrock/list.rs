//! Reading Bedrock's two lists: models, and the profiles through which some of them are invoked.
//!
//! All enumerations are open: the vendor answers words that its own description does not have.

use serde_json::Value;

use super::super::fault::CallError;
use super::super::listed::fits;
use crate::domain::model::sync::{ListedModel, Sourced};
use crate::domain::model::{Capability, ModelType, NAME};

/// The models that can be invoked by their own id.
pub(super) fn foundation_models(answer: &Value) -> Result<Vec<ListedModel>, CallError> {
    let rows = rows(answer, "modelSummaries")?;
    // Where the list does not say how a model is invoked, its id will do.
    let by_id = |row: &&Value| match row.get("inferenceTypesSupported").and_then(Value::as_array) {
        Some(types) if !types.is_empty() => types.iter().any(|kind| kind.as_str() != Some("INFERENCE_PROFILE")),
        _ => true,
    };
    Ok(rows.iter().filter(by_id).filter_map(|row| Some(model(row.get("modelId")?.as_str()?, row))).collect())
}

/// The profiles of a page, each described by the first of its models.
pub(super) fn inference_profiles(page: &Value, models: &Value) -> Result<Vec<ListedModel>, CallError> {
    let known = rows(models, "modelSummaries")?;
    let profile = |row: &Value| {
        // Profiles that an account made are invoked by their whole name.
        let own = row.get("type").and_then(Value::as_str) == Some("APPLICATION");
        let id = row.get(if own { "inferenceProfileArn" } else { "inferenceProfileId" })?.as_str()?;
        let arn = row.pointer("/models/0/modelArn").and_then(Value::as_str).unwrap_or_default();
        // The region in the name is that of the model, not of the list.
        let model_id = arn.rsplit('/').next().unwrap_or_default();
        let of = known.iter().find(|row| row.get("modelId").and_then(Value::as_str) == Some(model_id));
        let mut listed = model(id, of.unwrap_or(&Value::Null));
        listed.name = name(row, "inferenceProfileName");
        Some(listed)
    };
    Ok(rows(page, "inferenceProfileSummaries")?.iter().filter_map(profile).collect())
}

fn rows<'a>(answer: &'a Value, field: &str) -> Result<&'a Vec<Value>, CallError> {
    let no_list = || CallError::unexpected(Some(200), format!("the answer has no {field}; check the base URL"));
    answer.get(field).and_then(Value::as_array).ok_or_else(no_list)
}

fn name(row: &Value, field: &str) -> Option<Sourced<String>> {
    let text = row.get(field).and_then(Value::as_str).map(str::trim)?;
    (!text.is_empty() && fits(NAME, text)).then(|| Sourced::vendor(text.to_owned()))
}

fn model(id: &str, row: &Value) -> ListedModel {
    let mut model = ListedModel::named(id);
    model.name = name(row, "modelName");
    let has = |field: &str, word: &str| {
        row.get(field).and_then(Value::as_array).is_some_and(|words| words.iter().any(|one| one.as_str() == Some(word)))
    };
    let puts_out = |word| has("outputModalities", word);
    model.model_type = if puts_out("EMBEDDING") {
        Some(ModelType::Embedding)
    } else if puts_out("IMAGE") || puts_out("VIDEO") {
        Some(ModelType::Image)
    } else if puts_out("SPEECH") {
        Some(ModelType::Audio)
    } else if id.contains("rerank") {
        Some(ModelType::Rerank)
    } else {
        puts_out("TEXT").then_some(ModelType::Chat)
    }
    .map(Sourced::vendor);
    let streams = row.get("responseStreamingSupported").and_then(Value::as_bool) == Some(true);
    let told = [(has("inputModalities", "IMAGE"), Capability::Vision), (streams, Capability::Streaming)];
    model.tell_capabilities(told.into_iter().filter(|(is_so, _)| *is_so).map(|(_, capability)| capability));
    model.deprecated = row.pointer("/modelLifecycle/status").and_then(Value::as_str) == Some("LEGACY");
    model
}
