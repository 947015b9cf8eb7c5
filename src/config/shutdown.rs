//! How the server stops.

use std::time::Duration;

use super::declare::settings;
use super::value::between;

settings! {
    /// How the server stops.
    pub struct Shutdown at "shutdown." {
        /// How long the server goes on serving after it has reported NOT_SERVING, so that load balancers notice.
        lame_duck: Duration = "0s", between(Duration::ZERO, Duration::from_mins(5));
        /// How long stopping may take in all, the time above included; then what is left is cut off.
        hard_limit: Duration = "25s", between(Duration::from_secs(1), Duration::from_mins(10));
    }
}
