//! What can go wrong with a call to a vendor.
//!
//! Invariant: a message is short, made by this server or cleaned of secrets, and never tells an address.

use std::time::Duration;

use super::meaning::Meaning;
use crate::domain::{CredentialId, Error};

/// Longest message, in characters.
pub const MAX_MESSAGE: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallErrorKind {
    NameResolution,
    Connect,
    Tls,
    /// No connection or no whole answer in time, or the deadline of the whole call passed.
    Timeout,
    /// The host's addresses are all of a class that this server does not connect to.
    AddressRefused,
    /// The credential may not be sent there; nothing was sent.
    HostNotAllowed {
        host: String,
        credential_id: CredentialId,
    },
    /// The secret cannot be put into a header; nothing was sent.
    BadSecret,
    TooLarge,
    /// The vendor answered with an error.
    Http {
        status: u16,
        meaning: Meaning,
    },
    /// Not HTTP, a redirect, or not what this kind answers.
    UnexpectedAnswer {
        status: Option<u16>,
    },
    /// This vendor or server has no such call.
    Unsupported {
        kind: &'static str,
        call: &'static str,
    },
}

/// What a failed call tells about the life of its endpoint, whatever it was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ailment {
    /// No connection, or an answer that asks to be spared or admits to be ill.
    Failing,
    /// No answer in the time that there was, which may have been short.
    Silent,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    pub kind: CallErrorKind,
    pub message: String,
    /// How long the vendor asked to wait.
    pub retry_after: Option<Duration>,
    /// The vendor's own word on whether a repetition makes sense (`x-should-retry`).
    pub(super) should_retry: Option<bool>,
}

impl CallError {
    pub(super) fn new(kind: CallErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, should_retry: None }
    }

    pub(super) fn unexpected(status: Option<u16>, message: impl Into<String>) -> Self {
        Self::new(CallErrorKind::UnexpectedAnswer { status }, message)
    }

    pub(super) fn timeout(what: &str, after: Duration) -> Self {
        Self::new(CallErrorKind::Timeout, format!("{what} within {} ms", after.as_millis()))
    }

    /// The status of the vendor's answer, if there was one.
    #[must_use]
    pub const fn http_status(&self) -> Option<u16> {
        match self.kind {
            CallErrorKind::Http { status, .. } => Some(status),
            CallErrorKind::UnexpectedAnswer { status } => status,
            _ => None,
        }
    }

    /// What the vendor's error means, if it was one.
    #[must_use]
    pub const fn meaning(&self) -> Option<Meaning> {
        match self.kind {
            CallErrorKind::Http { meaning, .. } => Some(meaning),
            _ => None,
        }
    }

    /// What this tells about the endpoint's life: nothing, when it is about the key, the model or the call.
    #[must_use]
    pub const fn ailment(&self) -> Option<Ailment> {
        match self.kind {
            CallErrorKind::NameResolution
            | CallErrorKind::Connect
            | CallErrorKind::Tls
            | CallErrorKind::Http { meaning: Meaning::ServerError | Meaning::RateLimited, .. } => {
                Some(Ailment::Failing)
            }
            CallErrorKind::Timeout => Some(Ailment::Silent),
            CallErrorKind::AddressRefused
            | CallErrorKind::HostNotAllowed { .. }
            | CallErrorKind::BadSecret
            | CallErrorKind::TooLarge
            | CallErrorKind::Http { .. }
            | CallErrorKind::UnexpectedAnswer { .. }
            | CallErrorKind::Unsupported { .. } => None,
        }
    }

    /// Whether another endpoint of the provider may do better.
    #[must_use]
    pub const fn is_about_the_endpoint(&self) -> bool {
        match self.kind {
            CallErrorKind::NameResolution
            | CallErrorKind::Connect
            | CallErrorKind::Tls
            | CallErrorKind::Timeout
            | CallErrorKind::AddressRefused
            | CallErrorKind::HostNotAllowed { .. }
            | CallErrorKind::TooLarge
            | CallErrorKind::UnexpectedAnswer { .. } => true,
            CallErrorKind::Http { meaning, .. } => {
                matches!(meaning, Meaning::ServerError | Meaning::RateLimited | Meaning::NoSuchCall)
            }
            CallErrorKind::BadSecret | CallErrorKind::Unsupported { .. } => false,
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        let http_status = error.http_status();
        match error.kind {
            CallErrorKind::HostNotAllowed { host, credential_id } => {
                Self::HostNotAllowed { host, credential_id: credential_id.uuid() }
            }
            CallErrorKind::Unsupported { kind, call } => Self::UnsupportedByProvider { kind, call },
            _ => Self::ProviderError { http_status, message: error.message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_the_key_the_model_or_the_call_says_nothing_about_the_endpoint() {
        let http = |status, meaning| CallErrorKind::Http { status, meaning };
        let host_not_allowed = CallErrorKind::HostNotAllowed { host: "h".into(), credential_id: CredentialId::nil() };
        for (kind, expected) in [
            (CallErrorKind::NameResolution, Some(Ailment::Failing)),
            (CallErrorKind::Connect, Some(Ailment::Failing)),
            (CallErrorKind::Tls, Some(Ailment::Failing)),
            (CallErrorKind::Timeout, Some(Ailment::Silent)),
            (http(500, Meaning::ServerError), Some(Ailment::Failing)),
            (http(429, Meaning::RateLimited), Some(Ailment::Failing)),
            (http(529, Meaning::RateLimited), Some(Ailment::Failing)),
            (http(429, Meaning::NoCredit), None),
            (http(401, Meaning::BadKey), None),
            (http(403, Meaning::NoPermission), None),
            (http(404, Meaning::NoSuchCall), None),
            (http(404, Meaning::UnknownModel), None),
            (http(400, Meaning::Refused), None),
            (CallErrorKind::AddressRefused, None),
            (host_not_allowed, None),
            (CallErrorKind::BadSecret, None),
            (CallErrorKind::TooLarge, None),
            (CallErrorKind::UnexpectedAnswer { status: Some(200) }, None),
            (CallErrorKind::Unsupported { kind: "x", call: "y" }, None),
        ] {
            assert_eq!(CallError::new(kind.clone(), "x").ailment(), expected, "{kind:?}");
        }
    }
}
