//! How much those who follow the configuration may take.

use std::time::Duration;

use super::declare::settings;
use super::value::{Bytes, between};

settings! {
    /// How much those who follow the configuration may take.
    pub struct Watch at "watch." {
        /// How many Watch streams this process serves at a time; more are refused. A stream takes a few KiB.
        max_streams: usize = "20000", between(1, 10_000_000);
        /// How much memory recent changes take, which watchers are served from. Older ones are read from the database; a
        /// watcher that does not read and falls behind them is ended with its last token.
        history: Bytes = "8MiB", between(Bytes(64 << 10), Bytes(16 << 30));
        /// How long a watcher may leave a message unread before it is ended with its last token.
        patience: Duration = "10s", between(Duration::from_secs(1), Duration::from_hours(1));
    }
}
