//! How much one client, one provider or one message may take.

use std::time::Duration;

use super::declare::settings;
use super::value::{Bytes, between};
use crate::domain;

settings! {
    /// How much one client, one provider or one message may take.
    pub struct Limits at "limits." {
        /// How many endpoints a provider may have.
        endpoints_per_provider: usize = "10", between(1, 10_000);
        /// How many credentials a provider may have.
        credentials_per_provider: usize = "20", between(1, 10_000);
        /// How long a deleted provider can be brought back; then it is destroyed.
        deleted_retention: Duration = "30d", between(Duration::from_secs(1), Duration::from_hours(24 * 3650));
        /// The largest message that is accepted.
        max_message: Bytes = "4MiB", between(Bytes(64 << 10), Bytes(64 << 20));
        /// How many calls and streams one connection may have open.
        max_concurrent_streams: usize = "1000", between(1, 1_000_000);
        /// How many connections are served at a time; more wait.
        max_connections: usize = "10000", between(1, 1_000_000);
        /// How many connections one client address (of IPv6: one /64) may have; more are closed at once. Raise it where
        /// all clients come through the same proxy.
        max_connections_per_peer: usize = "1000", between(1, 1_000_000);
        /// How many calls and streams one client address may have under way, over all its connections.
        max_calls_per_peer: usize = "5000", between(1, 10_000_000);
        /// How much memory requests that are not complete and answers that are not read may take for one client
        /// address.
        max_memory_per_peer: Bytes = "64MiB", between(Bytes(1 << 20), Bytes(64 << 30));
        /// How long the message of a call may take to arrive.
        request_timeout: Duration = "10s", between(Duration::from_secs(1), Duration::from_mins(10));
    }
}

impl Limits {
    /// The part of them that is a rule of the resources.
    #[must_use]
    pub fn domain(&self) -> domain::Limits {
        domain::Limits {
            endpoints_per_provider: self.endpoints_per_provider,
            credentials_per_provider: self.credentials_per_provider,
            deleted_retention: self.deleted_retention,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{config, domain};

    #[test]
    fn the_defaults_are_the_rules_own() {
        let settings = config::defaults().unwrap();
        assert_eq!(settings.limits.domain(), domain::Limits::default());
    }
}
