//! `modelward sidecar`: a server that follows another one.

use std::path::PathBuf;

use clap::Args;

use super::serve::start_log;
use super::settings::assignment;
use crate::app;
use crate::config::{self, Flags};
use crate::telemetry::Metrics;

/// Follows a control plane and serves its reads from memory, beside the service that needs them
#[derive(Args)]
#[command(after_help = "\
Examples:
  modelward sidecar --upstream https://modelward:50051 --identity-file token --unix-socket /run/modelward/api.sock
      the reads of the control plane, for whoever can open the socket
  modelward sidecar --upstream https://a:50051,https://b:50051 --identity-file token --serve-secrets \\
      --unix-socket /run/modelward/api.sock --cache-key-file cache.key
      with secrets, for which the token must hold the role consumer; serves its last copy when all are away
  modelward sidecar --upstream http://127.0.0.1:50051 --identity-file token --listen 127.0.0.1:50052 \\
      --local-token-file local.token
      beside a server of the same machine, over TCP")]
pub struct Sidecar {
    /// The control plane's addresses, comma-separated [env: MODELWARD_SIDECAR__UPSTREAM]
    #[arg(long, value_name = "URLS")]
    upstream: Option<String>,
    /// A file with the token to call the control plane with, Modelward's or a JWT
    /// [env: MODELWARD_SIDECAR__IDENTITY_FILE]
    #[arg(long, value_name = "FILE")]
    identity_file: Option<String>,
    /// A file with the certificates that the control plane's must descend from, PEM
    /// [env: MODELWARD_SIDECAR__CA_FILE] [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<String>,
    /// Fetch secrets and answer them too [env: MODELWARD_SIDECAR__SERVE_SECRETS]
    #[arg(long)]
    serve_secrets: bool,
    /// What becomes of calls that it does not answer itself: refuse or forward [env: MODELWARD_SIDECAR__WRITES]
    /// [default: refuse]
    #[arg(long, value_name = "WHAT")]
    writes: Option<String>,
    /// A file with the text that callers over TCP must present [env: MODELWARD_SIDECAR__LOCAL_TOKEN_FILE]
    /// [default: the address is not served]
    #[arg(long, value_name = "FILE")]
    local_token_file: Option<String>,
    /// A file with the key of the copy on disk, made where it is not there [env: MODELWARD_SIDECAR__CACHE_KEY_FILE]
    /// [default: no copy]
    #[arg(long, value_name = "FILE")]
    cache_key_file: Option<String>,
    /// The address to serve at [env: MODELWARD_LISTEN] [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// A Unix socket to serve at too [env: MODELWARD_UNIX_SOCKET] [default: none]
    #[arg(long, value_name = "FILE")]
    unix_socket: Option<String>,
    /// The rights of the socket, octal [env: MODELWARD_UNIX_SOCKET_MODE] [default: 0600]
    #[arg(long, value_name = "MODE")]
    socket_mode: Option<String>,
    /// The group that the socket is given to, by name or number [env: MODELWARD_UNIX_SOCKET_GROUP]
    /// [default: the process's own]
    #[arg(long, value_name = "GROUP")]
    socket_group: Option<String>,
    /// The address for /metrics, /livez, /readyz, /health; empty: none [env: MODELWARD_OPS_LISTEN]
    /// [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS")]
    ops_listen: Option<String>,
    /// The directory for the copy on disk [env: MODELWARD_DATA_DIR] [default: ./modelward-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// How log lines are written: text or json [env: MODELWARD_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// A TOML file with settings; `modelward config example` prints one [env: MODELWARD_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets any setting, as in --set sidecar.writes=forward
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

impl Sidecar {
    pub async fn run(self) -> anyhow::Result<()> {
        let settings = config::load(&self.flags())?.settings;
        let metrics = Metrics::new();
        let _log = start_log(&settings.log, &metrics)?;
        app::sidecar(settings, metrics).await
    }

    fn flags(self) -> Flags {
        let named = [
            ("--upstream", "sidecar.upstream", self.upstream),
            ("--identity-file", "sidecar.identity_file", self.identity_file),
            ("--ca-file", "sidecar.ca_file", self.ca_file),
            ("--serve-secrets", "sidecar.serve_secrets", self.serve_secrets.then(|| "true".to_owned())),
            ("--writes", "sidecar.writes", self.writes),
            ("--local-token-file", "sidecar.local_token_file", self.local_token_file),
            ("--cache-key-file", "sidecar.cache_key_file", self.cache_key_file),
            ("--listen", "listen", self.listen),
            ("--unix-socket", "unix_socket", self.unix_socket),
            ("--socket-mode", "unix_socket_mode", self.socket_mode),
            ("--socket-group", "unix_socket_group", self.socket_group),
            ("--ops-listen", "ops_listen", self.ops_listen),
            ("--data-dir", "data_dir", self.data_dir),
            ("--log-format", "log.format", self.log_format),
        ];
        let named = named.into_iter().filter_map(|(flag, name, text)| Some((flag, name, text?))).collect();
        Flags { config: self.config, named, set: self.set }
    }
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    #[test]
    fn every_flag_is_a_setting_and_its_help_names_the_variable() {
        let command = Sidecar::augment_args(clap::Command::new("x"));
        let text = || Some("x".to_owned());
        let all = Sidecar {
            upstream: text(),
            identity_file: text(),
            ca_file: text(),
            serve_secrets: true,
            writes: text(),
            local_token_file: text(),
            cache_key_file: text(),
            listen: text(),
            unix_socket: text(),
            socket_mode: text(),
            socket_group: text(),
            ops_listen: text(),
            data_dir: text(),
            log_format: text(),
            config: None,
            set: Vec::new(),
        };
        for (flag, name, _) in all.flags().named {
            assert!(config::specs().any(|spec| spec.name == name), "{name}");
            let long = flag.trim_start_matches("--");
            let argument = command.get_arguments().find(|argument| argument.get_long() == Some(long)).unwrap();
            let help = argument.get_help().unwrap().to_string();
            assert!(help.contains(&format!("[env: {}]", config::environment::variable(name))), "{help}");
        }
    }
}
