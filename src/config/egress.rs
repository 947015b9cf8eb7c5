//! Calls to vendors: the only traffic that the server begins, but for its database.

use std::path::PathBuf;
use std::time::Duration;

use super::declare::settings;
use super::value::between;

settings! {
    /// Calls to vendors: the only traffic that the server begins, but for its database.
    pub struct Egress at "egress." {
        /// Lets every kind of provider be at a private or loopback address, not only OLLAMA, VLLM and
        /// OPENAI_COMPATIBLE. Link-local and metadata addresses are never called.
        allow_private: bool = "false";
        /// Certificates to trust besides the system's, PEM. Empty: none.
        ca_file: Option<PathBuf> = "";
        /// How long SyncModels, ValidateCredential and TestModel may take in all, retries included.
        call_budget: Duration = "25s", between(Duration::from_secs(1), Duration::from_mins(5));
    }
}
