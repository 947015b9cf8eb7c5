//! Opening connections: resolve, filter, connect, TLS.
//!
//! Invariant: a socket is opened only to an address that passed the filter, and the name is resolved once: what was
//! judged is what is connected to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::{AddressClass, Reach, classify};
use super::fault::{CallError, CallErrorKind};
use super::tls;
use crate::domain::endpoint::Host;

/// Of a longer answer the rest is not tried.
const MAX_ADDRESSES: usize = 8;
/// How long one address has before the next is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// What an asynchronous call of a trait object gives.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Turns a name into addresses.
pub trait Resolve: Send + Sync {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Pending<'a, io::Result<Vec<SocketAddr>>>;
}

/// The machine's resolver.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Pending<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
    }
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection, before HTTP.
pub(super) struct Line {
    pub(super) stream: Box<dyn Stream>,
    pub(super) http2: bool,
}

pub(super) struct Dialer {
    tls: TlsConnector,
    resolver: Arc<dyn Resolve>,
}

impl Dialer {
    pub(super) fn new(tls: Arc<rustls::ClientConfig>, resolver: Arc<dyn Resolve>) -> Self {
        Self { tls: TlsConnector::from(tls), resolver }
    }

    /// Opens a connection. Whoever calls bounds the time.
    pub(super) async fn dial(&self, host: &Host, reach: Reach) -> Result<Line, CallError> {
        let addresses = admitted(self.addresses(host).await?, reach)?;
        let socket = connect(addresses).await.map_err(|error| CallError::new(CallErrorKind::Connect, words(&error)))?;
        // Small requests are not worth waiting for more of them.
        let _ = socket.set_nodelay(true);
        if !host.secure {
            return Ok(Line { stream: Box::new(socket), http2: false });
        }
        let bad_name = |_| CallError::new(CallErrorKind::Tls, "the host's name cannot stand in a certificate");
        let name = ServerName::try_from(bare(&host.name).to_owned()).map_err(bad_name)?;
        let stream = self.tls.connect(name, socket).await.map_err(|error| tls_failed(&error))?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2);
        Ok(Line { stream: Box::new(stream), http2 })
    }

    async fn addresses(&self, host: &Host) -> Result<Vec<SocketAddr>, CallError> {
        if let Ok(literal) = bare(&host.name).parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(literal, host.port)]);
        }
        let found = self.resolver.resolve(&host.name, host.port).await.unwrap_or_default();
        if found.is_empty() {
            return Err(CallError::new(CallErrorKind::NameResolution, "the host's name does not resolve"));
        }
        Ok(found)
    }
}

/// An IPv6 address without the brackets that a URL puts around it.
fn bare(name: &str) -> &str {
    name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name)
}

fn admitted(found: Vec<SocketAddr>, reach: Reach) -> Result<Vec<SocketAddr>, CallError> {
    let first = found.first().map_or(AddressClass::Unspecified, |address| classify(address.ip()));
    let passed: Vec<_> =
        found.into_iter().filter(|address| reach.admits(classify(address.ip()))).take(MAX_ADDRESSES).collect();
    if passed.is_empty() {
        let remedy = if Reach::PrivateToo.admits(first) { "; the setting egress.allow_private allows it" } else { "" };
        let message = format!("the host has a {} address, which is not connected to{remedy}", first.words());
        return Err(CallError::new(CallErrorKind::AddressRefused, message));
    }
    Ok(passed)
}

/// Connects to the first address that answers; the next one is tried when one fails, or soon beside it.
async fn connect(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        attempts.extend(waiting.next().map(TcpStream::connect));
        let more = waiting.len() > 0;
        tokio::select! {
            outcome = attempts.next() => match outcome {
                Some(Ok(socket)) => return Ok(socket),
                Some(Err(error)) => failure = error,
                None => return Err(failure),
            },
            () = tokio::time::sleep(STAGGER), if more => {}
        }
    }
}

fn words(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => "the connection was reset",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "the host is not reachable",
        io::ErrorKind::TimedOut => "the host does not answer",
        _ => "no connection",
    }
}

fn tls_failed(error: &io::Error) -> CallError {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let message = match cause {
        Some(rustls::Error::InvalidCertificate(problem)) => match problem {
            rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. } => {
                "the certificate has expired"
            }
            rustls::CertificateError::NotValidForName | rustls::CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another name"
            }
            rustls::CertificateError::UnknownIssuer => "the certificate's authority is not trusted",
            _ => "the certificate is not valid",
        },
        Some(rustls::Error::InvalidMessage(_)) => "the server does not speak TLS",
        Some(_) => "the server refused the TLS handshake",
        None => "the connection was closed during the TLS handshake",
    };
    CallError::new(CallErrorKind::Tls, message)
}
