//! The plain HTTP listener for operators: `/metrics`, `/livez`, `/readyz`, `/health`, and gRPC health beside them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;
use tower::Service as _;

use super::connection::Connections;
use super::readiness::Readiness;
use crate::domain::{Clock as _, SystemClock};
use crate::task::Tasks;
use crate::telemetry::Metrics;

/// Probes and scrapers need a few; no more are served at a time.
const CONNECTIONS: usize = 256;

/// Serves operators on `listener` until `closing`.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(
    listener: std::net::TcpListener,
    metrics: Metrics,
    readiness: &Readiness,
    tasks: &Tasks,
    closing: &CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    let page = Pages { metrics, readiness: readiness.clone(), health: readiness.health_service() };
    // Only those of the API are told in the metrics.
    let connections = Connections::new(CONNECTIONS, Gauge::default(), closing.clone());
    let (spawner, closing) = (tasks.clone(), closing.clone());
    tasks.spawn("ops", async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = closing.cancelled() => return,
            };
            let Ok((stream, _)) = accepted else {
                // Out of file descriptors, mostly: trying again at once would only burn time.
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(stream) = connections.place(stream).await else { return };
            let (pages, closing) = (page.clone(), closing.clone());
            spawner.spawn("ops connection", async move {
                let service = service_fn(move |request| {
                    let pages = pages.clone();
                    async move { Ok::<_, Infallible>(pages.answer(request).await) }
                });
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    // What breaks a connection is its client's affair.
                    _ = connection => {}
                    () = closing.cancelled() => {}
                }
            });
        }
    });
    Ok(address)
}

#[derive(Clone)]
struct Pages {
    metrics: Metrics,
    readiness: Readiness,
    health: HealthServer<HealthService>,
}

impl Pages {
    async fn answer(mut self, request: Request<Incoming>) -> Response<Body> {
        if is_grpc(&request) {
            let Ok(answer) = self.health.call(request).await;
            return answer;
        }
        self.page(&request).map(Body::new)
    }

    fn page(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into());
        }
        match request.uri().path() {
            "/metrics" => self.metrics(),
            "/livez" => text(StatusCode::OK, "ok\n".into()),
            "/readyz" if self.readiness.is_ready() => text(StatusCode::OK, "ok\n".into()),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n".into()),
            "/health" => self.state(),
            _ => text(StatusCode::NOT_FOUND, "see /metrics, /livez, /readyz and /health\n".into()),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        response(StatusCode::OK, OPENMETRICS, self.metrics.render())
    }

    /// What many load balancers and dashboards read: healthy only with a database.
    fn state(&self) -> Response<Full<Bytes>> {
        let connected = self.readiness.database_connected();
        let healthy = connected && self.readiness.is_ready();
        let time = jiff::Timestamp::from_microsecond(SystemClock.now().micros()).unwrap_or_default();
        let body = serde_json::json!({
            "status": if healthy { "healthy" } else { "unhealthy" },
            "database": if connected { "connected" } else { "disconnected" },
            "timestamp": time.to_string(),
        });
        let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        response(status, "application/json", format!("{body}\n"))
    }
}

fn is_grpc<T>(request: &Request<T>) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", body)
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
