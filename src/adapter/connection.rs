//! HTTP over an open line, in the version that was agreed on.
//!
//! Invariant: what drives a connection ends when the connection is dropped, also when the peer hangs. A connection
//! carries one call at a time; nothing here needs HTTP/2 to carry more.

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::dial::Line;
use super::fault::{CallError, CallErrorKind};

/// Longest head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEAD_HTTP2: u32 = 64 * 1024;

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

pub(super) struct Connection {
    sender: Sender,
    _driver: DropGuard,
}

/// A failed exchange, and what it tells about the connection.
pub(super) struct Failure {
    pub(super) error: CallError,
    /// The connection was gone before the request was on its way.
    pub(super) unsent: bool,
    /// The connection ended before anything came back.
    pub(super) cut: bool,
}

impl Failure {
    /// Of a call that never got a connection.
    pub(super) const fn unsent(error: CallError) -> Self {
        Self { error, unsent: true, cut: false }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self { error, unsent: false, cut: false }
    }
}

impl Connection {
    pub(super) async fn open(line: Line) -> Result<Self, CallError> {
        let stop = CancellationToken::new();
        let tasks = Tasks(stop.clone());
        let io = TokioIo::new(line.stream);
        let sender = if line.http2 {
            let mut builder = http2::Builder::new(tasks.clone());
            let opened = builder.max_header_list_size(MAX_HEAD_HTTP2).handshake(io).await;
            let (sender, connection) = opened.map_err(|error| failed(&error))?;
            tasks.execute(async move {
                // The request's own future tells what went wrong.
                let _ = connection.await;
            });
            Sender::Http2(sender)
        } else {
            let opened = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(io).await;
            let (sender, connection) = opened.map_err(|error| failed(&error))?;
            tasks.execute(async move {
                let _ = connection.await;
            });
            Sender::Http1(sender)
        };
        Ok(Self { sender, _driver: stop.drop_guard() })
    }

    pub(super) const fn version(&self) -> Version {
        match self.sender {
            Sender::Http1(_) => Version::HTTP_11,
            Sender::Http2(_) => Version::HTTP_2,
        }
    }

    /// Whether the peer is still there, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }

    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let ready = match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await,
            Sender::Http2(sender) => sender.ready().await,
        };
        ready.map_err(|error| Failure { error: failed(&error), unsent: true, cut: true })?;
        let answer = match &mut self.sender {
            Sender::Http1(sender) => sender.send_request(request).await,
            Sender::Http2(sender) => sender.send_request(request).await,
        };
        answer.map_err(|error| Failure {
            error: failed(&error),
            unsent: error.is_canceled(),
            cut: error.is_closed() || error.is_incomplete_message(),
        })
    }
}

/// Runs the tasks of one connection until it is dropped.
#[derive(Clone)]
struct Tasks(CancellationToken);

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let stop = self.0.clone();
        TokioExecutor::new().execute(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }
}

pub(super) fn failed(error: &hyper::Error) -> CallError {
    if error.is_parse_too_large() {
        return CallError::new(CallErrorKind::TooLarge, "the head of the answer is too long");
    }
    if error.is_parse() {
        return CallError::unexpected(None, "the answer is not HTTP");
    }
    CallError::new(CallErrorKind::Connect, "the connection was closed before the answer was complete")
}
