//! Endpoints.

use std::sync::LazyLock;

use bytes::Bytes;
use prost::Message as _;

use super::enums::{WireEnum as _, wire_enum};
use super::meta::{message_with_meta, read_meta};
use super::{WireError, duration, enums, id, number, required, time};
use crate::domain::Violations;
use crate::domain::endpoint::input::{EndpointInput, HealthCheckInput, RetryInput};
use crate::domain::endpoint::{BaseUrl, Endpoint, HealthCheckPolicy, RetryPolicy};
use crate::domain::health::{EndpointHealth, HealthCause, HealthStatus};
use crate::proto::v1;
use crate::proto::v1::Endpoint as Message;

wire_enum!(HealthStatus, v1::HealthStatus {
    Unknown => Unknown,
    Healthy => Healthy,
    Degraded => Degraded,
    Unhealthy => Unhealthy,
});

wire_enum!(HealthCause, v1::HealthCause {
    NameResolution => NameResolution,
    Connect => Connect,
    Tls => Tls,
    Timeout => Timeout,
    HttpStatus => HttpStatus,
    UnexpectedAnswer => UnexpectedAnswer,
    AddressRefused => AddressRefused,
    Slow => Slow,
    RateLimited => RateLimited,
    Reported => Reported,
} or None);

/// The configuration fields.
#[must_use]
pub fn config(endpoint: &Endpoint) -> Message {
    message_with_meta!(Message, endpoint;
        provider_id: Some(id::write(endpoint.provider_id.uuid())),
        name: Some(endpoint.name.clone()),
        base_url: Some(endpoint.base_url.as_str().to_owned()),
        api_version: Some(endpoint.api_version.clone()),
        region: Some(endpoint.region.clone()),
        connect_timeout: Some(duration::write(endpoint.connect_timeout)),
        read_timeout: Some(duration::write(endpoint.read_timeout)),
        retry: Some(write_retry(&endpoint.retry)),
        is_default: endpoint.is_default,
        is_active: Some(endpoint.is_active),
        priority: Some(endpoint.priority),
        weight: Some(endpoint.weight),
        health_check: Some(write_check(&endpoint.health_check)),
    )
}

fn write_retry(retry: &RetryPolicy) -> v1::RetryPolicy {
    v1::RetryPolicy {
        max_attempts: Some(retry.max_attempts),
        initial_backoff: Some(duration::write(retry.initial_backoff)),
        max_backoff: Some(duration::write(retry.max_backoff)),
    }
}

fn write_check(check: &HealthCheckPolicy) -> v1::HealthCheckPolicy {
    v1::HealthCheckPolicy {
        enabled: Some(check.enabled),
        interval: Some(duration::write(check.interval)),
        timeout: Some(duration::write(check.timeout)),
        unhealthy_threshold: Some(check.unhealthy_threshold),
        healthy_threshold: Some(check.healthy_threshold),
        degraded_latency: Some(duration::write(check.degraded_latency)),
        path: Some(check.path.clone()),
    }
}

#[must_use]
pub fn config_bytes(endpoint: &Endpoint) -> Bytes {
    config(endpoint).encode_to_vec().into()
}

/// The health; of an endpoint that was never probed: unknown.
#[must_use]
pub fn health(health: Option<&EndpointHealth>) -> v1::EndpointHealth {
    let Some(health) = health else {
        return v1::EndpointHealth { status: HealthStatus::Unknown.number(), ..v1::EndpointHealth::default() };
    };
    v1::EndpointHealth {
        status: health.status.number(),
        cause: health.cause.number(),
        latency: health.latency.map(duration::write),
        last_check_time: health.last_check_time.map(time::write),
        last_transition_time: health.last_transition_time.map(time::write),
        consecutive_failures: number::from_u32(health.consecutive_failures),
        message: health.message.clone(),
        http_status: health.http_status.map_or(0, i32::from),
    }
}

/// The status fields.
#[must_use]
pub fn status(status: Option<&EndpointHealth>) -> Message {
    Message { health: Some(health(status)), ..Message::default() }
}

#[must_use]
pub fn status_bytes(health: Option<&EndpointHealth>) -> Bytes {
    /// Of an endpoint that was never probed.
    static UNKNOWN: LazyLock<Bytes> = LazyLock::new(|| status(None).encode_to_vec().into());
    if health.is_none() {
        return UNKNOWN.clone();
    }
    status(health).encode_to_vec().into()
}

#[must_use]
pub fn full(endpoint: &Endpoint, status: Option<&EndpointHealth>) -> Message {
    Message { health: Some(health(status)), ..config(endpoint) }
}

/// # Errors
/// The field that this program would not have written so.
pub fn read(message: Message) -> Result<Endpoint, WireError> {
    let base_url = required("endpoint.base_url", message.base_url)?;
    Ok(Endpoint {
        id: id::read("endpoint.id", &message.id)?,
        provider_id: id::read("endpoint.provider_id", message.provider_id.as_deref().unwrap_or_default())?,
        name: required("endpoint.name", message.name)?,
        base_url: BaseUrl::parse(&base_url).map_err(|problem| WireError::at("endpoint.base_url", &problem))?,
        api_version: required("endpoint.api_version", message.api_version)?,
        region: required("endpoint.region", message.region)?,
        connect_timeout: duration::read("endpoint.connect_timeout", message.connect_timeout)?,
        read_timeout: duration::read("endpoint.read_timeout", message.read_timeout)?,
        retry: read_retry(required("endpoint.retry", message.retry)?)?,
        is_default: message.is_default,
        is_active: required("endpoint.is_active", message.is_active)?,
        priority: required("endpoint.priority", message.priority)?,
        weight: required("endpoint.weight", message.weight)?,
        health_check: read_check(required("endpoint.health_check", message.health_check)?)?,
        meta: read_meta!(message)?,
    })
}

fn read_retry(retry: v1::RetryPolicy) -> Result<RetryPolicy, WireError> {
    Ok(RetryPolicy {
        max_attempts: required("endpoint.retry.max_attempts", retry.max_attempts)?,
        initial_backoff: duration::read("endpoint.retry.initial_backoff", retry.initial_backoff)?,
        max_backoff: duration::read("endpoint.retry.max_backoff", retry.max_backoff)?,
    })
}

fn read_check(check: v1::HealthCheckPolicy) -> Result<HealthCheckPolicy, WireError> {
    let threshold = |name, value| required(&format!("endpoint.health_check.{name}"), value);
    Ok(HealthCheckPolicy {
        enabled: required("endpoint.health_check.enabled", check.enabled)?,
        interval: duration::read("endpoint.health_check.interval", check.interval)?,
        timeout: duration::read("endpoint.health_check.timeout", check.timeout)?,
        unhealthy_threshold: threshold("unhealthy_threshold", check.unhealthy_threshold)?,
        healthy_threshold: threshold("healthy_threshold", check.healthy_threshold)?,
        degraded_latency: duration::read("endpoint.health_check.degraded_latency", check.degraded_latency)?,
        path: required("endpoint.health_check.path", check.path)?,
    })
}

/// Reads a health that was shown; how many probes succeeded in a row is not.
///
/// # Errors
/// The field that this program would not have written so.
pub(super) fn read_health(health: v1::EndpointHealth) -> Result<EndpointHealth, WireError> {
    let http_status =
        u16::try_from(health.http_status).map_err(|_| WireError::at("health.http_status", "too large"))?;
    Ok(EndpointHealth {
        status: enums::read("health.status", health.status)?,
        cause: enums::read("health.cause", health.cause)?,
        latency: health.latency.map(|latency| duration::read("health.latency", Some(latency))).transpose()?,
        last_check_time: time::read("health.last_check_time", health.last_check_time)?,
        last_transition_time: time::read("health.last_transition_time", health.last_transition_time)?,
        consecutive_failures: number::read_u32("health.consecutive_failures", health.consecutive_failures)?,
        consecutive_successes: 0,
        message: health.message,
        http_status: (http_status != 0).then_some(http_status),
    })
}

/// Reads what a caller sent at `field`. Fields that nobody sets are ignored.
pub fn input(message: Message, field: &str, violations: &mut Violations) -> EndpointInput {
    let path = |name: &str| format!("{field}.{name}");
    EndpointInput {
        provider_id: id::input(&path("provider_id"), message.provider_id.as_deref(), violations),
        name: message.name,
        base_url: message.base_url,
        api_version: message.api_version,
        region: message.region,
        connect_timeout: duration::input(&path("connect_timeout"), message.connect_timeout, violations),
        read_timeout: duration::input(&path("read_timeout"), message.read_timeout, violations),
        retry: retry_input(message.retry.unwrap_or_default(), &path("retry"), violations),
        is_active: message.is_active,
        priority: message.priority,
        weight: message.weight,
        health_check: check_input(message.health_check.unwrap_or_default(), &path("health_check"), violations),
        labels: message.labels,
    }
}

fn retry_input(message: v1::RetryPolicy, field: &str, violations: &mut Violations) -> RetryInput {
    RetryInput {
        max_attempts: message.max_attempts,
        initial_backoff: duration::input(&format!("{field}.initial_backoff"), message.initial_backoff, violations),
        max_backoff: duration::input(&format!("{field}.max_backoff"), message.max_backoff, violations),
    }
}

fn check_input(message: v1::HealthCheckPolicy, field: &str, violations: &mut Violations) -> HealthCheckInput {
    let mut span = |name: &str, value| duration::input(&format!("{field}.{name}"), value, violations);
    HealthCheckInput {
        enabled: message.enabled,
        interval: span("interval", message.interval),
        timeout: span("timeout", message.timeout),
        unhealthy_threshold: message.unhealthy_threshold,
        healthy_threshold: message.healthy_threshold,
        degraded_latency: span("degraded_latency", message.degraded_latency),
        path: message.path,
    }
}
