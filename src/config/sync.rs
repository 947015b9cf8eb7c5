//! The synchronisation of models without being asked.

use super::declare::settings;
use super::value::between;

settings! {
    /// The synchronisation of models as the providers' sync_policy says.
    pub struct Sync at "sync." {
        /// Whether this process takes part. Several replicas may: only one of them does the work at a time.
        enabled: bool = "true";
        /// How many providers may be synchronised at once.
        max_in_flight: usize = "4", between(1, 64);
    }
}
