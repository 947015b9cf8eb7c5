//! Traces as a collector gets them: whose they are, what is below what, and that calls go on without a collector.

use std::time::{Duration, Instant};

use modelward::config::Settings;
use modelward::proto::v1::{self, ProviderKind};
use modelward::telemetry::{Sampling, TracesConfig};
use tempfile::TempDir;
use tonic::{Code, Request};

use crate::support::collector::{Collector, Told};
use crate::support::process::{Process, program, run_to_end};
use crate::support::resources::{credential, endpoint, provider};
use crate::support::server::Caller;
use crate::support::vendor::{KEY, Mode, Vendor};
use crate::support::{Engine, Refused as _, Server, eventually};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
/// What OTLP calls a server's span, and a question's.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;

fn traces(endpoint: String) -> TracesConfig {
    TracesConfig {
        endpoint,
        ca_file: None,
        timeout: Duration::from_millis(500),
        sampling: Sampling::Always,
        follow_caller: true,
        propagate: true,
        service_name: "tested".to_owned(),
        attributes: vec![("deployment.environment.name".to_owned(), "test".to_owned())],
        queue: 64,
        batch: 16,
        delay: Duration::from_millis(20),
    }
}

async fn traced(engine: Engine, config: TracesConfig) -> Server {
    Server::start_with(engine, |settings: &mut Settings| settings.traces = Some(config)).await
}

/// A call of somebody who is traced.
fn within<T>(message: T, flags: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{PARENT}-{flags}").parse().unwrap());
    request.metadata_mut().insert("tracestate", "vendor=value".parse().unwrap());
    request
}

async fn span(collector: &Collector, name: &str) -> Told {
    let find = || async { collector.spans().into_iter().find(|span| span.trace == TRACE && span.name == name) };
    eventually(&format!("the span {name}"), find).await
}

async fn listing(caller: &Caller, vendor: &Vendor) -> String {
    vendor.list(&["gpt-4o-mini"]);
    let there = caller.add_provider("p", ProviderKind::OpenaiCompatible).await;
    caller.add_endpoint(endpoint(&there.id, "e", &vendor.url())).await;
    caller.add_credential(credential(&there.id, "c", KEY)).await;
    there.id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_calls_trace_goes_from_its_caller_to_the_database_and_the_vendor() {
    for (engine, system) in [(Engine::Sqlite, "sqlite"), (Engine::Postgres, "postgresql")] {
        let (collector, vendor) = (Collector::start(), Vendor::start().await);
        let server = traced(engine, traces(collector.url())).await;
        let id = listing(server.admin(), &vendor).await;
        let sync = v1::SyncModelsRequest { provider_id: id, ..Default::default() };
        server.models().sync_models(within(sync, "01")).await.unwrap();

        let call = span(&collector, "modelward.v1.ModelService/SyncModels").await;
        assert_eq!((call.parent.as_str(), call.kind, call.failed), (PARENT, SERVER, false));
        for (name, value) in [
            ("rpc.system", "grpc"),
            ("rpc.service", "modelward.v1.ModelService"),
            ("rpc.method", "SyncModels"),
            ("rpc.grpc.status_code", "0"),
            ("client.address", "127.0.0.1"),
            ("enduser.id", "admin"),
        ] {
            assert_eq!(call.attribute(name), Some(value), "{name}");
        }
        let resource = [("service.name", "tested"), ("deployment.environment.name", "test")];
        for (name, value) in resource {
            assert!(call.resource.contains(&(name.to_owned(), value.to_owned())), "{:?}", call.resource);
        }
        let asked = span(&collector, "GET").await;
        assert_eq!((asked.parent.as_str(), asked.kind), (call.id.as_str(), CLIENT));
        assert_eq!(asked.attribute("http.response.status_code"), Some("200"));
        assert_eq!(asked.attribute("server.port"), Some(vendor.address.port().to_string().as_str()));
        let written = span(&collector, "store transaction").await;
        assert_eq!((written.parent.as_str(), written.attribute("db.system.name")), (call.id.as_str(), Some(system)));
        assert_eq!(span(&collector, "store commit").await.parent, written.id);

        let told: Vec<_> = vendor.seen().iter().filter_map(|seen| seen.headers.get("traceparent").cloned()).collect();
        assert!(told.contains(&format!("00-{TRACE}-{}-01", asked.id).parse().unwrap()), "{told:?}");
        assert!(
            vendor
                .seen()
                .iter()
                .any(|seen| seen.headers.get("tracestate").is_some_and(|state| state == "vendor=value"))
        );
        // Counted when the collector's answer is there.
        eventually("the spans are counted", || async {
            (server.scrape().value("modelward_spans_exported_total", &[]) >= 4.0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_to_be_traced_is_not() {
    let (collector, vendor) = (Collector::start(), Vendor::start().await);
    let server = traced(Engine::Sqlite, traces(collector.url())).await;
    let id = listing(server.admin(), &vendor).await;
    let sync = |flags| within(v1::SyncModelsRequest { provider_id: id.clone(), ..Default::default() }, flags);
    server.models().sync_models(sync("00")).await.unwrap();
    let told: Vec<_> = vendor.seen().iter().filter_map(|seen| seen.headers.get("traceparent").cloned()).collect();
    assert!(told.iter().all(|told| told.to_str().unwrap().ends_with("-00")) && !told.is_empty(), "{told:?}");
    // What comes later is told later.
    server.models().sync_models(sync("01")).await.unwrap();
    span(&collector, "modelward.v1.ModelService/SyncModels").await;
    let spans = collector.spans();
    assert_eq!(spans.iter().filter(|span| span.trace == TRACE && span.kind == SERVER).count(), 1);

    let silent = TracesConfig { propagate: false, ..traces(collector.url()) };
    let server = traced(Engine::Sqlite, silent).await;
    vendor.forget();
    let id = listing(server.admin(), &vendor).await;
    let sync = v1::SyncModelsRequest { provider_id: id, ..Default::default() };
    server.models().sync_models(within(sync, "01")).await.unwrap();
    assert!(vendor.seen().iter().all(|seen| !seen.headers.contains_key("traceparent")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_told_and_nothing_secret_is() {
    let (collector, vendor) = (Collector::start(), Vendor::start().await);
    let server = traced(Engine::Sqlite, traces(collector.url())).await;
    let id = listing(server.admin(), &vendor).await;
    vendor.set_mode(Mode::Echoing);
    let sync = v1::SyncModelsRequest { provider_id: id.clone(), ..Default::default() };
    server.models().sync_models(within(sync, "01")).await.refused(Code::Unavailable, "PROVIDER_ERROR");
    assert!(span(&collector, "GET").await.failed);
    assert!(span(&collector, "modelward.v1.ModelService/SyncModels").await.failed);
    let bad = credential(&id, "other", "sk-canary-in-a-trace-0123456789");
    let bad = v1::Credential { alias: Some(String::new()), ..bad };
    let create = v1::CreateCredentialRequest { credential: Some(bad), ..Default::default() };
    let refused = server.credentials().create_credential(within(create, "01")).await;
    refused.refused(Code::InvalidArgument, "INVALID_FIELD");
    let call = span(&collector, "modelward.v1.CredentialService/CreateCredential").await;
    assert!(!call.failed, "the caller's fault");
    let token = server.admin().token().unwrap();
    for told in collector.spans() {
        for secret in [KEY, "canary", token, &token[token.len() - 16..]] {
            assert!(!told.all.contains(secret), "{told:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_over_tls_is_told_where_its_certificate_is_trusted() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let collector = Collector::start_with_tls(&made.cert.pem(), &made.signing_key.serialize_pem());
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, made.cert.pem()).unwrap();
    let url = format!("https://localhost:{}", collector.address.port());
    let stranger = traced(Engine::Sqlite, traces(url.clone())).await;
    goes_on(&stranger).await;
    assert!(collector.spans().is_empty());
    let server = traced(Engine::Sqlite, TracesConfig { ca_file: Some(path), ..traces(url) }).await;
    server.providers().list_providers(within(v1::ListProvidersRequest::default(), "01")).await.unwrap();
    span(&collector, "modelward.v1.ProviderService/ListProviders").await;
}

/// Calls with a collector that is as good as none: none fails, none waits, and what is lost is counted.
async fn goes_on(server: &Server) {
    let begun = Instant::now();
    for round in 0..200 {
        let request = v1::ListProvidersRequest::default();
        server.providers().list_providers(request).await.unwrap();
        if round % 50 == 0 {
            server.admin().try_provider(provider(&format!("p{round}"), ProviderKind::Ollama)).await.unwrap();
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let lost = || {
        ["queue_full", "not_taken"]
            .map(|reason| server.scrape().value("modelward_spans_dropped_total", &[("reason", reason)]))
    };
    eventually("what is lost is counted", || async { (lost().iter().sum::<f64>() > 0.0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_or_is_gone_disturbs_no_call() {
    let collector = Collector::start();
    collector.hang();
    let server = traced(Engine::Sqlite, traces(collector.url())).await;
    goes_on(&server).await;
    assert!(server.scrape().value("modelward_spans_dropped_total", &[("reason", "queue_full")]) > 0.0);
    let begun = Instant::now();
    server.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let server = traced(Engine::Sqlite, traces("http://127.0.0.1:1".to_owned())).await;
    goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_standard_variables_switch_it_on_and_what_waits_is_told_at_the_end() {
    let collector = Collector::start();
    let directory = TempDir::new().unwrap();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=me".to_owned()),
        ("OTEL_SERVICE_NAME", "by-variable".to_owned()),
        // Longer than this test: what arrives was told because the server stopped.
        ("OTEL_BSP_SCHEDULE_DELAY", "600000".to_owned()),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut process = Process::start(directory.path(), &variables);
    process.admin().providers().list_providers(within(v1::ListProvidersRequest::default(), "01")).await.unwrap();
    assert!(collector.spans().is_empty());
    let line = format!("\"trace_id\":\"{TRACE}\"");
    eventually("the line of the call has its trace", || async { process.log().contains(&line).then_some(()) }).await;
    assert!(tokio::task::block_in_place(|| process.terminate()).success());
    let call = span(&collector, "modelward.v1.ProviderService/ListProviders").await;
    assert!(call.resource.contains(&("service.name".to_owned(), "by-variable".to_owned())), "{call:?}");
    assert_eq!(collector.metadata("x-tenant").as_deref(), Some("me"));

    let refused = run_to_end(
        program(directory.path())
            .arg("serve")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.output.contains("only grpc is spoken here; set it to grpc"), "{}", refused.output);
}
