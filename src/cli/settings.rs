//! The flags for settings: the well-known ones by name, the others with `--set`.

use std::path::PathBuf;

use clap::Args;

use crate::config::{self, ConfigError, Flags, Loaded};

#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Settings")]
pub struct SettingsArgs {
    /// A TOML file with settings; `modelward config example` prints one [env: MODELWARD_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory for what the server keeps [env: MODELWARD_DATA_DIR] [default: ./modelward-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// postgres://… or sqlite://path; a password is better kept in the variable [env: MODELWARD_DATABASE_URL]
    /// [default: a file in the data directory]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// The address of the gRPC API [env: MODELWARD_LISTEN] [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The address for /metrics, /livez, /readyz, /health; empty: none [env: MODELWARD_OPS_LISTEN]
    /// [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS")]
    ops_listen: Option<String>,
    /// The file with the master keys [env: MODELWARD_MASTER_KEY_FILE] [default: master.key in the data directory]
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<String>,
    /// A file with the first admin token [env: MODELWARD_BOOTSTRAP_TOKEN_FILE] [default: the server makes one]
    #[arg(long, value_name = "FILE")]
    bootstrap_token_file: Option<String>,
    /// How log lines are written: text or json [env: MODELWARD_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Sets any setting, as in --set egress.allow_private=true
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

pub(super) fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give the name of a setting, = and its value")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl SettingsArgs {
    /// # Errors
    /// All problems of the settings.
    pub fn load(self) -> Result<Loaded, ConfigError> {
        config::load(&self.flags())
    }

    fn flags(self) -> Flags {
        let named = [
            ("--data-dir", "data_dir", self.data_dir),
            ("--database-url", "database.url", self.database_url),
            ("--listen", "listen", self.listen),
            ("--ops-listen", "ops_listen", self.ops_listen),
            ("--master-key-file", "master_key_file", self.master_key_file),
            ("--bootstrap-token-file", "bootstrap_token_file", self.bootstrap_token_file),
            ("--log-format", "log.format", self.log_format),
        ];
        let named = named.into_iter().filter_map(|(flag, name, text)| Some((flag, name, text?))).collect();
        Flags { config: self.config, named, set: self.set }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};

    use super::*;

    fn every_flag() -> SettingsArgs {
        let text = || Some("x".to_owned());
        SettingsArgs {
            data_dir: text(),
            database_url: text(),
            listen: text(),
            ops_listen: text(),
            master_key_file: text(),
            bootstrap_token_file: text(),
            log_format: text(),
            ..SettingsArgs::default()
        }
    }

    #[test]
    fn every_flag_is_a_setting_and_its_help_names_the_variable_and_the_default() {
        let command = SettingsArgs::augment_args(Command::new("x"));
        for (flag, name, _) in every_flag().flags().named {
            let spec = config::specs().find(|spec| spec.name == name).unwrap();
            let long = flag.trim_start_matches("--");
            let argument = command.get_arguments().find(|argument| argument.get_long() == Some(long)).unwrap();
            let help = argument.get_help().unwrap().to_string();
            assert!(help.contains(&format!("[env: {}]", config::environment::variable(name))), "{help}");
            assert!(help.contains("[default: "), "{help}");
            assert!(spec.default.is_empty() || help.contains(&format!("[default: {}]", spec.default)), "{help}");
        }
    }
}
