//! What can go wrong, as clients are told: one variant per reason of `error_reason.proto`, its fields the metadata.
//!
//! Messages name the field, the limit and the remedy; they never carry a secret, SQL, a path or a cause chain.

use uuid::Uuid;

use super::caller::Role;
use super::change::ResourceKind;
use super::revision::Revision;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One thing that is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path from the request message, as in `provider.sync_policy.interval`.
    pub field: String,
    pub description: String,
}

/// More than any honest request has. A caller who sends a megabyte of bad labels need not get one back.
const MAX_VIOLATIONS: usize = 40;
/// How many of them the message itself tells; the details tell all. Both travel in headers, which clients bound.
const TOLD: usize = 5;

/// The violations of one request, gathered so that a caller learns all of them at once: one for each bad field, the
/// first that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        let field = field.into();
        if self.0.len() < MAX_VIOLATIONS && self.0.iter().all(|known| known.field != field) {
            self.0.push(Violation { field, description: description.into() });
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// # Errors
    /// [`Error::InvalidField`] with all of them, if there is any.
    pub fn into_result(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::InvalidField { violations: self.0 }) }
    }
}

fn summary(violations: &[Violation]) -> String {
    let told = violations.iter().take(TOLD).map(|v| format!("{}: {}", v.field, v.description));
    let more = violations.len().saturating_sub(TOLD);
    let rest = (more > 0).then(|| format!("and {more} more, see the details"));
    told.chain(rest).collect::<Vec<_>>().join("; ")
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{}", summary(violations))]
    InvalidField { violations: Vec<Violation> },
    #[error("{}", summary(violations))]
    InvalidMask { violations: Vec<Violation> },
    #[error("page_token is not one that this list with these filters gave out; start again without it")]
    InvalidPageToken,
    #[error(
        "{field}: looks like a mask, not like a secret; send the secret itself, or leave the field out to keep the stored one"
    )]
    SecretLooksMasked { field: String },
    #[error("request_id was used within 24 h with another payload; use a new one: {request_id}")]
    RequestIdReused { request_id: String },
    #[error("no such {}: {id}", kind.noun())]
    NotFound { kind: ResourceKind, id: String },
    #[error("no such watch, or it has ended: {id}")]
    WatchNotFound { id: String },
    #[error("{field} is taken by another {}; choose another: {value}", kind.noun())]
    AlreadyExists { kind: ResourceKind, field: &'static str, value: String, holder: Uuid },
    #[error("the {} has changed: expected_revision is {expected}, the current revision is {current}; read it again", kind.noun())]
    RevisionMismatch { kind: ResourceKind, id: Uuid, expected: Revision, current: Revision },
    #[error("this is the only endpoint of its provider; create another one first, or delete the provider")]
    LastEndpoint { endpoint_id: Uuid, provider_id: Uuid },
    #[error(
        "this is the last usable credential of its provider; add another one first, or use RevokeCredential in an emergency"
    )]
    LastCredential { credential_id: Uuid, provider_id: Uuid },
    #[error("in use by {} binding(s); delete these first", bindings.len())]
    InUse { bindings: Vec<Uuid> },
    #[error("the provider is disabled; enable it with UpdateProviderStatus: {provider_id}")]
    ProviderDisabled { provider_id: Uuid },
    #[error("the provider has no active endpoint that may serve: {provider_id}")]
    NoEndpoint { provider_id: Uuid },
    #[error("the model cannot be used now: {cause}")]
    ModelUnavailable { model_id: Option<Uuid>, cause: String },
    #[error("the credential may not be sent to this host; an admin can add it to allowed_hosts: {host}")]
    HostNotAllowed { host: String, credential_id: Uuid },
    #[error("the vendor refused the secret; nothing was changed: {message}")]
    SecretRefused { cause: &'static str, message: String },
    #[error("the vendor lists {listed} models, {known} are known; repeat with force if that is right")]
    SyncShrinks { listed: usize, known: usize },
    #[error("the secret no longer exists, so it cannot be restored")]
    SecretDestroyed { credential_id: Uuid },
    #[error("not every replica can read the key {key_id}; give it to all of them and repeat")]
    KeyNotEverywhere { key_id: String, replicas: Vec<String> },
    #[error("at most {limit} {what} are allowed; delete one, or raise the setting {setting}")]
    LimitExceeded { what: &'static str, limit: usize, setting: &'static str },
    #[error("all usable credentials are over their quota")]
    QuotaExhausted { provider_id: Uuid },
    #[error("the stream was read too slowly; resume with the last token")]
    SlowReader { resume_token: String },
    #[error("the message is larger than {limit} bytes")]
    RequestTooLarge { limit: usize },
    #[error("at most {limit} streams are served at a time; close one or try another replica")]
    TooManyStreams { limit: usize },
    #[error("the database has no space left; nothing was written")]
    StoreFull,
    #[error("no usable endpoint of the provider is healthy now: {provider_id}")]
    NoHealthyEndpoint { provider_id: Uuid },
    #[error("the database does not answer; nothing was written, try again")]
    StoreUnavailable,
    #[error("the server is stopping; resume with the last token at another replica, or soon here")]
    Stopping,
    #[error("the control plane does not answer this sidecar; try again")]
    UpstreamUnavailable,
    #[error("this replica has not reached the revision asked for; it is at {current}")]
    ReplicaBehind { current: Revision },
    #[error("the vendor's API failed: {message}")]
    ProviderError { http_status: Option<u16>, message: String },
    #[error("the deadline passed; a write may or may not have happened: repeat it with the same request_id")]
    DeadlineExceeded,
    #[error("providers of the kind {kind} have no such call: {call}")]
    UnsupportedByProvider { kind: &'static str, call: &'static str },
    #[error("not built yet: {rpc}")]
    NotImplemented { rpc: &'static str },
    #[error("no such method: {method}")]
    UnknownMethod { method: String },
    #[error("the compression is not supported; use gzip, zstd or none")]
    UnsupportedEncoding,
    #[error("{problem}; send `authorization: Bearer mw_…`")]
    Unauthenticated { problem: &'static str },
    #[error("this needs the role {}", role.name())]
    Forbidden { role: Role },
    #[error(
        "this sidecar passes no writes on ({setting} is \"refuse\"); call the control plane, or set it to \"forward\""
    )]
    NotForwarded { setting: &'static str },
    #[error("the log begins later; the oldest revision kept is {oldest}")]
    Compacted { oldest: Revision },
    #[error("the log is not the one this position came from; read the state again")]
    HistoryChanged,
    #[error("this sidecar does not hold the secret now; try again")]
    SecretNotHeld { credential_id: Uuid },
    #[error("a stored secret cannot be opened; give this server the master key {key_id}")]
    SecretUnreadable { credential_id: Uuid, key_id: String },
    /// A bug. The cause is logged where it was found, never told.
    #[error("internal error; the server's log tells more under this request id: {request_id}")]
    Internal { request_id: String },
}

impl Error {
    /// One field that is wrong.
    #[must_use]
    pub fn field(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::InvalidField { violations: vec![Violation { field: field.into(), description: description.into() }] }
    }

    #[must_use]
    pub fn not_found(kind: ResourceKind, id: impl ToString) -> Self {
        Self::NotFound { kind, id: id.to_string() }
    }

    /// A bug found where the call is not known; the outer layer fills in the request id.
    #[must_use]
    pub fn internal() -> Self {
        Self::Internal { request_id: String::new() }
    }

    /// The name of the variant as `error_reason.proto` has it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::InvalidField { .. } => "INVALID_FIELD",
            Self::InvalidMask { .. } => "INVALID_MASK",
            Self::InvalidPageToken => "INVALID_PAGE_TOKEN",
            Self::SecretLooksMasked { .. } => "SECRET_LOOKS_MASKED",
            Self::RequestIdReused { .. } => "REQUEST_ID_REUSED",
            Self::NotFound { .. } | Self::WatchNotFound { .. } => "NOT_FOUND",
            Self::AlreadyExists { .. } => "ALREADY_EXISTS",
            Self::RevisionMismatch { .. } => "REVISION_MISMATCH",
            Self::LastEndpoint { .. } => "LAST_ENDPOINT",
            Self::LastCredential { .. } => "LAST_CREDENTIAL",
            Self::InUse { .. } => "IN_USE",
            Self::ProviderDisabled { .. } => "PROVIDER_DISABLED",
            Self::NoEndpoint { .. } => "NO_ENDPOINT",
            Self::ModelUnavailable { .. } => "MODEL_UNAVAILABLE",
            Self::HostNotAllowed { .. } => "HOST_NOT_ALLOWED",
            Self::SecretRefused { .. } => "SECRET_REFUSED",
            Self::SyncShrinks { .. } => "SYNC_SHRINKS",
            Self::SecretDestroyed { .. } => "SECRET_DESTROYED",
            Self::KeyNotEverywhere { .. } => "KEY_NOT_EVERYWHERE",
            Self::LimitExceeded { .. } => "LIMIT_EXCEEDED",
            Self::QuotaExhausted { .. } => "QUOTA_EXHAUSTED",
            Self::SlowReader { .. } => "SLOW_READER",
            Self::RequestTooLarge { .. } => "REQUEST_TOO_LARGE",
            Self::TooManyStreams { .. } => "TOO_MANY_STREAMS",
            Self::StoreFull => "STORE_FULL",
            Self::NoHealthyEndpoint { .. } => "NO_HEALTHY_ENDPOINT",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
            Self::Stopping => "STOPPING",
            Self::UpstreamUnavailable => "UPSTREAM_UNAVAILABLE",
            Self::ReplicaBehind { .. } => "REPLICA_BEHIND",
            Self::ProviderError { .. } => "PROVIDER_ERROR",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::UnsupportedByProvider { .. } => "UNSUPPORTED_BY_PROVIDER",
            Self::NotImplemented { .. } => "NOT_IMPLEMENTED",
            Self::UnknownMethod { .. } => "UNKNOWN_METHOD",
            Self::UnsupportedEncoding => "UNSUPPORTED_ENCODING",
            Self::Unauthenticated { .. } => "UNAUTHENTICATED",
            Self::Forbidden { .. } | Self::NotForwarded { .. } => "FORBIDDEN",
            Self::Compacted { .. } => "COMPACTED",
            Self::HistoryChanged => "HISTORY_CHANGED",
            Self::SecretNotHeld { .. } => "SECRET_NOT_HELD",
            Self::SecretUnreadable { .. } => "SECRET_UNREADABLE",
            Self::Internal { .. } => "INTERNAL",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(fields: impl Iterator<Item = String>) -> Vec<Violation> {
        let mut violations = Violations::default();
        (0..).zip(fields).for_each(|(place, field)| violations.add(field, format!("problem {place}")));
        violations.0
    }

    #[test]
    fn a_field_is_told_once_with_what_was_found_first() {
        let found = gathered(["a", "b", "a"].into_iter().map(Into::into));
        let expected = [("a", "problem 0"), ("b", "problem 1")]
            .map(|(field, problem)| Violation { field: field.into(), description: problem.into() });
        assert_eq!(found, expected);
    }

    #[test]
    fn endless_violations_end() {
        assert_eq!(gathered((0..10_000).map(|place| format!("labels[{place}]"))).len(), MAX_VIOLATIONS);
    }
}
