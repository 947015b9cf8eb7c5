//! Endpoints: the base URLs of a provider.

use std::fmt;
use std::time::Duration;

use super::error::Violations;
use super::id::{EndpointId, ProviderId};
use super::meta::Meta;
use super::text::Text;

pub mod input;
pub mod plan;

pub const NAME: Text = Text::required(100);
pub const API_VERSION: Text = Text::optional(50);
pub const REGION: Text = Text::optional(50);
pub const MAX_BASE_URL: usize = 500;

/// A span of allowed durations with its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationRule {
    pub min: Duration,
    pub max: Duration,
    pub default: Duration,
}

impl DurationRule {
    /// Adds what is wrong with `value`; an absent one takes the default.
    pub fn check(self, field: String, value: Option<Duration>, violations: &mut Violations) {
        if let Some(value) = value.filter(|value| !(self.min..=self.max).contains(value)) {
            violations.add(field, format!("must be from {:?} to {:?}, found {value:?}", self.min, self.max));
        }
    }
}

const fn rule(min_ms: u64, max_ms: u64, default_ms: u64) -> DurationRule {
    DurationRule {
        min: Duration::from_millis(min_ms),
        max: Duration::from_millis(max_ms),
        default: Duration::from_millis(default_ms),
    }
}

pub const CONNECT_TIMEOUT: DurationRule = rule(100, 60_000, 5_000);
pub const READ_TIMEOUT: DurationRule = rule(1_000, 600_000, 60_000);
pub const INITIAL_BACKOFF: DurationRule = rule(1, 60_000, 500);
pub const MAX_BACKOFF: DurationRule = rule(1, 600_000, 10_000);
pub const CHECK_INTERVAL: DurationRule = rule(1_000, 3_600_000, 30_000);
pub const CHECK_TIMEOUT: DurationRule = rule(100, 9_000, 5_000);
pub const DEGRADED_LATENCY: DurationRule = rule(1, 9_000, 2_000);

/// A span of allowed whole numbers with its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberRule {
    pub min: i32,
    pub max: i32,
    pub default: i32,
}

impl NumberRule {
    /// Adds what is wrong with `value`; an absent one takes the default.
    pub fn check(self, field: String, value: Option<i32>, violations: &mut Violations) {
        if let Some(value) = value.filter(|value| !(self.min..=self.max).contains(value)) {
            violations.add(field, format!("must be from {} to {}, found {value}", self.min, self.max));
        }
    }
}

pub const MAX_ATTEMPTS: NumberRule = NumberRule { min: 1, max: 10, default: 3 };
pub const WEIGHT: NumberRule = NumberRule { min: 1, max: 100, default: 1 };
pub const PRIORITY: NumberRule = NumberRule { min: 0, max: 1_000_000, default: 0 };
pub const UNHEALTHY_THRESHOLD: NumberRule = NumberRule { min: 1, max: 100, default: 3 };
pub const HEALTHY_THRESHOLD: NumberRule = NumberRule { min: 1, max: 100, default: 1 };
pub const CHECK_PATH: Text = Text::optional(200);

/// An http or https URL with a host, without user information, query or fragment; kept as the operator wrote it but
/// for trailing slashes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    text: String,
    host: Host,
}

impl BaseUrl {
    /// Reads a base URL.
    ///
    /// # Errors
    /// What is wrong with it, in words for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let length = text.chars().count();
        if length == 0 {
            return Err("required, must not be empty".into());
        }
        if length > MAX_BASE_URL {
            return Err(format!("at most {MAX_BASE_URL} characters, found {length}"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("must not contain blanks or control characters".into());
        }
        // The URL parser forgives what other parsers read differently: `https:///host`, `https:host`, backslashes.
        let authority = text.split_once("://").map(|(_, rest)| rest);
        if text.contains('\\') || authority.is_none_or(|rest| rest.starts_with('/')) {
            return Err("must look like https://host/path".into());
        }
        let url = url::Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err("must begin with http:// or https://".into()),
        };
        if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
            return Err("must not contain user information; keys belong into a credential".into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must not have a query or a fragment".into());
        }
        let name = url.host_str().filter(|host| !host.is_empty()).ok_or("must name a host")?;
        let port = url.port().unwrap_or(if secure { 443 } else { 80 });
        if port == 0 {
            return Err("the port must be 1 to 65535".into());
        }
        let host = Host { secure, name: name.to_ascii_lowercase(), port };
        Ok(Self { text: text.trim_end_matches('/').to_owned(), host })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Where a secret may be sent: scheme, host and port, compared exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    pub secure: bool,
    /// Lower case; an IPv6 address in brackets.
    pub name: String,
    pub port: u16,
}

impl Host {
    /// Reads an entry of `allowed_hosts`: `host` (https, 443), `host:port` (https) or `http://host:port`.
    ///
    /// # Errors
    /// What is wrong with it, in words for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORMS: &str = "must be host, host:port or http://host:port";
        let (secure, rest) = match text.strip_prefix("http://") {
            Some(rest) => (false, rest),
            None => (true, text),
        };
        if rest.is_empty() || rest.contains(['/', '@', '?', '#', '*', ' ', '\\']) || rest.chars().any(char::is_control)
        {
            return Err(FORMS.into());
        }
        let scheme = if secure { "https" } else { "http" };
        let url = url::Url::parse(&format!("{scheme}://{rest}/")).map_err(|_| FORMS.to_owned())?;
        let name = url.host_str().filter(|host| !host.is_empty()).ok_or(FORMS)?.to_ascii_lowercase();
        // The URL parser hides a default port, which plain http must name.
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let (given, names_port) = match rest.rsplit_once(':') {
            Some((given, port)) if is_port(port) => (given, true),
            _ => (rest, false),
        };
        if !secure && !names_port {
            return Err(FORMS.into());
        }
        // It drops what cannot be seen, and reads 0x10 as an address: a list that says something else than was given.
        if given.to_ascii_lowercase() != name {
            return Err(format!("is another host than it seems; write it as {name}"));
        }
        let port = url.port().unwrap_or(if secure { 443 } else { 80 });
        if port == 0 {
            return Err("the port must be 1 to 65535".into());
        }
        Ok(Self { secure, name, port })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.secure, self.port) {
            (true, 443) => f.write_str(&self.name),
            (true, port) => write!(f, "{}:{port}", self.name),
            (false, port) => write!(f, "http://{}:{port}", self.name),
        }
    }
}

/// How our own calls repeat what may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included.
    pub max_attempts: i32,
    pub initial_backoff: Duration,
    pub max_backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: MAX_ATTEMPTS.default,
            initial_backoff: INITIAL_BACKOFF.default,
            max_backoff: MAX_BACKOFF.default,
        }
    }
}

/// When and how an endpoint is probed, and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheckPolicy {
    pub enabled: bool,
    pub interval: Duration,
    /// For one probe as a whole.
    pub timeout: Duration,
    /// Failed probes in a row until UNHEALTHY.
    pub unhealthy_threshold: i32,
    /// Good probes in a row until HEALTHY again.
    pub healthy_threshold: i32,
    /// An answer that takes longer counts as DEGRADED.
    pub degraded_latency: Duration,
    /// Asked instead of the kind's own path; empty: the kind's own. Begins with `/`, relative to the host.
    pub path: String,
}

impl Default for HealthCheckPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: CHECK_INTERVAL.default,
            timeout: CHECK_TIMEOUT.default,
            unhealthy_threshold: UNHEALTHY_THRESHOLD.default,
            healthy_threshold: HEALTHY_THRESHOLD.default,
            degraded_latency: DEGRADED_LATENCY.default,
            path: String::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub id: EndpointId,
    pub provider_id: ProviderId,
    pub meta: Meta,
    pub name: String,
    pub base_url: BaseUrl,
    pub api_version: String,
    pub region: String,
    pub connect_timeout: Duration,
    pub read_timeout: Duration,
    pub retry: RetryPolicy,
    pub is_default: bool,
    pub is_active: bool,
    /// Lower tiers are tried first.
    pub priority: i32,
    pub weight: i32,
    pub health_check: HealthCheckPolicy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_keeps_its_text_and_knows_its_host() {
        let url = BaseUrl::parse("https://API.example.com/v1/").unwrap();
        assert_eq!(url.as_str(), "https://API.example.com/v1");
        assert_eq!(url.host().to_string(), "api.example.com");
        assert_eq!(BaseUrl::parse("http://[::1]:8000").unwrap().host().to_string(), "http://[::1]:8000");
    }

    #[test]
    fn bad_base_urls_are_refused() {
        for bad in [
            "",
            "ftp://a",
            "https://",
            "a.b/c",
            "https://u:p@h/",
            "https://@h/",
            "https://h/?q",
            "https://h/#f",
            "http://h:0",
            "https://a b",
        ] {
            assert!(BaseUrl::parse(bad).is_err(), "{bad}");
        }
        assert!(BaseUrl::parse(&format!("https://h/{}", "x".repeat(MAX_BASE_URL))).is_err());
    }

    #[test]
    fn hosts_have_three_forms() {
        for (text, shown) in [
            ("Api.Example.com", "api.example.com"),
            ("h:443", "h"),
            ("h:8443", "h:8443"),
            ("http://h:80", "http://h:80"),
            ("[::1]:8443", "[::1]:8443"),
        ] {
            assert_eq!(Host::parse(text).unwrap().to_string(), shown);
        }
        for bad in ["", "https://h", "http://h", "h/p", "u@h", "*.h", "h:0", "h:x", "h:99999", "http://"] {
            assert!(Host::parse(bad).is_err(), "{bad}");
        }
    }
}
