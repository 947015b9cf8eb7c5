//! Lengths of time. Negative ones have no meaning anywhere in the API.

use std::time::Duration;

use super::WireError;
use crate::domain::Violations;

type Message = prost_types::Duration;

/// About 10,000 years: the span of the message.
const MAX_SECONDS: u64 = 315_576_000_000;

#[must_use]
pub fn write(duration: Duration) -> Message {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Message { seconds, nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0) }
}

/// Reads what a caller sent.
pub fn input(field: &str, message: Option<Message>, violations: &mut Violations) -> Option<Duration> {
    parse(message?).map_err(|problem| violations.add(field, problem)).ok()
}

/// Reads what this program wrote.
pub(super) fn read(field: &str, message: Option<Message>) -> Result<Duration, WireError> {
    let message = super::required(field, message)?;
    let parts = u64::try_from(message.seconds).ok().zip(u32::try_from(message.nanos).ok());
    let (seconds, nanos) = parts.ok_or_else(|| WireError::at(field, "negative"))?;
    Duration::from_secs(seconds)
        .checked_add(Duration::from_nanos(nanos.into()))
        .ok_or_else(|| WireError::at(field, "out of range"))
}

fn parse(Message { seconds, nanos }: Message) -> Result<Duration, &'static str> {
    if seconds < 0 || nanos < 0 {
        return Err("must not be negative");
    }
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds <= MAX_SECONDS);
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    seconds.zip(nanos).map(|(seconds, nanos)| Duration::new(seconds, nanos)).ok_or("is not a duration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_their_value() {
        for duration in [Duration::ZERO, Duration::from_millis(500), Duration::new(3, 999_999_999)] {
            assert_eq!(parse(write(duration)), Ok(duration));
            assert_eq!(read("d", Some(write(duration))), Ok(duration));
        }
    }

    #[test]
    fn negative_and_malformed_durations_are_refused() {
        for (seconds, nanos) in [
            (-1, 0),
            (0, -1),
            (1, -1),
            (-1, 1),
            (0, 1_000_000_000),
            (0, i32::MIN),
            (i64::MAX, 0),
            (i64::MIN, 0),
            (315_576_000_001, 0),
        ] {
            let mut violations = Violations::default();
            assert_eq!(input("d", Some(Message { seconds, nanos }), &mut violations), None);
            assert!(!violations.is_empty(), "{seconds} {nanos}");
        }
    }
}
