//! Parameters of models, a JSON object wherever they are stored.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Place;
use crate::domain::model::ModelParameters;
use crate::store::error::Result;
use crate::store::value::{DbId, JsonText};

/// The parameters as they stand in JSON.
#[derive(Serialize, Deserialize)]
struct StoredParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stop: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<Map<String, Value>>,
}

pub fn write(parameters: &ModelParameters) -> JsonText {
    let ModelParameters { temperature, top_p, max_tokens, frequency_penalty, presence_penalty, stop, extra } =
        parameters.clone();
    let stored = StoredParameters { temperature, top_p, max_tokens, frequency_penalty, presence_penalty, stop, extra };
    // Maps with text keys and plain numbers always have a JSON form.
    JsonText(serde_json::to_string(&stored).unwrap_or_default())
}

pub fn read(place: &Place<DbId>, column: &'static str, text: &JsonText) -> Result<ModelParameters> {
    let stored: StoredParameters = place.json(column, text)?;
    Ok(ModelParameters {
        temperature: stored.temperature,
        top_p: stored.top_p,
        max_tokens: stored.max_tokens,
        frequency_penalty: stored.frequency_penalty,
        presence_penalty: stored.presence_penalty,
        stop: stored.stop,
        extra: stored.extra,
    })
}
