//! A certificate for `localhost`, made when it is needed.

use std::sync::Arc;

use rustls_pki_types::PrivateKeyDer;

/// The certificate as PEM, to be trusted by callers, and the configuration of a server that shows it.
pub fn certificate() -> Result<(String, Arc<rustls::ServerConfig>), Box<dyn std::error::Error + Send + Sync>> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok((made.cert.pem(), Arc::new(config)))
}
