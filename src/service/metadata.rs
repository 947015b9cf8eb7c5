//! The metadata that calls carry, read in one place.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, header};
use tonic::Code;

use crate::domain::{Error, Result, Revision};

/// The id of a call in logs; sent back with every answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The revision that an answer is of, or newer.
pub const REVISION: HeaderName = HeaderName::from_static("modelward-revision");
/// The revision that the caller must see.
pub const MIN_REVISION: HeaderName = HeaderName::from_static("modelward-min-revision");

/// How many seconds ago what an answer is made from was last known to be the newest; only where that cannot be asked now.
pub const STALE: HeaderName = HeaderName::from_static("modelward-stale-seconds");

const MAX_TRACE_ID: usize = 100;
const MAX_USER_AGENT: usize = 512;

/// The caller's own id for the call, when it is short and plain.
pub fn trace_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = !text.is_empty() && text.len() <= MAX_TRACE_ID && text.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then(|| text.into())
}

/// An id for a call that brings none. It names no resource and guards nothing: it need not be hard to guess.
pub fn new_trace_id() -> Arc<str> {
    format!("{:032x}", fastrand::u128(..)).into()
}

/// # Errors
/// [`Error::Unauthenticated`] for a header that is not text.
pub fn authorization(headers: &HeaderMap) -> Result<Option<&str>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::Unauthenticated { problem: "there is more than one authorization" });
    }
    value.to_str().map(Some).map_err(|_| Error::Unauthenticated { problem: "the authorization is not plain text" })
}

pub fn user_agent(headers: &HeaderMap) -> String {
    let text = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // What passes as text is ASCII.
    text.get(..MAX_USER_AGENT).unwrap_or(text).to_owned()
}

/// # Errors
/// [`Error::InvalidField`] for something that is not a revision.
pub fn min_revision(headers: &HeaderMap) -> Result<Option<Revision>> {
    let Some(value) = headers.get(MIN_REVISION) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse::<i64>().ok()).filter(|number| *number >= 0);
    let number = number.ok_or_else(|| Error::field(MIN_REVISION.as_str(), "must be a whole number, 0 or more"))?;
    Ok(Some(Revision(number)))
}

/// The time that the caller gives, as the gRPC protocol writes it: up to eight digits and a unit.
pub fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number.saturating_mul(3600))),
        "M" => Some(Duration::from_secs(number.saturating_mul(60))),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// The code of an answer that is known with its headers; OK where the trailers will tell.
pub fn code(headers: &HeaderMap) -> Code {
    headers.get("grpc-status").map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}

/// The code's name as the gRPC documentation writes it.
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn deadlines_are_read_in_every_unit_and_refused_otherwise() {
        let read = |text: &str| deadline(&headers("grpc-timeout", text));
        assert_eq!(read("2H"), Some(Duration::from_hours(2)));
        assert_eq!(read("15S"), Some(Duration::from_secs(15)));
        assert_eq!(read("20m"), Some(Duration::from_millis(20)));
        for bad in ["", "S", "1", "123456789S", "-1S", "1.5S", "1x"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_minimum_revision_must_be_a_number() {
        assert_eq!(min_revision(&headers("modelward-min-revision", "7")).unwrap(), Some(Revision(7)));
        assert!(min_revision(&headers("modelward-min-revision", "-7")).is_err());
        assert!(min_revision(&headers("modelward-min-revision", "x")).is_err());
    }

    #[test]
    fn only_plain_short_ids_of_callers_are_taken_over() {
        assert_eq!(trace_id(&headers("x-request-id", "abc-1")), Some("abc-1".into()));
        assert_eq!(trace_id(&headers("x-request-id", "a b")), None);
        assert_eq!(trace_id(&headers("x-request-id", &"x".repeat(101))), None);
    }
}
