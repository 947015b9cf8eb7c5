//! How dead connections are found.

use std::time::Duration;

use super::declare::settings;
use super::value::between;

settings! {
    /// How dead connections are found.
    pub struct Http2 at "http2." {
        /// How long a connection may be silent before the server pings it.
        keepalive_interval: Duration = "30s", between(Duration::from_secs(1), Duration::from_hours(1));
        /// How long the answer to a ping may take before the connection is closed.
        keepalive_timeout: Duration = "10s", between(Duration::from_secs(1), Duration::from_mins(10));
    }
}
