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
        /// The rights of that socket, octal: who may write to it may connect.
        unix_socket_mode: Mode = "0600";
        /// The group that the socket is given to, by name or number. Empty: the process's own.
        unix_socket_group: Option<String> = "";
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

/// The rights of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Value for Mode {
    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o777);
        mode.map(Self).ok_or_else(|| "give rights in octal, as in 0660".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_octal() {
        assert_eq!([Mode::parse("0660"), Mode::parse("600")], [Ok(Mode(0o660)), Ok(Mode(0o600))]);
        for bad in ["", "0680", "01777", "+660", "rw"] {
            assert!(Mode::parse(bad).is_err(), "{bad}");
        }
    }
}
