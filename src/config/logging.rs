//! What the log on stderr says, and how.

use std::time::Duration;

use super::declare::settings;
use super::value::{LogFilter, between};
use crate::telemetry::LogFormat;

settings! {
    /// What the log on stderr says, and how.
    pub struct Logging at "log." {
        /// How a line is written: text for people, json for collectors.
        format: LogFormat = "text";
        /// Which lines are written: error, warn, info, debug, trace, or a list such as `info,modelward::health=debug`.
        level: LogFilter = "info";
        /// A call that takes longer is logged as a warning; streams never are.
        slow_call: Duration = "1s", between(Duration::from_millis(1), Duration::from_hours(1));
    }
}
