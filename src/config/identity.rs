//! Who is believed besides this server's own tokens, and how often files that others replace are looked at.

use std::path::PathBuf;
use std::time::Duration;

use super::declare::settings;
use super::value::between;

mod rules;

pub use rules::read;

settings! {
    /// Who is believed besides this server's own tokens, and how often files that others replace are looked at.
    pub struct Identity at "identity." {
        /// A TOML file that says which issuers' tokens (JWT) and which names in certificates are believed, and which
        /// roles they have; docs/IDENTITY.md shows one. Empty: only this server's own tokens.
        file: Option<PathBuf> = "";
        /// How often this file, the issuers' key files and those of TLS are looked at; changed ones are taken without a
        /// restart.
        poll: Duration = "5s", between(Duration::from_millis(100), Duration::from_hours(1));
    }
}
