//! What is counted of the use of credentials and models, and the windows of quotas.
//!
//! Counting and quotas do not know each other: uses are counted by day and by month whatever quota there is, and a
//! quota is compared with the counts of its period. So a quota that is set or changed counts what was used before.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::credential::{Quota, QuotaPeriod, QuotaUnit};
use super::time::Timestamp;

/// Uses that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uses {
    pub requests: i64,
    pub failures: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub last_use_time: Option<Timestamp>,
}

impl Uses {
    #[must_use]
    pub const fn tokens(&self) -> i64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    fn add(&mut self, more: &Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.failures = self.failures.saturating_add(more.failures);
        self.input_tokens = self.input_tokens.saturating_add(more.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(more.output_tokens);
        self.last_use_time = self.last_use_time.max(more.last_use_time);
    }
}

/// Uses by the day they fall on: what is to be added to the stored counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DailyUses(BTreeMap<Timestamp, Uses>);

impl DailyUses {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts uses that ended at `time`.
    pub fn add(&mut self, time: Timestamp, uses: &Uses) {
        self.0.entry(day_of(time)).or_default().add(uses);
    }

    pub fn add_all(&mut self, more: &Self) {
        more.0.iter().for_each(|(day, uses)| self.add(*day, uses));
    }
}

/// What uses are added to.
pub trait Counted: Clone + Default {
    /// Adds the uses of one day.
    fn count(&mut self, day: Timestamp, uses: &Uses);

    /// This, and all uses in `more`.
    #[must_use]
    fn with(&self, more: &DailyUses) -> Self {
        let mut sum = self.clone();
        more.0.iter().for_each(|(day, uses)| sum.count(*day, uses));
        sum
    }
}

/// The counts of a day or a month, the latest in which there was a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// Absent: there was no use yet.
    pub start_time: Option<Timestamp>,
    pub requests: i64,
    pub tokens: i64,
}

impl Window {
    /// Adds uses of the window that began at `start`; those of an earlier one come too late.
    fn count(&mut self, start: Timestamp, uses: &Uses) {
        if self.start_time.is_none_or(|known| known < start) {
            *self = Self { start_time: Some(start), ..Self::default() };
        }
        if self.start_time == Some(start) {
            self.requests = self.requests.saturating_add(uses.requests);
            self.tokens = self.tokens.saturating_add(uses.tokens());
        }
    }

    /// What was used since `start`. The window of a replica whose clock runs ahead counts already.
    fn since(&self, start: Timestamp) -> (i64, i64) {
        if self.start_time.is_some_and(|known| known >= start) { (self.requests, self.tokens) } else { (0, 0) }
    }
}

/// What a credential was used for: status, not configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CredentialUsage {
    pub day: Window,
    pub month: Window,
    pub total_requests: i64,
    pub total_failures: i64,
    pub total_tokens: i64,
    pub last_use_time: Option<Timestamp>,
}

impl Counted for CredentialUsage {
    fn count(&mut self, day: Timestamp, uses: &Uses) {
        self.day.count(day, uses);
        self.month.count(month_of(day), uses);
        self.total_requests = self.total_requests.saturating_add(uses.requests);
        self.total_failures = self.total_failures.saturating_add(uses.failures);
        self.total_tokens = self.total_tokens.saturating_add(uses.tokens());
        self.last_use_time = self.last_use_time.max(uses.last_use_time);
    }
}

impl CredentialUsage {
    /// How many of the quota's units were used in the period that `now` is in.
    #[must_use]
    pub fn used(&self, quota: Quota, now: Timestamp) -> i64 {
        let (requests, tokens) = match quota.period.start(now) {
            None => (self.total_requests, self.total_tokens),
            Some(start) if quota.period == QuotaPeriod::Day => self.day.since(start),
            Some(start) => self.month.since(start),
        };
        match quota.unit {
            QuotaUnit::Requests => requests,
            QuotaUnit::Tokens => tokens,
        }
    }

    /// Whether the quota is used up.
    #[must_use]
    pub fn exhausts(&self, quota: Quota, now: Timestamp) -> bool {
        self.used(quota, now) >= quota.limit
    }
}

/// What a model was used for: status, not configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelUsage {
    pub total_requests: i64,
    pub total_failures: i64,
    pub total_input_tokens: i64,
    pub total_output_tokens: i64,
    pub last_use_time: Option<Timestamp>,
}

impl Counted for ModelUsage {
    fn count(&mut self, _day: Timestamp, uses: &Uses) {
        self.total_requests = self.total_requests.saturating_add(uses.requests);
        self.total_failures = self.total_failures.saturating_add(uses.failures);
        self.total_input_tokens = self.total_input_tokens.saturating_add(uses.input_tokens);
        self.total_output_tokens = self.total_output_tokens.saturating_add(uses.output_tokens);
        self.last_use_time = self.last_use_time.max(uses.last_use_time);
    }
}

impl QuotaPeriod {
    /// When the period that `now` is in began; nothing for one that never ends.
    #[must_use]
    pub fn start(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Total => None,
            Self::Day => Some(day_of(now)),
            Self::Month => Some(month_of(now)),
        }
    }
}

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Midnight before `time`, UTC.
fn day_of(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.micros().div_euclid(DAY_MICROS).saturating_mul(DAY_MICROS))
}

/// The first midnight of the month that `time` is in, UTC. A time that no calendar has is its own month.
fn month_of(time: Timestamp) -> Timestamp {
    let first = || {
        let instant = jiff::Timestamp::from_microsecond(time.micros()).ok()?;
        let date = instant.to_zoned(TimeZone::UTC).date().first_of_month();
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond())
    };
    first().map_or(time, Timestamp::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    fn used(usage: &mut CredentialUsage, time: &str, tokens: i64) {
        let uses = Uses { requests: 1, input_tokens: tokens, last_use_time: Some(at(time)), ..Uses::default() };
        let mut daily = DailyUses::default();
        daily.add(at(time), &uses);
        *usage = usage.with(&daily);
    }

    const fn quota(unit: QuotaUnit, period: QuotaPeriod) -> Quota {
        Quota { limit: 3, unit, period }
    }

    #[test]
    fn windows_begin_at_midnight_and_on_the_first_in_utc() {
        let time = at("2024-02-29T23:59:59.999999Z");
        assert_eq!(QuotaPeriod::Day.start(time), Some(at("2024-02-29T00:00:00Z")));
        assert_eq!(QuotaPeriod::Month.start(time), Some(at("2024-02-01T00:00:00Z")));
        assert_eq!(QuotaPeriod::Month.start(at("2024-03-01T00:00:00Z")), Some(at("2024-03-01T00:00:00Z")));
        assert_eq!(QuotaPeriod::Day.start(at("1969-12-31T12:00:00Z")), Some(at("1969-12-31T00:00:00Z")));
        assert_eq!(QuotaPeriod::Total.start(time), None);
    }

    #[test]
    fn a_quota_is_used_up_at_its_limit_and_free_again_in_the_next_period() {
        let (day, month) =
            (quota(QuotaUnit::Requests, QuotaPeriod::Day), quota(QuotaUnit::Requests, QuotaPeriod::Month));
        let mut usage = CredentialUsage::default();
        for time in ["2024-01-31T23:00:00Z", "2024-01-31T23:30:00Z", "2024-01-31T23:59:59Z"] {
            assert!(!usage.exhausts(day, at(time)));
            used(&mut usage, time, 10);
        }
        assert!(usage.exhausts(day, at("2024-01-31T23:59:59.999999Z")));
        assert!(usage.exhausts(month, at("2024-01-31T23:59:59.999999Z")));
        assert_eq!(usage.used(day, at("2024-02-01T00:00:00Z")), 0);
        assert_eq!(usage.used(month, at("2024-02-01T00:00:00Z")), 0);
        assert!(usage.exhausts(quota(QuotaUnit::Requests, QuotaPeriod::Total), at("2030-01-01T00:00:00Z")));
        used(&mut usage, "2024-02-01T00:00:01Z", 5);
        let now = at("2024-02-01T00:00:02Z");
        assert_eq!((usage.used(day, now), usage.used(month, now), usage.total_requests), (1, 1, 4));
        assert_eq!(usage.used(quota(QuotaUnit::Tokens, QuotaPeriod::Day), now), 5);
        assert_eq!(usage.used(quota(QuotaUnit::Tokens, QuotaPeriod::Total), now), 35);
        assert_eq!(usage.last_use_time, Some(at("2024-02-01T00:00:01Z")));
    }

    #[test]
    fn what_is_told_too_late_counts_only_where_its_window_goes_on() {
        let mut usage = CredentialUsage::default();
        used(&mut usage, "2024-02-02T00:00:01Z", 1);
        used(&mut usage, "2024-02-01T23:59:59Z", 1);
        let now = at("2024-02-02T00:00:02Z");
        assert_eq!(usage.used(quota(QuotaUnit::Requests, QuotaPeriod::Day), now), 1);
        assert_eq!(usage.used(quota(QuotaUnit::Requests, QuotaPeriod::Month), now), 2);
        assert_eq!(usage.last_use_time, Some(at("2024-02-02T00:00:01Z")));
    }

    #[test]
    fn the_order_and_the_grouping_of_additions_do_not_matter_for_totals() {
        let (mut one, mut all) = (CredentialUsage::default(), DailyUses::default());
        for (hour, tokens) in [(1, 5), (2, 6), (30, 7)] {
            let time = at("2024-01-01T00:00:00Z").after(std::time::Duration::from_hours(hour));
            let uses =
                Uses { requests: 1, failures: 1, output_tokens: tokens, last_use_time: Some(time), ..Uses::default() };
            let mut daily = DailyUses::default();
            daily.add(time, &uses);
            one = one.with(&daily);
            all.add_all(&daily);
        }
        assert_eq!(one, CredentialUsage::default().with(&all));
        assert_eq!((one.day.tokens, one.month.tokens, one.total_failures), (7, 18, 3));
    }
}
