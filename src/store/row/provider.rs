//! Rows of `providers`.

use super::{Place, instant, labels_json, meta_of, nanos, time};
use crate::domain::provider::{Provider, ProviderKind, SyncPolicy};
use crate::domain::text::name_key;
use crate::store::error::{Result, StoreError};
use crate::store::statement::row;
use crate::store::value::{DbId, Instant, JsonText};

row! {
    ProviderRow in providers (id) {
        id: DbId,
        revision: i64,
        create_time: Instant,
        update_time: Instant,
        created_by: String,
        updated_by: String,
        labels: JsonText,
        name: String,
        name_key: String,
        kind: String,
        description: String,
        is_active: bool,
        sync_enabled: bool,
        sync_interval_ns: i64,
        delete_time: Option<Instant>,
        purge_time: Option<Instant>,
    }
}

impl From<&Provider> for ProviderRow {
    fn from(provider: &Provider) -> Self {
        let meta = &provider.meta;
        Self {
            id: provider.id.into(),
            revision: meta.revision.0,
            create_time: meta.create_time.into(),
            update_time: meta.update_time.into(),
            created_by: meta.created_by.clone(),
            updated_by: meta.updated_by.clone(),
            labels: labels_json(&meta.labels),
            name: provider.name.clone(),
            name_key: name_key(&provider.name),
            kind: provider.kind.name().into(),
            description: provider.description.clone(),
            is_active: provider.is_active,
            sync_enabled: provider.sync_policy.enabled,
            sync_interval_ns: nanos(provider.sync_policy.interval),
            delete_time: instant(provider.delete_time),
            purge_time: instant(provider.purge_time),
        }
    }
}

impl TryFrom<ProviderRow> for Provider {
    type Error = StoreError;

    fn try_from(row: ProviderRow) -> Result<Self> {
        let place = Place::of("providers", row.id);
        Ok(Self {
            id: row.id.into(),
            meta: meta_of!(place, row),
            name: row.name,
            kind: place.some("kind", ProviderKind::parse(&row.kind))?,
            description: row.description,
            is_active: row.is_active,
            sync_policy: SyncPolicy {
                enabled: row.sync_enabled,
                interval: place.duration("sync_interval_ns", row.sync_interval_ns)?,
            },
            delete_time: time(row.delete_time),
            purge_time: time(row.purge_time),
        })
    }
}
