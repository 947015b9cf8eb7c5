//! TLS towards PostgreSQL, as the URL's `sslmode` demands: the meanings are libpq's.
//!
//! `disable`: none. `allow`, `prefer` (the default): if the server offers it, unverified. `require`: unverified, unless
//! `sslrootcert` is given. `verify-ca`: the chain must be trusted. `verify-full`: and the name must be the host's.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::error::{Cause, Result, StoreError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// What the driver negotiates; verification is up to us.
    pub(super) const fn negotiation(self) -> SslMode {
        match self {
            Self::Disable => SslMode::Disable,
            Self::Prefer => SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => SslMode::Require,
        }
    }
}

/// What the URL says of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Demands {
    pub mode: Mode,
    /// A file of trusted certificates, instead of the system's.
    pub root_cert: Option<String>,
    /// The handshake begins with TLS, which needs the protocol's name in it.
    direct: bool,
}

/// Takes the parameters out of the URL that the driver does not know.
pub(super) fn split_url(url: &str) -> Result<(String, Demands)> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut demands = Demands { mode: Mode::Prefer, root_cert: None, direct: false };
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", mode)) => {
                demands.mode = Mode::parse(mode).ok_or_else(|| StoreError::BadUrl {
                    problem: "sslmode must be disable, allow, prefer, require, verify-ca or verify-full".into(),
                })?;
            }
            Some(("sslrootcert", path)) => {
                let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
                demands.root_cert = Some(path).filter(|path| path != "system");
            }
            other => {
                demands.direct |= other == Some(("sslnegotiation", "direct"));
                rest.push(pair);
            }
        }
    }
    if demands.mode == Mode::Require && demands.root_cert.is_some() {
        demands.mode = Mode::VerifyCa;
    }
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Ok((url, demands))
}

pub(super) fn connector(demands: &Demands) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Other(Cause(error.to_string())))?;
    let mut config = match demands.mode {
        Mode::VerifyFull => builder.with_root_certificates(roots(demands)?).with_no_client_auth(),
        Mode::VerifyCa => custom(builder, Verifier { roots: Some(roots(demands)?), provider }),
        Mode::Disable | Mode::Prefer | Mode::Require => custom(builder, Verifier { roots: None, provider }),
    };
    if demands.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

fn custom(builder: rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, verifier: Verifier) -> ClientConfig {
    builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
}

/// The named file's certificates; else the system's; else Mozilla's.
fn roots(demands: &Demands) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &demands.root_cert {
        let bad = |cause: String| StoreError::BadUrl { problem: format!("sslrootcert cannot be read: {cause}") };
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))? {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(bad("it holds no certificate".into()));
        }
        return Ok(roots);
    }
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(roots)
}

/// Verifies the chain (`verify-ca`) or nothing at all (`require`); signatures of the handshake always.
#[derive(Debug)]
struct Verifier {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> Mode {
        split_url(url).unwrap().1.mode
    }

    #[test]
    fn sslmode_means_what_libpq_means() {
        assert_eq!(mode("postgres://h/d"), Mode::Prefer);
        assert_eq!(mode("postgres://h/d?sslmode=disable"), Mode::Disable);
        assert_eq!(mode("postgres://h/d?sslmode=require"), Mode::Require);
        assert_eq!(mode("postgres://h/d?sslmode=require&sslrootcert=/ca.pem"), Mode::VerifyCa);
        assert_eq!(mode("postgres://h/d?a=b&sslmode=verify-full"), Mode::VerifyFull);
        assert!(split_url("postgres://h/d?sslmode=verify").is_err());
    }

    #[test]
    fn parameters_of_the_driver_stay_in_the_url() {
        let (url, demands) =
            split_url("postgres://h/d?connect_timeout=3&sslrootcert=%2Fetc%2Fca.pem&sslmode=verify-ca").unwrap();
        assert_eq!(url, "postgres://h/d?connect_timeout=3");
        assert_eq!(demands.root_cert.as_deref(), Some("/etc/ca.pem"));
    }
}
