//! What every gRPC client and every operator may expect: health, reflection, compression, limits, deadlines, TLS.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use modelward::proto::v1::{self, ProviderKind};
use modelward::service::SERVICE_NAMES;
use prost::Message as _;
use prost_types::FileDescriptorProto;
use tokio_stream::StreamExt as _;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::dynamic;
use crate::support::raw::RawCodec;
use crate::support::resources::{endpoint, provider};
use crate::support::server::Bearer;
use crate::support::vendor::{Mode, Vendor};
use crate::support::{Engine, Refusal, Refused as _, Server};

const GET: &str = "modelward.v1.ProviderService/GetProvider";

fn health(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

async fn get(server: &Server, path: &str) -> (u16, String) {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(format!("http://{}{path}", server.ops_address()).parse().unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_told_by_service_without_a_token() {
    let server = Server::start(Engine::Sqlite).await;
    let mut client = HealthClient::new(server.new_channel());
    for name in SERVICE_NAMES.iter().copied().chain(["", "modelward.live", "modelward.writes"]) {
        let status = client.check(health(name)).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{name:?}");
    }
    assert_eq!(client.check(health("nobody.Service")).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_have_pages_of_their_own() {
    let server = Server::start(Engine::Sqlite).await;
    assert_eq!(get(&server, "/livez").await.0, 200);
    assert_eq!(get(&server, "/readyz").await.0, 200);
    let (status, body) = get(&server, "/health").await;
    let told: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &told["status"], &told["database"]), (200, &"healthy".into(), &"connected".into()));
    assert!(told["timestamp"].as_str().unwrap().ends_with('Z'));
    server.providers().list_providers(v1::ListProvidersRequest::default()).await.unwrap();
    let (status, body) = get(&server, "/metrics").await;
    assert_eq!(status, 200);
    assert!(body.contains("ListProviders") && body.contains("OK"), "{body}");
    assert!(body.ends_with("# EOF\n"));
    assert_eq!(get(&server, "/nothing").await.0, 404);
}

macro_rules! reflection {
    ($name:ident, $version:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            use tonic_reflection::pb::$version::ServerReflectionRequest;
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;

            let server = Server::start(Engine::Sqlite).await;
            let mut client = ServerReflectionClient::new(server.new_channel());
            let ask = |request| ServerReflectionRequest { host: String::new(), message_request: Some(request) };
            let questions = tokio_stream::iter([
                ask(MessageRequest::ListServices(String::new())),
                ask(MessageRequest::FileContainingSymbol("modelward.v1.Provider".into())),
                ask(MessageRequest::FileContainingSymbol("modelward.storage.v1.LogRecord".into())),
            ]);
            let mut answers = client.server_reflection_info(questions).await.unwrap().into_inner();
            let mut next = async || answers.next().await.unwrap().map(|answer| answer.message_response.unwrap());
            let Ok(MessageResponse::ListServicesResponse(services)) = next().await else {
                panic!("a list of services")
            };
            let names: Vec<_> = services.service.iter().map(|service| service.name.as_str()).collect();
            for name in SERVICE_NAMES.iter().chain(&["grpc.health.v1.Health"]) {
                assert!(names.contains(name), "{name} in {names:?}");
            }
            let Ok(MessageResponse::FileDescriptorResponse(files)) = next().await else { panic!("a file") };
            let file = FileDescriptorProto::decode(files.file_descriptor_proto[0].as_slice()).unwrap();
            let commented = file
                .source_code_info
                .unwrap_or_default()
                .location
                .iter()
                .filter(|location| !location.leading_comments().is_empty())
                .count();
            assert!(commented > 50, "{commented} comments");
            assert!(
                matches!(next().await, Err(_) | Ok(MessageResponse::ErrorResponse(_))),
                "what is stored is nobody's business"
            );
        }
    };
}

reflection!(reflection_v1_lists_the_services_with_their_comments, v1);
reflection!(reflection_v1alpha_lists_the_services_with_their_comments, v1alpha);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reflection_can_be_kept_for_viewers_or_switched_off() {
    use modelward::config::Reflection;
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

    let question = || {
        let list = Some(MessageRequest::ListServices(String::new()));
        tokio_stream::iter([ServerReflectionRequest { host: String::new(), message_request: list }])
    };
    let server = Server::start_with(Engine::Sqlite, |settings| settings.server.reflection = Reflection::Viewer).await;
    let refused =
        ServerReflectionClient::new(server.new_channel()).server_reflection_info(question()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let bearer = Bearer::new(server.admin().token());
    let mut client = ServerReflectionClient::with_interceptor(server.new_channel(), bearer);
    client.server_reflection_info(question()).await.unwrap();

    let server = Server::start_with(Engine::Sqlite, |settings| settings.server.reflection = Reflection::Off).await;
    let refused =
        ServerReflectionClient::new(server.new_channel()).server_reflection_info(question()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_messages_are_taken_and_answered_to_those_who_offer_it() {
    let server = Server::start(Engine::Sqlite).await;
    let description = Some("compresses well ".repeat(50).trim().to_owned());
    for (encoding, name) in [(CompressionEncoding::Gzip, "gzip"), (CompressionEncoding::Zstd, "zstd")] {
        let mut client = server.providers().send_compressed(encoding).accept_compressed(encoding);
        let provider = v1::Provider { description: description.clone(), ..provider(name, ProviderKind::Ollama) };
        let request = v1::CreateProviderRequest { provider: Some(provider), ..Default::default() };
        let answer = client.create_provider(request).await.unwrap();
        let used = answer.metadata().get("grpc-encoding").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(used.as_deref(), Some(name));
        assert_eq!(answer.into_inner().provider.unwrap().description, description);
    }
    let plain = server.providers().list_providers(v1::ListProvidersRequest::default()).await.unwrap();
    assert!(plain.metadata().get("grpc-encoding").is_none_or(|encoding| encoding == "identity"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_transport_refuses_has_a_reason_too() {
    let server = Server::start(Engine::Sqlite).await;
    let channel = server.new_channel();
    let token = server.admin().token();
    let call = async |rpc: &str, message: Bytes| dynamic::call(&channel, rpc, token, message).await;
    call(GET, vec![0; 5 << 20].into())
        .await
        .refused(Code::ResourceExhausted, "REQUEST_TOO_LARGE")
        .has("limit", "4194304");
    call(GET, Bytes::from_static(b"\xff\xff\xff garbage")).await.refused(Code::InvalidArgument, "INVALID_FIELD");
    // Field 1 with bytes that are no UTF-8.
    call(GET, Bytes::from_static(b"\x0a\x02\xc3\x28")).await.refused(Code::InvalidArgument, "INVALID_FIELD");
    for rpc in ["modelward.v1.ProviderService/Nonsense", "modelward.v1.NoService/Get", "x/y"] {
        call(rpc, Bytes::new()).await.refused(Code::Unimplemented, "UNKNOWN_METHOD");
    }

    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let mut request = Request::new(Bytes::new());
    request.metadata_mut().insert("authorization", format!("Bearer {}", token.unwrap()).parse().unwrap());
    request.metadata_mut().insert("grpc-encoding", "deflate".parse().unwrap());
    let status = grpc.unary(request, format!("/{GET}").parse().unwrap(), RawCodec).await.unwrap_err();
    Refusal::of(&status).is(Code::Unimplemented, "UNSUPPORTED_ENCODING");

    // The connection still works.
    call("modelward.v1.ProviderService/ListProviders", Bytes::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_passes_is_called_so() {
    let server = Server::start(Engine::Sqlite).await;
    let vendor = Vendor::start().await;
    vendor.set_mode(Mode::Slow(Duration::from_secs(20)));
    let there = server.admin().add_provider("p", ProviderKind::Vllm).await;
    let there = server.admin().add_endpoint(endpoint(&there.id, "e", &vendor.url())).await;
    // tonic's own channel would watch the deadline itself; this client only sends it.
    let client: Client<_, tonic::body::Body> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let mut grpc = Grpc::with_origin(client, format!("http://{}", server.address()).parse().unwrap());
    grpc.ready().await.unwrap();
    let message = v1::CheckEndpointHealthRequest { id: there.id }.encode_to_vec();
    let mut request = Request::new(Bytes::from(message));
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {}", server.admin().token().unwrap()).parse().unwrap());
    request.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let path = "/modelward.v1.EndpointService/CheckEndpointHealth".parse().unwrap();
    let began = tokio::time::Instant::now();
    let status = grpc.unary(request, path, RawCodec).await.unwrap_err();
    Refusal::of(&status).is(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_id_of_a_call_comes_back_with_every_answer() {
    let server = Server::start(Engine::Sqlite).await;
    let mut request = Request::new(v1::ListProvidersRequest::default());
    request.metadata_mut().insert("x-request-id", "mine-1".parse().unwrap());
    let answer = server.providers().list_providers(request).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "mine-1");
    let mut request = Request::new(v1::GetProviderRequest::default());
    request.metadata_mut().insert("x-request-id", "mine-2".parse().unwrap());
    let refused = server.providers().get_provider(request).await.unwrap_err();
    assert_eq!(refused.metadata().get("x-request-id").unwrap(), "mine-2");
    let own = server.providers().list_providers(v1::ListProvidersRequest::default()).await.unwrap();
    assert!(own.metadata().get("x-request-id").is_some_and(|id| !id.is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_served_from_files() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (certificate, key) = (directory.path().join("server.pem"), directory.path().join("server.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = Server::start_with(Engine::Sqlite, |settings| {
        settings.tls.cert_file = Some(certificate);
        settings.tls.key_file = Some(key);
    })
    .await;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(made.cert.pem())).domain_name("localhost");
    let address = format!("https://localhost:{}", server.address().port());
    let channel = Endpoint::from_shared(address).unwrap().tls_config(tls).unwrap().connect().await.unwrap();
    let mut client = HealthClient::new(channel.clone());
    assert_eq!(client.check(health("")).await.unwrap().into_inner().status(), ServingStatus::Serving);
    let token = server.admin().token();
    dynamic::call(&channel, "modelward.v1.ProviderService/ListProviders", token, Bytes::new()).await.unwrap();
    let plain = HealthClient::new(server.new_channel()).check(health("")).await;
    assert!(plain.is_err(), "nothing is served in the clear");
}
