//! Settings, by concern. A module below declares a concern: fields, defaults, rules and documentation in one place.
//!
//! Defaults are overridden by the TOML file, that by the environment, that by flags. What this module hands out is
//! checked; nothing else reads the environment.

mod audit;
mod catalogue;
mod database;
mod declare;
mod egress;
pub mod environment;
mod file;
mod health;
mod http2;
pub mod identity;
mod layers;
mod limits;
mod logging;
mod reads;
mod secrets;
mod server;
mod show;
mod shutdown;
mod sidecar;
mod sync;
mod tls;
mod traces;
mod usage;
mod value;
mod watch;

use std::fmt;
use std::path::PathBuf;

pub use audit::Audit;
pub use catalogue::Catalogue;
pub use database::{Database, DatabaseUrl};
pub use declare::Spec;
pub use egress::Egress;
pub use health::Health;
pub use http2::Http2;
pub use identity::Identity;
pub use layers::{Source, Values};
pub use limits::Limits;
pub use logging::Logging;
pub use reads::Reads;
pub use secrets::Secrets;
pub use server::{Mode, Reflection, Server};
pub use show::{example, shown};
pub use shutdown::Shutdown;
pub use sidecar::{Sidecar, Upstreams, Writes};
pub use sync::Sync;
pub use tls::{ClientAuth, Tls};
pub use usage::Usage;
pub use value::{Bytes, LogFilter};
pub use watch::Watch;

use layers::Given;

use crate::telemetry::TracesConfig;

/// All settings of a process.
#[derive(Clone, PartialEq)]
pub struct Settings {
    pub server: Server,
    pub secrets: Secrets,
    pub database: Database,
    pub log: Logging,
    pub tls: Tls,
    pub identity: Identity,
    pub egress: Egress,
    pub limits: Limits,
    pub http2: Http2,
    pub health: Health,
    pub sync: Sync,
    pub reads: Reads,
    pub usage: Usage,
    pub watch: Watch,
    pub audit: Audit,
    pub catalogue: Catalogue,
    pub shutdown: Shutdown,
    pub sidecar: Sidecar,
    /// Traces, by the standard variables; `None`: none.
    pub traces: Option<TracesConfig>,
}

/// The declarations of all settings, in the order of the example file.
pub fn specs() -> impl Iterator<Item = Spec> {
    let groups = [
        Server::SPECS,
        Secrets::SPECS,
        Database::SPECS,
        Logging::SPECS,
        Tls::SPECS,
        Identity::SPECS,
        Egress::SPECS,
        Limits::SPECS,
        Http2::SPECS,
        Health::SPECS,
        Sync::SPECS,
        Reads::SPECS,
        Usage::SPECS,
        Watch::SPECS,
        Audit::SPECS,
        Catalogue::SPECS,
        Shutdown::SPECS,
        Sidecar::SPECS,
    ];
    groups.into_iter().flatten().copied()
}

impl Settings {
    fn read(values: &Values) -> Result<Self, ConfigError> {
        let settings = Self {
            server: Server::read(values)?,
            secrets: Secrets::read(values)?,
            database: Database::read(values)?,
            log: Logging::read(values)?,
            tls: Tls::read(values)?,
            identity: Identity::read(values)?,
            egress: Egress::read(values)?,
            limits: Limits::read(values)?,
            http2: Http2::read(values)?,
            health: Health::read(values)?,
            sync: Sync::read(values)?,
            reads: Reads::read(values)?,
            usage: Usage::read(values)?,
            watch: Watch::read(values)?,
            audit: Audit::read(values)?,
            catalogue: Catalogue::read(values)?,
            shutdown: Shutdown::read(values)?,
            sidecar: Sidecar::read(values)?,
            traces: None,
        };
        let problems = settings.contradictions();
        if problems.is_empty() { Ok(settings) } else { Err(ConfigError::new(problems)) }
    }

    /// What no single value shows: settings that do not go together.
    fn contradictions(&self) -> Vec<String> {
        let rules = [
            (
                self.tls.cert_file.is_some() != self.tls.key_file.is_some(),
                "only one of tls.cert_file and tls.key_file is set; set both, or none for no TLS",
            ),
            (
                self.sidecar.cert_file.is_some() != self.sidecar.key_file.is_some(),
                "only one of sidecar.cert_file and sidecar.key_file is set; set both, or none",
            ),
            (
                self.tls.client_auth != ClientAuth::Off && self.tls.client_ca_file.is_none(),
                "tls.client_auth asks for certificates that nothing could be checked with; set tls.client_ca_file",
            ),
            (
                self.tls.client_ca_file.is_some() && self.tls.client_auth == ClientAuth::Off,
                "tls.client_ca_file is set and no certificate is asked for; set tls.client_auth to optional or required",
            ),
            (
                self.tls.client_auth != ClientAuth::Off && self.tls.files().is_none(),
                "tls.client_auth needs TLS; set tls.cert_file and tls.key_file",
            ),
            (
                self.tls.client_crl_file.is_some() && self.tls.client_ca_file.is_none(),
                "tls.client_crl_file is set without tls.client_ca_file; set both, or none",
            ),
            (
                self.secrets.master_keys.is_some() && self.secrets.master_key_file.is_some(),
                "master_keys and master_key_file are both set; set one of them",
            ),
            (
                self.shutdown.lame_duck >= self.shutdown.hard_limit,
                "shutdown.lame_duck leaves no time before shutdown.hard_limit; make it shorter",
            ),
            (
                self.server.ops_listen.is_some_and(|ops| ops == self.server.listen && ops.port() != 0),
                "listen and ops_listen are the same address; give them different ports",
            ),
        ];
        rules.into_iter().filter(|(broken, _)| *broken).map(|(_, problem)| problem.to_owned()).collect()
    }

    /// The file of the embedded database, or none when it is PostgreSQL.
    #[must_use]
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        match &self.database.url {
            DatabaseUrl::Embedded => Some(self.server.data_dir.join("modelward.db")),
            DatabaseUrl::Sqlite(path) => Some(path.clone()),
            DatabaseUrl::Postgres(_) => None,
        }
    }

    /// The file with the master keys.
    #[must_use]
    pub fn master_key_file(&self) -> PathBuf {
        self.secrets.master_key_file.clone().unwrap_or_else(|| self.server.data_dir.join("master.key"))
    }

    /// The file in which a sidecar keeps its copy of the configuration.
    #[must_use]
    pub fn sidecar_cache_file(&self) -> PathBuf {
        self.sidecar.cache_file.clone().unwrap_or_else(|| self.server.data_dir.join("sidecar.cache"))
    }

    /// The file into which a first admin token is written.
    #[must_use]
    pub fn admin_token_file(&self) -> PathBuf {
        self.server.data_dir.join("admin.token")
    }
}

/// What the command line gives.
#[derive(Debug, Default, Clone)]
pub struct Flags {
    /// The path of the configuration file.
    pub config: Option<PathBuf>,
    /// The settings that have a flag of their own: the flag with its dashes, the setting's name, the value.
    pub named: Vec<(&'static str, &'static str, String)>,
    /// `--set name=value`, for every other setting.
    pub set: Vec<(String, String)>,
}

/// Reads a duration as settings have them: `90d`.
///
/// # Errors
/// What is expected instead.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    value::Value::parse(text)
}

/// Settings, and where each value comes from.
pub struct Loaded {
    pub settings: Settings,
    pub values: Values,
}

/// Reads the file and the environment of this process and puts the flags over them.
///
/// # Errors
/// All problems that the layers have, as far as they can be read.
pub fn load(flags: &Flags) -> Result<Loaded, ConfigError> {
    resolve(flags, &environment::variables())
}

fn resolve(flags: &Flags, variables: &environment::Variables) -> Result<Loaded, ConfigError> {
    let specs: Vec<_> = specs().collect();
    let path = flags.config.clone().or_else(|| environment::config_file(variables));
    let layers = [
        path.map_or(Ok(Vec::new()), |path| file::read(&path, &specs)),
        environment::read(variables, &specs),
        given(flags, &specs),
    ];
    let (mut given, mut problems) = (Vec::new(), Vec::new());
    for layer in layers {
        match layer {
            Ok(layer) => given.extend(layer),
            Err(more) => problems.extend(more),
        }
    }
    if !problems.is_empty() {
        return Err(ConfigError::new(problems));
    }
    let values = Values::new(specs.into_iter(), given)?;
    let traces = traces::read(variables).map_err(ConfigError::new)?;
    Ok(Loaded { settings: Settings { traces, ..Settings::read(&values)? }, values })
}

fn given(flags: &Flags, specs: &[Spec]) -> Result<Vec<Given>, Vec<String>> {
    let mut given = Vec::new();
    let mut problems = Vec::new();
    for (name, text) in &flags.set {
        match specs.iter().find(|spec| spec.name == name) {
            Some(spec) if spec.secret => problems
                .push(format!("--set {name} would show a secret to all users; use {}", environment::variable(name))),
            Some(spec) => {
                given.push(Given { name: spec.name, text: text.clone(), source: Source::Flag("--set".to_owned()) });
            }
            None => {
                let meant = layers::suggestion(name, specs.iter().map(|spec| spec.name));
                problems.push(format!("--set has an unknown setting {name}; {meant}"));
            }
        }
    }
    for (flag, name, text) in &flags.named {
        given.push(Given { name, text: text.clone(), source: Source::Flag((*flag).to_owned()) });
    }
    if problems.is_empty() { Ok(given) } else { Err(problems) }
}

/// What is wrong with the settings: a line per problem, each with its remedy; no line repeats a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<String>,
}

impl ConfigError {
    fn new(problems: Vec<String>) -> Self {
        Self { problems }
    }

    fn one(problem: String) -> Self {
        Self { problems: vec![problem] }
    }

    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// What a process has that is given nothing.
///
/// # Errors
/// Never: a test reads all defaults.
pub fn defaults() -> Result<Settings, ConfigError> {
    resolve(&Flags::default(), &Vec::new()).map(|loaded| loaded.settings)
}

#[cfg(test)]
mod tests;
