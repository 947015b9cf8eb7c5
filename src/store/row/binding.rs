//! Rows of `bindings`.

use super::{Place, labels_json, meta_of, parameters};
use crate::domain::binding::{Binding, Target};
use crate::store::error::{Result, StoreError};
use crate::store::statement::row;
use crate::store::value::{DbId, Instant, JsonText};

row! {
    BindingRow in bindings (id) {
        id: DbId,
        revision: i64,
        create_time: Instant,
        update_time: Instant,
        created_by: String,
        updated_by: String,
        labels: JsonText,
        consumer: String,
        purpose: String,
        model_id: Option<DbId>,
        provider_id: Option<DbId>,
        parameters: Option<JsonText>,
    }
}

impl From<&Binding> for BindingRow {
    fn from(binding: &Binding) -> Self {
        let meta = &binding.meta;
        Self {
            id: binding.id.into(),
            revision: meta.revision.0,
            create_time: meta.create_time.into(),
            update_time: meta.update_time.into(),
            created_by: meta.created_by.clone(),
            updated_by: meta.updated_by.clone(),
            labels: labels_json(&meta.labels),
            consumer: binding.consumer.clone(),
            purpose: binding.purpose.clone(),
            model_id: binding.model_id().map(Into::into),
            provider_id: binding.provider_id().map(Into::into),
            parameters: binding.parameters.as_ref().map(parameters::write),
        }
    }
}

impl TryFrom<BindingRow> for Binding {
    type Error = StoreError;

    fn try_from(row: BindingRow) -> Result<Self> {
        let place = Place::of("bindings", row.id);
        let target = match (row.model_id, row.provider_id) {
            (Some(id), None) => Some(Target::Model(id.into())),
            (None, Some(id)) => Some(Target::Provider(id.into())),
            _ => None,
        };
        Ok(Self {
            id: row.id.into(),
            meta: meta_of!(place, row),
            consumer: row.consumer,
            purpose: row.purpose,
            target: place.some("model_id", target)?,
            parameters: row.parameters.map(|text| parameters::read(&place, "parameters", &text)).transpose()?,
        })
    }
}
