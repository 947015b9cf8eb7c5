//! What reads may answer while the database is away.

use std::time::Duration;

use super::declare::settings;
use super::value::absent_or_between;

settings! {
    /// What reads may answer while the database is away.
    pub struct Reads at "reads." {
        /// How old the configuration in memory may be before the server reports that it is not ready. Empty: reads go
        /// on from memory however long the database is away.
        max_staleness: Option<Duration> = "", absent_or_between(Duration::from_secs(5), Duration::from_hours(24 * 30));
    }
}
