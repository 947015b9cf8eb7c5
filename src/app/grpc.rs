//! The gRPC listeners: all services behind one gate, with the limits that the transport does not set by itself.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::OptionFuture;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::oneshot;
use tokio::sync::watch::Receiver;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding::{Gzip, Zstd};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::Layer as _;

use super::connection::Connections;
use super::handshake::encrypted;
use super::readiness::Readiness;
use super::socket::Socket;
use super::tls::LiveTls;
use crate::auth::Access;
use crate::changes::{Contact, Watches};
use crate::config::{Reflection, Settings};
use crate::domain::Role;
use crate::proto::{self, server as rpc, watch};
use crate::service::gate::{self, Callers, Gate, Gated, Observer};
use crate::service::in_flight::InFlight;
use crate::service::peer::{Allowance, Peers};
use crate::service::refused::Refusals;
use crate::service::{self, Services};
use crate::snapshot::SnapshotHandle;
use crate::task::Tasks;
use crate::telemetry::Metrics;
use crate::telemetry::traces::Tracer;

/// The API, as every connection is served.
pub type Api = Gated<Routes>;

/// Where the API is to be served.
pub struct Listeners {
    /// None: on the Unix socket alone.
    pub tcp: Option<std::net::TcpListener>,
    pub unix: Option<Socket>,
    /// On TCP; the Unix socket needs none.
    pub tls: Option<Arc<LiveTls>>,
}

/// What is to be served, and to whom.
pub struct Served {
    pub services: Services,
    pub callers: Callers,
    pub snapshot: SnapshotHandle,
    pub contact: Receiver<Contact>,
    pub watches: Watches,
    pub metrics: Metrics,
    /// What begins traces; `None`: nothing is traced.
    pub tracer: Option<Tracer>,
    /// What stands between the gate and the services, if anything does.
    pub before: Option<Box<dyn FnOnce(Routes) -> Routes + Send>>,
}

/// Listeners that serve.
pub struct Listening {
    /// The port is the real one when 0 was asked for.
    pub address: Option<SocketAddr>,
    /// The API behind its gate, without a connection.
    pub api: Api,
    /// Calls that are not finished.
    pub in_flight: InFlight,
    /// Ends the connections that are left.
    pub cut: CancellationToken,
    /// Ends when the listeners were told to close and the last call is finished.
    pub done: oneshot::Receiver<()>,
}

/// Opens the port.
///
/// # Errors
/// When it is taken, or not this machine's.
pub fn bind(address: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}; free the port or choose another address"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves the API on `listeners` until `closing`; then running calls are finished.
///
/// # Errors
/// When a listener cannot be used.
pub fn serve(
    listeners: Listeners,
    mut served: Served,
    readiness: &Readiness,
    settings: &Settings,
    tasks: &Tasks,
    closing: &CancellationToken,
) -> anyhow::Result<Listening> {
    let listener = listeners.tcp.map(TcpListener::from_std).transpose()?;
    let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
    let (in_flight, cut) = (InFlight::default(), CancellationToken::new());
    let peers = peers(settings);
    let connections =
        Connections::new(settings.limits.max_connections, served.metrics.connections.clone(), cut.clone());
    let before = served.before.take();
    let routes = routes(served.services.clone(), readiness, settings)?;
    let routes = before.map_or_else(|| routes.clone(), |before| before(routes.clone())).prepare();
    let gate = Gate::new(gate(served, settings, peers.clone(), in_flight.clone()));
    let api = gate.layer(routes.clone());
    let tcp = listener.map(|listener| {
        let keepalive = Some(Duration::from_mins(1));
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(keepalive);
        let incoming = connections.clone().admit(incoming, peers.clone(), address_of);
        let server = transport(settings).layer(gate.clone()).add_routes(routes.clone());
        let close = closing.clone().cancelled_owned();
        match listeners.tls {
            Some(tls) => server.serve_with_incoming_shutdown(encrypted(incoming, tls), close).boxed(),
            None => server.serve_with_incoming_shutdown(incoming, close).boxed(),
        }
    });
    let unix = match listeners.unix {
        Some(socket) => {
            let (listener, file) = socket.into_parts();
            let incoming = UnixListenerStream::new(UnixListener::from_std(listener)?);
            let served = transport(settings).layer(gate).add_routes(routes).serve_with_incoming_shutdown(
                connections.admit(incoming, peers, |_| None),
                closing.clone().cancelled_owned(),
            );
            Some(async move {
                let _removed_at_the_end = file;
                served.await
            })
        }
        None => None,
    };
    let (ended, done) = oneshot::channel();
    tasks.spawn("grpc", async move {
        let (tcp, unix) = tokio::join!(OptionFuture::from(tcp), OptionFuture::from(unix));
        for error in [tcp, unix].into_iter().flatten().filter_map(Result::err) {
            tracing::error!(error = %error, "a gRPC listener failed");
        }
        // Nobody waits any more once the hard limit has passed.
        let _ = ended.send(());
    });
    Ok(Listening { address, api, in_flight, cut, done })
}

fn address_of(stream: &TcpStream) -> Option<IpAddr> {
    stream.peer_addr().ok().map(|peer| peer.ip())
}

fn peers(settings: &Settings) -> Peers {
    let limits = &settings.limits;
    Peers::new(Allowance {
        connections: limits.max_connections_per_peer,
        calls: limits.max_calls_per_peer,
        bytes: limits.max_memory_per_peer.0,
    })
}

fn transport(settings: &Settings) -> Server {
    Server::builder()
        .max_concurrent_streams(u32::try_from(settings.limits.max_concurrent_streams).unwrap_or(u32::MAX))
        .http2_keepalive_interval(Some(settings.http2.keepalive_interval))
        .http2_keepalive_timeout(Some(settings.http2.keepalive_timeout))
        .http2_max_header_list_size(16 * 1024)
        .http2_max_pending_accept_reset_streams(Some(50))
}

fn gate(served: Served, settings: &Settings, peers: Peers, in_flight: InFlight) -> gate::Config {
    let Served { callers, snapshot, contact, metrics, tracer, .. } = served;
    gate::Config {
        callers,
        snapshot,
        contact,
        reflection: match settings.server.reflection {
            Reflection::Off => None,
            Reflection::Open => Some(Access::Open),
            Reflection::Viewer => Some(Access::Role(Role::Viewer)),
        },
        max_message: settings.limits.max_message.0,
        slow_call: settings.log.slow_call,
        request_timeout: settings.limits.request_timeout,
        peers,
        in_flight,
        refusals: Refusals::default(),
        tracer,
        observer: observer(metrics),
    }
}

fn observer(metrics: Metrics) -> Observer {
    Arc::new(move |ended| {
        metrics.rpc(ended.rpc, service::metadata::code_name(ended.code), ended.duration);
        if let Some(reason) = ended.refused {
            metrics.refused(reason);
        }
    })
}

/// All services. Compression is used for answers to clients that offer it.
fn routes(services: Services, readiness: &Readiness, settings: &Settings) -> anyhow::Result<Routes> {
    let limit = settings.limits.max_message.0;
    macro_rules! add {
        ($routes:ident, $($server:expr),+ $(,)?) => {
            $($routes.add_service(
                $server
                    .accept_compressed(Gzip)
                    .accept_compressed(Zstd)
                    .send_compressed(Gzip)
                    .send_compressed(Zstd)
                    .max_decoding_message_size(limit),
            );)+
        };
    }
    let mut routes = Routes::builder();
    add!(
        routes,
        rpc::provider_service_server::ProviderServiceServer::new(services.clone()),
        rpc::endpoint_service_server::EndpointServiceServer::new(services.clone()),
        rpc::credential_service_server::CredentialServiceServer::new(services.clone()),
        rpc::model_service_server::ModelServiceServer::new(services.clone()),
        rpc::binding_service_server::BindingServiceServer::new(services.clone()),
        rpc::routing_service_server::RoutingServiceServer::new(services.clone()),
        watch::watch_service_server::WatchServiceServer::new(services.clone()),
        rpc::audit_service_server::AuditServiceServer::new(services.clone()),
        rpc::admin_service_server::AdminServiceServer::new(services),
    );
    routes.add_service(readiness.health_service());
    if settings.server.reflection != Reflection::Off {
        routes.add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?);
    }
    Ok(routes.routes())
}

/// Reflection over the API, health, and the details of errors, so that grpcurl can show these.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::REFLECTION_DESCRIPTOR)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
