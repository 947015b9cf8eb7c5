//! The words for enums of the domain that have no name of their own, as they stand in the database.

use crate::domain::credential::{QuotaPeriod, QuotaUnit, ValidationCause, ValidationStatus};
use crate::domain::health::{HealthCause, HealthStatus};
use crate::domain::provider::SyncResult;

/// An enum that is stored as a word.
pub(super) trait Named: Sized + Copy {
    fn word(self) -> &'static str;
    fn of_word(word: &str) -> Option<Self>;
}

/// Writes both directions from one list; the first one is exhaustive, so no variant can be forgotten.
macro_rules! named {
    ($($type:ident { $($variant:ident = $word:literal),+ $(,)? })+) => {
        $(impl Named for $type {
            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            fn of_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        })+
    };
}

named! {
    QuotaUnit { Requests = "requests", Tokens = "tokens" }
    QuotaPeriod { Total = "total", Day = "day", Month = "month" }
    ValidationStatus {
        Unknown = "unknown",
        Valid = "valid",
        Invalid = "invalid",
        Unreachable = "unreachable",
        Unsupported = "unsupported",
    }
    ValidationCause {
        None = "none",
        BadKey = "bad_key",
        NoPermission = "no_permission",
        NoCredit = "no_credit",
        RateLimited = "rate_limited",
        Network = "network",
        ServerError = "server_error",
        UnexpectedAnswer = "unexpected_answer",
        HostNotAllowed = "host_not_allowed",
        NoEndpoint = "no_endpoint",
        SecretUnreadable = "secret_unreadable",
    }
    HealthStatus { Unknown = "unknown", Healthy = "healthy", Degraded = "degraded", Unhealthy = "unhealthy" }
    HealthCause {
        None = "none",
        NameResolution = "name_resolution",
        Connect = "connect",
        Tls = "tls",
        Timeout = "timeout",
        HttpStatus = "http_status",
        UnexpectedAnswer = "unexpected_answer",
        AddressRefused = "address_refused",
        Slow = "slow",
        RateLimited = "rate_limited",
        Reported = "reported",
    }
    SyncResult { Succeeded = "succeeded", Failed = "failed" }
}
