//! A collector of traces, as OTLP's own messages make it: it remembers what it is told, and can hang.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// A span as it arrived.
#[derive(Debug, Clone)]
pub struct Told {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    pub kind: i32,
    pub failed: bool,
    pub attributes: Vec<(String, String)>,
    /// Of the process.
    pub resource: Vec<(String, String)>,
    pub all: String,
}

impl Told {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(had, _)| had == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct State {
    spans: Vec<Told>,
    metadata: Option<MetadataMap>,
    hangs: bool,
}

/// A collector that runs until it is dropped.
pub struct Collector {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Service(Arc<Mutex<State>>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if self.0.lock().unwrap().hangs {
            std::future::pending::<()>().await;
        }
        let (metadata, _, message) = request.into_parts();
        let mut state = self.0.lock().unwrap();
        state.metadata = Some(metadata);
        for of_resource in message.resource_spans {
            let resource = pairs(of_resource.resource.map(|resource| resource.attributes).unwrap_or_default());
            for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let all = format!("{span:?}");
                state.spans.push(Told {
                    trace: hex::encode(&span.trace_id),
                    id: hex::encode(&span.span_id),
                    parent: hex::encode(&span.parent_span_id),
                    name: span.name,
                    kind: span.kind,
                    failed: span.status.is_some_and(|status| status.code == 2),
                    attributes: pairs(span.attributes),
                    resource: resource.clone(),
                    all,
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn pairs(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pair = |pair: KeyValue| (pair.key, pair.value.and_then(|value| value.value).map(text).unwrap_or_default());
    attributes.into_iter().map(pair).collect()
}

impl Collector {
    pub fn start() -> Self {
        Self::serve(Server::builder())
    }

    /// Over TLS, as `localhost`.
    pub fn start_with_tls(certificate: &str, key: &str) -> Self {
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        Self::serve(Server::builder().tls_config(tls).unwrap())
    }

    fn serve(mut server: Server) -> Self {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let service = TraceServiceServer::new(Service(Arc::clone(&state)));
        let task = tokio::spawn(async move {
            server.add_service(service).serve_with_incoming(incoming).await.unwrap();
        });
        Self { address, state, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it takes nothing, and says nothing.
    pub fn hang(&self) {
        self.state.lock().unwrap().hangs = true;
    }

    pub fn spans(&self) -> Vec<Told> {
        self.state.lock().unwrap().spans.clone()
    }

    /// What came with the last export.
    pub fn metadata(&self, name: &str) -> Option<String> {
        let state = self.state.lock().unwrap();
        Some(state.metadata.as_ref()?.get(name)?.to_str().unwrap().to_owned())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}
