//! The command line: one file per noun. Data goes to stdout, everything else to stderr.
//!
//! Exit codes: 0 it worked, 1 it did not, 2 the command line is wrong. A failure is one line on stderr,
//! `modelward: <problem>; <remedy>`.

mod audit;
mod catalogue;
mod client;
mod config;
mod doctor;
mod health;
mod json;
mod keys;
mod log;
mod migrate;
mod output;
mod serve;
mod settings;
mod sidecar;
mod table;
mod token;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::ConfigError;

/// Keeps the configuration of LLM providers (accounts, base URLs, keys, models) and serves it over gRPC
#[derive(Parser)]
#[command(name = "modelward", version, max_term_width = 110, arg_required_else_help = true, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "\
Getting started:
  modelward serve            starts a server with an embedded database, nothing else needed
  modelward health           asks it how it is
  modelward doctor           finds out what is wrong, and says what to do
  modelward token create --name ci --role editor
                             makes a token, with the admin token of the data directory
  modelward watch            prints what changes, as it changes
  modelward config show      prints every setting with its value and its source

Settings come from defaults, a TOML file (--config), variables MODELWARD_…, flags; the later wins.
Exit codes: 0 it worked, 1 it did not, 2 the command line is wrong.";

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    Sidecar(sidecar::Sidecar),
    Migrate(migrate::Migrate),
    #[command(subcommand)]
    Config(config::Config),
    #[command(subcommand)]
    Token(token::Token),
    #[command(subcommand)]
    Keys(keys::Keys),
    #[command(subcommand)]
    Catalogue(catalogue::Catalogue),
    #[command(subcommand)]
    Audit(audit::Audit),
    Health(health::Health),
    Doctor(doctor::Doctor),
    #[command(subcommand)]
    Log(log::Log),
    Watch(watch::Watch),
}

/// Parses the command line, runs the command and says how it went.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be told to somebody whose terminal is gone.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
    };
    match arm().and_then(|()| run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Takes the fail points that a test set.
#[cfg(debug_assertions)]
fn arm() -> anyhow::Result<()> {
    use crate::{config::environment, failpoint};
    let Some(rules) = environment::fail_points() else { return Ok(()) };
    failpoint::arm(&rules.to_string_lossy()).map_err(anyhow::Error::msg)
}

/// A release has no fail points.
#[cfg(not(debug_assertions))]
#[expect(clippy::unnecessary_wraps, reason = "a debug build may refuse what it reads")]
const fn arm() -> anyhow::Result<()> {
    Ok(())
}

fn run(command: Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match command {
            Command::Serve(serve) => serve.run().await,
            Command::Sidecar(sidecar) => sidecar.run().await,
            Command::Migrate(migrate) => migrate.run().await,
            Command::Config(config) => config.run(),
            Command::Token(token) => token.run().await,
            Command::Keys(keys) => keys.run().await,
            Command::Catalogue(catalogue) => catalogue.run(),
            Command::Audit(audit) => audit.run().await,
            Command::Health(health) => health.run().await,
            Command::Doctor(doctor) => doctor.run().await,
            Command::Log(log) => log.run().await,
            Command::Watch(watch) => watch.run().await,
        }
    });
    // A blocking call that hangs must not keep the process.
    runtime.shutdown_background();
    result
}

/// A line per problem; settings may have several.
fn report(error: &anyhow::Error) {
    match error.downcast_ref::<ConfigError>() {
        Some(problems) => problems.problems().iter().for_each(|problem| output::note(&format!("modelward: {problem}"))),
        None => output::note(&format!("modelward: {}", format!("{error:#}").replace('\n', " "))),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_flag_is_explained() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path} has no explanation");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{path} {} has no explanation", argument.get_id());
            }
            for sub in command.get_subcommands() {
                check(sub, &path);
            }
        }
        check(&Cli::command(), "");
    }

    #[test]
    fn the_verbs_that_operators_were_promised_are_there() {
        let lines = [
            "modelward serve --data-dir d --database-url postgres://h/d --listen 127.0.0.1:1 --ops-listen 127.0.0.1:2",
            "modelward serve --master-key-file k --bootstrap-token-file t --config c --log-format json",
            "modelward sidecar --upstream https://modelward:50051 --identity-file t --ca-file c --serve-secrets",
            "modelward sidecar --socket-mode 0660 --socket-group g --writes forward",
            "modelward sidecar --listen 127.0.0.1:1 --unix-socket s --local-token-file t --cache-key-file k",
            "modelward migrate --status",
            "modelward migrate --to 20260101000000",
            "modelward config check --config c",
            "modelward config show --set egress.allow_private=true",
            "modelward token create --name n --role admin --role viewer --expires-in 30d --offline",
            "modelward token list --server http://127.0.0.1:1 --token-file f",
            "modelward token revoke 0199d3c4-0000-7000-8000-000000000000",
            "modelward token generate",
            "modelward keys generate --id k2",
            "modelward keys status",
            "modelward keys rotate --to k2 --wait",
            "modelward watch --state --kind model --kind endpoint --provider p --format json",
            "modelward watch --resume-token t --server http://127.0.0.1:1 --token-file f",
            "modelward catalogue show openai gpt-4o-mini --format json",
            "modelward catalogue search claude sonnet --set catalogue.file=models.json",
            "modelward catalogue check models.json",
            "modelward audit list --kind model --actor ci --limit 5 --format json",
            "modelward audit verify --anchor 7:0000000000000000000000000000000000000000000000000000000000000000",
            "modelward doctor --server https://h:1 --ops-server http://h:2 --token-file f --ca-file c --format json",
            "modelward doctor --offline --data-dir d",
            "modelward log set debug --for 5m --server http://127.0.0.1:1 --token-file f",
            "modelward log reset",
            "modelward health --address http://127.0.0.1:1 --service modelward.writes",
        ];
        for line in lines {
            if let Err(error) = Cli::try_parse_from(line.split(' ')) {
                panic!("{line}: {error}");
            }
        }
    }
}
