//! Instants. The domain keeps microseconds; what a caller sends more finely is cut, never rounded up.

use super::WireError;
use crate::domain::{Timestamp, Violations};

type Message = prost_types::Timestamp;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, the span of the message.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

#[must_use]
pub fn write(time: Timestamp) -> Message {
    let micros = time.micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000)).unwrap_or(0) * 1000;
    Message { seconds: micros.div_euclid(1_000_000), nanos }
}

/// An instant that every stored resource has: absent for a resource that was only validated.
#[must_use]
pub fn write_set(time: Timestamp) -> Option<Message> {
    (time != Timestamp::default()).then(|| write(time))
}

/// Reads what a caller sent.
pub fn input(field: &str, message: Option<Message>, violations: &mut Violations) -> Option<Timestamp> {
    let time = parse(message?);
    if time.is_none() {
        violations.add(field, "is not an instant of the years 1 to 9999");
    }
    time
}

/// Reads what this program wrote.
pub(super) fn read(field: &str, message: Option<Message>) -> Result<Option<Timestamp>, WireError> {
    let Some(Message { seconds, nanos }) = message else { return Ok(None) };
    let whole = seconds.checked_mul(1_000_000);
    let micros = u32::try_from(nanos).ok().and_then(|nanos| whole?.checked_add(i64::from(nanos / 1000)));
    micros.map(Timestamp::from_micros).map(Some).ok_or_else(|| WireError::at(field, "out of range"))
}

/// The counterpart of [`write_set`].
pub(super) fn read_set(field: &str, message: Option<Message>) -> Result<Timestamp, WireError> {
    read(field, message).map(Option::unwrap_or_default)
}

fn parse(Message { seconds, nanos }: Message) -> Option<Timestamp> {
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    let whole = SECONDS.contains(&seconds).then(|| seconds * 1_000_000)?;
    Some(Timestamp::from_micros(whole + i64::from(nanos / 1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_before_1970_keep_their_value() {
        let time = Timestamp::from_micros(-1);
        assert_eq!(write(time), Message { seconds: -1, nanos: 999_999_000 });
        assert_eq!(parse(write(time)), Some(time));
    }

    #[test]
    fn nanoseconds_are_cut() {
        assert_eq!(parse(Message { seconds: 1, nanos: 1999 }), Some(Timestamp::from_micros(1_000_001)));
    }

    #[test]
    fn instants_out_of_range_are_refused() {
        for (seconds, nanos) in
            [(*SECONDS.start() - 1, 0), (*SECONDS.end() + 1, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0)]
        {
            let mut violations = Violations::default();
            assert_eq!(input("t", Some(Message { seconds, nanos }), &mut violations), None);
            assert!(!violations.is_empty(), "{seconds} {nanos}");
        }
    }
}
