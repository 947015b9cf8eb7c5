//! The background health checks.

use super::declare::settings;
use super::value::between;

settings! {
    /// The background health checks.
    pub struct Health at "health." {
        /// Whether this process probes endpoints. Several replicas may: only one of them does at a time.
        enabled: bool = "true";
        /// How many probes may be in flight.
        max_in_flight: usize = "64", between(1, 1024);
    }
}
