//! Rows of `endpoints`.

use super::{Place, labels_json, meta_of, nanos};
use crate::domain::endpoint::{BaseUrl, Endpoint, HealthCheckPolicy, RetryPolicy};
use crate::domain::text::name_key;
use crate::store::error::{Result, StoreError};
use crate::store::statement::row;
use crate::store::value::{DbId, Instant, JsonText};

row! {
    EndpointRow in endpoints (id) {
        id: DbId,
        provider_id: DbId,
        revision: i64,
        create_time: Instant,
        update_time: Instant,
        created_by: String,
        updated_by: String,
        labels: JsonText,
        name: String,
        name_key: String,
        base_url: String,
        api_version: String,
        region: String,
        connect_timeout_ns: i64,
        read_timeout_ns: i64,
        retry_max_attempts: i32,
        retry_initial_backoff_ns: i64,
        retry_max_backoff_ns: i64,
        is_default: bool,
        is_active: bool,
        priority: i32,
        weight: i32,
        check_enabled: bool,
        check_interval_ns: i64,
        check_timeout_ns: i64,
        check_unhealthy_threshold: i32,
        check_healthy_threshold: i32,
        check_degraded_latency_ns: i64,
        check_path: String,
    }
}

impl From<&Endpoint> for EndpointRow {
    fn from(endpoint: &Endpoint) -> Self {
        let (meta, retry, check) = (&endpoint.meta, &endpoint.retry, &endpoint.health_check);
        Self {
            id: endpoint.id.into(),
            provider_id: endpoint.provider_id.into(),
            revision: meta.revision.0,
            create_time: meta.create_time.into(),
            update_time: meta.update_time.into(),
            created_by: meta.created_by.clone(),
            updated_by: meta.updated_by.clone(),
            labels: labels_json(&meta.labels),
            name: endpoint.name.clone(),
            name_key: name_key(&endpoint.name),
            base_url: endpoint.base_url.as_str().into(),
            api_version: endpoint.api_version.clone(),
            region: endpoint.region.clone(),
            connect_timeout_ns: nanos(endpoint.connect_timeout),
            read_timeout_ns: nanos(endpoint.read_timeout),
            retry_max_attempts: retry.max_attempts,
            retry_initial_backoff_ns: nanos(retry.initial_backoff),
            retry_max_backoff_ns: nanos(retry.max_backoff),
            is_default: endpoint.is_default,
            is_active: endpoint.is_active,
            priority: endpoint.priority,
            weight: endpoint.weight,
            check_enabled: check.enabled,
            check_interval_ns: nanos(check.interval),
            check_timeout_ns: nanos(check.timeout),
            check_unhealthy_threshold: check.unhealthy_threshold,
            check_healthy_threshold: check.healthy_threshold,
            check_degraded_latency_ns: nanos(check.degraded_latency),
            check_path: check.path.clone(),
        }
    }
}

impl TryFrom<EndpointRow> for Endpoint {
    type Error = StoreError;

    fn try_from(row: EndpointRow) -> Result<Self> {
        let place = Place::of("endpoints", row.id);
        Ok(Self {
            id: row.id.into(),
            provider_id: row.provider_id.into(),
            meta: meta_of!(place, row),
            name: row.name,
            base_url: place.some("base_url", BaseUrl::parse(&row.base_url).ok())?,
            api_version: row.api_version,
            region: row.region,
            connect_timeout: place.duration("connect_timeout_ns", row.connect_timeout_ns)?,
            read_timeout: place.duration("read_timeout_ns", row.read_timeout_ns)?,
            retry: RetryPolicy {
                max_attempts: row.retry_max_attempts,
                initial_backoff: place.duration("retry_initial_backoff_ns", row.retry_initial_backoff_ns)?,
                max_backoff: place.duration("retry_max_backoff_ns", row.retry_max_backoff_ns)?,
            },
            is_default: row.is_default,
            is_active: row.is_active,
            priority: row.priority,
            weight: row.weight,
            health_check: HealthCheckPolicy {
                enabled: row.check_enabled,
                interval: place.duration("check_interval_ns", row.check_interval_ns)?,
                timeout: place.duration("check_timeout_ns", row.check_timeout_ns)?,
                unhealthy_threshold: row.check_unhealthy_threshold,
                healthy_threshold: row.check_healthy_threshold,
                degraded_latency: place.duration("check_degraded_latency_ns", row.check_degraded_latency_ns)?,
                path: row.check_path,
            },
        })
    }
}
