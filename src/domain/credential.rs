//! Credentials: the secrets of a provider, described without ever showing one.

use std::time::Duration;

use super::endpoint::Host;
use super::id::{CredentialId, ProviderId};
use super::meta::Meta;
use super::text::Text;
use super::time::Timestamp;

pub mod hosts;
pub mod input;
pub mod plan;
pub mod rotation;

pub const ALIAS: Text = Text::required(100);
pub const DESCRIPTION: Text = Text::optional(1000);
/// Not a promise of the API, a guard: longer lists are mistakes.
pub const MAX_ALLOWED_HOSTS: usize = 100;
pub const MIN_QUOTA: i64 = 1;
/// Not a promise of the API, a guard: a secret that was rotated away should not stay for good.
pub const MAX_GRACE_PERIOD: Duration = Duration::from_hours(366 * 24);

/// Where a credential's secret may be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowedHosts {
    /// Sorted, without duplicates.
    pub hosts: Vec<Host>,
    /// Given by a person: changes only by naming it. Otherwise it follows the provider's endpoints.
    pub explicit: bool,
}

impl AllowedHosts {
    #[must_use]
    pub fn new(hosts: impl IntoIterator<Item = Host>, explicit: bool) -> Self {
        let mut hosts: Vec<_> = hosts.into_iter().collect();
        hosts.sort_unstable();
        hosts.dedup();
        Self { hosts, explicit }
    }

    #[must_use]
    pub fn allow(&self, host: &Host) -> bool {
        self.hosts.binary_search(host).is_ok()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum QuotaUnit {
    #[default]
    Requests,
    Tokens,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum QuotaPeriod {
    #[default]
    Total,
    Day,
    Month,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// At least 1.
    pub limit: i64,
    pub unit: QuotaUnit,
    pub period: QuotaPeriod,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub id: CredentialId,
    pub provider_id: ProviderId,
    pub meta: Meta,
    pub alias: String,
    pub description: String,
    /// `****abcd`.
    pub hint: String,
    /// Keyed hash of the secret: equal secrets have equal fingerprints.
    pub fingerprint: String,
    /// 1, 2, …
    pub secret_version: i64,
    pub allowed_hosts: AllowedHosts,
    pub expire_time: Option<Timestamp>,
    pub quota: Option<Quota>,
    pub is_active: bool,
    pub revoke_time: Option<Timestamp>,
    pub rotate_time: Option<Timestamp>,
    /// Until when the version before the current one stays readable.
    pub previous_secret_expire_time: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialState {
    Revoked,
    Disabled,
    Expired,
    Exhausted,
    Active,
}

impl Credential {
    /// The first state that holds. `exhausted`: its quota is used up.
    #[must_use]
    pub fn state(&self, now: Timestamp, exhausted: bool) -> CredentialState {
        if self.revoke_time.is_some() {
            CredentialState::Revoked
        } else if !self.is_active {
            CredentialState::Disabled
        } else if self.expire_time.is_some_and(|end| end <= now) {
            CredentialState::Expired
        } else if exhausted {
            CredentialState::Exhausted
        } else {
            CredentialState::Active
        }
    }

    /// Active, not revoked, not expired.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.state(now, false) == CredentialState::Active
    }

    /// Whether this version of the secret can be read: 0 or the current one, or the one before in its grace period.
    #[must_use]
    pub fn is_readable(&self, version: i64, now: Timestamp) -> bool {
        let before = version > 0 && self.secret_version.checked_sub(1) == Some(version);
        version == 0
            || version == self.secret_version
            || (before && self.previous_secret_expire_time.is_some_and(|end| now < end))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ValidationStatus {
    #[default]
    Unknown,
    Valid,
    Invalid,
    Unreachable,
    Unsupported,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ValidationCause {
    #[default]
    None,
    BadKey,
    NoPermission,
    NoCredit,
    RateLimited,
    Network,
    ServerError,
    UnexpectedAnswer,
    HostNotAllowed,
    NoEndpoint,
    SecretUnreadable,
}

impl ValidationCause {
    /// The name as the API has it, for metadata.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "UNSPECIFIED",
            Self::BadKey => "BAD_KEY",
            Self::NoPermission => "NO_PERMISSION",
            Self::NoCredit => "NO_CREDIT",
            Self::RateLimited => "RATE_LIMITED",
            Self::Network => "NETWORK",
            Self::ServerError => "SERVER_ERROR",
            Self::UnexpectedAnswer => "UNEXPECTED_ANSWER",
            Self::HostNotAllowed => "HOST_NOT_ALLOWED",
            Self::NoEndpoint => "NO_ENDPOINT",
            Self::SecretUnreadable => "SECRET_UNREADABLE",
        }
    }
}

/// What the vendor last said about a secret: status, not configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Validation {
    pub status: ValidationStatus,
    pub cause: ValidationCause,
    pub message: String,
    pub last_validate_time: Option<Timestamp>,
    /// Which version of the secret was tried.
    pub secret_version: i64,
}
