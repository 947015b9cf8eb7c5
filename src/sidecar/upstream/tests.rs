use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use super::*;

/// A control plane of which only its health is known; it counts the calls that it answers.
struct Plane {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    /// Of its own: with it all its connections end.
    runtime: Option<Runtime>,
}

impl Plane {
    /// Answers those who bring the token.
    async fn start(token: &'static str) -> Self {
        Self::start_with(token, Server::builder(), "127.0.0.1:0").await
    }

    async fn start_with(token: &'static str, mut server: Server, listen: &str) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let (_, health) = tonic_health::server::health_reporter();
        let counted = Arc::clone(&calls);
        let health = tonic::service::interceptor::InterceptedService::new(health, move |request: tonic::Request<()>| {
            let known = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
            if known.unwrap_or_default() != token {
                return Err(Status::unauthenticated("unknown"));
            }
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(request)
        });
        let served = server.add_service(health);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = listener.into_std().unwrap();
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            served.serve_with_incoming(incoming).await.unwrap();
        });
        Self { address, calls, runtime: Some(runtime) }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn config(addresses: &[String]) -> UpstreamConfig {
    UpstreamConfig {
        addresses: addresses.iter().map(|text| Address::parse(text).unwrap()).collect(),
        trust: Trust::default(),
        identity_file: None,
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(10),
        keepalive_interval: Duration::from_millis(100),
        keepalive_timeout: Duration::from_millis(100),
    }
}

fn http(plane: &Plane) -> String {
    format!("http://{}", plane.address)
}

async fn ask(upstream: &Upstream) -> Result<(), Status> {
    let asked = upstream.ask(|upstream| async move {
        let request = upstream.request(HealthCheckRequest::default());
        HealthClient::new(upstream).check(request).await
    });
    asked.await.map(drop)
}

/// Asks until it is answered; the waits between attempts to connect are the backoff's.
async fn ask_until_answered(upstream: &Upstream) {
    let answered = async {
        while ask(upstream).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), answered).await.unwrap();
}

#[tokio::test]
async fn an_identity_that_was_replaced_is_read_again_before_it_gives_up() {
    let plane = Plane::start("Bearer new").await;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "old\n").unwrap();
    let upstream = Upstream::open(UpstreamConfig { identity_file: Some(path.clone()), ..config(&[http(&plane)]) });
    let upstream = upstream.unwrap();
    assert_eq!(ask(&upstream).await.unwrap_err().code(), Code::Unauthenticated);
    std::fs::write(&path, "new\n").unwrap();
    ask(&upstream).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(plane.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_an_identity_of_its_own_a_request_keeps_what_it_brings() {
    let plane = Plane::start("Bearer of the caller").await;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "of the sidecar").unwrap();
    let own = UpstreamConfig { identity_file: Some(path), ..config(&[http(&plane)]) };
    for (config, expected) in [(own.clone(), Code::Unauthenticated), (own.anonymous(), Code::Ok)] {
        let upstream = Upstream::open(config).unwrap();
        let mut request = upstream.request(HealthCheckRequest::default());
        request.metadata_mut().insert("authorization", "Bearer of the caller".parse().unwrap());
        let code = HealthClient::new(upstream).check(request).await.map_or_else(|status| status.code(), |_| Code::Ok);
        assert_eq!(code, expected);
    }
}

#[tokio::test]
async fn sidecars_spread_over_all_addresses_and_leave_one_that_is_lost() {
    let (one, other) = (Plane::start("").await, Plane::start("").await);
    let config = config(&[http(&one), http(&other)]);
    let sidecars: Vec<_> = (0..40).map(|_| Upstream::open(config.clone()).unwrap()).collect();
    for sidecar in &sidecars {
        ask(sidecar).await.unwrap();
        ask(sidecar).await.unwrap();
    }
    let of_one = one.calls.load(Ordering::SeqCst);
    assert!((10..=70).contains(&of_one) && of_one % 2 == 0, "{of_one} of 80 calls");
    drop(one);
    for sidecar in &sidecars {
        ask_until_answered(sidecar).await;
    }
    assert_eq!(of_one + other.calls.load(Ordering::SeqCst), 80 + 40);
}

#[tokio::test]
async fn a_stream_that_ended_in_an_error_is_taken_elsewhere() {
    let (one, other) = (Plane::start("").await, Plane::start("").await);
    let upstream = Upstream::open(config(&[http(&one), http(&other)])).unwrap();
    for _ in 0..10 {
        ask(&upstream).await.unwrap();
        upstream.elsewhere().await;
    }
    assert_eq!((one.calls.load(Ordering::SeqCst), other.calls.load(Ordering::SeqCst)), (5, 5));
}

#[tokio::test]
async fn who_asks_during_an_outage_is_told_at_once_and_the_network_is_spared() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let upstream = Upstream::open(config(&[format!("http://{address}")])).unwrap();
    for _ in 0..1000 {
        let refused = upstream.connected().await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert!(refused.get_details_retry_info().is_some());
    }
    // A thousand calls within the first waits.
    let failures = upstream.0.line.lock().await.backoff.clone().failed();
    assert!(failures < MOST, "{failures:?}");
    let plane = Plane::start_with("", Server::builder(), &address.to_string()).await;
    ask_until_answered(&upstream).await;
    assert_eq!(plane.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_frozen_control_plane_is_found_out() {
    // The kernel takes the connection; nobody ever speaks on it.
    let frozen = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream::open(config(&[format!("http://{}", frozen.local_addr().unwrap())])).unwrap();
    let mut client = HealthClient::new(upstream.clone());
    let asked = client.check(HealthCheckRequest::default());
    let refused = timeout(Duration::from_secs(20), asked).await.expect("ends by itself").unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    request.set_timeout(Duration::from_millis(20));
    let late = HealthClient::new(upstream).check(request).await.unwrap_err();
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Unavailable), "{late:?}");
}

/// An authority with a certificate of its own for the server, and one for the client.
fn certificates(directory: &Path) -> (Server, Trust) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let issue = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (server, server_key) = issue(&["localhost"]);
    let (client, client_key) = issue(&["sidecar"]);
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(server, server_key))
        .client_ca_root(Certificate::from_pem(authority.pem()));
    let trust = Trust {
        ca_file: Some(write("ca.pem", &authority.pem())),
        client: Some((write("client.pem", &client), write("client.key", &client_key))),
    };
    (Server::builder().tls_config(tls).unwrap(), trust)
}

#[tokio::test]
async fn only_the_authority_is_believed_and_the_certificate_is_shown_for_own_calls_alone() {
    let directory = TempDir::new().unwrap();
    let (server, trust) = certificates(directory.path());
    let plane = Plane::start_with("", server, "127.0.0.1:0").await;
    let addresses = [format!("https://localhost:{}", plane.address.port())];
    let own = UpstreamConfig { trust, ..config(&addresses) };
    ask(&Upstream::open(own.clone()).unwrap()).await.unwrap();
    let refused = ask(&Upstream::open(own.anonymous()).unwrap()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "the server asks for a certificate");
    let (_, stranger) = certificates(&{
        let path = directory.path().join("other");
        std::fs::create_dir(&path).unwrap();
        path
    });
    let trust = Trust { ca_file: stranger.ca_file, ..own.trust.clone() };
    assert!(ask(&Upstream::open(UpstreamConfig { trust, ..own.clone() }).unwrap()).await.is_err());
    assert!(ask(&Upstream::open(UpstreamConfig { trust: Trust::default(), ..own }).unwrap()).await.is_err());
    assert_eq!(plane.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_on_the_next_connection() {
    let directory = TempDir::new().unwrap();
    let (_, trust) = certificates(directory.path());
    // Everything anew, into the same files: the authority, too.
    let upstream_trust = trust.clone();
    let (server, _) = certificates(directory.path());
    let plane = Plane::start_with("", server, "127.0.0.1:0").await;
    let addresses = [format!("https://localhost:{}", plane.address.port())];
    let upstream = Upstream::open(UpstreamConfig { trust: upstream_trust, ..config(&addresses) }).unwrap();
    ask(&upstream).await.unwrap();
    std::fs::write(trust.ca_file.as_ref().unwrap(), "no certificate").unwrap();
    ask(&upstream).await.unwrap();
    upstream.elsewhere().await;
    assert_eq!(ask(&upstream).await.unwrap_err().code(), Code::Unavailable);
    certificates(directory.path());
    let told = Upstream::open(UpstreamConfig { trust: Trust { ca_file: None, ..trust }, ..config(&addresses) });
    assert!(told.is_ok());
}

#[test]
fn a_file_that_cannot_be_used_is_named_at_the_start() {
    let directory = TempDir::new().unwrap();
    let (_, good) = certificates(directory.path());
    let (certificate, key) = good.client.clone().unwrap();
    let refused = |trust: Trust| trust.tls().unwrap_err().to_string();
    let missing = directory.path().join("missing.pem");
    assert!(refused(Trust { ca_file: Some(missing.clone()), client: None }).contains("missing.pem"));
    assert!(refused(Trust { ca_file: Some(key.clone()), client: None }).contains("client.key"));
    assert!(
        refused(Trust { client: Some((certificate.clone(), certificate.clone())), ..good.clone() }).contains("key")
    );
    assert!(refused(Trust { client: Some((key.clone(), key)), ..good }).contains("certificate"));
}
