use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::fault::CallErrorKind;
use super::super::location::Location;
use super::super::meaning::Meaning;
use super::super::testing::{
    KEY, Reply, Server, certificate, client, endpoint, nowhere_near, only, raw, reply, secret, target,
};
use super::super::{Pending, Target};
use super::*;
use crate::domain::SystemClock;
use crate::domain::credential::AllowedHosts;
use ProviderKind::{OpenAi, Vllm};

const LIST: &str = r#"{"data":[{"id":"m"}]}"#;

/// One GET of the models as `kind` would make it.
async fn get(client: &Client, kind: ProviderKind, endpoint: &Endpoint) -> Result<Answer, CallError> {
    let (secret, hosts) = (secret(), only(endpoint));
    get_as(client, &target(kind, endpoint, &secret, &hosts)).await
}

async fn get_as(client: &Client, target: &Target<'_>) -> Result<Answer, CallError> {
    let call = Call::get(Location::base(target.endpoint)?.join("models")).bearer(target.authority)?;
    client.call(&call, &target.terms(client)).await
}

async fn compatible(client: &Client, endpoint: &Endpoint) -> Result<Answer, CallError> {
    get(client, ProviderKind::OpenAiCompatible, endpoint).await
}

fn patient(url: &str, attempts: i32) -> Endpoint {
    let mut endpoint = endpoint(url);
    endpoint.retry.max_attempts = attempts;
    endpoint
}

#[tokio::test]
async fn a_call_carries_the_key_and_its_connection_is_used_again() {
    let server = Server::start(|_| reply(200, LIST)).await;
    let (client, endpoint) = (client(), endpoint(&server.url("/v1")));
    for _ in 0..3 {
        assert!(compatible(&client, &endpoint).await.unwrap().json().is_ok());
    }
    assert_eq!(server.connections(), 1);
    let seen = server.seen().pop().unwrap();
    assert_eq!((seen.path.as_str(), seen.version), ("/v1/models", http::Version::HTTP_11));
    assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(seen.headers["host"], server.address.to_string());
}

#[tokio::test]
async fn https_is_spoken_in_the_version_that_the_server_chooses() {
    let folder = tempfile::tempdir().unwrap();
    for (alpn, version) in [
        (&[&b"h2"[..], &b"http/1.1"[..]][..], http::Version::HTTP_2),
        (&[&b"http/1.1"[..]][..], http::Version::HTTP_11),
        (&[], http::Version::HTTP_11),
    ] {
        let (file, tls) = certificate(folder.path(), alpn);
        let server = Server::with_tls(Some(tls), |_| reply(200, LIST)).await;
        let endpoint = endpoint(&format!("https://localhost:{}/v1", server.address.port()));
        let config = ClientConfig { extra_ca_file: Some(file), ..ClientConfig::default() };
        let trusting = Client::new(&config, Arc::new(SystemClock)).unwrap();
        for _ in 0..2 {
            compatible(&trusting, &endpoint).await.unwrap();
        }
        assert_eq!(server.seen().last().unwrap().version, version);
        let opened = server.connections();
        let refused = compatible(&client(), &endpoint).await.err().unwrap();
        assert_eq!(
            (refused.kind, refused.message.as_str()),
            (CallErrorKind::Tls, "the certificate's authority is not trusted")
        );
        assert_eq!(server.seen().len(), 2);
        assert!(opened <= 2);
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (file, tls) = certificate(folder.path(), &[]);
    let server = Server::with_tls(Some(tls), |_| reply(200, LIST)).await;
    let config = ClientConfig { extra_ca_file: Some(file), ..ClientConfig::default() };
    let client = Client::new(&config, Arc::new(SystemClock)).unwrap();
    let error = compatible(&client, &endpoint(&format!("https://{}/v1", server.address))).await.err().unwrap();
    assert_eq!((error.kind, error.message.as_str()), (CallErrorKind::Tls, "the certificate is for another name"));
    let plain = Server::start(|_| reply(200, LIST)).await;
    let error = compatible(&client, &endpoint(&format!("https://{}/v1", plain.address))).await.err().unwrap();
    assert_eq!(error.kind, CallErrorKind::Tls);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start(|_| reply(200, LIST)).await;
    for status in [301, 302, 303, 307, 308] {
        let location = elsewhere.url("/v1/models");
        let server =
            Server::start(move |_| Reply { headers: vec![("location", location.clone())], ..reply(status, "") }).await;
        let error = compatible(&client(), &patient(&server.url("/v1"), 3)).await.err().unwrap();
        assert_eq!(error.kind, CallErrorKind::UnexpectedAnswer { status: Some(status) });
        assert_eq!(server.seen().len(), 1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn no_body_grows_beyond_its_bound() {
    let long = "x".repeat(MAX_BODY + 1);
    let server = Server::start(move |_| reply(200, &long)).await;
    assert_eq!(compatible(&client(), &endpoint(&server.url("/v1"))).await.err().unwrap().kind, CallErrorKind::TooLarge);
    // The same without a stated length.
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.resize(MAX_BODY + 1000, b'x');
    let address = raw(endless.leak(), false).await;
    let error = compatible(&client(), &endpoint(&format!("http://{address}"))).await.err().unwrap();
    assert_eq!(error.kind, CallErrorKind::TooLarge);
    // An error's long body is an error all the same.
    let long = "x".repeat(MAX_PROBE + 1);
    let server = Server::start(move |_| reply(503, &long)).await;
    assert_eq!(compatible(&client(), &endpoint(&server.url("/v1"))).await.err().unwrap().http_status(), Some(503));
    // So is an endless head.
    let mut head = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    head.resize(200_000, b'x');
    let address = raw(head.leak(), false).await;
    let error = compatible(&client(), &endpoint(&format!("http://{address}"))).await.err().unwrap();
    assert_eq!(error.kind, CallErrorKind::TooLarge);
}

#[tokio::test]
async fn a_server_that_hangs_is_left_in_time() {
    let silent = raw(b"", false).await;
    let halfway = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", false).await;
    for address in [silent, halfway] {
        let mut endpoint = patient(&format!("http://{address}"), 2);
        endpoint.read_timeout = Duration::from_millis(60);
        let began = Instant::now();
        assert_eq!(compatible(&client(), &endpoint).await.err().unwrap().kind, CallErrorKind::Timeout);
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(120) && took < Duration::from_secs(2), "{took:?}");
        // The deadline ends all attempts together.
        endpoint.read_timeout = Duration::from_mins(1);
        let (secret, hosts) = (secret(), only(&endpoint));
        let mut target = target(ProviderKind::OpenAiCompatible, &endpoint, &secret, &hosts);
        target.deadline = Instant::now() + Duration::from_millis(80);
        assert_eq!(get_as(&client(), &target).await.err().unwrap().kind, CallErrorKind::Timeout);
        assert!(Instant::now() < target.deadline + Duration::from_secs(2));
    }
}

#[tokio::test]
async fn what_may_pass_is_repeated_and_nothing_else() {
    let client = client();
    for (status, requests) in [(500, 3), (503, 3), (429, 3), (408, 3), (529, 3), (401, 1), (403, 1), (404, 1), (400, 1)]
    {
        let server = Server::start(move |_| reply(status, "")).await;
        let error = compatible(&client, &patient(&server.url("/v1"), 3)).await.err().unwrap();
        assert_eq!(error.http_status(), Some(status));
        assert_eq!(server.seen().len(), requests, "{status}");
    }
    let server = Server::script([reply(500, ""), reply(502, ""), reply(200, LIST)]).await;
    assert!(compatible(&client, &patient(&server.url("/v1"), 3)).await.is_ok());
    let quota = Server::start(|_| reply(429, r#"{"error":{"code":"insufficient_quota","message":"m"}}"#)).await;
    let error = compatible(&client, &patient(&quota.url("/v1"), 3)).await.err().unwrap();
    assert_eq!((error.meaning(), quota.seen().len()), (Some(Meaning::NoCredit), 1));
}

#[tokio::test]
async fn what_may_have_cost_is_not_repeated() {
    let server = Server::start(|_| reply(503, "")).await;
    let (client, endpoint) = (client(), patient(&server.url("/v1"), 3));
    let call = Call::post(Location::base(&endpoint).unwrap().join("chat/completions"), &serde_json::json!({}));
    let deadline = Instant::now() + Duration::from_secs(5);
    assert!(client.call(&call, &client.terms(Vllm, &endpoint, deadline)).await.is_err());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_wait_that_a_vendor_asks_for_is_kept() {
    let busy = |name, value: &str| Reply { headers: vec![(name, value.to_owned())], ..reply(429, "") };
    let server = Server::script([busy("retry-after-ms", "80"), reply(200, LIST)]).await;
    let began = Instant::now();
    assert!(compatible(&client(), &patient(&server.url("/v1"), 2)).await.is_ok());
    assert!(began.elapsed() >= Duration::from_millis(80));
    // Not when it would pass the deadline, is too long, or the vendor says that it makes no sense.
    for reply in [busy("retry-after", "30"), busy("retry-after", "90"), busy("x-should-retry", "false")] {
        let server = Server::script([reply]).await;
        let began = Instant::now();
        assert!(compatible(&client(), &patient(&server.url("/v1"), 5)).await.is_err());
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_secret_that_may_not_go_there_opens_no_connection() {
    let server = Server::start(|_| reply(200, LIST)).await;
    let (client, endpoint) = (client(), patient(&server.url("/v1"), 3));
    let secret = secret();
    for hosts in [nowhere_near(), AllowedHosts::default()] {
        let target = target(ProviderKind::OpenAiCompatible, &endpoint, &secret, &hosts);
        let error = get_as(&client, &target).await.err().unwrap();
        assert!(matches!(error.kind, CallErrorKind::HostNotAllowed { .. }));
        assert!(matches!(crate::domain::Error::from(error), crate::domain::Error::HostNotAllowed { .. }));
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_echoed_key_is_removed_whatever_the_error_looks_like() {
    let client = client();
    let head = KEY.get(..10).unwrap();
    for body in [
        format!(r#"{{"error":{{"message":"bad key {KEY}","code":"invalid_api_key"}}}}"#),
        format!(r#"{{"type":"error","error":{{"type":"authentication_error","message":"bad key {KEY}"}}}}"#),
        format!(r#"[{{"error":{{"code":400,"message":"bad key {KEY}","status":"INVALID_ARGUMENT"}}}}]"#),
        format!(r#"{{"Message":"bad key {KEY}"}}"#),
        format!(r#"{{"error":"bad key {KEY}"}}"#),
        format!(r#"{{"object":"error","message":"bad key {KEY}","code":404}}"#),
        format!(r#"{{"detail":"bad key {head}"}}"#),
        format!(r#"{{"detail":[{{"msg":"bad key {head}"}}]}}"#),
        format!(r#"{{"code":"InvalidApiKey","message":"bad key {KEY}"}}"#),
        format!(r#"{{"error_code":110,"error_msg":"bad key {KEY}"}}"#),
        format!("bad key {KEY}"),
        format!("bad key Bearer {head}"),
    ] {
        for status in [200, 400, 401, 500] {
            let text = body.clone();
            let server = Server::start(move |_| reply(status, &text)).await;
            let answer = compatible(&client, &endpoint(&server.url("/v1")))
                .await
                .and_then(|answer| answer.json().map(|_| answer));
            // A success that says `detail` is no known error.
            let Err(error) = answer else { continue };
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(head) && !shown.contains("0123456789"), "{shown}");
            assert!(status == 200 || error.message.contains("bad key"), "{status} {body}: {shown}");
        }
    }
}

#[tokio::test]
async fn what_is_not_http_is_told_apart_from_nobody_there() {
    let garbage = raw(b"SSH-2.0-OpenSSH_9.2\r\n", false).await;
    let closed = raw(b"", true).await;
    let cut = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", true).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, kind) in [
        (garbage, CallErrorKind::UnexpectedAnswer { status: None }),
        (closed, CallErrorKind::Connect),
        (cut, CallErrorKind::Connect),
        (free, CallErrorKind::Connect),
    ] {
        let error = compatible(&client(), &endpoint(&format!("http://{address}"))).await.err().unwrap();
        assert_eq!(error.kind, kind);
        assert!(!error.message.contains("127.0.0.1"));
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_costs_nothing() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let address = raw(answer, true).await;
    let (client, endpoint) = (client(), endpoint(&format!("http://{address}")));
    for _ in 0..5 {
        assert!(compatible(&client, &endpoint).await.is_ok());
    }
}

/// Answers from a table, or with the next of a list on each question.
struct Table {
    addresses: HashMap<&'static str, Vec<&'static str>>,
    asked: AtomicUsize,
}

impl Resolve for Table {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Pending<'a, std::io::Result<Vec<SocketAddr>>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let found = self.addresses.get(name).map(|list| {
            list[turn % list.len()]
                .split(',')
                .filter(|ip| !ip.is_empty())
                .map(|ip| SocketAddr::new(ip.parse().unwrap(), port))
                .collect()
        });
        Box::pin(async move { Ok(found.unwrap_or_default()) })
    }
}

fn resolving(addresses: HashMap<&'static str, Vec<&'static str>>, allow_private: bool) -> (Client, Arc<Table>) {
    let table = Arc::new(Table { addresses, asked: AtomicUsize::new(0) });
    let config = ClientConfig { allow_private, ..ClientConfig::default() };
    (Client::with_resolver(&config, Arc::new(SystemClock), table.clone()).unwrap(), table)
}

#[tokio::test]
async fn what_may_cost_is_repeated_before_it_was_sent() {
    let server = Server::start(|_| reply(503, "")).await;
    // The name is unknown at first.
    let names = HashMap::from([("vendor.example.com", vec!["", "127.0.0.1"])]);
    let (client, table) = resolving(names, true);
    let endpoint = patient(&format!("http://vendor.example.com:{}/v1", server.address.port()), 5);
    let call = Call::post(Location::base(&endpoint).unwrap().join("chat/completions"), &serde_json::json!({}));
    let deadline = Instant::now() + Duration::from_secs(20);
    let error = client.call(&call, &client.terms(Vllm, &endpoint, deadline)).await.err().unwrap();
    assert_eq!(error.http_status(), Some(503));
    assert_eq!((table.asked.load(Ordering::SeqCst), server.seen().len()), (2, 1), "once it was sent, never again");
}

#[tokio::test]
async fn names_are_judged_by_the_addresses_behind_them() {
    let server = Server::start(|_| reply(200, LIST)).await;
    let port = server.address.port();
    let names = HashMap::from([
        ("inside.example.com", vec!["127.0.0.1"]),
        ("metadata.example.com", vec!["169.254.169.254"]),
        ("mapped.example.com", vec!["::ffff:169.254.169.254"]),
        ("mixed.example.com", vec!["169.254.169.254,127.0.0.1"]),
    ]);
    let (strict, _) = resolving(names.clone(), false);
    let (open, _) = resolving(names, true);
    for (client, kind, name, refused) in [
        (&strict, OpenAi, "inside.example.com", true),
        (&strict, OpenAi, "127.0.0.1", true),
        (&strict, OpenAi, "2130706433", true),
        (&strict, OpenAi, "0x7f.1", true),
        (&strict, OpenAi, "[::1]", true),
        (&strict, OpenAi, "[::ffff:127.0.0.1]", true),
        (&strict, OpenAi, "mixed.example.com", true),
        (&strict, Vllm, "inside.example.com", false),
        (&strict, Vllm, "127.0.0.1", false),
        (&strict, Vllm, "mixed.example.com", false),
        (&strict, Vllm, "metadata.example.com", true),
        (&strict, Vllm, "mapped.example.com", true),
        (&strict, Vllm, "169.254.169.254", true),
        (&strict, Vllm, "0.0.0.0", true),
        (&open, OpenAi, "inside.example.com", false),
        (&open, OpenAi, "metadata.example.com", true),
    ] {
        let before = server.seen().len();
        let outcome = get(client, kind, &endpoint(&format!("http://{name}:{port}/v1"))).await;
        if refused {
            assert_eq!(outcome.err().unwrap().kind, CallErrorKind::AddressRefused, "{name}");
        } else {
            assert!(outcome.is_ok(), "{name}");
        }
        assert_eq!(server.seen().len() - before, usize::from(!refused), "{name}");
    }
}

#[tokio::test]
async fn a_name_that_changes_its_address_gains_nothing() {
    let server = Server::start(|_| Reply { headers: vec![("connection", "close".into())], ..reply(200, LIST) }).await;
    let flips = HashMap::from([("flip.example.com", vec!["127.0.0.1", "169.254.169.254"])]);
    let (client, table) = resolving(flips, true);
    let endpoint = endpoint(&format!("http://flip.example.com:{}/v1", server.address.port()));
    assert!(get(&client, OpenAi, &endpoint).await.is_ok());
    assert_eq!(table.asked.load(Ordering::SeqCst), 1, "what was judged is what is connected to");
    assert_eq!(get(&client, OpenAi, &endpoint).await.err().unwrap().kind, CallErrorKind::AddressRefused);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_connection_into_the_own_network_is_not_lent_to_kinds_that_may_not_go_there() {
    let server = Server::start(|_| reply(200, LIST)).await;
    let (client, endpoint) = (client(), endpoint(&server.url("/v1")));
    assert!(get(&client, Vllm, &endpoint).await.is_ok());
    let error = get(&client, OpenAi, &endpoint).await.err().unwrap();
    assert_eq!(error.kind, CallErrorKind::AddressRefused);
    assert!(error.message.contains("egress.allow_private"));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn an_unknown_name_is_told_as_that() {
    let (client, _) = resolving(HashMap::new(), false);
    let error = get(&client, OpenAi, &endpoint("https://nowhere.example.com/v1")).await.err().unwrap();
    assert_eq!(error.kind, CallErrorKind::NameResolution);
}
