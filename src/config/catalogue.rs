//! The catalogue of known models.

use std::path::PathBuf;

use super::declare::settings;

settings! {
    /// The catalogue of known models.
    pub struct Catalogue at "catalogue." {
        /// A catalogue file to use where it is newer than the built-in one; SIGHUP reads it again. Empty: the built-in
        /// one.
        file: Option<PathBuf> = "";
    }
}
