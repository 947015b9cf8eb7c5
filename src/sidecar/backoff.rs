//! How long to wait before the next attempt: longer after each failure, and never the same for two who fail together.

use std::time::Duration;

/// Waiting times between attempts, until one succeeds.
#[derive(Debug, Clone)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits about `least` after the first failure, twice that after the second, and never more than `most`.
    #[must_use]
    pub const fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, failures: 0 }
    }

    /// One more attempt has failed: how long to wait now.
    pub fn failed(&mut self) -> Duration {
        let doubled = self.least.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        // Half of it by chance: all sidecars lose a server that stops in the same moment.
        doubled.min(self.most).mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// An attempt has succeeded.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_begins_again_after_a_success() {
        let (least, most) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut backoff = Backoff::new(least, most);
        for expected in [100, 200, 400, 800, 1600, 3200, 5000, 5000].map(Duration::from_millis) {
            let wait = backoff.failed();
            assert!(wait >= expected / 2 && wait <= expected, "{wait:?} for {expected:?}");
        }
        assert!((0..100).all(|_| backoff.failed() <= most));
        assert!(backoff.failed() <= most);
        backoff.succeeded();
        assert!(backoff.failed() <= least);
    }

    #[test]
    fn two_who_fail_together_do_not_come_back_together() {
        let wait = || Backoff::new(Duration::from_secs(1), Duration::from_secs(1)).failed();
        let waits: std::collections::BTreeSet<_> = (0..100).map(|_| wait()).collect();
        assert!(waits.len() > 50, "{}", waits.len());
    }
}
