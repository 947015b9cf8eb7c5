//! The plain HTTP listener for operators: `/metrics`, `/livez`, `/readyz`, `/health`, and gRPC health beside them.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use super::readiness::Readiness;
use crate::domain::{Clock as _, SystemClock};
use crate::task::Tasks;
use crate::telemetry::Metrics;

/// Serves operators on `listener` until `closing`.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(
    listener: std::net::TcpListener,
    parts: &Parts,
    readiness: &Readiness,
    tasks: &Tasks,
    closing: &CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    let page = Pages { metrics: parts.metrics.clone(), readiness: readiness.clone() };
    let (spawner, closing) = (tasks.clone(), closing.clone());
    tasks.spawn("ops", async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = closing.cancelled() => return,
            };
            // A failed accept concerns one connection, or passes.
            let Ok((stream, _)) = accepted else { continue };
            let (pages, closing) = (page.clone(), closing.clone());
            spawner.spawn("ops connection", async move {
                let service = service_fn(move |request| {
                    let pages = pages.clone();
                    async move { Ok::<_, Infallible>(pages.answer(&request)) }
                });
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder.http1().timer(TokioTimer::new()).header_read_timeout(std::time::Duration::from_secs(10));
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
}

impl Pages {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into());
        }
        match request.uri().path() {
            "/metrics" => self.metrics(),
            "/livez" => text(StatusCode::OK, "ok\n".into()),
            "/readyz" if self.readiness.is_ready() => text(StatusCode::OK, "ok\n".into()),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n".into()),
            "/health" => self.health(),
            _ => text(StatusCode::NOT_FOUND, "see /metrics, /livez, /readyz and /health\n".into()),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        response(StatusCode::OK, OPENMETRICS, self.metrics.render())
    }

    /// What many load balancers and dashboards read: healthy only with a database.
    fn health(&self) -> Response<Full<Bytes>> {
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

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", body)
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
