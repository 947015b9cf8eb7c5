//! Where the master keys and the first token come from.

use std::path::PathBuf;

use super::declare::settings;
use crate::domain::secret::SecretText;

settings! {
    /// Where the master keys and the first token come from.
    pub struct Secrets at "" {
        /// The file with the master keys, one `<id>:<base64 of 32 bytes>` per line; `modelward keys generate` prints
        /// such a line. Empty: `master.key` in the data directory, made on the first start of the embedded database.
        master_key_file: Option<PathBuf> = "";
        /// The master keys themselves, comma-separated, instead of the file. Meant for the environment.
        master_keys: Option<SecretText> = "";
        /// A file with the text of the first admin token, as `modelward token generate` prints it. Empty: the server
        /// makes one when it initialises its database, and writes it to `admin.token` in the data directory.
        bootstrap_token_file: Option<PathBuf> = "";
    }
}
