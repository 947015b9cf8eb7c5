//! How long the log of changes is kept.

use std::time::Duration;

use super::declare::settings;
use super::value::absent_or_between;

settings! {
    /// How long the log of changes is kept.
    pub struct Audit at "audit." {
        /// How long changes stay in the log; older ones are removed, and what is left can still be verified. Empty: for
        /// ever. Who asks for older ones, in the audit log or in a watch, is told COMPACTED.
        retention: Option<Duration> = "",
            absent_or_between(Duration::from_hours(1), Duration::from_hours(24 * 3660));
    }
}
