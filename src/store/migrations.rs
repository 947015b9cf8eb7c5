//! The schema's migrations: embedded for both engines, run under a lock, up and down.

use diesel::backend::Backend;
use diesel::migration::{Migration, MigrationSource as _};
use diesel::sqlite::SqliteConnection;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::error::{Cause, Result, StoreError};
use super::{Backing, Store};
use crate::failpoint;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// One migrates at a time; the number is arbitrary, and the same in all versions of the program.
const PG_LOCK: &str = "SET lock_timeout = '120s'; SELECT pg_advisory_lock(7164098155312)";

/// The version before all migrations.
const NONE: &str = "0";

/// One migration, and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    pub version: String,
    /// Version and title; the version alone if this program does not know it.
    pub name: String,
    pub applied: bool,
    /// Whether this program has it.
    pub known: bool,
}

/// One migration that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStep {
    pub name: String,
    /// Down otherwise.
    pub up: bool,
}

impl Store {
    /// Brings the schema to a version (`0`: nothing at all; none: the newest), up or down.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if the database has migrations that this program does not know.
    pub async fn migrate(&self, to: Option<&str>) -> Result<Vec<MigrationStep>> {
        let to = to.map(str::to_owned);
        self.with_harness(Job::Migrate(to)).await.map(|done| done.steps)
    }

    /// All migrations that this program or the database knows, in order.
    ///
    /// # Errors
    /// What the database says.
    pub async fn migration_status(&self) -> Result<Vec<MigrationState>> {
        self.with_harness(Job::Status).await.map(|done| done.states)
    }

    async fn with_harness(&self, job: Job) -> Result<Done> {
        match &*self.backing {
            Backing::Postgres(postgres) => {
                let mut conn = postgres.connection().await?;
                conn.batch_execute(PG_LOCK).await?;
                run_postgres(conn, job).await
            }
            Backing::Sqlite(sqlite) => {
                let mut writer = sqlite.writer().await;
                writer.conn.spawn_blocking(move |conn| Ok(run_sqlite(conn, &job))).await?
            }
        }
    }
}

enum Job {
    Migrate(Option<String>),
    Status,
}

#[derive(Default)]
struct Done {
    steps: Vec<MigrationStep>,
    states: Vec<MigrationState>,
}

/// On a thread of its own: the harness blocks. The lock ends with the connection.
async fn run_postgres(conn: AsyncPgConnection, job: Job) -> Result<Done> {
    let run = move || run_job(&mut AsyncMigrationHarness::new(conn), &POSTGRES, &job);
    let joined = tokio::task::spawn_blocking(run).await;
    joined.map_err(|error| StoreError::Migration(Cause(error.to_string())))?
}

fn run_sqlite(conn: &mut SqliteConnection, job: &Job) -> Result<Done> {
    conn.exclusive_transaction(|conn| run_job(conn, &SQLITE, job))
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Migration(Cause(error.to_string()))
}

fn run_job<DB: Backend>(
    harness: &mut impl MigrationHarness<DB>,
    source: &EmbeddedMigrations,
    job: &Job,
) -> Result<Done> {
    let mut known: Vec<Box<dyn Migration<DB>>> = source.migrations().map_err(failed)?;
    known.sort_by_key(|migration| version(&**migration));
    let applied: Vec<String> = harness.applied_migrations().map_err(failed)?.iter().map(ToString::to_string).collect();
    match job {
        Job::Status => Ok(Done { states: states(&known, &applied), ..Done::default() }),
        Job::Migrate(to) => {
            let steps = migrate(harness, &known, &applied, to.as_deref())?;
            Ok(Done { steps, ..Done::default() })
        }
    }
}

fn version<DB: Backend>(migration: &dyn Migration<DB>) -> String {
    migration.name().version().to_string()
}

fn states<DB: Backend>(known: &[Box<dyn Migration<DB>>], applied: &[String]) -> Vec<MigrationState> {
    let mut states: Vec<_> = known
        .iter()
        .map(|migration| {
            let version = version(&**migration);
            let applied = applied.contains(&version);
            MigrationState { applied, version, name: migration.name().to_string(), known: true }
        })
        .collect();
    let known: Vec<_> = states.iter().map(|state| state.version.clone()).collect();
    let strange = applied.iter().filter(|version| !known.contains(version));
    states.extend(strange.map(|version| MigrationState {
        version: version.clone(),
        name: version.clone(),
        applied: true,
        known: false,
    }));
    states.sort_by(|a, b| a.version.cmp(&b.version));
    states
}

fn migrate<DB: Backend>(
    harness: &mut impl MigrationHarness<DB>,
    known: &[Box<dyn Migration<DB>>],
    applied: &[String],
    to: Option<&str>,
) -> Result<Vec<MigrationStep>> {
    let versions: Vec<_> = known.iter().map(|migration| version(&**migration)).collect();
    let newest = versions.last().cloned().unwrap_or_default();
    if let Some(found) = applied.iter().filter(|version| !versions.contains(version)).max() {
        return Err(StoreError::NewerSchema { found: found.clone(), known: newest });
    }
    let goal = to.unwrap_or(&newest);
    if goal != NONE && !versions.iter().any(|version| version == goal) {
        return Err(StoreError::UnknownMigration { version: goal.to_owned() });
    }
    let wanted = |version: &str| goal != NONE && version <= goal;
    let mut steps = Vec::new();
    for migration in known.iter().rev().filter(|migration| !wanted(&version(&***migration))) {
        if applied.contains(&version(&**migration)) {
            harness.revert_migration(&**migration).map_err(failed)?;
            failpoint::reach_blocking("migration.step");
            steps.push(MigrationStep { name: migration.name().to_string(), up: false });
        }
    }
    for migration in known.iter().filter(|migration| wanted(&version(&***migration))) {
        if !applied.contains(&version(&**migration)) {
            harness.run_migration(&**migration).map_err(failed)?;
            failpoint::reach_blocking("migration.step");
            steps.push(MigrationStep { name: migration.name().to_string(), up: true });
        }
    }
    Ok(steps)
}
