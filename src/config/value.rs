//! The types that a setting may have, and how each is written: durations as `30s`, sizes as `4MiB`, empty for "none".

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::domain::secret::SecretText;
use crate::telemetry::LogFormat;

/// A type that settings can have.
pub trait Value: Sized {
    /// Whether the file writes it without quotes.
    const BARE: bool = false;
    /// Whether all of it is secret.
    const SECRET: bool = false;

    /// # Errors
    /// What was expected instead; never the text itself, which may be a secret.
    fn parse(text: &str) -> Result<Self, String>;

    /// The text as it may be shown to an operator.
    fn show(text: &str) -> String {
        text.to_owned()
    }
}

/// The rule that a value lies in a range.
pub fn between<T: PartialOrd + Bound>(low: T, high: T) -> impl Fn(&T) -> Result<(), String> {
    move |value| {
        let fits = *value >= low && *value <= high;
        if fits { Ok(()) } else { Err(format!("give a value from {} to {}", low.written(), high.written())) }
    }
}

/// The same for a value that may be absent.
pub fn absent_or_between<T: PartialOrd + Bound>(low: T, high: T) -> impl Fn(&Option<T>) -> Result<(), String> {
    let rule = between(low, high);
    move |value| value.as_ref().map_or(Ok(()), &rule)
}

/// A bound of a range, as an operator writes it.
pub trait Bound {
    fn written(&self) -> String;
}

impl Bound for usize {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Bound for Bytes {
    fn written(&self) -> String {
        let (unit, scale) = SIZES.iter().rev().find(|(_, scale)| self.0.is_multiple_of(*scale)).unwrap_or(&("B", 1));
        format!("{}{unit}", self.0 / scale)
    }
}

impl Bound for Duration {
    fn written(&self) -> String {
        let millis = self.as_millis();
        let (unit, scale) =
            SPANS.iter().rev().find(|(_, scale)| millis.is_multiple_of(u128::from(*scale))).unwrap_or(&("ms", 1));
        format!("{}{unit}", millis / u128::from(*scale))
    }
}

impl<T: Value> Value for Option<T> {
    const BARE: bool = T::BARE;
    const SECRET: bool = T::SECRET;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }

    fn show(text: &str) -> String {
        if text.is_empty() { String::new() } else { T::show(text) }
    }
}

impl Value for bool {
    const BARE: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("give true or false".to_owned()),
        }
    }
}

impl Value for usize {
    const BARE: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "give a whole number".to_owned())
    }
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Value for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("give a path".to_owned()) } else { Ok(Self::from(text)) }
    }
}

impl Value for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        let expanded = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        expanded
            .as_deref()
            .unwrap_or(text)
            .parse()
            .map_err(|_| "give an address and a port, as in 127.0.0.1:50051, 0.0.0.0:50051 or [::]:50051".to_owned())
    }
}

impl Value for SecretText {
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::new(text.to_owned()))
    }

    fn show(_: &str) -> String {
        "<hidden>".to_owned()
    }
}

/// Units of time, in milliseconds.
const SPANS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl Value for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        scaled(text, &SPANS)
            .map(Self::from_millis)
            .ok_or_else(|| "give a whole number with its unit (ms, s, m, h or d), as in 30s or 5m".to_owned())
    }
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub usize);

/// Units of size, in bytes.
const SIZES: [(&str, usize); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

impl Value for Bytes {
    fn parse(text: &str) -> Result<Self, String> {
        let units = SIZES.map(|(unit, scale)| (unit, scale as u64));
        let bytes = text.parse().ok().or_else(|| scaled(text, &units));
        bytes
            .and_then(|bytes: u64| usize::try_from(bytes).ok())
            .map(Self)
            .ok_or_else(|| "give a number of bytes, or a whole number with KiB, MiB or GiB, as in 4MiB".to_owned())
    }
}

/// Reads `<whole number><unit>`.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

impl Value for LogFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("give text or json".to_owned()),
        }
    }
}

/// Which log lines are wanted, as `tracing` writes it: `info`, or `info,modelward::health=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(pub String);

impl Value for LogFilter {
    fn parse(text: &str) -> Result<Self, String> {
        let valid = !text.is_empty() && EnvFilter::try_new(text).is_ok();
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err("give error, warn, info, debug, trace or a list such as info,modelward::health=debug".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_with_their_unit() {
        let parse = |text| <Duration as Value>::parse(text).ok();
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse("30s"), Some(Duration::from_secs(30)));
        assert_eq!(parse("5m"), Some(Duration::from_mins(5)));
        assert_eq!(parse("30d"), Some(Duration::from_hours(720)));
        for bad in ["", "30", "s", "-1s", "1.5s", "1 week", "99999999999999999999s", "999999999999999d"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_written_in_bytes_or_with_a_binary_unit() {
        let parse = |text| Bytes::parse(text).ok().map(|bytes| bytes.0);
        assert_eq!(parse("4MiB"), Some(4 << 20));
        assert_eq!(parse("4 MiB"), Some(4 << 20));
        assert_eq!(parse("65536"), Some(65_536));
        for bad in ["", "4MB", "4 mib", "-1", "1.5MiB", "99999999999GiB"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn bounds_are_named_in_the_unit_that_an_operator_would_use() {
        assert_eq!(Duration::from_secs(90).written(), "90s");
        assert_eq!(Duration::from_hours(48).written(), "2d");
        assert_eq!(Bytes(4 << 20).written(), "4MiB");
        assert_eq!(Bytes(1000).written(), "1000B");
        assert_eq!(between(1, 5)(&6), Err("give a value from 1 to 5".to_owned()));
    }

    #[test]
    fn a_filter_that_tracing_would_refuse_is_refused() {
        assert!(LogFilter::parse("info,modelward::health=debug").is_ok());
        assert!(LogFilter::parse("info,modelward=loud").is_err());
    }
}
