//! Secrets at rest: master keys, the cluster's own keys, sealed credentials and bearer tokens; and the signatures of
//! tokens that others issue.
//!
//! The only place that names `ring`. What it keeps: key material and plain values live in memory that is wiped, have
//! no `Debug`, and appear in no message, which name key ids only; every ciphertext is bound to the place it belongs
//! to, so that nothing sealed can be altered, moved or replaced by something older.

mod cipher;
mod cluster;
mod encoding;
mod error;
mod file_seal;
mod jwt;
mod key_file;
mod key_ring;
mod master_keys;
mod sealing;
mod token;

pub use cipher::{digest, random_bytes};
pub use cluster::ClusterKeys;
pub use error::{KeyError, SecretError};
pub use file_seal::{FileSeal, secret_bytes, secret_from_bytes};
pub use jwt::{Claims, JwtError, JwtKey, KeySet, KeySetError, SignedToken};
pub use key_file::{KeyFile, generate_key_line};
pub use key_ring::{KeyRing, KeySource};
pub use master_keys::MasterKeys;
pub use sealing::Secrets;
pub use token::{ParsedToken, TokenSecret};

#[cfg(test)]
mod tests;
