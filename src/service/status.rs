//! The one place where an error becomes a gRPC status, with its details.
//!
//! Exactly one `ErrorInfo` each; its metadata keys are those that `error_reason.proto` documents.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::domain::{Error, Violation};

const DOMAIN: &str = "modelward";
/// When to try again what failed because something was away for a moment.
const RETRY: Duration = Duration::from_secs(1);
/// The most violations of one kind that an answer lists.
const MOST: usize = 20;
/// Details and message travel in headers, of which clients take 8 KiB in all: some drop the whole answer beyond that.
/// Bytes of the message as it is sent.
const MOST_MESSAGE: usize = 1500;
/// Bytes of all violations of a BadRequest before they are encoded.
const MOST_VIOLATIONS: usize = 2500;

/// The status that tells a caller about `error`. `trace_id` is the id of the call in the server's log.
#[must_use]
pub fn status(error: Error, trace_id: &str) -> Status {
    let error = match error {
        Error::Internal { .. } => Error::Internal { request_id: trace_id.to_owned() },
        other => other,
    };
    let mut details = ErrorDetails::new();
    details.set_error_info(error.reason(), DOMAIN, metadata(&error));
    add_details(&error, &mut details);
    Status::with_error_details(code(&error), clipped(&error.to_string()), details)
}

/// As much of a message as fits into its header, where all but printable ASCII takes three times its room.
fn clipped(message: &str) -> String {
    let mut room = MOST_MESSAGE;
    let fits = |symbol: &char| {
        let printable = symbol.is_ascii_graphic() && *symbol != '%' || *symbol == ' ';
        let size = if printable { 1 } else { 3 * symbol.len_utf8() };
        room.checked_sub(size).map(|left| room = left).is_some()
    };
    let text: String = message.chars().take_while(fits).collect();
    if text.len() < message.len() { format!("{text}…") } else { text }
}

/// The gRPC code of each reason, as the contract's table has it.
#[must_use]
pub const fn code(error: &Error) -> Code {
    match error {
        Error::InvalidField { .. }
        | Error::InvalidMask { .. }
        | Error::InvalidPageToken
        | Error::SecretLooksMasked { .. }
        | Error::RequestIdReused { .. } => Code::InvalidArgument,
        Error::NotFound { .. } | Error::WatchNotFound { .. } => Code::NotFound,
        Error::AlreadyExists { .. } => Code::AlreadyExists,
        Error::RevisionMismatch { .. } => Code::Aborted,
        Error::LastEndpoint { .. }
        | Error::LastCredential { .. }
        | Error::InUse { .. }
        | Error::ProviderDisabled { .. }
        | Error::NoEndpoint { .. }
        | Error::ModelUnavailable { .. }
        | Error::HostNotAllowed { .. }
        | Error::SecretRefused { .. }
        | Error::SyncShrinks { .. }
        | Error::SecretDestroyed { .. }
        | Error::KeyNotEverywhere { .. } => Code::FailedPrecondition,
        Error::LimitExceeded { .. }
        | Error::QuotaExhausted { .. }
        | Error::SlowReader { .. }
        | Error::RequestTooLarge { .. }
        | Error::TooManyStreams { .. }
        | Error::StoreFull => Code::ResourceExhausted,
        Error::NoHealthyEndpoint { .. }
        | Error::StoreUnavailable
        | Error::Stopping
        | Error::UpstreamUnavailable
        | Error::ReplicaBehind { .. }
        | Error::SecretNotHeld { .. }
        | Error::ProviderError { .. } => Code::Unavailable,
        Error::DeadlineExceeded => Code::DeadlineExceeded,
        Error::UnsupportedByProvider { .. }
        | Error::NotImplemented { .. }
        | Error::UnknownMethod { .. }
        | Error::UnsupportedEncoding => Code::Unimplemented,
        Error::Unauthenticated { .. } => Code::Unauthenticated,
        Error::Forbidden { .. } | Error::NotForwarded { .. } => Code::PermissionDenied,
        Error::Compacted { .. } | Error::HistoryChanged => Code::OutOfRange,
        Error::SecretUnreadable { .. } => Code::DataLoss,
        Error::Internal { .. } => Code::Internal,
    }
}

/// The metadata of the `ErrorInfo`.
fn metadata(error: &Error) -> HashMap<String, String> {
    let pairs: Vec<(&str, String)> = match error {
        Error::RequestIdReused { request_id } | Error::Internal { request_id } => {
            vec![("request_id", request_id.clone())]
        }
        Error::RevisionMismatch { current, .. } | Error::ReplicaBehind { current } => {
            vec![("current", current.to_string())]
        }
        Error::ProviderDisabled { provider_id }
        | Error::NoEndpoint { provider_id }
        | Error::QuotaExhausted { provider_id }
        | Error::NoHealthyEndpoint { provider_id } => vec![("provider_id", provider_id.to_string())],
        Error::ModelUnavailable { cause, model_id } => {
            let model = model_id.map(|id| ("model_id", id.to_string()));
            [("cause", cause.clone())].into_iter().chain(model).collect()
        }
        Error::HostNotAllowed { host, credential_id } => {
            vec![("host", host.clone()), ("credential_id", credential_id.to_string())]
        }
        Error::SecretRefused { cause, .. } => vec![("cause", (*cause).to_owned())],
        Error::SyncShrinks { listed, known } => vec![("listed", listed.to_string()), ("known", known.to_string())],
        Error::SecretDestroyed { credential_id } | Error::SecretNotHeld { credential_id } => {
            vec![("credential_id", credential_id.to_string())]
        }
        Error::KeyNotEverywhere { key_id, .. } => vec![("key_id", key_id.clone())],
        Error::LimitExceeded { limit, setting, .. } => {
            vec![("limit", limit.to_string()), ("setting", (*setting).to_owned())]
        }
        Error::SlowReader { resume_token } => vec![("resume_token", resume_token.clone())],
        Error::RequestTooLarge { limit } | Error::TooManyStreams { limit } => vec![("limit", limit.to_string())],
        Error::ProviderError { http_status: Some(status), .. } => vec![("http_status", status.to_string())],
        Error::UnsupportedByProvider { kind, call } => {
            vec![("kind", (*kind).to_owned()), ("call", (*call).to_owned())]
        }
        Error::NotImplemented { rpc } => vec![("rpc", (*rpc).to_owned())],
        Error::Forbidden { role } => vec![("role", role.name().to_owned())],
        Error::Compacted { oldest } => vec![("oldest", oldest.to_string())],
        Error::SecretUnreadable { key_id, credential_id } => {
            vec![("key_id", key_id.clone()), ("credential_id", credential_id.to_string())]
        }
        _ => Vec::new(),
    };
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The details that say more than the `ErrorInfo`.
fn add_details(error: &Error, details: &mut ErrorDetails) {
    match error {
        Error::InvalidField { violations } | Error::InvalidMask { violations } => bad_request(violations, details),
        Error::InvalidPageToken => {
            details.add_bad_request_violation("page_token", error.to_string());
        }
        Error::SecretLooksMasked { field } => {
            details.add_bad_request_violation(field, error.to_string());
        }
        Error::RequestIdReused { .. } => {
            details.add_bad_request_violation("request_id", error.to_string());
        }
        Error::NotFound { kind, id } => {
            details.set_resource_info(kind.noun(), id, "", error.to_string());
        }
        Error::WatchNotFound { id } => {
            details.set_resource_info("watch", id, "", error.to_string());
        }
        Error::AlreadyExists { kind, holder, .. } => {
            details.set_resource_info(kind.noun(), holder.to_string(), "", error.to_string());
        }
        Error::RevisionMismatch { kind, id, .. } => {
            details.set_resource_info(kind.noun(), id.to_string(), "", error.to_string());
        }
        Error::InUse { bindings } => {
            for binding in bindings.iter().take(MOST) {
                details.add_precondition_failure_violation("IN_USE", format!("binding/{binding}"), "bound");
            }
        }
        Error::LastEndpoint { provider_id, .. } | Error::LastCredential { provider_id, .. } => {
            let subject = format!("provider/{provider_id}");
            details.add_precondition_failure_violation(error.reason(), subject, error.to_string());
        }
        Error::KeyNotEverywhere { replicas, .. } => {
            for replica in replicas.iter().take(MOST) {
                let subject = format!("replica/{replica}");
                details.add_precondition_failure_violation(error.reason(), subject, "does not read the key");
            }
        }
        Error::LimitExceeded { what, .. } => {
            details.add_quota_failure_violation(*what, error.to_string());
        }
        Error::NoHealthyEndpoint { .. }
        | Error::StoreUnavailable
        | Error::Stopping
        | Error::SecretNotHeld { .. }
        | Error::UpstreamUnavailable
        | Error::ReplicaBehind { .. } => {
            details.set_retry_info(Some(RETRY));
        }
        _ => {}
    }
}

/// As many violations as fit; a request with more has the rest told when it comes again.
fn bad_request(violations: &[Violation], details: &mut ErrorDetails) {
    const FRAME: usize = 8;
    let mut room = MOST_VIOLATIONS;
    for violation in violations {
        let size = violation.field.len() + violation.description.len() + FRAME;
        let Some(left) = room.checked_sub(size) else { return };
        room = left;
        details.add_bad_request_violation(&violation.field, &violation.description);
    }
}

#[cfg(test)]
mod tests;
