//! What can go wrong between us and the database, and what clients are told of it.
//!
//! No message carries a secret, a value from a row or the URL's password; the text of the database stands in the
//! source, for the log.

use std::path::PathBuf;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind};

use crate::domain;

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The database's own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Cause(pub String);

impl Cause {
    /// An error with all the errors below it, in one line.
    pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            next = cause.source();
        }
        Self(text)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not reachable, shutting down, read-only, busy: a later attempt may succeed. Nothing was written.
    #[error("the database does not answer")]
    Unavailable(#[source] Cause),
    #[error("the database has no space left")]
    Full(#[source] Cause),
    /// A constraint of the schema refused a row: memory and database differ.
    #[error("a constraint of the database was violated: {name}")]
    Constraint { name: String },
    /// Two transactions met; the database undid this one. Worth one repetition.
    #[error("the transaction met another one and was undone")]
    Conflict(#[source] Cause),
    /// The connection was lost after COMMIT was sent: it may or may not have happened.
    #[error("the connection was lost during COMMIT, its outcome is unknown")]
    CommitUnknown(#[source] Cause),
    #[error("the stored value of {table}.{column} is unreadable ({row}); restore a backup or repair the row")]
    Corrupt { table: &'static str, column: &'static str, row: String },
    /// No cluster was initialised in this database.
    #[error("the database is not initialised")]
    NotInitialised,
    #[error(
        "the database's schema is newer ({found}) than this program knows ({known}); use a newer program, or migrate down with the one that made it"
    )]
    NewerSchema { found: String, known: String },
    #[error("there is no migration with this version; `modelward migrate --status` lists them: {version}")]
    UnknownMigration { version: String },
    #[error("a migration failed")]
    Migration(#[source] Cause),
    #[error("already used by another process; stop it, or choose another data directory: {}", path.display())]
    Locked { path: PathBuf },
    #[error("cannot use the database file; check the path and its permissions: {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        cause: Cause,
    },
    #[error("the database URL is not usable: {problem}")]
    BadUrl { problem: String },
    #[error(
        "the database session has synchronous_commit = off, so acknowledged writes could be lost; turn it on, or allow it in the settings"
    )]
    AsyncCommitRefused,
    /// The database does not keep the promise that this setting stands for.
    #[error("the database did not accept a setting that keeps data safe: {setting}")]
    Unsafe { setting: &'static str },
    #[error("the database refused a statement")]
    Other(#[source] Cause),
}

impl StoreError {
    pub(super) fn corrupt(table: &'static str, column: &'static str, row: impl ToString) -> Self {
        Self::Corrupt { table, column, row: row.to_string() }
    }

    pub(super) fn unavailable(text: impl Into<String>) -> Self {
        Self::Unavailable(Cause(text.into()))
    }

    /// Whether the same transaction may succeed when it is simply run again.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// Whether the connection that reported this should not be used again.
    pub(super) const fn spoils_connection(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::CommitUnknown(_))
    }

    /// The same error, met at COMMIT: unless the database said why it refused, the outcome is unknown.
    pub(super) fn at_commit(self) -> Self {
        match self {
            Self::Unavailable(cause) | Self::Other(cause) => Self::CommitUnknown(cause),
            other => other,
        }
    }
}

impl From<diesel::result::Error> for StoreError {
    fn from(error: diesel::result::Error) -> Self {
        match error {
            diesel::result::Error::DatabaseError(kind, info) => database(kind, &*info),
            diesel::result::Error::BrokenTransactionManager => Self::unavailable("the connection is broken"),
            other => Self::Other(Cause(other.to_string())),
        }
    }
}

impl From<diesel::ConnectionError> for StoreError {
    fn from(error: diesel::ConnectionError) -> Self {
        match error {
            diesel::ConnectionError::CouldntSetupConfiguration(error) => Self::from(error),
            other => Self::Unavailable(Cause(other.to_string())),
        }
    }
}

/// Diesel keeps neither SQLSTATE nor SQLite's result code, so some cases are told by the engines' own English words.
fn database(kind: DatabaseErrorKind, info: &dyn DatabaseErrorInformation) -> StoreError {
    let text = info.message();
    let cause = || Cause(text.to_owned());
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match kind {
        DatabaseErrorKind::UniqueViolation
        | DatabaseErrorKind::ForeignKeyViolation
        | DatabaseErrorKind::NotNullViolation
        | DatabaseErrorKind::CheckViolation
        | DatabaseErrorKind::RestrictViolation
        | DatabaseErrorKind::ExclusionViolation => {
            StoreError::Constraint { name: info.constraint_name().unwrap_or(text).to_owned() }
        }
        DatabaseErrorKind::SerializationFailure => StoreError::Conflict(cause()),
        _ if says(&["deadlock detected"]) => StoreError::Conflict(cause()),
        DatabaseErrorKind::UnableToSendCommand
        | DatabaseErrorKind::ClosedConnection
        | DatabaseErrorKind::ReadOnlyTransaction => StoreError::Unavailable(cause()),
        _ if says(FULL) => StoreError::Full(cause()),
        _ if says(UNAVAILABLE) => StoreError::Unavailable(cause()),
        _ => StoreError::Other(cause()),
    }
}

const FULL: &[&str] = &["No space left on device", "database or disk is full", "Disk quota exceeded"];

const UNAVAILABLE: &[&str] = &[
    // PostgreSQL: shutdown, start, recovery, time limits, too many clients.
    "terminating connection",
    "the database system is",
    "canceling statement due to",
    "too many clients",
    "remaining connection slots",
    "too many connections",
    "connection to server was lost",
    // SQLite: another process holds the file, or it cannot be written now.
    "database is locked",
    "database table is locked",
    "attempt to write a readonly database",
    "disk I/O error",
    "unable to open database file",
];

impl From<StoreError> for domain::Error {
    /// What a client is told. Log the error first: the cause ends here.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Conflict(_) => Self::StoreUnavailable,
            StoreError::Full(_) => Self::StoreFull,
            StoreError::CommitUnknown(_) => Self::DeadlineExceeded,
            _ => Self::internal(),
        }
    }
}
