//! What can go wrong with keys and sealed secrets, told with key ids and never with key material.

use std::io;
use std::path::PathBuf;

use uuid::Uuid;

use crate::domain;

/// The master keys that an operator gave cannot be used. Read at start and on reload, so the messages say what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the master key file cannot be read: {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the master key file is not a regular file of at most 64 KiB: {}", path.display())]
    NotAKeyFile { path: PathBuf },
    #[error("every user of this machine can use the master key file (mode {mode:04o}); run `chmod 600` on it: {}", path.display())]
    TooOpen { path: PathBuf, mode: u32 },
    /// Names the place only: where a line is malformed, any part of it may be the key.
    #[error("master keys, {place}: {problem}")]
    Malformed { place: String, problem: &'static str },
    #[error("two master keys have the id {id}; give each its own")]
    Duplicate { id: String },
    #[error("the master key {id} is too easy to guess: {why}; make one with `modelward keys generate`")]
    Weak { id: String, why: &'static str },
    #[error("no master key was given; make one with `modelward keys generate`")]
    Empty,
    #[error(
        "the master key {id} has changed under the same id; give the new key an id of its own and keep the old one"
    )]
    Replaced { id: String },
    #[error("a master key's id has 1 to 64 of the characters A–Z a–z 0–9 . _ -")]
    BadId,
    #[error("the master key file cannot be written: {}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Something sealed cannot be opened, or nothing can be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("this database needs the master key {key_id}; the ring holds {}", listed(held))]
    MissingKey { key_id: String, held: Vec<String> },
    #[error(
        "the master key {key_id} is not the one this database was sealed with, or its {what} is damaged; the ring holds {}",
        listed(held)
    )]
    WrongKey { key_id: String, what: String, held: Vec<String> },
    #[error("the database's key ring is incomplete: it has {found} usable {purpose} keys instead of one")]
    Incomplete { purpose: &'static str, found: usize },
    #[error("a stored secret of the credential {credential_id} does not open with the master key {key_id}: {why}")]
    Unreadable { credential_id: Uuid, key_id: String, why: &'static str },
    #[error("the system's random source or cipher failed")]
    System,
}

fn listed(ids: &[String]) -> String {
    if ids.is_empty() { "none".into() } else { ids.join(", ") }
}

impl From<SecretError> for domain::Error {
    /// What a client is told; everything but an unreadable secret is for the log, by whoever finds it.
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Unreadable { credential_id, key_id, .. } => Self::SecretUnreadable { credential_id, key_id },
            _ => Self::internal(),
        }
    }
}
