//! What an answer says about a key or a model: tables over the ways in which a call ends.
//!
//! Invariant: an answer that decides nothing (a vendor that asks to be spared, or is ill) never turns a verdict; the
//! former one stays.

use std::time::Duration;

use super::ask::Tried;
use super::fault::{Ailment, CallError, CallErrorKind};
use super::meaning::Meaning;
use crate::domain::Timestamp;
use crate::domain::credential::{Validation, ValidationCause, ValidationStatus};
use crate::domain::model::{Availability, AvailabilityCause, AvailabilityStatus};

/// What a vendor said about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyVerdict {
    /// Absent: not decided, the former status stays.
    pub status: Option<ValidationStatus>,
    pub cause: ValidationCause,
    pub message: String,
    pub http_status: Option<u16>,
    /// Whether another endpoint of the provider may decide.
    pub try_elsewhere: bool,
    /// What was learnt about the endpoint besides.
    pub ailment: Option<Ailment>,
}

impl KeyVerdict {
    pub(super) fn valid() -> Self {
        Self::of(Some(ValidationStatus::Valid), ValidationCause::None, "the vendor accepts the key")
    }

    pub(super) fn no_credit() -> Self {
        let message = "the vendor accepts the key, and its account has no credit left";
        Self::of(Some(ValidationStatus::Valid), ValidationCause::NoCredit, message)
    }

    /// A verdict that needed no vendor.
    #[must_use]
    pub fn decided(status: ValidationStatus, message: impl Into<String>) -> Self {
        Self::of(Some(status), ValidationCause::None, message)
    }

    /// The vendor could not be asked: the former status stays.
    #[must_use]
    pub fn undecided(cause: ValidationCause, message: impl Into<String>) -> Self {
        Self::of(None, cause, message)
    }

    fn of(status: Option<ValidationStatus>, cause: ValidationCause, message: impl Into<String>) -> Self {
        Self { status, cause, message: message.into(), http_status: None, try_elsewhere: false, ailment: None }
    }

    /// What a failed call says about the key that it carried.
    #[must_use]
    pub fn of_error(error: &CallError) -> Self {
        use ValidationCause as Cause;
        use ValidationStatus as Status;
        let unreachable = Some(Status::Unreachable);
        let (status, cause) = match &error.kind {
            CallErrorKind::NameResolution
            | CallErrorKind::Connect
            | CallErrorKind::Tls
            | CallErrorKind::Timeout
            | CallErrorKind::AddressRefused => (unreachable, Cause::Network),
            CallErrorKind::HostNotAllowed { .. } => (unreachable, Cause::HostNotAllowed),
            CallErrorKind::BadSecret => (Some(Status::Invalid), Cause::BadKey),
            CallErrorKind::TooLarge | CallErrorKind::UnexpectedAnswer { .. } => (unreachable, Cause::UnexpectedAnswer),
            CallErrorKind::Unsupported { .. } => (Some(Status::Unsupported), Cause::None),
            CallErrorKind::Http { meaning, .. } => match meaning {
                Meaning::BadKey => (Some(Status::Invalid), Cause::BadKey),
                Meaning::NoPermission => (Some(Status::Valid), Cause::NoPermission),
                Meaning::NoCredit => (Some(Status::Valid), Cause::NoCredit),
                Meaning::UnknownModel => (Some(Status::Valid), Cause::None),
                Meaning::RateLimited => (None, Cause::RateLimited),
                Meaning::ServerError => (None, Cause::ServerError),
                Meaning::NoSuchCall => (Some(Status::Unsupported), Cause::UnexpectedAnswer),
                Meaning::WrongParameter | Meaning::Refused => (unreachable, Cause::UnexpectedAnswer),
            },
        };
        let mut verdict = Self::of(status, cause, error.message.clone());
        verdict.http_status = error.http_status();
        verdict.try_elsewhere = error.is_about_the_endpoint();
        verdict.ailment = error.ailment();
        verdict
    }

    /// The validation after this verdict on version `secret_version` of the secret.
    #[must_use]
    pub fn over(&self, former: &Validation, secret_version: i64, now: Timestamp) -> Validation {
        let former = if former.secret_version == secret_version { former.status } else { ValidationStatus::Unknown };
        Validation {
            status: self.status.unwrap_or(former),
            cause: self.cause,
            message: self.message.clone(),
            last_validate_time: Some(now),
            secret_version,
        }
    }
}

/// What a vendor said about a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelVerdict {
    /// Absent: not decided, the former status stays.
    pub status: Option<AvailabilityStatus>,
    pub cause: AvailabilityCause,
    pub latency: Option<Duration>,
    pub message: String,
    pub http_status: Option<u16>,
    /// Whether another endpoint of the provider may decide.
    pub try_elsewhere: bool,
    /// What was learnt about the endpoint besides.
    pub ailment: Option<Ailment>,
}

impl ModelVerdict {
    /// What trying a model says, after the time that it took.
    #[must_use]
    pub fn of(tried: Result<Tried, CallError>, latency: Duration) -> Self {
        use AvailabilityCause as Cause;
        use AvailabilityStatus as Status;
        let (status, cause, message) = match tried {
            Ok(Tried::Answers) => (Status::Available, Cause::None, "the model answers"),
            Ok(Tried::Listed) => {
                (Status::Available, Cause::NotTested, "the vendor offers the model; it was not called")
            }
            Ok(Tried::Unknown) => (Status::Unavailable, Cause::UnknownModel, "the vendor does not offer the model"),
            Err(error) => return Self::of_error(&error, latency),
        };
        let undecided = Self::undecided(cause, message);
        Self { status: Some(status), latency: Some(latency), ..undecided }
    }

    /// The vendor could not be asked: the former status stays.
    #[must_use]
    pub fn undecided(cause: AvailabilityCause, message: impl Into<String>) -> Self {
        Self {
            status: None,
            cause,
            latency: None,
            message: message.into(),
            http_status: None,
            try_elsewhere: false,
            ailment: None,
        }
    }

    /// What a failed call says about the model that it named.
    #[must_use]
    pub fn of_error(error: &CallError, latency: Duration) -> Self {
        use AvailabilityCause as Cause;
        let (decided, cause) = match &error.kind {
            CallErrorKind::NameResolution
            | CallErrorKind::Connect
            | CallErrorKind::Tls
            | CallErrorKind::Timeout
            | CallErrorKind::AddressRefused => (true, Cause::Network),
            CallErrorKind::HostNotAllowed { .. } => (true, Cause::HostNotAllowed),
            CallErrorKind::BadSecret => (true, Cause::Credential),
            CallErrorKind::TooLarge | CallErrorKind::UnexpectedAnswer { .. } => (true, Cause::UnexpectedAnswer),
            CallErrorKind::Unsupported { .. } => (false, Cause::NotTested),
            CallErrorKind::Http { meaning, .. } => match meaning {
                Meaning::BadKey => (true, Cause::Credential),
                Meaning::NoPermission => (true, Cause::Permission),
                Meaning::NoCredit => (true, Cause::NoCredit),
                Meaning::RateLimited => (false, Cause::RateLimited),
                // The call itself exists, so what was not found is the model.
                Meaning::UnknownModel | Meaning::NoSuchCall => (true, Cause::UnknownModel),
                Meaning::ServerError => (true, Cause::ServerError),
                Meaning::WrongParameter | Meaning::Refused => (true, Cause::UnexpectedAnswer),
            },
        };
        Self {
            status: decided.then_some(AvailabilityStatus::Unavailable),
            cause,
            latency: Some(latency),
            message: error.message.clone(),
            http_status: error.http_status(),
            try_elsewhere: error.is_about_the_endpoint(),
            ailment: error.ailment(),
        }
    }

    /// The availability after this verdict.
    #[must_use]
    pub fn over(&self, former: &Availability, now: Timestamp) -> Availability {
        Availability {
            status: self.status.unwrap_or(former.status),
            cause: self.cause,
            latency: self.latency,
            message: self.message.clone(),
            last_test_time: Some(now),
        }
    }
}

#[cfg(test)]
mod tests;
