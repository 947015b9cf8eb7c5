//! `modelward migrate`: the database's schema. A server does it by itself when it starts.

use clap::Args;

use super::settings::SettingsArgs;

/// Brings the database's schema to this version, as a starting server does, or shows where it is
#[derive(Args)]
#[command(after_help = "\
Examples:
  modelward migrate --status         which migrations there are and which of them ran
  modelward migrate                  runs those that did not
  modelward migrate --to VERSION     goes up or down to that one; down can lose data: back up first")]
pub struct Migrate {
    /// Shows the migrations and changes nothing
    #[arg(long, conflicts_with = "to")]
    status: bool,
    /// The version to go to, up or down
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl Migrate {
    pub async fn run(self) -> anyhow::Result<()> {
        let _settings = self.settings.load()?.settings;
        let _ = (self.status, self.to);
        anyhow::bail!("this build has no database")
    }
}
