//! Limits that an operator may set. Limits of fields stand beside the fields.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Setting `limits.endpoints_per_provider`.
    pub endpoints_per_provider: usize,
    /// Setting `limits.credentials_per_provider`.
    pub credentials_per_provider: usize,
    /// How long a deleted provider can be brought back; setting `limits.deleted_retention`.
    pub deleted_retention: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            endpoints_per_provider: 10,
            credentials_per_provider: 20,
            deleted_retention: Duration::from_hours(30 * 24),
        }
    }
}

/// How long a request id is remembered.
pub const REQUEST_ID_RETENTION: Duration = Duration::from_hours(24);
/// For the audit log, on every mutation.
pub const REASON: super::text::Text = super::text::Text::optional(500);
/// An idempotency key.
pub const REQUEST_ID: super::text::Text = super::text::Text::optional(100);
/// The name of a token or of another identity, to look for: longer than any is.
pub const IDENTITY: super::text::Text = super::text::Text::optional(600);
