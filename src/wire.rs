//! The way between the domain and the generated messages: one file per noun, and in each of them the same words.
//!
//! `config` makes the message with the configuration fields only (what the log and kept answers hold), `config_bytes`
//! its encoding, `status_bytes` the encoding of a message with the status fields only: the two byte strings one after
//! the other are the encoding of the whole, which `full` makes in one piece. `read` goes back, for what this program
//! wrote itself, and is strict; `input` reads what a caller sent and gathers what is wrong with it.
//!
//! No message and no error that is made here shows a secret.

pub mod answer;
#[cfg(test)]
pub(crate) mod arbitrary;
pub mod binding;
pub mod change;
pub mod credential;
pub mod duration;
pub mod endpoint;
pub mod enums;
pub mod id;
pub mod keyring;
pub mod log;
pub mod mask;
mod meta;
pub mod model;
mod number;
pub mod page;
pub mod provider;
pub mod resource;
pub mod target;
pub mod time;
pub mod token;
pub mod watch;

/// Stored bytes are not what this program writes. Names the field, never what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WireError(pub String);

impl WireError {
    fn at(field: &str, problem: &str) -> Self {
        Self(format!("{field}: {problem}"))
    }
}

/// A field that this program always writes.
fn required<T>(field: &str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or_else(|| WireError::at(field, "missing"))
}

#[cfg(test)]
mod tests;
