//! The rules of a debug build: read once at the start, followed at every point.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, raise};

use super::{POINTS, VARIABLE};

static RULES: OnceLock<Vec<Rule>> = OnceLock::new();

/// What happens at a point.
#[derive(Debug)]
struct Rule {
    point: String,
    action: Action,
    /// At this time only, counted from 1.
    only: Option<u64>,
    reached: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Kill,
    Stop,
    Panic,
    /// At most so many milliseconds.
    Delay(u64),
}

/// Takes the rules of this process; without a call there are none.
///
/// # Errors
/// What is wrong with them.
pub fn arm(rules: &str) -> Result<(), String> {
    RULES.set(parse(rules)?).map_err(|_| format!("{VARIABLE} is read once"))
}

/// The process is at `point`.
pub async fn reach(point: &'static str) {
    for pause in due(point) {
        tokio::time::sleep(pause).await;
    }
}

/// The same on a thread that may block.
pub fn reach_blocking(point: &'static str) {
    due(point).for_each(std::thread::sleep);
}

/// Does what the rules for the point say, but for the pauses.
fn due(point: &'static str) -> impl Iterator<Item = Duration> {
    debug_assert!(POINTS.contains(&point), "{point} is not listed");
    let rules = RULES.get().into_iter().flatten().filter(move |rule| rule.point == point);
    rules.filter(|rule| rule.is_due()).filter_map(|rule| match rule.action {
        Action::Kill => fall(point, Signal::SIGKILL),
        Action::Stop => fall(point, Signal::SIGSTOP),
        Action::Panic => explode(point),
        Action::Delay(most) => Some(Duration::from_millis(fastrand::u64(0..=most))),
    })
}

#[expect(clippy::panic, reason = "a test wants to see what becomes of a bug")]
fn explode(point: &str) -> ! {
    panic!("the fail point {point} is reached")
}

/// Raised for this thread, so that it does not run on while another one takes the signal.
fn fall(point: &str, signal: Signal) -> Option<Duration> {
    tracing::warn!(point, signal = signal.as_str(), "a fail point is reached");
    if let Err(error) = raise(signal) {
        tracing::error!(point, error = %error, "a fail point cannot raise its signal");
    }
    None
}

impl Rule {
    fn is_due(&self) -> bool {
        let time = self.reached.fetch_add(1, Ordering::Relaxed) + 1;
        self.only.is_none_or(|only| only == time)
    }
}

fn parse(rules: &str) -> Result<Vec<Rule>, String> {
    rules.split(';').filter(|rule| !rule.trim().is_empty()).map(|rule| parse_rule(rule.trim())).collect()
}

fn parse_rule(text: &str) -> Result<Rule, String> {
    let form = || format!("{VARIABLE} has a rule that is not <point>=<kill|stop|panic|delay(ms)>[@<n>]: {text}");
    let (point, what) = text.split_once('=').ok_or_else(form)?;
    if !POINTS.contains(&point) {
        return Err(format!("{VARIABLE} names an unknown point; there are {}: {point}", POINTS.join(", ")));
    }
    let (action, only) = match what.split_once('@') {
        Some((action, number)) => (action, Some(number.parse().ok().filter(|only| *only > 0).ok_or_else(form)?)),
        None => (what, None),
    };
    let delay = || action.strip_prefix("delay(")?.strip_suffix(')')?.parse().ok();
    let action = match action {
        "kill" => Action::Kill,
        "stop" => Action::Stop,
        "panic" => Action::Panic,
        _ => Action::Delay(delay().ok_or_else(form)?),
    };
    Ok(Rule { point: point.to_owned(), action, only, reached: AtomicU64::new(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_in_their_order() {
        let rules = parse("writer.locked=delay(20); rewrap.row=kill@3;writer.committed=stop;").unwrap();
        let read: Vec<_> = rules.iter().map(|rule| (rule.point.as_str(), rule.action, rule.only)).collect();
        let expected = [
            ("writer.locked", Action::Delay(20), None),
            ("rewrap.row", Action::Kill, Some(3)),
            ("writer.committed", Action::Stop, None),
        ];
        assert_eq!(read, expected);
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        assert!(parse("writer.lockd=kill").unwrap_err().contains("unknown point"));
        for broken in ["kill", "writer.locked", "writer.locked=explode", "writer.locked=delay(x)"] {
            assert!(parse(broken).unwrap_err().contains("a rule that is not"), "{broken}");
        }
        for broken in ["writer.locked=kill@0", "writer.locked=kill@x", "writer.locked=delay(1)x@2"] {
            assert!(parse(broken).unwrap_err().contains("a rule that is not"), "{broken}");
        }
    }

    #[test]
    fn a_rule_with_a_number_is_due_once() {
        let rules = parse("rewrap.row=kill@2;rewrap.row=kill").unwrap();
        let due: Vec<_> = (0..3).map(|_| rules.iter().map(Rule::is_due).collect::<Vec<_>>()).collect();
        assert_eq!(due, [[false, true], [true, true], [false, true]]);
    }
}
