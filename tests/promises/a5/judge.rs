//! What an answer may be, whatever the request was.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use modelward::proto::v1::ErrorReason;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::support::Refusal;

/// The most that clients take of headers.
const HEADERS: usize = 8 * 1024;

/// What came back.
pub enum Answer {
    /// Unless it came compressed.
    Message(Option<Bytes>),
    Refused(Refusal),
    /// What the transport itself refused, of a service without the gate.
    Unread(Unread),
}

/// Why the transport refused a message.
pub enum Unread {
    TooLarge,
    TooDeep,
    Undecodable,
}

/// How long a stream is listened to.
const LISTEN: Duration = Duration::from_millis(50);

/// Reads the beginning of a stream, which has no end.
///
/// # Errors
/// What is wrong with it.
pub async fn judge_stream(response: Response<Body>) -> Result<Answer, String> {
    if Status::from_header_map(response.headers()).is_some() {
        return judge(response).await;
    }
    let packed = is_packed(response.headers());
    let mut body = response.into_body();
    let Ok(Some(first)) = timeout(LISTEN, body.frame()).await else { return Ok(Answer::Message(None)) };
    let first = first.map_err(|error| format!("a stream that breaks off: {error:?}"))?;
    match first.into_data() {
        Ok(data) if !packed => {
            // The first message of several, behind whether it is compressed and its length.
            let length = data.get(1..5).and_then(|length| length.try_into().ok()).map_or(0, u32::from_be_bytes);
            let message = data.get(5..5 + length as usize);
            Ok(Answer::Message(message.map(|message| data.slice_ref(message))))
        }
        Ok(_) => Ok(Answer::Message(None)),
        Err(frame) => {
            let trailers = frame.into_trailers().map_err(|_| "a frame of another kind")?;
            let status = Status::from_header_map(&trailers).ok_or("a stream that ends without a status")?;
            refused(&status, &HeaderMap::new()).map(Answer::Refused)
        }
    }
}

/// Reads an answer to its end.
///
/// # Errors
/// What is wrong with it.
pub async fn judge(response: Response<Body>) -> Result<Answer, String> {
    let (head, body) = response.into_parts();
    let early = Status::from_header_map(&head.headers);
    let body = body.collect().await.map_err(|error| format!("an answer that breaks off: {error:?}"))?;
    let late = body.trailers().and_then(Status::from_header_map);
    let status = early.or(late).ok_or("an answer without a status")?;
    // So the transport says it; the gate, where there is one, makes a bad request of it.
    let of_transport = status.details().is_empty() && !head.headers.contains_key("x-request-id");
    match status.code() {
        Code::Internal if of_transport && status.message().contains("recursion limit") => {
            return Ok(Answer::Unread(Unread::TooDeep));
        }
        Code::Internal if of_transport => return Ok(Answer::Unread(Unread::Undecodable)),
        Code::OutOfRange if of_transport => return Ok(Answer::Unread(Unread::TooLarge)),
        _ => {}
    }
    if status.code() != Code::Ok {
        return refused(&status, &head.headers).map(Answer::Refused);
    }
    let packed = is_packed(&head.headers);
    let message = body.to_bytes();
    Ok(Answer::Message((!packed).then(|| message.slice(message.len().min(5)..))))
}

fn is_packed(headers: &HeaderMap) -> bool {
    headers.get("grpc-encoding").is_some_and(|encoding| encoding != "identity")
}

/// The form of every refusal, as the contract has it.
///
/// # Errors
/// What is wrong with it.
pub fn refused(status: &Status, headers: &HeaderMap) -> Result<Refusal, String> {
    let refusal =
        Refusal::read(status).map_err(|problem| format!("{problem} in {:?} {}", status.code(), status.message()))?;
    // Nothing of what a client sends is a bug, cancels itself or loses data.
    if matches!(status.code(), Code::Internal | Code::Unknown | Code::Cancelled | Code::DataLoss) {
        return Err(format!("{refusal}"));
    }
    if ErrorReason::from_str_name(&format!("ERROR_REASON_{}", refusal.reason)).is_none() {
        return Err(format!("an unknown reason: {refusal}"));
    }
    let bad = matches!(refusal.reason.as_str(), "INVALID_FIELD" | "INVALID_MASK" | "INVALID_PAGE_TOKEN");
    if bad && refusal.fields.is_empty() {
        return Err(format!("a bad request without a violation: {refusal}"));
    }
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    if size > HEADERS {
        return Err(format!("{size} bytes of headers: {refusal}"));
    }
    Ok(refusal)
}
