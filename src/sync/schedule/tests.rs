use super::*;
use crate::snapshot::fixtures::id;

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_000_000 + seconds) * 1_000_000)
}

fn wanted(number: u128, interval: Duration, last: Option<Last>) -> Wanted {
    Wanted { id: id(number), policy: SyncPolicy { enabled: true, interval }, last }
}

fn succeeded(seconds: i64) -> Last {
    Last { time: at(seconds), failed: false }
}

fn failed(seconds: i64) -> Last {
    Last { time: at(seconds), failed: true }
}

/// When a provider that is first seen at 0 is due, in seconds from then.
fn due_of(interval: Duration, last: Option<Last>) -> f64 {
    due(id(7), SyncPolicy { enabled: true, interval }, last, at(0)).since(at(0)).as_secs_f64()
}

#[test]
fn turns_come_an_interval_after_the_last_one_and_little_later() {
    for (interval, last, from, to) in [
        (HOUR, None, 0.0, 2.0),
        (HOUR, Some(succeeded(-600)), 3000.0, 3180.0),
        // Overdue: soon after it is first seen.
        (HOUR, Some(succeeded(-7200)), 0.0, 2.0),
        // After a failure the interval, or five minutes.
        (HOUR, Some(failed(0)), 300.0, 315.0),
        (2 * MINUTE, Some(failed(0)), 120.0, 126.0),
        (MINUTE, Some(failed(0)), 60.0, 63.0),
        // Never tighter than a minute, whatever is stored.
        (Duration::from_secs(1), Some(succeeded(0)), 60.0, 63.0),
        (Duration::ZERO, Some(failed(0)), 60.0, 63.0),
    ] {
        let due = due_of(interval, last);
        assert!((from..=to).contains(&due), "{interval:?} {last:?}: {due}");
    }
}

#[test]
fn the_jitter_is_the_same_for_the_same_turn_and_spread_over_providers_and_turns() {
    assert!((due_of(HOUR, Some(succeeded(0))) - due_of(HOUR, Some(succeeded(0)))).abs() < f64::EPSILON);
    let providers: Vec<_> = (0..1000).map(|number| fraction(id(number), 0)).collect();
    let turns: Vec<_> = (0..1000).map(|turn| fraction(id(1), turn * 60_000_000)).collect();
    for fractions in [providers, turns] {
        assert!(fractions.iter().all(|fraction| (0.0..=1.0).contains(fraction)));
        for decile in 0..10 {
            let (from, to) = (f64::from(decile) / 10.0, f64::from(decile + 1) / 10.0);
            let within = fractions.iter().filter(|fraction| (from..to).contains(*fraction)).count();
            assert!((50..200).contains(&within), "{within} of 1000 from {from} to {to}");
        }
    }
}

#[test]
fn one_turn_at_a_time_and_no_more_than_the_slots() {
    let mut schedule = Schedule::new(2);
    let all = || (1..=5).map(|number| wanted(number, HOUR, None));
    assert!(schedule.follow(all(), at(0)).is_empty());
    let later = at(10);
    let first = [schedule.launch(later).unwrap(), schedule.launch(later).unwrap()];
    assert_ne!(first[0], first[1]);
    assert_eq!(schedule.launch(later), None, "no slot is free");
    assert_eq!(schedule.next_due(later), None, "a slot is waited for");
    schedule.follow(all(), later);
    assert_eq!(schedule.launch(later), None, "looking again frees none");
    schedule.land(first[0], later);
    let third = schedule.launch(later).unwrap();
    assert!(!first.contains(&third), "the others come first");
    assert_eq!(schedule.next_due(later), Some(later.after(SHORTEST)), "whatever the status tells");
}

#[test]
fn those_that_failed_leave_half_of_the_slots() {
    let mut schedule = Schedule::new(4);
    let failing = (1..=8).map(|number| wanted(number, HOUR, Some(failed(-4000))));
    schedule.follow(failing.chain([wanted(9, HOUR, Some(succeeded(-3600)))]), at(0));
    let launched: Vec<_> = std::iter::from_fn(|| schedule.launch(at(200))).collect();
    assert_eq!(launched.len(), 3, "two that failed and the one that did not");
    assert!(launched.contains(&id(9)));
}

#[test]
fn what_is_not_wanted_any_more_is_cut_off_and_a_new_policy_counts_at_once() {
    let mut schedule = Schedule::new(4);
    schedule.follow([wanted(1, HOUR, None), wanted(2, HOUR, Some(succeeded(0)))].into_iter(), at(0));
    assert_eq!(schedule.launch(at(10)), Some(id(1)));
    assert_eq!(schedule.follow([wanted(2, HOUR, Some(succeeded(0)))].into_iter(), at(10)), [id(1)]);
    assert!(schedule.next_due(at(10)).unwrap() >= at(3600));
    assert!(schedule.follow([wanted(2, 2 * MINUTE, Some(succeeded(0)))].into_iter(), at(200)).is_empty());
    assert_eq!(schedule.launch(at(200)), Some(id(2)));
}

#[test]
fn a_time_that_is_still_to_come_stops_nothing() {
    let mut schedule = Schedule::new(1);
    let ahead = || [wanted(1, HOUR, Some(succeeded(1_000_000)))].into_iter();
    schedule.follow(ahead(), at(0));
    assert_eq!(schedule.launch(at(10)), Some(id(1)));
    schedule.land(id(1), at(11));
    schedule.follow(ahead(), at(12));
    assert_eq!(schedule.launch(at(70)), None, "a status that cannot be written is no reason for a storm");
    assert_eq!(schedule.launch(at(71)), Some(id(1)));
}
