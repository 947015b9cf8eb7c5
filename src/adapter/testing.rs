//! Real servers on the loopback interface for this module's tests.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::request::Authority;
use super::{Client, ClientConfig, Target};
use crate::domain::credential::AllowedHosts;
use crate::domain::endpoint::{BaseUrl, Endpoint, HealthCheckPolicy, Host, RetryPolicy};
use crate::domain::provider::ProviderKind;
use crate::domain::secret::{CredentialSecret, SecretText};
use crate::domain::{CredentialId, EndpointId, Meta, ProviderId, SystemClock};

pub(super) const KEY: &str = "sk-canary-0123456789abcdefXYZ";

/// What a server saw.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) version: Version,
    pub(super) body: String,
}

/// What a server answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    pub(super) delay: Duration,
}

pub(super) fn reply(status: u16, body: &str) -> Reply {
    Reply { status, body: body.to_owned(), ..Reply::default() }
}

type Handler = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    pub(super) async fn start(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::with_tls(None, handler).await
    }

    /// Answers these one after the other, the last one for ever.
    pub(super) async fn script(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Mutex<VecDeque<_>> = Mutex::new(replies.into_iter().collect());
        Self::start(move |_| {
            let mut replies = replies.lock().unwrap();
            if replies.len() > 1 { replies.pop_front().unwrap() } else { replies.front().unwrap().clone() }
        })
        .await
    }

    pub(super) async fn with_tls(
        tls: Option<Arc<rustls::ServerConfig>>,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, connections) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<Mutex<usize>>::default());
        let (log, count, handler) = (seen.clone(), connections.clone(), Arc::new(handler) as Handler);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                *count.lock().unwrap() += 1;
                let (log, handler, tls) = (log.clone(), handler.clone(), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(request, log.clone(), handler.clone()));
                    let server = auto::Builder::new(TokioExecutor::new());
                    if let Some(tls) = tls {
                        let Ok(socket) = tokio_rustls::TlsAcceptor::from(tls).accept(socket).await else { return };
                        let _ = server.serve_connection(TokioIo::new(socket), service).await;
                    } else {
                        let _ = server.serve_connection(TokioIo::new(socket), service).await;
                    }
                });
            }
        });
        Self { address, seen, connections }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn answer(
    request: Request<Incoming>,
    log: Arc<Mutex<Vec<Seen>>>,
    handler: Handler,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let seen = Seen {
        method: head.method,
        path: head.uri.path_and_query().unwrap().to_string(),
        headers: head.headers,
        version: head.version,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let reply = handler(&seen);
    log.lock().unwrap().push(seen);
    tokio::time::sleep(reply.delay).await;
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    Ok(response.body(Full::new(Bytes::from(reply.body))).unwrap())
}

/// A server that answers every connection with `bytes`, then keeps it open or closes it.
pub(super) async fn raw(bytes: &'static [u8], close: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let _ = socket.read(&mut buffer).await;
                let _ = socket.write_all(bytes).await;
                while !close && socket.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    address
}

/// A certificate for `localhost`, as a file to trust and as a server's configuration.
pub(super) fn certificate(folder: &std::path::Path, alpn: &[&[u8]]) -> (std::path::PathBuf, Arc<rustls::ServerConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let file = folder.join("ca.pem");
    std::fs::write(&file, made.cert.pem()).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    (file, Arc::new(config))
}

pub(super) fn client() -> Client {
    Client::new(&ClientConfig::default(), Arc::new(SystemClock)).unwrap()
}

/// An endpoint with short waits.
pub(super) fn endpoint(url: &str) -> Endpoint {
    let brief = Duration::from_millis(1);
    Endpoint {
        id: EndpointId::nil(),
        provider_id: ProviderId::nil(),
        meta: Meta::default(),
        name: "e".into(),
        base_url: BaseUrl::parse(url).unwrap(),
        api_version: String::new(),
        region: String::new(),
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(5),
        retry: RetryPolicy { max_attempts: 1, initial_backoff: brief, max_backoff: brief },
        is_default: true,
        is_active: true,
        priority: 0,
        weight: 1,
        health_check: HealthCheckPolicy::default(),
    }
}

pub(super) fn secret() -> CredentialSecret {
    CredentialSecret { api_key: Some(SecretText::new(KEY.into())), ..CredentialSecret::default() }
}

/// The host of an endpoint as the only one allowed.
pub(super) fn only(endpoint: &Endpoint) -> AllowedHosts {
    AllowedHosts::new([endpoint.base_url.host().clone()], true)
}

pub(super) fn nowhere_near() -> AllowedHosts {
    AllowedHosts::new([Host::parse("api.example.com").unwrap()], true)
}

pub(super) fn target<'a>(
    kind: ProviderKind,
    endpoint: &'a Endpoint,
    secret: &'a CredentialSecret,
    hosts: &'a AllowedHosts,
) -> Target<'a> {
    let authority = Some(Authority::new(secret, hosts, CredentialId::nil()));
    Target { kind, endpoint, authority, deadline: Instant::now() + Duration::from_secs(10) }
}
