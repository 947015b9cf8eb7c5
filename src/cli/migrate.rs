//! `modelward migrate`: the database's schema. A server does it by itself when it starts.

use clap::Args;

use super::settings::SettingsArgs;
use super::{output, table};
use crate::app;
use crate::store::MigrationState;

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
    /// The version to go to, up or down; 0 is an empty database
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl Migrate {
    pub async fn run(self) -> anyhow::Result<()> {
        let settings = self.settings.load()?.settings;
        let store = app::open_store(&settings).await?;
        if self.status {
            return Ok(output::data(&shown(&store.migration_status().await?))?);
        }
        let steps = store.migrate(self.to.as_deref()).await?;
        for step in &steps {
            output::note(&format!("modelward: migrated {} {}", if step.up { "up" } else { "down" }, step.name));
        }
        if steps.is_empty() {
            output::note("modelward: the schema is where it should be; nothing was done");
        }
        Ok(())
    }
}

fn shown(states: &[MigrationState]) -> String {
    let rows: Vec<_> = states
        .iter()
        .map(|migration| {
            let state = match (migration.applied, migration.known) {
                (true, true) => "applied",
                (true, false) => "applied by a newer version",
                (false, _) => "pending",
            };
            [migration.version.clone(), migration.name.clone(), state.to_owned()]
        })
        .collect();
    table::table(["VERSION", "NAME", "STATE"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_of_a_newer_version_is_shown_as_such() {
        let state = |version: &str, applied, known| MigrationState {
            version: version.to_owned(),
            name: format!("{version}_a"),
            applied,
            known,
        };
        let text = shown(&[state("1", true, true), state("2", false, true), state("3", true, false)]);
        let expected = "\
VERSION  NAME  STATE
1        1_a   applied
2        2_a   pending
3        3_a   applied by a newer version
";
        assert_eq!(text, expected);
    }
}
