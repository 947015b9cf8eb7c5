//! The client side of verbs that ask a running server.

use std::error::Error;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use zeroize::Zeroizing;

use super::settings::SettingsArgs;
use crate::config::Settings;
use crate::proto::v1::admin_service_client::AdminServiceClient;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Which server is asked.
#[derive(Args, Clone)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// The server's URL; without it, the one that the settings make listen here
    #[arg(long, visible_alias = "address", value_name = "URL", env = "MODELWARD_SERVER")]
    server: Option<String>,
    /// A file with the certificates that the server's must descend from, PEM; without it, the system's
    #[arg(long, value_name = "FILE", env = "MODELWARD_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// A file with the certificate to show to the server and the chain above it, PEM
    #[arg(long, value_name = "FILE", env = "MODELWARD_CERT_FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// A file with that certificate's private key, PEM
    #[arg(long, value_name = "FILE", env = "MODELWARD_KEY_FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
}

/// Who asks.
#[derive(Args, Clone)]
#[command(next_help_heading = "Server")]
pub struct TokenArgs {
    /// A file with the token to call with, of this server or of an issuer; without it, admin.token in the data directory,
    /// or none where a certificate is shown
    #[arg(long, value_name = "FILE", env = "MODELWARD_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

/// A connection that calls with a token.
pub struct Client {
    pub admin: AdminServiceClient<Channel>,
    pub channel: Channel,
    token: Option<MetadataValue<Ascii>>,
}

impl Client {
    /// Finds the server and the token, and connects.
    pub async fn connect(server: &ServerArgs, token: &TokenArgs, settings: SettingsArgs) -> anyhow::Result<Self> {
        let settings = settings.load()?.settings;
        let token = token.read(server, &settings)?;
        Ok(Self::new(connect(server, &settings).await?, token))
    }

    /// Over a connection that is open.
    pub fn new(channel: Channel, token: Option<MetadataValue<Ascii>>) -> Self {
        Self { admin: AdminServiceClient::new(channel.clone()), channel, token }
    }

    /// A request that carries the token.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        request
    }
}

impl TokenArgs {
    /// Reads the file with the token; none where a certificate is shown and no token was named or made for these settings.
    pub fn read(&self, server: &ServerArgs, settings: &Settings) -> anyhow::Result<Option<MetadataValue<Ascii>>> {
        if server.cert_file.is_some() && self.token_file.is_none() && !settings.admin_token_file().exists() {
            return Ok(None);
        }
        let path = self.token_file.clone().unwrap_or_else(|| settings.admin_token_file());
        let text = fs::read_to_string(&path).map_err(|error| {
            anyhow!("the token file {} cannot be read ({error}); give --token-file or --data-dir", path.display())
        })?;
        let text = Zeroizing::new(text);
        let value = MetadataValue::try_from(format!("Bearer {}", text.trim()));
        let mut token = value.map_err(|_| anyhow!("{} holds no token; give another --token-file", path.display()))?;
        token.set_sensitive(true);
        Ok(Some(token))
    }
}

impl ServerArgs {
    /// Whether a server was named.
    pub const fn is_given(&self) -> bool {
        self.server.is_some()
    }

    /// The certificate to show, if there is one.
    fn identity(&self) -> anyhow::Result<Option<Identity>> {
        let Some((certificate, key)) = self.cert_file.as_ref().zip(self.key_file.as_ref()) else { return Ok(None) };
        let read = |path: &Path, flag| {
            fs::read(path)
                .map_err(|error| anyhow!("the file {} cannot be read ({error}); correct {flag}", path.display()))
        };
        let key = Zeroizing::new(read(key, "--key-file")?);
        Ok(Some(Identity::from_pem(read(certificate, "--cert-file")?, key)))
    }
}

/// Connects to the server that was named, or to the one of the settings.
pub async fn connect(server: &ServerArgs, settings: &Settings) -> anyhow::Result<Channel> {
    let (url, endpoint) = endpoint(server, settings)?;
    reach(&url, &endpoint).await
}

/// Connects to a listener without TLS on this machine.
pub async fn connect_plain(listen: SocketAddr) -> anyhow::Result<Channel> {
    let url = format!("http://{}", reached_at(listen));
    let endpoint = Endpoint::from_shared(url.clone())?.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT);
    reach(&url, &endpoint).await
}

async fn reach(url: &str, endpoint: &Endpoint) -> anyhow::Result<Channel> {
    endpoint.connect().await.map_err(|error| {
        let cause = cause(&error);
        anyhow!("no server answers at {url} ({cause}); start it with `modelward serve`, or give --server")
    })
}

/// Where the server that was named, or the one of the settings, is reached, and how.
pub fn endpoint(server: &ServerArgs, settings: &Settings) -> anyhow::Result<(String, Endpoint)> {
    let url = server.server.clone().unwrap_or_else(|| own_url(settings));
    let mut endpoint = Endpoint::from_shared(url.clone())
        .map_err(|_| anyhow!("--server is no URL: {url}; give one such as http://127.0.0.1:50051"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT);
    if url.starts_with("https:") {
        // A server of these settings may well have a certificate that nobody but itself has signed.
        let own = settings.tls.cert_file.clone().filter(|_| server.server.is_none());
        let roots = roots(server.ca_file.clone().or(own))?;
        let tls = ClientTlsConfig::new().ca_certificates(roots);
        let tls = match server.identity()? {
            Some(identity) => tls.identity(identity),
            None => tls,
        };
        endpoint = endpoint.tls_config(tls)?;
    }
    Ok((url, endpoint))
}

/// The innermost error: those around it only repeat that it is one.
pub fn cause(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}

/// The URL under which a server with these settings is reached from its own machine.
fn own_url(settings: &Settings) -> String {
    let listen = settings.server.listen;
    if settings.tls.files().is_some() {
        return format!("https://localhost:{}", listen.port());
    }
    format!("http://{}", reached_at(listen))
}

/// Where what listens there is reached from its own machine.
pub fn reached_at(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn roots(file: Option<PathBuf>) -> anyhow::Result<Vec<Certificate>> {
    if let Some(path) = file {
        let pem = fs::read(&path).map_err(|error| {
            anyhow!("the certificate file {} cannot be read ({error}); correct --ca-file", path.display())
        })?;
        return Ok(vec![Certificate::from_pem(pem)]);
    }
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        bail!("the system has no certificates; install ca-certificates, or give --ca-file");
    }
    let pem =
        |der: &[u8]| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der));
    Ok(found.iter().map(|der| Certificate::from_pem(pem(der))).collect())
}

/// What a server's refusal means to somebody at a terminal.
pub fn refusal(status: &Status) -> anyhow::Error {
    let reason = status.get_details_error_info().map(|info| info.reason);
    match (status.code(), reason) {
        (Code::Unauthenticated, _) => anyhow!("{}; give a --token-file of this server", status.message()),
        (_, Some(reason)) => anyhow!("{} ({reason})", status.message()),
        (code, None) => anyhow!("{} ({code:?})", status.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn a_server_of_these_settings_is_reached_over_the_loopback() {
        let mut settings = config::defaults().unwrap();
        assert_eq!(own_url(&settings), "http://127.0.0.1:50051");
        settings.server.listen = "0.0.0.0:7".parse().unwrap();
        assert_eq!(own_url(&settings), "http://127.0.0.1:7");
        settings.server.listen = "[::]:7".parse().unwrap();
        assert_eq!(own_url(&settings), "http://[::1]:7");
        settings.tls.cert_file = Some("c".into());
        settings.tls.key_file = Some("k".into());
        assert_eq!(own_url(&settings), "https://localhost:7");
    }
}
