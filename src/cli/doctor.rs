//! `modelward doctor`: one check after the other, each with what was found and, where it is not well, what to do.
//!
//! Nothing is changed by it, and nothing secret is printed. Every question has a limit of time, so that it ends also
//! where nobody answers.

mod connection;
mod finding;
mod health;
mod keys;
mod local;
mod ops;
mod server;

use anyhow::bail;
use clap::Args;

use self::finding::{Finding, Report};
use super::client::{ServerArgs, TokenArgs};
use super::output::{self, Format};
use super::settings::SettingsArgs;

/// Finds out what is wrong with a server, or with its files and its database, and says what to do
#[derive(Args)]
#[command(after_help = "\
Examples:
  modelward doctor                        asks the server of these settings, with the admin's token
  modelward doctor --server https://modelward.example.com --ca-file ca.pem --token-file ci.token
  modelward doctor --offline              looks at the files and the database while no server runs
Each line is a check: ok, warn (it works, but look at it), FAIL with a remedy, or skip where it cannot be told. With a
viewer's token less can be told than with an admin's. The exit code is 1 when a check fails.")]
pub struct Doctor {
    /// Asks no server: looks at the settings, the files and the database
    #[arg(long, conflicts_with_all = ["server", "ops_server"])]
    offline: bool,
    /// The URL of the server's listener for operators, as http://127.0.0.1:9090; without it, the one of the settings
    /// where no --server is given
    #[arg(long, value_name = "URL")]
    ops_server: Option<String>,
    /// Asks only what needs no token, as where none is at hand
    #[arg(long, conflicts_with_all = ["offline", "token_file"])]
    without_token: bool,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl Doctor {
    pub async fn run(self) -> anyhow::Result<()> {
        let format = self.format;
        let report = self.examine().await;
        output::answer(format, &report.json(), || report.table())?;
        match report.failures() {
            0 => Ok(()),
            1 => bail!("1 check failed; its remedy is above"),
            failures => bail!("{failures} checks failed; their remedies are above"),
        }
    }

    async fn examine(self) -> Report {
        let mut report = Report::default();
        let settings = match self.settings.load() {
            Ok(loaded) => loaded.settings,
            Err(error) => {
                for problem in error.problems() {
                    report.add(Finding::fail(
                        "settings",
                        problem,
                        "correct it; `modelward config check` tells the same",
                    ));
                }
                return report;
            }
        };
        report.add(Finding::ok("settings", "all values are readable"));
        if self.offline {
            local::examine(&settings, &mut report).await;
            return report;
        }
        let Some(channel) = connection::open(&self.server, &settings, &mut report).await else { return report };
        health::serving(&channel, &mut report).await;
        health::writes(&channel, &mut report).await;
        match self.token.read(&self.server, &settings) {
            _ if self.without_token => report.add(Finding::skip("token", "not asked: --without-token")),
            Ok(token) => server::examine(channel, token, &mut report).await,
            Err(error) => {
                let remedy = "give the file of a token of this server with --token-file";
                report.add(Finding::fail("token", problem_of(&error), remedy));
            }
        }
        ops::examine(self.ops_server, &self.server, &settings, &mut report).await;
        report
    }
}

/// An error without the remedy that it carries for other verbs.
fn problem_of(error: &anyhow::Error) -> String {
    let text = format!("{error:#}").replace('\n', " ");
    text.split_once("; ").map_or(text.clone(), |(problem, _)| problem.to_owned())
}
