//! TLS of the gRPC listener.

use std::path::PathBuf;

use super::declare::settings;
use super::value::Value;

settings! {
    /// TLS of the gRPC listener: cert_file and key_file, or neither. All files are read again when they change.
    pub struct Tls at "tls." {
        /// The server's certificate and the chain above it, PEM. Empty: no TLS.
        cert_file: Option<PathBuf> = "";
        /// The certificate's private key, PEM.
        key_file: Option<PathBuf> = "";
        /// The authorities that clients' certificates must descend from, PEM. Never a public one: whoever it certifies
        /// could connect.
        client_ca_file: Option<PathBuf> = "";
        /// Whether clients show certificates: off, optional (those that show none need a token) or required.
        client_auth: ClientAuth = "off";
        /// What these authorities have revoked (CRL), PEM. Empty: nothing.
        client_crl_file: Option<PathBuf> = "";
    }
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    Off,
    Optional,
    Required,
}

impl Value for ClientAuth {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            _ => Err("give off, optional or required".to_owned()),
        }
    }
}

impl Tls {
    /// The certificate and its key, if TLS is wanted.
    #[must_use]
    pub fn files(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.cert_file.as_ref().zip(self.key_file.as_ref())
    }
}
