//! An issuer that is asked over the network: what it tells of itself, its keys, and what happens when it is away, slow,
//! or somebody else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use modelward::proto::v1;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::{Code, Status};

use super::authority::Authority;
use super::issuer::{AUDIENCE, Signer, claims, key_set};
use super::place::{Place, RULES};
use crate::support::{Engine, Server, eventually};

/// An issuer on the loopback interface, over TLS.
struct Provider {
    url: String,
    authority: Authority,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// What it answers at `/jwks`; nothing: it breaks off.
    keys: Mutex<Option<String>>,
    description: Mutex<String>,
    /// Heads of requests.
    asked: Mutex<Vec<String>>,
    hanging: AtomicUsize,
}

impl Provider {
    async fn start(keys: &str) -> Self {
        let authority = Authority::new("the issuer's");
        let (cert, key) = authority.server().der();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(ring).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![cert], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let state = Arc::new(State::default());
        *state.keys.lock().unwrap() = Some(keys.to_owned());
        *state.description.lock().unwrap() = json!({"issuer": url, "jwks_uri": format!("{url}/jwks")}).to_string();
        let served = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&served));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut head = vec![0; 16 * 1024];
                    let mut length = 0;
                    while !head[..length].ends_with(b"\r\n\r\n") {
                        match stream.read(&mut head[length..]).await {
                            Ok(0) | Err(_) => return,
                            Ok(more) => length += more,
                        }
                    }
                    let head = String::from_utf8_lossy(&head[..length]).into_owned();
                    let keys = head.starts_with("GET /jwks ");
                    state.asked.lock().unwrap().push(head);
                    if state.hanging.load(Ordering::Relaxed) > 0 {
                        std::future::pending::<()>().await;
                    }
                    let body = if keys {
                        state.keys.lock().unwrap().clone()
                    } else {
                        Some(state.description.lock().unwrap().clone())
                    };
                    let Some(body) = body else { return };
                    let answer =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { url, authority, state }
    }

    fn claims(&self) -> Value {
        let mut claims = claims("system:serviceaccount:prod:gateway");
        claims["iss"] = json!(self.url);
        claims
    }

    /// How often its keys were asked for.
    fn asked(&self) -> usize {
        self.state.asked.lock().unwrap().iter().filter(|head| head.starts_with("GET /jwks ")).count()
    }

    fn shows(&self, signers: &[&Signer]) {
        *self.state.keys.lock().unwrap() = Some(key_set(signers));
    }

    async fn believed(&self, more: &str) -> (Place, Server) {
        let place = Place::new();
        place.write("ca.pem", &self.authority.pem);
        place.write("asker.token", "token-to-ask-with\n");
        let (url, ca) = (&self.url, place.path("ca.pem"));
        let issuer = format!(
            "[[issuer]]\nname = \"k8s\"\nissuer = \"{url}\"\naudiences = [\"{AUDIENCE}\"]\nca_file = \"{}\"\n{more}\n{RULES}",
            ca.display()
        );
        place.write("identity.toml", issuer.replace("ASKER", place.path("asker.token").to_str().unwrap()));
        let server = place.serve(Engine::Sqlite).await;
        (place, server)
    }
}

async fn list(server: &Server, token: &str) -> Result<(), Status> {
    server.bearer(token).providers().list_providers(v1::ListProvidersRequest::default()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_tells_of_itself_where_its_keys_are() {
    let signer = Signer::rsa("one");
    let provider = Provider::start(&key_set(&[&signer])).await;
    let (_place, server) = provider.believed("").await;
    list(&server, &signer.token(&provider.claims())).await.unwrap();
    let asked = provider.state.asked.lock().unwrap().clone();
    assert!(asked[0].starts_with("GET /.well-known/openid-configuration HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked.iter().all(|head| !head.to_lowercase().contains("authorization:")), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_to_ask_with_is_sent_and_read_anew_each_time() {
    let signer = Signer::ec("one");
    let provider = Provider::start(&key_set(&[&signer])).await;
    let more = format!("jwks_url = \"{}/jwks\"\ntoken_file = \"ASKER\"\nrefresh = \"1s\"", provider.url);
    let (place, server) = provider.believed(&more).await;
    list(&server, &signer.token(&provider.claims())).await.unwrap();
    let sent = |token: &str| {
        let asked = provider.state.asked.lock().unwrap();
        asked.iter().any(|head| head.to_lowercase().contains(&format!("authorization: bearer {token}\r\n")))
    };
    assert!(sent("token-to-ask-with"));
    place.write("asker.token", "its-successor");
    eventually("the new token is sent", || async { sent("its-successor").then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_is_fetched_when_it_is_first_seen_and_strangers_cause_no_storm() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let provider = Provider::start(&key_set(&[&old])).await;
    let (_place, server) = provider.believed("refresh = \"1h\"").await;
    list(&server, &old.token(&provider.claims())).await.unwrap();
    assert_eq!(provider.asked(), 1);
    let strangers: Vec<_> = (0..50).map(|number| Signer::ec(&format!("stranger-{number}"))).collect();
    for stranger in &strangers {
        let refused = list(&server, &stranger.token(&provider.claims())).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
    assert!(provider.asked() <= 2, "{} questions for {} strangers", provider.asked(), strangers.len());
    provider.shows(&[&old, &new]);
    let token = new.token(&provider.claims());
    eventually("the new key is fetched", || async { list(&server, &token).await.ok() }).await;
    list(&server, &old.token(&provider.claims())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_good_keys_stay_while_the_issuer_is_away_or_talks_nonsense() {
    let signer = Signer::ed("one");
    let provider = Provider::start(&key_set(&[&signer])).await;
    let (_place, server) = provider.believed("refresh = \"1s\"").await;
    let huge = format!("{{\"keys\": [], \"padding\": \"{}\"}}", "x".repeat(300 * 1024));
    for nonsense in [None, Some(String::new()), Some("{}".to_owned()), Some(huge)] {
        *provider.state.keys.lock().unwrap() = nonsense;
        let before = provider.asked();
        eventually("it was asked again", || async { (provider.asked() > before + 1).then_some(()) }).await;
        let mut fresh = provider.claims();
        fresh["jti"] = json!(before);
        list(&server, &signer.token(&fresh)).await.unwrap();
    }
    assert!(!server.parts().metrics.render().contains("modelward_reload_failures_total{kind=\"issuer_keys\"} 0"));
    provider.shows(&[&Signer::ed("another")]);
    let token = signer.token(&provider.claims());
    eventually("the key is gone", || async { list(&server, &token).await.err() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_while_the_issuer_is_away_and_believes_it_when_it_is_back() {
    let signer = Signer::ec("one");
    let provider = Provider::start("").await;
    let (_place, server) = provider.believed("refresh = \"1s\"").await;
    let token = signer.token(&provider.claims());
    assert_eq!(list(&server, &token).await.unwrap_err().code(), Code::Unauthenticated);
    provider.shows(&[&signer]);
    eventually("it is believed", || async { list(&server, &token).await.ok() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_can_speak_for_an_issuer() {
    let signer = Signer::ec("one");
    let provider = Provider::start(&key_set(&[&signer])).await;
    let token = signer.token(&provider.claims());
    let other = json!({"issuer": "https://other.example", "jwks_uri": format!("{}/jwks", provider.url)});
    let plain = json!({"issuer": provider.url, "jwks_uri": provider.url.replace("https", "http") + "/jwks"});
    let metadata = json!({"issuer": provider.url, "jwks_uri": "https://169.254.169.254/jwks"});
    for description in [other, plain, metadata] {
        *provider.state.description.lock().unwrap() = description.to_string();
        let (_place, server) = provider.believed("").await;
        assert_eq!(list(&server, &token).await.unwrap_err().code(), Code::Unauthenticated, "{description}");
        server.stop().await;
    }
    assert_eq!(provider.asked(), 0);
    // One that another authority vouches for is not asked at all.
    let (place, server) = provider.believed("refresh = \"1s\"").await;
    server.stop().await;
    place.write("ca.pem", &Authority::new("the issuer's").pem);
    *provider.state.description.lock().unwrap() =
        json!({"issuer": provider.url, "jwks_uri": format!("{}/jwks", provider.url)}).to_string();
    let server = place.serve(Engine::Sqlite).await;
    assert_eq!(list(&server, &token).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(provider.asked(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_that_hangs_holds_up_neither_the_start_nor_other_callers() {
    let signer = Signer::ec("one");
    let provider = Provider::start(&key_set(&[&signer])).await;
    let (place, first) = provider.believed("refresh = \"1s\"").await;
    first.stop().await;
    provider.state.hanging.store(1, Ordering::Relaxed);
    let begin = std::time::Instant::now();
    let server = place.serve(Engine::Sqlite).await;
    assert!(begin.elapsed() < Duration::from_secs(10), "the start took {:?}", begin.elapsed());
    server.providers().list_providers(v1::ListProvidersRequest::default()).await.unwrap();
    let refused = list(&server, &signer.token(&provider.claims())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}
