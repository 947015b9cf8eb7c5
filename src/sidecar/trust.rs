//! Whom the sidecar believes, and the certificate that it shows itself.
//!
//! The files are read for every connection, so a renewed certificate needs no restart.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tonic::transport::{ClientTlsConfig, Identity};

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("the file cannot be read: {}: {problem}", path.display())]
    Unreadable { path: PathBuf, problem: String },
    #[error("the file has no certificate that can be used: {}", path.display())]
    NoCertificate { path: PathBuf },
    #[error("the file has no private key that can be used: {}", path.display())]
    NoKey { path: PathBuf },
}

/// The files of TLS.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// The authorities that the server's certificate must descend from; without it, the public ones and the machine's.
    pub ca_file: Option<PathBuf>,
    /// The sidecar's certificate with its chain, and its private key.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Trust {
    /// The same without a certificate of one's own.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { client: None, ..self.clone() }
    }

    /// What the files say now.
    ///
    /// # Errors
    /// The file that cannot be used.
    pub fn tls(&self) -> Result<ClientTlsConfig, TrustError> {
        let config = ClientTlsConfig::new().trust_anchors(self.roots()?.roots);
        let Some((certificate, key)) = &self.client else { return Ok(config) };
        let (certificate_pem, key_pem) = (read(certificate)?, read(key)?);
        if !CertificateDer::pem_slice_iter(&certificate_pem).any(|found| found.is_ok()) {
            return Err(TrustError::NoCertificate { path: certificate.clone() });
        }
        if rustls_pki_types::PrivateKeyDer::from_pem_slice(&key_pem).is_err() {
            return Err(TrustError::NoKey { path: key.clone() });
        }
        Ok(config.identity(Identity::from_pem(certificate_pem, &*key_pem)))
    }

    fn roots(&self) -> Result<RootCertStore, TrustError> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.ca_file else {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            // A machine without a certificate store, such as a bare container, is no error.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        let pem = read(path)?;
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
        if roots.is_empty() { Err(TrustError::NoCertificate { path: path.clone() }) } else { Ok(roots) }
    }
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, TrustError> {
    let unreadable =
        |error: std::io::Error| TrustError::Unreadable { path: path.to_owned(), problem: error.to_string() };
    fs::read(path).map(zeroize::Zeroizing::new).map_err(unreadable)
}
