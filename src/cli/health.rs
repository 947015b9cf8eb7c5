//! `modelward health`: one question to a running server, for people and for container probes.

use anyhow::{anyhow, bail};
use clap::Args;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::client::{ServerArgs, connect, connect_plain, refusal};
use super::output;
use super::settings::SettingsArgs;

/// Asks a running server how it is; the exit code is 0 only when it is SERVING
#[derive(Args)]
#[command(after_help = "\
Examples:
  modelward health                                 the server of these settings, at its plain listener
  modelward health --address https://modelward.example.com --ca-file ca.pem
  modelward health --service modelward.writes      whether the database takes writes")]
pub struct Health {
    /// The service to ask for; empty: the server as a whole
    #[arg(long, value_name = "NAME", default_value = "")]
    service: String,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl Health {
    pub async fn run(self) -> anyhow::Result<()> {
        let settings = self.settings.load()?.settings;
        // Who names no server asks the listener for operators: it needs no certificate, and no CA has to be known.
        let channel = match settings.server.ops_listen.filter(|_| !self.server.is_given()) {
            Some(operators) => connect_plain(operators).await?,
            None => connect(&self.server, &settings).await?,
        };
        let mut client = HealthClient::new(channel);
        let asked = client.check(HealthCheckRequest { service: self.service.clone() }).await;
        let answer = asked.map_err(|status| match status.code() {
            Code::NotFound => anyhow!("the server has no such service: {}; leave --service out", self.service),
            _ => refusal(&status),
        })?;
        let status = answer.into_inner().status();
        output::data(&format!("{}\n", status.as_str_name()))?;
        if status != ServingStatus::Serving {
            bail!("the server does not serve now; its log says why");
        }
        Ok(())
    }
}
