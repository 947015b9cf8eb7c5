//! What is repeated, and how long to wait before: pure rules.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

use super::fault::{CallError, CallErrorKind};
use super::meaning::Meaning;
use crate::domain::Timestamp;
use crate::domain::endpoint::RetryPolicy;

/// A vendor that asks for a longer wait is not asked again.
const LONGEST_ASKED: Duration = Duration::from_mins(1);

/// Whether a call that failed like this may do better when repeated.
pub(super) fn is_worth_it(error: &CallError) -> bool {
    let by_kind = match error.kind {
        CallErrorKind::NameResolution | CallErrorKind::Connect | CallErrorKind::Timeout => true,
        CallErrorKind::Http { meaning: Meaning::NoCredit | Meaning::BadKey, .. } => false,
        CallErrorKind::Http { status, .. } => matches!(status, 408 | 409 | 429 | 500 | 502 | 503 | 504 | 529),
        _ => false,
    };
    error.should_retry.unwrap_or(by_kind) && error.retry_after.is_none_or(|wait| wait <= LONGEST_ASKED)
}

/// The wait after `failures` failed attempts. What the vendor asks for counts; otherwise it grows exponentially, with
/// `jitter` (0 to 1) taking away up to a quarter.
pub(super) fn pause(policy: &RetryPolicy, failures: u32, asked: Option<Duration>, jitter: f64) -> Duration {
    if let Some(asked) = asked {
        return asked;
    }
    let growth = 2_u32.saturating_pow(failures.saturating_sub(1).min(30));
    let full = policy.initial_backoff.saturating_mul(growth).min(policy.max_backoff);
    full.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 4.0)
}

/// The wait that headers ask for: `retry-after-ms`, then `retry-after` in seconds or as a date.
pub(super) fn asked(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    if let Some(millis) = text("retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let after = text("retry-after")?;
    if let Some(seconds) = number(after) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(after).ok()?;
    Some(micros(date).since(now)).filter(|wait| !wait.is_zero())
}

fn micros(time: SystemTime) -> Timestamp {
    Timestamp::default().after(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The vendor's own word on whether a repetition makes sense.
pub(super) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match headers.get("x-should-retry")?.as_bytes() {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16, meaning: Meaning) -> CallError {
        CallError::new(CallErrorKind::Http { status, meaning }, "x")
    }

    #[test]
    fn only_what_may_pass_is_repeated() {
        for status in [408, 409, 429, 500, 502, 503, 504, 529] {
            assert!(is_worth_it(&http(status, Meaning::ServerError)), "{status}");
        }
        for status in [400, 401, 402, 403, 404, 405, 422, 501] {
            assert!(!is_worth_it(&http(status, Meaning::Refused)), "{status}");
        }
        assert!(!is_worth_it(&http(429, Meaning::NoCredit)));
        for kind in
            [CallErrorKind::Tls, CallErrorKind::AddressRefused, CallErrorKind::TooLarge, CallErrorKind::BadSecret]
        {
            assert!(!is_worth_it(&CallError::new(kind, "x")));
        }
        assert!(is_worth_it(&CallError::new(CallErrorKind::Connect, "x")));
    }

    #[test]
    fn the_vendors_word_decides() {
        let mut error = http(503, Meaning::ServerError);
        error.should_retry = Some(false);
        assert!(!is_worth_it(&error));
        let mut error = http(429, Meaning::RateLimited);
        error.retry_after = Some(LONGEST_ASKED + Duration::from_secs(1));
        assert!(!is_worth_it(&error));
    }

    #[test]
    fn waits_grow_to_the_maximum_and_jitter_shortens_them() {
        let policy = RetryPolicy {
            max_attempts: 9,
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_millis(350),
        };
        let waits: Vec<_> = (1..=4).map(|failures| pause(&policy, failures, None, 0.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 350, 350]);
        assert_eq!(pause(&policy, 1, None, 1.0).as_millis(), 75);
        assert_eq!(pause(&policy, u32::MAX, Some(Duration::from_secs(7)), 0.5), Duration::from_secs(7));
    }

    #[test]
    fn retry_after_comes_in_three_forms() {
        let now = Timestamp::from_micros(1_445_412_475_000_000);
        for (name, value, expected) in [
            ("retry-after", "3", Some(3_000)),
            ("retry-after", "1.5", Some(1_500)),
            ("retry-after-ms", "250", Some(250)),
            ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT", Some(5_000)),
            ("retry-after", "Wed, 21 Oct 2015 07:27:00 GMT", None),
            ("retry-after", "0", None),
            ("retry-after", "-1", None),
            ("retry-after", "NaN", None),
            ("retry-after", "soon", None),
            ("retry-after", "1e300", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(asked(&headers, now).map(|wait| wait.as_millis()), expected, "{name}: {value}");
        }
    }
}
