//! What happens around every call: who it is, whether they may, how long they wait, what the log says.
//!
//! Order: panic guard, the peer's allowance, authentication, role, minimum revision, the call within its deadline; its
//! message has to arrive in time, whatever the caller's deadline. Outside of all that,
//! statuses that the transport made by itself get the details that every error of this API carries.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response};
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tonic::Code;
use tonic::body::Body;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tower::{Layer, Service};

use super::arrival::Arrival;
use super::departure::Departure;
use super::in_flight::InFlight;
use super::metadata::{self, REQUEST_ID, REVISION, STALE};
use super::peer::{Peers, Share};
use super::refused::Refusals;
use super::status::status;
use crate::auth::table::{self, Rpc};
use crate::auth::{Access, Authenticator};
use crate::changes::Contact;
use crate::domain::{CallContext, Caller, Error, Result, Revision};
use crate::failpoint;
use crate::snapshot::SnapshotHandle;
use crate::telemetry::traces::{self, Span, Tracer};

/// How long a call without a deadline waits for its minimum revision.
const REVISION_PATIENCE: Duration = Duration::from_secs(5);
/// How much of a deadline is left to tell that the minimum revision was not reached; at most a fifth of it.
const REASON: Duration = Duration::from_millis(200);
/// How much earlier than the transport a deadline is kept here: the transport would call it CANCELLED.
const EARLIER: Duration = Duration::from_millis(5);

/// One call that ended, for logs and metrics.
#[derive(Debug, Clone)]
pub struct Ended {
    pub rpc: &'static str,
    pub code: Code,
    pub duration: Duration,
    /// Why it was refused, where the gate did that, or the handler for want of a role.
    pub refused: Option<&'static str>,
}

/// What is told of every call that ended.
pub type Observer = Arc<dyn Fn(&Ended) + Send + Sync>;

/// Says who calls from the place that a request comes from.
pub type Door = Arc<dyn Fn(&mut Request<Body>) -> Result<Caller> + Send + Sync>;

/// Who says who calls.
pub enum Callers {
    /// Tokens and certificates, for every call.
    Known(Authenticator),
    /// The place that they call from. What is not answered here is for others to judge, by what the call brings.
    Local(Door),
}

/// What the gate needs.
pub struct Config {
    pub callers: Callers,
    pub snapshot: SnapshotHandle,
    /// How things stand with what the snapshot comes from.
    pub contact: watch::Receiver<Contact>,
    /// What reflection asks of its callers; `None`: it is switched off.
    pub reflection: Option<Access>,
    /// Longest request message, in bytes.
    pub max_message: usize,
    /// Calls that take longer are logged as slow.
    pub slow_call: Duration,
    /// How long the message of a call may take to arrive.
    pub request_timeout: Duration,
    pub peers: Peers,
    pub in_flight: InFlight,
    pub observer: Observer,
    pub refusals: Refusals,
    /// Begins a span for each call; `None`: nothing is traced.
    pub tracer: Option<Tracer>,
}

/// The layer around all services.
#[derive(Clone)]
pub struct Gate {
    config: Arc<Config>,
}

impl Gate {
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config: Arc::new(config) }
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated { config: Arc::clone(&self.config), inner }
    }
}

/// A service behind the gate.
#[derive(Clone)]
pub struct Gated<S> {
    config: Arc<Config>,
    inner: S,
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, std::result::Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<std::result::Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The service that was polled ready is the one to call; its clone waits for the next request.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let call = Call::new(Arc::clone(&self.config), &request);
        Box::pin(call.run(inner, request))
    }
}

/// One call on its way.
struct Call {
    config: Arc<Config>,
    started: Instant,
    trace_id: Arc<str>,
    rpc: Option<Rpc>,
    peer: Option<std::net::SocketAddr>,
    caller: Option<Arc<Caller>>,
    refused: Option<&'static str>,
    /// Not for health checks and reflection: they come all the time and tell nothing.
    span: Option<Span>,
}

impl Call {
    fn new(config: Arc<Config>, request: &Request<Body>) -> Self {
        let rpc = table::find(request.uri().path(), config.reflection);
        let trace_id = metadata::trace_id(request.headers()).unwrap_or_else(metadata::new_trace_id);
        let started = Instant::now();
        let traced = config.tracer.as_ref().filter(|_| rpc.is_none_or(|rpc| rpc.access != Access::Open));
        let span = traced.map(|tracer| tracer.call(rpc.map_or("unknown", |rpc| rpc.name), request.headers()));
        Self { config, started, trace_id, rpc, peer: peer(request), caller: None, refused: None, span }
    }

    async fn run<S>(mut self, inner: S, request: Request<Body>) -> std::result::Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let in_flight = self.config.in_flight.enter();
        let passage = in_flight.passage();
        let (share, admitted) = match self.config.peers.call(self.peer.map(|peer| peer.ip())) {
            Ok(share) => (share, Ok(())),
            Err(error) => (Share::default(), Err(error)),
        };
        let room = share.room();
        let (limit, trace_id) = (self.config.request_timeout, Arc::clone(&self.trace_id));
        let request = request.map(|body| Arrival::bounded(body, room, limit, trace_id, passage.clone()));
        let place = self.span.as_ref().map(Span::place);
        let call = async {
            admitted?;
            self.pass(inner, request).await
        };
        let outcome = AssertUnwindSafe(traces::at(place, call)).catch_unwind().await;
        let panicked = outcome.is_err();
        let mut response = match outcome {
            Ok(Ok(Ok(response))) => self.with_details(response),
            Ok(Ok(Err(error))) => return Err(error),
            Ok(Err(error)) => {
                self.refused = Some(error.reason());
                self.refuse(error)
            }
            Err(_) => self.refuse(Error::internal()),
        };
        self.stamp(response.headers_mut());
        self.record(response.headers(), panicked);
        self.end_span(metadata::code(response.headers()));
        drop(in_flight);
        Ok(response.map(|body| Departure::bounded(body, share, passage)))
    }

    /// Everything that can refuse the call, and the call itself.
    async fn pass<S>(
        &mut self,
        mut inner: S,
        mut request: Request<Body>,
    ) -> Result<std::result::Result<Response<Body>, S::Error>>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let unknown = || Error::UnknownMethod { method: format!("{:.200}", request.uri().path()) };
        let rpc = self.rpc.ok_or_else(unknown)?;
        let deadline = metadata::deadline(request.headers()).map(|limit| limit.saturating_sub(EARLIER));
        if let Access::Role(role) = rpc.access {
            let caller = match &self.config.callers {
                Callers::Known(authenticator) => {
                    let certificates = certificates(&request);
                    let certificates = certificates.as_ref().map(|chain| chain.as_slice());
                    let known = authenticator.identify(metadata::authorization(request.headers())?, certificates);
                    // It may wait for an issuer's keys.
                    match deadline {
                        Some(limit) => timeout(limit, known).await.unwrap_or(Err(Error::DeadlineExceeded))?,
                        None => known.await?,
                    }
                }
                Callers::Local(door) => Arc::new(door(&mut request)?),
            };
            self.caller = Some(Arc::clone(&caller));
            if rpc.is_local() || matches!(self.config.callers, Callers::Known(_)) {
                caller.require(role)?;
            }
            let context = CallContext {
                caller,
                rpc: rpc.name,
                trace_id: Arc::clone(&self.trace_id),
                peer_address: self.peer.map(|peer| peer.ip()),
                user_agent: metadata::user_agent(request.headers()),
                deadline: deadline.and_then(|limit| self.started.into_std().checked_add(limit)),
            };
            request.extensions_mut().insert(context);
        }
        failpoint::reach("call.admitted").await;
        let deadline = deadline.map(|limit| limit.saturating_sub(self.started.elapsed()));
        let call = async {
            self.wait_for_revision(request.headers(), deadline).await?;
            Ok(inner.call(request).await)
        };
        match deadline {
            Some(limit) => timeout(limit, call).await.unwrap_or(Err(Error::DeadlineExceeded)),
            None => call.await,
        }
    }

    /// Waits until this replica holds the revision that the caller has seen elsewhere.
    async fn wait_for_revision(&self, headers: &HeaderMap, deadline: Option<Duration>) -> Result<()> {
        let Some(wanted) = metadata::min_revision(headers)? else { return Ok(()) };
        // Ends well before the deadline, so that the caller still hears why.
        let patience = deadline.map_or(REVISION_PATIENCE, |limit| limit.saturating_sub(REASON.min(limit / 5)));
        self.config.snapshot.wait_for(wanted, patience).await.map(drop)
    }

    fn revision(&self) -> Revision {
        self.config.snapshot.load().head().revision
    }

    fn refuse(&self, error: Error) -> Response<Body> {
        status(error, &self.trace_id).into_http()
    }

    /// Statuses of the transport itself carry no details: says what they mean here.
    fn with_details(&self, response: Response<Body>) -> Response<Body> {
        let headers = response.headers();
        let ours = self.rpc.is_some_and(|rpc| matches!(rpc.access, Access::Role(_)));
        if !ours || headers.contains_key("grpc-status-details-bin") {
            return response;
        }
        match metadata::code(headers) {
            Code::OutOfRange | Code::ResourceExhausted => {
                self.refuse(Error::RequestTooLarge { limit: self.config.max_message })
            }
            Code::Unimplemented => self.refuse(Error::UnsupportedEncoding),
            Code::Internal => self.refuse(Error::field("", "the message does not decode; compare it with the .proto")),
            _ => response,
        }
    }

    fn stamp(&self, headers: &mut HeaderMap) {
        if let Ok(mut value) = HeaderValue::from_str(&self.trace_id) {
            // No call's id comes again: it is not worth a place in the connection's table of headers.
            value.set_sensitive(true);
            headers.insert(REQUEST_ID, value);
        }
        if metadata::code(headers) == Code::Ok {
            // An answer that was only passed on has its own.
            headers.entry(REVISION).or_insert_with(|| HeaderValue::from(self.revision().0));
            if let Some(age) = self.config.contact.borrow().stale() {
                headers.insert(STALE, HeaderValue::from(age.as_secs()));
            }
        }
    }

    /// The codes that the standard counts as the server's fault make the span one that failed.
    fn end_span(&mut self, code: Code) {
        let Some(mut span) = self.span.take() else { return };
        span.set("rpc.grpc.status_code", i64::from(i32::from(code)));
        span.set("modelward.request_id", self.trace_id.to_string());
        if let Some(caller) = &self.caller {
            span.set("enduser.id", caller.name.clone());
        }
        if let Some(peer) = self.peer {
            span.set("client.address", peer.ip().to_string());
        }
        let faults = [Code::Unknown, Code::DeadlineExceeded, Code::Unimplemented, Code::Internal];
        if faults.contains(&code) || [Code::Unavailable, Code::DataLoss].contains(&code) {
            span.fail(metadata::code_name(code));
        }
    }

    fn record(&self, headers: &HeaderMap, panicked: bool) {
        let code = metadata::code(headers);
        let rpc = self.rpc.map_or("unknown", |rpc| rpc.name);
        let duration = self.started.elapsed();
        let duration_ms = duration.as_secs_f64() * 1e3;
        let actor = self.caller.as_ref().map_or("-", |caller| caller.name.as_str());
        let peer = self.peer.map(|peer| peer.to_string()).unwrap_or_default();
        let trace_id = self.span.as_ref().map(|span| tracing::field::display(span.trace_id()));
        let (grpc_code, request_id) = (metadata::code_name(code), &*self.trace_id);
        if panicked {
            tracing::error!(rpc, request_id, "a handler panicked; this is a bug");
        }
        let refused = self.refused.or_else(|| (code == Code::PermissionDenied).then_some("FORBIDDEN"));
        if matches!(code, Code::Unauthenticated | Code::PermissionDenied) {
            if let Some(left_out) = self.config.refusals.tell(self.peer.map(|peer| peer.ip()), Instant::now()) {
                tracing::warn!(rpc, reason = refused, actor, request_id, trace_id, peer, left_out, "call refused");
            }
        } else if self.rpc.is_some_and(|rpc| rpc.access == Access::Open) {
            tracing::debug!(rpc, grpc.code = grpc_code, duration_ms, request_id, trace_id, peer, "call");
        } else if duration > self.config.slow_call {
            tracing::warn!(rpc, grpc.code = grpc_code, duration_ms, actor, request_id, trace_id, peer, "slow call");
        } else {
            tracing::info!(rpc, grpc.code = grpc_code, duration_ms, actor, request_id, trace_id, peer, "call");
        }
        (self.config.observer)(&Ended { rpc, code, duration, refused });
    }
}

/// What the client has shown to the listener, which has verified it.
fn certificates(request: &Request<Body>) -> Option<Arc<Vec<CertificateDer<'static>>>> {
    request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>()?.peer_certs()
}

fn peer(request: &Request<Body>) -> Option<std::net::SocketAddr> {
    let extensions = request.extensions();
    let plain = extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    plain.or_else(|| extensions.get::<TlsConnectInfo<TcpConnectInfo>>().and_then(|info| info.get_ref().remote_addr()))
}
