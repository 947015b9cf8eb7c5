//! `modelward serve`: the server, until it is told to stop.

use clap::Args;

use super::settings::SettingsArgs;
use crate::app;
use crate::config::{Logging, environment};
use crate::telemetry::{self, Log, Metrics};

/// Starts the server; SIGTERM or Ctrl-C stops it after the running calls
#[derive(Args)]
#[command(after_help = "\
Examples:
  modelward serve
      embedded SQLite, a new master key and a first admin token in ./modelward-data
  modelward serve --database-url postgres://user@host/modelward --master-key-file keys
      PostgreSQL; `modelward keys generate > keys` makes the file, for every replica
  modelward serve --listen 0.0.0.0:50051 \\
      --set tls.cert_file=server.pem --set tls.key_file=server.key
      for other machines, with TLS")]
pub struct Serve {
    #[command(flatten)]
    settings: SettingsArgs,
}

impl Serve {
    pub async fn run(self) -> anyhow::Result<()> {
        let settings = self.settings.load()?.settings;
        let metrics = Metrics::new();
        let log = start_log(&settings.log, &metrics)?;
        // On the heap: the futures of a start are large.
        Box::pin(app::serve(settings, metrics, log.filter())).await
    }
}

/// Begins to log as the settings say, in colour only on a terminal whose owner did not decline it.
pub fn start_log(log: &Logging, metrics: &Metrics) -> anyhow::Result<Log> {
    let color = std::io::IsTerminal::is_terminal(&std::io::stderr()) && !environment::no_color();
    Ok(telemetry::start_log(log.format, &log.level.0, color, metrics.panics.clone())?)
}
