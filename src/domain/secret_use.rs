//! How often an identity got a version of a secret, counted by the hour.

use super::id::CredentialId;
use super::time::Timestamp;

const HOUR_MICROS: i64 = 60 * 60 * 1_000_000;

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretUseKey {
    pub credential_id: CredentialId,
    pub secret_version: i64,
    /// The name of the token or identity.
    pub identity: String,
    /// The method for which the secret was opened.
    pub rpc: String,
    /// When the hour began, UTC.
    pub hour: Timestamp,
}

impl SecretUseKey {
    /// The key of a use at `time`.
    #[must_use]
    pub fn at(credential_id: CredentialId, secret_version: i64, identity: &str, rpc: &str, time: Timestamp) -> Self {
        let hour = Timestamp::from_micros(time.micros().div_euclid(HOUR_MICROS).saturating_mul(HOUR_MICROS));
        Self { credential_id, secret_version, identity: identity.to_owned(), rpc: rpc.to_owned(), hour }
    }
}

/// How often, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseCount {
    pub count: i64,
    pub first_use_time: Timestamp,
    pub last_use_time: Timestamp,
}

impl UseCount {
    /// One use.
    #[must_use]
    pub const fn once(time: Timestamp) -> Self {
        Self { count: 1, first_use_time: time, last_use_time: time }
    }

    pub fn add(&mut self, more: Self) {
        self.count = self.count.saturating_add(more.count);
        self.first_use_time = self.first_use_time.min(more.first_use_time);
        self.last_use_time = self.last_use_time.max(more.last_use_time);
    }
}

/// A line of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretUse {
    pub key: SecretUseKey,
    pub uses: UseCount,
}

/// Which lines are wanted. Absent: any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecretUseFilter {
    pub credential_id: Option<CredentialId>,
    /// Exact.
    pub identity: Option<String>,
    /// Whose last use was then or later.
    pub start_time: Option<Timestamp>,
    /// Whose first use was before.
    pub end_time: Option<Timestamp>,
}
