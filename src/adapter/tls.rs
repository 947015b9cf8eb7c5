//! Whom this server believes: the machine's certificate authorities, the bundled ones, and one file of its operator.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Why the client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the file of certificate authorities cannot be read: {path}: {problem}")]
    UnreadableCa { path: PathBuf, problem: String },
    #[error("the file has no certificate authority that can be used: {path}")]
    NoCa { path: PathBuf },
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

pub(super) const HTTP2: &[u8] = b"h2";

/// A configuration that offers HTTP/2 and HTTP/1.1.
pub(super) fn config(extra_ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, SetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(extra_ca_file)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(extra_ca_file: Option<&Path>) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    // A machine without a certificate store, such as a bare container, is no error.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = extra_ca_file {
        let unreadable = |error: rustls_pki_types::pem::Error| SetupError::UnreadableCa {
            path: path.to_owned(),
            problem: error.to_string(),
        };
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect();
        let (added, _) = roots.add_parsable_certificates(certificates.map_err(unreadable)?);
        if added == 0 {
            return Err(SetupError::NoCa { path: path.to_owned() });
        }
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_of_authorities_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.pem");
        assert!(matches!(config(Some(&missing)), Err(SetupError::UnreadableCa { path, .. }) if path == missing));
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "no certificate").unwrap();
        assert!(matches!(config(Some(&empty)), Err(SetupError::NoCa { path }) if path == empty));
    }
}
