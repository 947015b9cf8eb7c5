//! Rows of `models`. Lists and maps are JSON: they are read and written whole, and searched in memory only.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Place, json, labels_json, meta_of, parameters};
use crate::domain::model::{
    Capability, FieldSource, Model, ModelSource, ModelStatus, ModelType, Price, Pricing, Score,
};
use crate::store::error::{Result, StoreError};
use crate::store::statement::row;
use crate::store::value::{DbId, Instant, JsonText};

row! {
    ModelRow in models (id) {
        id: DbId,
        provider_id: DbId,
        revision: i64,
        create_time: Instant,
        update_time: Instant,
        created_by: String,
        updated_by: String,
        labels: JsonText,
        model_id: String,
        name: String,
        description: String,
        version: String,
        model_type: String,
        context_window: Option<i64>,
        max_output_tokens: Option<i64>,
        currency: Option<String>,
        input_per_1k_nanos: Option<i64>,
        output_per_1k_nanos: Option<i64>,
        capabilities: JsonText,
        recommended_uses: JsonText,
        default_parameters: Option<JsonText>,
        is_active: bool,
        status: String,
        source: String,
        pinned_fields: JsonText,
        field_sources: JsonText,
        is_default: bool,
    }
}

impl From<&Model> for ModelRow {
    fn from(model: &Model) -> Self {
        let (meta, pricing) = (&model.meta, model.pricing.as_ref());
        let capabilities = model.capabilities.iter().map(|(key, score)| (key.name().to_owned(), (*score).into()));
        let sources = model.field_sources.iter().map(|(field, source)| (field.clone(), source.name().into()));
        Self {
            id: model.id.into(),
            provider_id: model.provider_id.into(),
            revision: meta.revision.0,
            create_time: meta.create_time.into(),
            update_time: meta.update_time.into(),
            created_by: meta.created_by.clone(),
            updated_by: meta.updated_by.clone(),
            labels: labels_json(&meta.labels),
            model_id: model.model_id.clone(),
            name: model.name.clone(),
            description: model.description.clone(),
            version: model.version.clone(),
            model_type: model.model_type.name().into(),
            context_window: model.context_window,
            max_output_tokens: model.max_output_tokens,
            currency: pricing.map(|pricing| pricing.currency.clone()),
            input_per_1k_nanos: pricing.and_then(|pricing| pricing.input_per_1k).map(Price::nanos),
            output_per_1k_nanos: pricing.and_then(|pricing| pricing.output_per_1k).map(Price::nanos),
            capabilities: json(capabilities.collect::<Map<String, Value>>()),
            recommended_uses: json(model.recommended_uses.clone()),
            default_parameters: model.default_parameters.as_ref().map(parameters::write),
            is_active: model.is_active,
            status: model.status.name().into(),
            source: model.source.name().into(),
            pinned_fields: json(model.pinned_fields.iter().cloned().collect::<Vec<_>>()),
            field_sources: json(sources.collect::<Map<String, Value>>()),
            is_default: model.is_default,
        }
    }
}

fn capabilities(place: &Place<DbId>, text: &JsonText) -> Result<BTreeMap<Capability, Score>> {
    let stored: BTreeMap<String, Score> = place.json("capabilities", text)?;
    let known = stored.into_iter().map(|(name, score)| Capability::parse(&name).map(|key| (key, score)));
    place.some("capabilities", known.collect())
}

fn field_sources(place: &Place<DbId>, text: &JsonText) -> Result<BTreeMap<String, FieldSource>> {
    let stored: BTreeMap<String, String> = place.json("field_sources", text)?;
    let known = stored.into_iter().map(|(field, name)| FieldSource::parse(&name).map(|source| (field, source)));
    place.some("field_sources", known.collect())
}

impl TryFrom<ModelRow> for Model {
    type Error = StoreError;

    fn try_from(row: ModelRow) -> Result<Self> {
        let place = Place::of("models", row.id);
        Ok(Self {
            id: row.id.into(),
            provider_id: row.provider_id.into(),
            meta: meta_of!(place, row),
            model_id: row.model_id,
            name: row.name,
            description: row.description,
            version: row.version,
            model_type: place.some("model_type", ModelType::parse(&row.model_type))?,
            context_window: row.context_window,
            max_output_tokens: row.max_output_tokens,
            pricing: row.currency.map(|currency| Pricing {
                input_per_1k: row.input_per_1k_nanos.map(Price::from_nanos),
                output_per_1k: row.output_per_1k_nanos.map(Price::from_nanos),
                currency,
            }),
            capabilities: capabilities(&place, &row.capabilities)?,
            recommended_uses: place.json("recommended_uses", &row.recommended_uses)?,
            default_parameters: row
                .default_parameters
                .map(|text| parameters::read(&place, "default_parameters", &text))
                .transpose()?,
            is_active: row.is_active,
            status: place.some("status", ModelStatus::parse(&row.status))?,
            source: place.some("source", ModelSource::parse(&row.source))?,
            pinned_fields: place.json("pinned_fields", &row.pinned_fields)?,
            field_sources: field_sources(&place, &row.field_sources)?,
            is_default: row.is_default,
        })
    }
}
