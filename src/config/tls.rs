//! TLS of the gRPC listener.

use std::path::PathBuf;

use super::declare::settings;

settings! {
    /// TLS of the gRPC listener. Both files or none.
    pub struct Tls at "tls." {
        /// The server's certificate and the chain above it, PEM. Empty: no TLS.
        cert_file: Option<PathBuf> = "";
        /// The certificate's private key, PEM.
        key_file: Option<PathBuf> = "";
    }
}

impl Tls {
    /// The certificate and its key, if TLS is wanted.
    #[must_use]
    pub fn files(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.cert_file.as_ref().zip(self.key_file.as_ref())
    }
}
