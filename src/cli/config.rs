//! `modelward config`: are the settings right, what are they, which ones are there.

use clap::Subcommand;

use super::output;
use super::settings::SettingsArgs;
use crate::config;

/// Checks, shows or lists settings
#[derive(Subcommand)]
pub enum Config {
    /// Checks the settings that a server would get, and says all that is wrong with them
    Check {
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Prints every setting with its value and where that comes from; secrets are hidden
    Show {
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Prints a configuration file with every setting, its documentation and its default
    #[command(after_help = "Example:\n  modelward config example > modelward.toml")]
    Example,
}

impl Config {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Check { settings } => {
                settings.load()?;
                output::note("modelward: the settings are valid");
            }
            Self::Show { settings } => output::data(&config::shown(&settings.load()?.values))?,
            Self::Example => output::data(&config::example())?,
        }
        Ok(())
    }
}
