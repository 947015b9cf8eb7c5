//! What is counted of the use of credentials, models and secrets.

use std::time::Duration;

use super::declare::settings;
use super::value::between;

settings! {
    /// What is counted of the use of credentials, models and secrets.
    pub struct Usage at "usage." {
        /// How often counted uses are written. Other replicas learn of them after this and a second, so for this long
        /// a quota may be exceeded; a process that is killed forgets what it counted since.
        flush_interval: Duration = "5s", between(Duration::from_millis(50), Duration::from_secs(10));
        /// Whether a secret is handed out only after that was recorded: one write to the database for each call that
        /// asks for secrets, and none is answered while the database is away.
        strict_secret_use: bool = "false";
        /// How long the record of secrets that were handed out is kept.
        secret_use_retention: Duration = "400d", between(Duration::from_hours(24), Duration::from_hours(24 * 3650));
        /// How long before a credential expires the log and a metric warn of it.
        expiry_warning: Duration = "7d", between(Duration::ZERO, Duration::from_hours(24 * 366));
    }
}
