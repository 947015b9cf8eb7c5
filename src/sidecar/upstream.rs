//! The connection to the control plane: one at a time, to one of its addresses.
//!
//! A name may have many addresses (a headless service); each sidecar takes one by chance, so that they spread, and
//! another one when that is lost. [`Upstream`] is a service of HTTP requests: generated clients take it as it is
//! (`WatchServiceClient::new(upstream.clone())`) and carry its identity, which is read again when its file changes.
//! Certificates are read again for every connection.
//!
//! Invariant: after a failure no new connection is tried before its time has come; whoever asks meanwhile is told at
//! once that the control plane is away, so a call never waits for an outage to end.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::{Service, ServiceExt as _};

use super::address::Address;
use super::backoff::Backoff;
use super::text_file::TextFile;
use super::trust::{Trust, TrustError};
use crate::domain::Error;
use crate::domain::secret::SecretText;
use crate::service::metadata;
use crate::service::status::status;

/// Addresses that are tried for one connection; of a longer list the rest waits for the next attempt.
const ATTEMPTS: usize = 4;
/// Waits after a connection could not be made.
const LEAST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(5);

/// Where the control plane is, and as whom it is asked.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// At least one.
    pub addresses: Vec<Address>,
    pub trust: Trust,
    /// A file with a token of Modelward or a JWT.
    pub identity_file: Option<PathBuf>,
    /// For name, connection and TLS together.
    pub connect_timeout: Duration,
    /// For calls that bring no deadline; streams have none.
    pub call_timeout: Duration,
    pub keepalive_interval: Duration,
    pub keepalive_timeout: Duration,
}

impl UpstreamConfig {
    /// The same control plane for calls of others, who bring a token of their own: with no identity of this sidecar
    /// in the metadata or in the TLS handshake, nothing of it can be lent to them by mistake.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { identity_file: None, trust: self.trust.anonymous(), ..self.clone() }
    }
}

/// The control plane. Clones share the connection.
#[derive(Clone)]
pub struct Upstream(Arc<Inner>);

struct Inner {
    config: UpstreamConfig,
    identity: Option<TextFile>,
    line: Mutex<Line>,
}

/// The connection, or why there is none.
struct Line {
    current: Option<(Channel, SocketAddr)>,
    /// Counts connections, so that an old one that fails does not end its successor.
    number: u64,
    /// The address that was lost last: the others are tried before it.
    lost: Option<SocketAddr>,
    backoff: Backoff,
    not_before: Option<Instant>,
}

impl Upstream {
    /// Checks the files; connects at the first call.
    ///
    /// # Errors
    /// When a certificate cannot be used. An identity that is not there yet is none: it may come.
    pub fn open(config: UpstreamConfig) -> Result<Self, TrustError> {
        config.trust.tls()?;
        let identity = config.identity_file.clone().map(TextFile::new);
        let line = Line { current: None, number: 0, lost: None, backoff: Backoff::new(LEAST, MOST), not_before: None };
        Ok(Self(Arc::new(Inner { config, identity, line: Mutex::new(line) })))
    }

    /// A request of the sidecar's own, with the usual deadline.
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(self.0.config.call_timeout);
        request
    }

    /// How long a call may take that brings no deadline.
    #[must_use]
    pub fn usual_deadline(&self) -> Duration {
        self.0.config.call_timeout
    }

    /// Asks, and once more when the answer is that the identity is not known and its file has another one by now.
    ///
    /// # Errors
    /// What the last attempt answered.
    pub async fn ask<R, F>(&self, attempt: impl Fn(Self) -> F) -> Result<R, Status>
    where
        F: Future<Output = Result<R, Status>>,
    {
        match attempt(self.clone()).await {
            Err(status) if status.code() == Code::Unauthenticated && self.has_new_identity() => {
                attempt(self.clone()).await
            }
            outcome => outcome,
        }
    }

    /// Makes sure that there is a connection. What fails here was certainly not sent.
    ///
    /// # Errors
    /// [`Error::UpstreamUnavailable`] as a status.
    pub async fn connected(&self) -> Result<(), Status> {
        self.0.channel().await.map(drop)
    }

    /// Leaves the current connection to those who use it; the next call opens another one, elsewhere if there is
    /// an elsewhere. For a stream that ended in an error.
    pub async fn elsewhere(&self) {
        let mut line = self.0.line.lock().await;
        line.leave();
    }

    fn has_new_identity(&self) -> bool {
        self.0.identity.as_ref().is_some_and(TextFile::read_again)
    }
}

impl Service<Request<Body>> for Upstream {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let limit = metadata::deadline(request.headers());
            let sent = inner.send(request);
            match limit {
                Some(limit) => timeout(limit, sent).await.unwrap_or_else(|_| Err(status(Error::DeadlineExceeded, ""))),
                None => sent.await,
            }
        })
    }
}

impl Inner {
    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        let (mut channel, number) = self.channel().await?;
        self.identify(request.headers_mut());
        let answered = async { channel.ready().await?.call(request).await }.await;
        match answered {
            Ok(answer) => Ok(answer),
            Err(error) => {
                tracing::debug!(error = %words(&error), "a call to the control plane was cut off");
                let mut line = self.line.lock().await;
                if line.number == number {
                    line.leave();
                }
                Err(status(Error::UpstreamUnavailable, ""))
            }
        }
    }

    /// Says who asks. Without an identity of its own a request keeps what it brings.
    fn identify(&self, headers: &mut HeaderMap) {
        let Some(identity) = &self.identity else { return };
        headers.remove(header::AUTHORIZATION);
        let Some(mut value) = identity.text().as_deref().and_then(bearer) else { return };
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }

    /// The connection and its number.
    async fn channel(&self) -> Result<(Channel, u64), Status> {
        let mut line = self.line.lock().await;
        if let Some((channel, _)) = &line.current {
            return Ok((channel.clone(), line.number));
        }
        if line.not_before.is_some_and(|not_before| Instant::now() < not_before) {
            return Err(status(Error::UpstreamUnavailable, ""));
        }
        match self.connect(line.lost).await {
            Ok((channel, address)) => {
                tracing::info!(address = %address, "connected to the control plane");
                line.number += 1;
                line.current = Some((channel.clone(), address));
                line.not_before = None;
                line.backoff.succeeded();
                Ok((channel, line.number))
            }
            Err(problem) => {
                let wait = line.backoff.failed();
                tracing::warn!(problem, wait_ms = wait.as_millis(), "the control plane cannot be reached");
                line.not_before = Some(Instant::now() + wait);
                Err(status(Error::UpstreamUnavailable, ""))
            }
        }
    }

    /// Connects to an address by chance; to the one that was lost only when no other answers.
    async fn connect(&self, lost: Option<SocketAddr>) -> Result<(Channel, SocketAddr), String> {
        let limit = self.config.connect_timeout;
        let found = timeout(limit, self.resolve()).await;
        let mut places = found.map_err(|_| "the names are not resolved in time".to_owned())??;
        fastrand::shuffle(&mut places);
        places.sort_by_key(|(_, address)| Some(*address) == lost);
        let mut problem = String::new();
        for (place, address) in places.into_iter().take(ATTEMPTS) {
            let endpoint = self.endpoint(place, address)?;
            match timeout(limit, endpoint.connect()).await {
                Ok(Ok(channel)) => return Ok((channel, address)),
                Ok(Err(error)) => problem = format!("{address}: {}", words(&error)),
                Err(_) => problem = format!("{address}: no answer in time"),
            }
        }
        Err(problem)
    }

    /// Every address of every name.
    async fn resolve(&self) -> Result<Vec<(&Address, SocketAddr)>, String> {
        let (mut found, mut problem) = (Vec::new(), "no address is known".to_owned());
        for place in &self.config.addresses {
            match tokio::net::lookup_host((place.host(), place.port())).await {
                Ok(addresses) => found.extend(addresses.map(|address| (place, address))),
                Err(error) => problem = format!("{place}: {error}"),
            }
        }
        if found.is_empty() { Err(problem) } else { Ok(found) }
    }

    /// Connects to the very address, and speaks to it under the name.
    fn endpoint(&self, place: &Address, address: SocketAddr) -> Result<Endpoint, String> {
        let config = &self.config;
        let uri = |authority: &str| {
            let built = Uri::builder().scheme(place.scheme()).authority(authority).path_and_query("/").build();
            built.map_err(|error| error.to_string())
        };
        let endpoint = Endpoint::from(uri(&address.to_string())?)
            .origin(uri(&place.authority())?)
            .connect_timeout(config.connect_timeout)
            .http2_keep_alive_interval(config.keepalive_interval)
            .keep_alive_timeout(config.keepalive_timeout)
            .keep_alive_while_idle(true);
        if !place.is_tls() {
            return Ok(endpoint);
        }
        let tls = config.trust.tls().map_err(|error| error.to_string())?;
        endpoint.tls_config(tls.domain_name(place.host())).map_err(|error| words(&error))
    }
}

impl Line {
    fn leave(&mut self) {
        self.lost = self.current.take().map(|(_, address)| address).or(self.lost);
    }
}

fn bearer(token: &SecretText) -> Option<HeaderValue> {
    let text = zeroize::Zeroizing::new(format!("Bearer {}", token.expose()));
    HeaderValue::from_str(&text).ok()
}

/// The innermost error: those around it only repeat that it is one.
fn words(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), words)
}

#[cfg(test)]
mod tests;
