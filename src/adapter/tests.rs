use std::sync::Arc;
use std::time::Duration;

use super::testing::{Reply, Server, certificate, client, endpoint, raw, reply};
use super::*;
use crate::domain::SystemClock;
use crate::domain::health::{HealthCause, Verdict};

mod kinds;

const LIST: &str = r#"{"object":"list","data":[]}"#;

#[tokio::test]
async fn each_kind_is_probed_at_its_path_without_a_credential() {
    use ProviderKind::{
        Anthropic, AwsBedrock, AzureOpenAi, Baidu, Gemini, Mistral, Ollama, OpenAi, OpenAiCompatible, Vllm,
    };
    let server = Server::start(|seen| match seen.path.as_str() {
        "/api/version" => reply(200, r#"{"version":"0.12.3"}"#),
        "/health" => reply(200, ""),
        _ => reply(200, LIST),
    })
    .await;
    let config = ClientConfig { allow_private: true, ..ClientConfig::default() };
    let client = Client::new(&config, Arc::new(SystemClock)).unwrap();
    for (kind, base, path) in [
        (OpenAi, "/v1", "/v1/models"),
        (OpenAiCompatible, "/v1/", "/v1/models"),
        (Vllm, "/v1", "/health"),
        (Vllm, "", "/health"),
        (Ollama, "", "/api/version"),
        (Ollama, "/v1", "/api/version"),
        (Anthropic, "", "/v1/models?limit=1"),
        (Anthropic, "/v1", "/v1/models?limit=1"),
        (AwsBedrock, "", "/foundation-models"),
        (AzureOpenAi, "/openai/v1", "/openai/models?api-version=2024-10-21"),
        (AzureOpenAi, "", "/openai/models?api-version=2024-10-21"),
        (Gemini, "/v1beta", "/v1beta/models?pageSize=1"),
        (Baidu, "/v2", "/v2/models"),
        (Mistral, "/v1", "/v1/models"),
    ] {
        let evidence = for_kind(kind).probe(&client, &endpoint(&server.url(base))).await;
        assert_eq!(evidence.verdict, Verdict::Alive, "{kind:?} {evidence:?}");
        assert_eq!(evidence.http_status, Some(200));
        assert!(evidence.latency.is_some());
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.path, path, "{kind:?}");
        assert_eq!(seen.method, http::Method::GET);
        assert!(!seen.headers.contains_key("authorization"));
    }
    assert_eq!(server.connections(), server.seen().len(), "each probe opens its own connection");
}

#[tokio::test]
async fn the_policys_path_replaces_the_kinds_own() {
    let server = Server::start(|_| reply(200, "fine")).await;
    let mut endpoint = endpoint(&server.url("/v1"));
    for (path, asked) in
        [("/healthz", "/healthz"), ("/a?b=c", "/a?b=c"), ("//evil.example.com/x", "//evil.example.com/x")]
    {
        path.clone_into(&mut endpoint.health_check.path);
        let evidence = for_kind(ProviderKind::OpenAiCompatible).probe(&client(), &endpoint).await;
        assert_eq!(evidence.verdict, Verdict::Alive);
        assert_eq!(server.seen().pop().unwrap().path, asked);
    }
}

async fn probed(client: &Client, kind: ProviderKind, url: &str) -> crate::domain::health::Evidence {
    let mut endpoint = endpoint(url);
    endpoint.health_check.timeout = Duration::from_millis(150);
    for_kind(kind).probe(client, &endpoint).await
}

#[tokio::test]
async fn a_probe_tells_how_an_endpoint_fails_in_its_own_words() {
    use ProviderKind::{OpenAi, OpenAiCompatible, Vllm};
    let client = client();
    let canary = "the vendor's own words";
    let refusing = Server::start(move |_| reply(401, canary)).await;
    let broken = Server::start(move |_| reply(500, canary)).await;
    let busy = Server::start(move |_| reply(429, canary)).await;
    let page = Server::start(move |_| reply(200, canary)).await;
    let moved =
        Server::start(|_| Reply { headers: vec![("location", "http://127.0.0.1:1/".into())], ..reply(302, "") }).await;
    let slow = Server::start(|_| Reply { delay: Duration::from_secs(20), ..reply(200, LIST) }).await;
    let silent = raw(b"", false).await;
    let garbage = raw(b"\x16\x03\x01garbage\r\n\r\n", false).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (kind, url, verdict, cause, status) in [
        (OpenAiCompatible, refusing.url("/v1"), Verdict::Alive, HealthCause::None, Some(401)),
        (OpenAiCompatible, broken.url("/v1"), Verdict::Down, HealthCause::HttpStatus, Some(500)),
        (OpenAiCompatible, busy.url("/v1"), Verdict::Struggling, HealthCause::RateLimited, Some(429)),
        (OpenAiCompatible, page.url("/v1"), Verdict::Down, HealthCause::UnexpectedAnswer, Some(200)),
        (OpenAiCompatible, moved.url("/v1"), Verdict::Down, HealthCause::UnexpectedAnswer, Some(302)),
        (Vllm, slow.url("/v1"), Verdict::Down, HealthCause::Timeout, None),
        (Vllm, format!("http://{silent}"), Verdict::Down, HealthCause::Timeout, None),
        (Vllm, format!("http://{garbage}"), Verdict::Down, HealthCause::UnexpectedAnswer, None),
        (Vllm, format!("http://{free}"), Verdict::Down, HealthCause::Connect, None),
        (Vllm, format!("https://{}", page.address), Verdict::Down, HealthCause::Tls, None),
        (Vllm, "http://169.254.169.254".into(), Verdict::Impossible, HealthCause::AddressRefused, None),
        (OpenAi, page.url("/v1"), Verdict::Impossible, HealthCause::AddressRefused, None),
    ] {
        let began = std::time::Instant::now();
        let evidence = probed(&client, kind, &url).await;
        assert_eq!((evidence.verdict, evidence.cause, evidence.http_status), (verdict, cause, status), "{url}");
        assert!(!evidence.message.contains("vendor") && !evidence.message.contains("127.0.0.1"), "{evidence:?}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_probe_speaks_http2_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (file, tls) = certificate(folder.path(), &[b"h2"]);
    let server = Server::with_tls(Some(tls), |_| reply(200, LIST)).await;
    let config = ClientConfig { extra_ca_file: Some(file), ..ClientConfig::default() };
    let client = Client::new(&config, Arc::new(SystemClock)).unwrap();
    let endpoint = endpoint(&format!("https://localhost:{}/v1", server.address.port()));
    for _ in 0..2 {
        let evidence = for_kind(ProviderKind::OpenAiCompatible).probe(&client, &endpoint).await;
        assert_eq!(evidence.verdict, Verdict::Alive, "{evidence:?}");
    }
    assert_eq!(server.seen().pop().unwrap().version, http::Version::HTTP_2);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_probe_that_gives_up_closes_its_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let client = client();
    let ((mut socket, _), evidence) =
        tokio::join!(async { listener.accept().await.unwrap() }, probed(&client, ProviderKind::Vllm, &url));
    assert_eq!(evidence.cause, HealthCause::Timeout);
    let mut request = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut socket, &mut request);
    tokio::time::timeout(Duration::from_secs(5), read).await.unwrap().unwrap();
    assert!(request.starts_with(b"GET /health HTTP/1.1\r\n"));
}
