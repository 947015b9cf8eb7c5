//! What a caller may say about an endpoint, checked field by field.

use std::time::Duration;

use super::{
    API_VERSION, BaseUrl, CHECK_INTERVAL, CHECK_PATH, CHECK_TIMEOUT, CONNECT_TIMEOUT, DEGRADED_LATENCY, Endpoint,
    HEALTHY_THRESHOLD, HealthCheckPolicy, INITIAL_BACKOFF, MAX_ATTEMPTS, MAX_BACKOFF, NAME, PRIORITY, READ_TIMEOUT,
    REGION, RetryPolicy, UNHEALTHY_THRESHOLD, WEIGHT,
};
use crate::domain::error::{Error, Result, Violations};
use crate::domain::id::ProviderId;
use crate::domain::mask::{Mask, Presence};
use crate::domain::meta::{Labels, check_labels};

/// The carried fields of an endpoint; empty labels count as not carried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointInput {
    pub provider_id: Option<ProviderId>,
    pub name: Option<String>,
    pub base_url: Option<String>,
    pub api_version: Option<String>,
    pub region: Option<String>,
    pub connect_timeout: Option<Duration>,
    pub read_timeout: Option<Duration>,
    pub retry: RetryInput,
    pub is_active: Option<bool>,
    pub priority: Option<i32>,
    pub weight: Option<i32>,
    pub health_check: HealthCheckInput,
    pub labels: Labels,
}

/// The carried fields of a retry policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryInput {
    pub max_attempts: Option<i32>,
    pub initial_backoff: Option<Duration>,
    pub max_backoff: Option<Duration>,
}

/// The carried fields of a health check policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthCheckInput {
    pub enabled: Option<bool>,
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub unhealthy_threshold: Option<i32>,
    pub healthy_threshold: Option<i32>,
    pub degraded_latency: Option<Duration>,
    pub path: Option<String>,
}

/// Paths that an update mask may name.
pub const SETTABLE: &[&str] = &[
    "name",
    "base_url",
    "api_version",
    "region",
    "connect_timeout",
    "read_timeout",
    "retry",
    "retry.max_attempts",
    "retry.initial_backoff",
    "retry.max_backoff",
    "is_active",
    "priority",
    "weight",
    "health_check",
    "health_check.enabled",
    "health_check.interval",
    "health_check.timeout",
    "health_check.unhealthy_threshold",
    "health_check.healthy_threshold",
    "health_check.degraded_latency",
    "health_check.path",
    "labels",
];
/// All other fields.
pub const FIXED: &[&str] = &[
    "id",
    "revision",
    "create_time",
    "update_time",
    "created_by",
    "updated_by",
    "provider_id",
    "is_default",
    "health",
];

impl EndpointInput {
    /// Adds what is wrong with the shape of the input at `field`, whatever is stored.
    pub fn check(&self, field: &str, presence: Presence<'_>, violations: &mut Violations) {
        let path = |name: &str| format!("{field}.{name}");
        if self.provider_id.is_none() && presence == Presence::Create {
            violations.add(path("provider_id"), "required");
        }
        NAME.check_option(&path("name"), self.name.as_deref(), presence.requires("name"), violations);
        match self.base_url.as_deref().map(BaseUrl::parse) {
            Some(Err(problem)) => violations.add(path("base_url"), problem),
            None if presence.requires("base_url") => violations.add(path("base_url"), "required"),
            Some(Ok(_)) | None => {}
        }
        API_VERSION.check_option(&path("api_version"), self.api_version.as_deref(), false, violations);
        REGION.check_option(&path("region"), self.region.as_deref(), false, violations);
        CONNECT_TIMEOUT.check(path("connect_timeout"), self.connect_timeout, violations);
        READ_TIMEOUT.check(path("read_timeout"), self.read_timeout, violations);
        PRIORITY.check(path("priority"), self.priority, violations);
        WEIGHT.check(path("weight"), self.weight, violations);
        self.retry.check(&path("retry"), presence, violations);
        self.health_check.check(&path("health_check"), violations);
        check_labels(&path("labels"), &self.labels, violations);
    }

    /// Takes over into `endpoint` what `mask` lets through.
    ///
    /// # Errors
    /// [`Error::InvalidField`] for a base URL that is none, and for what only the result shows: pauses that are the
    /// wrong way round.
    pub(super) fn merge_into(&self, endpoint: &mut Endpoint, mask: &Mask) -> Result<()> {
        let base_url = self.base_url.as_deref().map(BaseUrl::parse).transpose();
        let base_url = base_url.map_err(|problem| Error::field("endpoint.base_url", problem))?;
        let current = endpoint.base_url.clone();
        mask.merge("base_url", &mut endpoint.base_url, base_url, current);
        mask.merge("name", &mut endpoint.name, self.name.clone(), String::new());
        mask.merge("api_version", &mut endpoint.api_version, self.api_version.clone(), String::new());
        mask.merge("region", &mut endpoint.region, self.region.clone(), String::new());
        let (connect, read) = (&mut endpoint.connect_timeout, &mut endpoint.read_timeout);
        mask.merge("connect_timeout", connect, self.connect_timeout, CONNECT_TIMEOUT.default);
        mask.merge("read_timeout", read, self.read_timeout, READ_TIMEOUT.default);
        mask.merge("is_active", &mut endpoint.is_active, self.is_active, true);
        mask.merge("priority", &mut endpoint.priority, self.priority, PRIORITY.default);
        mask.merge("weight", &mut endpoint.weight, self.weight, WEIGHT.default);
        mask.merge_many("labels", &mut endpoint.meta.labels, &self.labels);
        self.health_check.merge_into(&mut endpoint.health_check, mask);
        self.retry.merge_into(&mut endpoint.retry, mask);
        let mut violations = Violations::default();
        check_backoff("endpoint.retry", endpoint.retry.initial_backoff, endpoint.retry.max_backoff, &mut violations);
        violations.into_result()
    }
}

impl RetryInput {
    fn check(&self, field: &str, presence: Presence<'_>, violations: &mut Violations) {
        let path = |name: &str| format!("{field}.{name}");
        MAX_ATTEMPTS.check(path("max_attempts"), self.max_attempts, violations);
        INITIAL_BACKOFF.check(path("initial_backoff"), self.initial_backoff, violations);
        MAX_BACKOFF.check(path("max_backoff"), self.max_backoff, violations);
        // What will stand, as far as the request alone tells: the stored value of the other one is not known here.
        let known = |path: &str, carried: Option<Duration>, default| {
            carried.or_else(|| presence.requires(path).then_some(default))
        };
        let initial = known("retry.initial_backoff", self.initial_backoff, INITIAL_BACKOFF.default);
        let max = known("retry.max_backoff", self.max_backoff, MAX_BACKOFF.default);
        if let (Some(initial), Some(max)) = (initial, max) {
            check_backoff(field, initial, max, violations);
        }
    }

    fn merge_into(&self, retry: &mut RetryPolicy, mask: &Mask) {
        let RetryPolicy { max_attempts, initial_backoff, max_backoff } = retry;
        mask.merge("retry.max_attempts", max_attempts, self.max_attempts, MAX_ATTEMPTS.default);
        mask.merge("retry.initial_backoff", initial_backoff, self.initial_backoff, INITIAL_BACKOFF.default);
        mask.merge("retry.max_backoff", max_backoff, self.max_backoff, MAX_BACKOFF.default);
    }
}

fn check_backoff(field: &str, initial: Duration, max: Duration, violations: &mut Violations) {
    if initial > max {
        violations
            .add(format!("{field}.initial_backoff"), format!("must not exceed max_backoff {max:?}, found {initial:?}"));
    }
}

impl HealthCheckInput {
    fn check(&self, field: &str, violations: &mut Violations) {
        let path = |name: &str| format!("{field}.{name}");
        CHECK_INTERVAL.check(path("interval"), self.interval, violations);
        CHECK_TIMEOUT.check(path("timeout"), self.timeout, violations);
        UNHEALTHY_THRESHOLD.check(path("unhealthy_threshold"), self.unhealthy_threshold, violations);
        HEALTHY_THRESHOLD.check(path("healthy_threshold"), self.healthy_threshold, violations);
        DEGRADED_LATENCY.check(path("degraded_latency"), self.degraded_latency, violations);
        let Some(text) = self.path.as_deref() else { return };
        CHECK_PATH.check(&path("path"), text, violations);
        // Two slashes at the beginning would name another host.
        let wrong = !text.starts_with('/')
            || text.starts_with("//")
            || text.contains(['\\', '#'])
            || !text.bytes().all(|byte| byte.is_ascii_graphic());
        if !text.is_empty() && wrong {
            violations.add(path("path"), "must begin with one / and hold neither blanks nor #, as in /healthz");
        }
    }

    fn merge_into(&self, policy: &mut HealthCheckPolicy, mask: &Mask) {
        let HealthCheckPolicy {
            enabled,
            interval,
            timeout,
            unhealthy_threshold,
            healthy_threshold,
            degraded_latency,
            path,
        } = policy;
        mask.merge("health_check.enabled", enabled, self.enabled, true);
        mask.merge("health_check.interval", interval, self.interval, CHECK_INTERVAL.default);
        mask.merge("health_check.timeout", timeout, self.timeout, CHECK_TIMEOUT.default);
        let (up, down) = (HEALTHY_THRESHOLD.default, UNHEALTHY_THRESHOLD.default);
        mask.merge("health_check.unhealthy_threshold", unhealthy_threshold, self.unhealthy_threshold, down);
        mask.merge("health_check.healthy_threshold", healthy_threshold, self.healthy_threshold, up);
        let slow = DEGRADED_LATENCY.default;
        mask.merge("health_check.degraded_latency", degraded_latency, self.degraded_latency, slow);
        mask.merge("health_check.path", path, self.path.clone(), String::new());
    }
}
