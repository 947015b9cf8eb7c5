//! A vendor's answer: read to a bound, and judged before anybody sees it.
//!
//! Invariant: an answer that is an error becomes a [`CallError`] here, with the vendor's text cleaned; the raw text of
//! an error goes no further.

use bytes::Bytes;
use http::response::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use serde_json::Value;

use super::connection;
use super::fault::{CallError, CallErrorKind};
use super::meaning::meaning;
use super::redact::Redactor;
use super::retry;
use super::vendor_error::{self, VendorError};
use crate::domain::Timestamp;

/// Longest body of a list of models, in bytes.
pub(super) const MAX_BODY: usize = 8 * 1024 * 1024;
/// So much of a probe's or an error's body is read.
pub(super) const MAX_PROBE: usize = 64 * 1024;

/// A 2xx with its whole body.
pub(super) struct Answer {
    status: u16,
    body: Bytes,
    redactor: Redactor,
}

impl Answer {
    pub(super) const fn new(status: u16, body: Bytes, redactor: Redactor) -> Self {
        Self { status, body, redactor }
    }

    /// The body as it came.
    pub(super) fn bytes(self) -> Bytes {
        self.body
    }

    /// The body as JSON that is no error.
    pub(super) fn json(&self) -> Result<Value, CallError> {
        self.checked(&self.body)
    }

    /// The first event of a stream of server-sent events, as JSON that is no error. A body that is no stream is read as
    /// JSON: vendors refuse a stream in this way.
    pub(super) fn first_event(&self) -> Result<Value, CallError> {
        let data = self.body.split(|byte| matches!(byte, b'\n' | b'\r')).find_map(|line| line.strip_prefix(b"data:"));
        self.checked(data.unwrap_or(&self.body))
    }

    fn checked(&self, json: &[u8]) -> Result<Value, CallError> {
        let value: Value = serde_json::from_slice(json)
            .map_err(|_| CallError::unexpected(Some(self.status), "the answer is not JSON; check the base URL"))?;
        if vendor_error::is_error(&value) {
            return Err(refusal(self.status, &vendor_error::read_value(&value), &self.redactor));
        }
        Ok(value)
    }
}

/// The error that an answer outside 2xx is.
pub(super) fn error_of(head: &Parts, body: &[u8], redactor: &Redactor, now: Timestamp) -> CallError {
    let status = head.status.as_u16();
    if head.status.is_redirection() {
        let message = format!("HTTP {status}: redirects are not followed; check the base URL");
        return CallError::unexpected(Some(status), message);
    }
    let mut error = refusal(status, &vendor_error::read(&head.headers, body), redactor);
    error.retry_after = retry::asked(&head.headers, now).or(error.retry_after);
    error.should_retry = retry::should_retry(&head.headers);
    error
}

fn refusal(status: u16, error: &VendorError, redactor: &Redactor) -> CallError {
    let text = redactor.clean(&error.message);
    let message = if text.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {text}") };
    let message = message.chars().take(super::fault::MAX_MESSAGE).collect::<String>();
    let retry_after = error.retry_after;
    CallError {
        retry_after,
        ..CallError::new(CallErrorKind::Http { status, meaning: meaning(status, error) }, message)
    }
}

/// The whole body, if it is no longer than `bound`.
pub(super) async fn whole(body: Incoming, bound: usize) -> Result<Bytes, CallError> {
    let too_large = || CallError::new(CallErrorKind::TooLarge, format!("the answer is longer than {bound} bytes"));
    if body.size_hint().lower() > bound as u64 {
        return Err(too_large());
    }
    match Limited::new(body, bound).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(error
            .downcast_ref::<hyper::Error>()
            .map_or_else(|| CallError::new(CallErrorKind::Connect, "the answer broke off"), connection::failed)),
    }
}

/// The beginning of a body, and whether it is the whole. A body that breaks off counts as cut.
pub(super) async fn beginning(mut body: Incoming, bound: usize) -> (Vec<u8>, bool) {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return (read, false) };
        let Some(data) = frame.data_ref() else { continue };
        let room = bound.saturating_sub(read.len());
        read.extend(data.iter().take(room));
        if data.len() > room {
            return (read, false);
        }
    }
    (read, true)
}
