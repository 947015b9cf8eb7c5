use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, Full};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::Service;

use super::super::address::Address;
use super::super::trust::Trust;
use super::*;

const PATH: &str = "/modelward.v1.ProviderService/CreateProvider";
/// A message that no proto file describes, in its frame.
const MESSAGE: &[u8] = &[0, 0, 0, 0, 4, 0xde, 0xad, 0xbe, 0xef];

/// A control plane that notes what comes, and answers the message that it got, with trailers, or a refusal.
#[derive(Clone, Default)]
struct Echo {
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    refuse: bool,
}

impl NamedService for Echo {
    const NAME: &'static str = "modelward.v1.ProviderService";
}

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.seen.lock().unwrap().push(request.headers().clone());
        if self.refuse {
            return ready(Ok(status(Error::StoreFull, "of the control plane").into_http()));
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        trailers.insert("x-trailer", "kept".parse().unwrap());
        let body = request.into_body().with_trailers(ready(Some(Ok(trailers))));
        let mut answer = Response::new(Body::new(body));
        answer.headers_mut().insert(header::CONTENT_TYPE, "application/grpc".parse().unwrap());
        answer.headers_mut().insert("modelward-revision", "77".parse().unwrap());
        ready(Ok(answer))
    }
}

/// The control plane, its calls, and the sidecar's side of it, with an identity of the sidecar's own.
async fn stage(refuse: bool) -> (Forward, Arc<Mutex<Vec<HeaderMap>>>, TempDir) {
    let echo = Echo { refuse, ..Echo::default() };
    let seen = Arc::clone(&echo.seen);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = Server::builder().add_service(echo).serve_with_incoming(TcpListenerStream::new(listener));
    crate::task::Tasks::new().spawn("control plane", async move { served.await.unwrap() });
    let directory = TempDir::new().unwrap();
    let identity_file = directory.path().join("identity");
    std::fs::write(&identity_file, "identity-of-the-sidecar").unwrap();
    let config = UpstreamConfig { identity_file: Some(identity_file), ..config(&address.to_string()) };
    (Forward::to(&config).unwrap(), seen, directory)
}

fn config(address: &str) -> UpstreamConfig {
    UpstreamConfig {
        addresses: vec![Address::parse(&format!("http://{address}")).unwrap()],
        trust: Trust::default(),
        identity_file: None,
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(5),
        keepalive_interval: Duration::from_secs(5),
        keepalive_timeout: Duration::from_secs(5),
    }
}

fn request(headers: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = Request::new(Body::new(Full::new(Bytes::from_static(MESSAGE))));
    *request.uri_mut() = PATH.parse().unwrap();
    *request.method_mut() = http::Method::POST;
    request.headers_mut().insert(header::CONTENT_TYPE, "application/grpc".parse().unwrap());
    request.headers_mut().insert(header::TE, "trailers".parse().unwrap());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

fn told(answer: &Response<Body>) -> Status {
    Status::from_header_map(answer.headers()).unwrap()
}

#[tokio::test]
async fn a_call_and_its_answer_pass_as_they_are() {
    let (forward, seen, _directory) = stage(false).await;
    let headers = [
        ("authorization", "Bearer of-the-caller"),
        ("modelward-local-token", "local"),
        ("modelward-min-revision", "5"),
        ("x-any", "thing"),
        ("grpc-timeout", "9S"),
    ];
    let answer = forward.pass(request(&headers), "trace-1").await;
    assert_eq!(answer.headers()["modelward-revision"], "77");
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-trailer"], "kept");
    assert_eq!(body.to_bytes(), MESSAGE);
    let seen = seen.lock().unwrap();
    let [headers] = &seen[..] else { panic!("{seen:?}") };
    for (name, expected) in [
        ("authorization", "Bearer of-the-caller"),
        ("modelward-min-revision", "5"),
        ("x-any", "thing"),
        ("grpc-timeout", "9S"),
        ("x-request-id", "trace-1"),
    ] {
        assert_eq!(headers[name], expected);
    }
    assert!(!headers.contains_key("modelward-local-token"));
}

#[tokio::test]
async fn a_call_without_a_token_of_its_own_is_not_lent_the_sidecars() {
    let (forward, seen, _directory) = stage(false).await;
    for authorization in ["", "Bearer", "Bearer  ", "Basic eDp5"] {
        let answer = forward.pass(request(&[("authorization", authorization)]), "").await;
        assert_eq!(told(&answer).code(), Code::Unauthenticated, "{authorization}");
    }
    assert_eq!(told(&forward.pass(request(&[]), "").await).code(), Code::Unauthenticated);
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_refusal_of_the_control_plane_keeps_its_details() {
    let (forward, _, _directory) = stage(true).await;
    let refused = told(&forward.pass(request(&[("authorization", "Bearer own")]), "").await);
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "STORE_FULL");
}

#[tokio::test]
async fn a_control_plane_that_is_gone_says_when_to_try_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let forward = Forward::to(&config(&address)).unwrap();
    let refused = told(&forward.pass(request(&[("authorization", "Bearer own")]), "").await);
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "UPSTREAM_UNAVAILABLE");
    assert!(refused.get_details_retry_info().is_some());
}

#[tokio::test]
async fn what_is_refused_names_the_setting() {
    let refused = told(&Forward::refusing().pass(request(&[("authorization", "Bearer own")]), "").await);
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "FORBIDDEN");
    assert!(refused.message().contains("sidecar.writes"), "{}", refused.message());
}
