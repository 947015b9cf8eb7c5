//! Where the server listens and where it keeps its files.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::declare::settings;
use super::value::Value;

settings! {
    /// Where the server listens and where it keeps its files.
    pub struct Server at "" {
        /// The directory for what the server keeps: the embedded database, `master.key` and `admin.token`.
        data_dir: PathBuf = "./modelward-data";
        /// The address of the gRPC API. Other machines reach it only when this is not the loopback; use TLS then.
        listen: SocketAddr = "127.0.0.1:50051";
        /// The address of the plain HTTP listener for operators: /metrics, /livez, /readyz, /health. Empty: none.
        ops_listen: Option<SocketAddr> = "127.0.0.1:9090";
        /// A Unix socket that serves the gRPC API too. Empty: none.
        unix_socket: Option<PathBuf> = "";
        /// Who may use gRPC reflection: off, open (everybody) or viewer (who holds that role).
        reflection: Reflection = "open";
    }
}

/// Who may use gRPC reflection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reflection {
    Off,
    Open,
    Viewer,
}

impl Value for Reflection {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "open" => Ok(Self::Open),
            "viewer" => Ok(Self::Viewer),
            _ => Err("give off, open or viewer".to_owned()),
        }
    }
}
