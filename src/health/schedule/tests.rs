use super::*;
use crate::domain::endpoint::{BaseUrl, Endpoint};
use crate::snapshot::fixtures::{endpoint, id, provider};

const INTERVAL: Duration = Duration::from_secs(30);

fn target(number: u128) -> Target {
    edited(number, |_| {})
}

fn edited(number: u128, edit: impl FnOnce(&mut Endpoint)) -> Target {
    let mut endpoint = endpoint(number, 1);
    edit(&mut endpoint);
    Target { provider: Arc::new(provider(1)), endpoint: Arc::new(endpoint) }
}

fn elsewhere(number: u128) -> Target {
    edited(number, |endpoint| endpoint.base_url = BaseUrl::parse("https://other.example.com").unwrap())
}

fn unknown(_: EndpointId) -> Option<Known> {
    None
}

#[expect(clippy::unnecessary_wraps, reason = "has the form that the schedule asks for")]
fn answering(_: EndpointId) -> Option<Known> {
    Some(Known { age: INTERVAL, prompt: true })
}

#[expect(clippy::unnecessary_wraps, reason = "has the form that the schedule asks for")]
fn hanging(_: EndpointId) -> Option<Known> {
    Some(Known { age: INTERVAL, prompt: false })
}

/// Everything that can be launched at `now`.
fn launch(schedule: &mut Schedule, now: Instant) -> Vec<Target> {
    schedule.advance(now);
    std::iter::from_fn(|| schedule.launch(now)).collect()
}

fn follow(schedule: &mut Schedule, numbers: impl Iterator<Item = u128>, now: Instant) {
    schedule.follow(numbers.map(target), unknown, now);
}

#[test]
fn first_probes_are_spread_so_that_a_start_is_no_storm() {
    let now = Instant::now();
    let mut schedule = Schedule::new(10_000, true);
    follow(&mut schedule, 1..=1000, now);
    let early = launch(&mut schedule, now + SPREAD / 2).len();
    let late = launch(&mut schedule, now + SPREAD).len();
    assert!((300..700).contains(&early), "{early} of 1000 in the first half");
    assert_eq!(early + late, 1000);
}

#[test]
fn a_new_holder_goes_on_where_the_old_one_stopped() {
    let now = Instant::now();
    let mut schedule = Schedule::new(10, true);
    schedule.follow([target(1)].into_iter(), |_| Some(Known { age: INTERVAL / 3, prompt: true }), now);
    assert_eq!(schedule.next_due(), Some(now + INTERVAL - INTERVAL / 3));
}

#[test]
fn an_endpoint_is_probed_once_per_interval_however_long_a_probe_takes() {
    let mut now = Instant::now();
    let mut schedule = Schedule::new(10, false);
    follow(&mut schedule, 1..=1, now);
    for took in [Duration::ZERO, Duration::from_secs(9), INTERVAL * 2] {
        let launched = launch(&mut schedule, now);
        assert_eq!(launched.len(), 1);
        assert!(schedule.land(&launched[0], true, now + took));
        assert_eq!(schedule.next_due(), Some(now + INTERVAL.max(took)));
        assert!(
            launch(&mut schedule, (now + INTERVAL.max(took)).checked_sub(Duration::from_millis(1)).unwrap()).is_empty()
        );
        now += INTERVAL.max(took);
    }
}

#[test]
fn no_more_than_the_slots_are_in_flight_and_landing_frees_one() {
    let now = Instant::now();
    let mut schedule = Schedule::new(4, false);
    schedule.follow((1..=50).map(target), answering, now);
    let launched = launch(&mut schedule, now);
    assert_eq!((launched.len(), schedule.in_flight()), (4, 4));
    schedule.land(&launched[0], true, now);
    assert_eq!(launch(&mut schedule, now).len(), 1);
    assert!(launch(&mut schedule, now + INTERVAL).is_empty());
}

#[test]
fn endpoints_that_hang_leave_room_for_those_that_answer() {
    let now = Instant::now();
    let mut schedule = Schedule::new(64, false);
    let known = |id: EndpointId| if id.uuid().as_u128() <= 5000 { hanging(id) } else { answering(id) };
    schedule.follow((1..=5010).map(target), known, now);
    let launched = launch(&mut schedule, now);
    let good = launched.iter().filter(|target| target.endpoint.id > id(5000)).count();
    assert_eq!((good, launched.len()), (10, 58));
}

#[test]
fn an_endpoint_without_an_answer_is_one_that_hangs_and_the_newest_unknown_one_comes_first() {
    let now = Instant::now();
    let mut schedule = Schedule::new(1, false);
    schedule.follow([target(1)].into_iter(), answering, now);
    let launched = launch(&mut schedule, now);
    schedule.land(&launched[0], false, now);
    schedule.follow((1..=3).map(target), unknown, now);
    let order: Vec<_> = (0..3)
        .map(|_| {
            let launched = launch(&mut schedule, now + INTERVAL);
            schedule.land(&launched[0], true, now + INTERVAL);
            launched[0].endpoint.id
        })
        .collect();
    assert_eq!(order, [id(3), id(2), id(1)]);
}

#[test]
fn endpoints_that_answer_leave_room_for_new_ones() {
    let now = Instant::now();
    let mut schedule = Schedule::new(64, false);
    let known = |id: EndpointId| if id.uuid().as_u128() <= 5000 { answering(id) } else { None };
    schedule.follow((1..=5010).map(target), known, now);
    let new = launch(&mut schedule, now).iter().filter(|target| target.endpoint.id > id(5000)).count();
    assert_eq!(new, 10);
}

#[test]
fn one_slot_serves_everybody() {
    let now = Instant::now();
    let mut schedule = Schedule::new(1, false);
    let known = |id: EndpointId| if id.uuid().as_u128() == 1 { answering(id) } else { None };
    schedule.follow((1..=2).map(target), known, now);
    for expected in [1, 2] {
        let launched = launch(&mut schedule, now);
        assert_eq!(launched.iter().map(|target| target.endpoint.id).collect::<Vec<_>>(), [id(expected)]);
        schedule.land(&launched[0], true, now);
    }
}

#[test]
fn what_is_forgotten_is_not_probed_whether_it_waits_or_is_ready() {
    let now = Instant::now();
    let mut schedule = Schedule::new(1, false);
    follow(&mut schedule, 1..=2, now);
    let launched = launch(&mut schedule, now);
    follow(&mut schedule, [launched[0].endpoint.id.uuid().as_u128()].into_iter(), now);
    schedule.land(&launched[0], true, now);
    assert!(launch(&mut schedule, now).is_empty(), "it was ready");
    follow(&mut schedule, std::iter::empty(), now);
    assert!(launch(&mut schedule, now + INTERVAL).is_empty(), "it waited");
    assert_eq!(schedule.next_due(), None);
}

#[test]
fn an_endpoint_that_comes_back_while_in_flight_is_not_probed_twice_at_a_time() {
    let now = Instant::now();
    let mut schedule = Schedule::new(8, false);
    follow(&mut schedule, 1..=1, now);
    let launched = launch(&mut schedule, now);
    follow(&mut schedule, std::iter::empty(), now);
    follow(&mut schedule, 1..=1, now);
    assert!(launch(&mut schedule, now + INTERVAL).is_empty());
    assert!(schedule.land(&launched[0], true, now + INTERVAL));
    assert_eq!(launch(&mut schedule, now + INTERVAL).len(), 1);
}

#[test]
fn a_result_counts_for_nothing_once_the_endpoint_is_forgotten() {
    let now = Instant::now();
    let mut schedule = Schedule::new(8, false);
    follow(&mut schedule, 1..=1, now);
    let launched = launch(&mut schedule, now);
    follow(&mut schedule, std::iter::empty(), now);
    assert!(!schedule.land(&launched[0], true, now));
    assert_eq!((schedule.in_flight(), schedule.next_due()), (0, None));
}

#[test]
fn an_endpoint_that_moved_is_probed_at_once_and_the_old_result_dropped() {
    let now = Instant::now();
    let mut schedule = Schedule::new(8, false);
    follow(&mut schedule, 1..=1, now);
    let launched = launch(&mut schedule, now);
    schedule.follow([elsewhere(1)].into_iter(), unknown, now);
    assert!(!schedule.land(&launched[0], true, now));
    let again = launch(&mut schedule, now);
    assert_eq!(again[0].endpoint.base_url.as_str(), "https://other.example.com");
    assert!(schedule.land(&again[0], true, now));
    schedule.follow([target(1)].into_iter(), unknown, now);
    assert_eq!(launch(&mut schedule, now).len(), 1, "it moved back while it waited");
}

#[test]
fn a_shorter_interval_is_felt_at_once_and_other_edits_change_nothing() {
    let now = Instant::now();
    let mut schedule = Schedule::new(8, false);
    follow(&mut schedule, 1..=1, now);
    let launched = launch(&mut schedule, now);
    schedule.land(&launched[0], true, now);
    schedule.follow([edited(1, |endpoint| endpoint.weight = 9)].into_iter(), unknown, now);
    assert_eq!(schedule.next_due(), Some(now + INTERVAL));
    let second = Duration::from_secs(1);
    schedule.follow([edited(1, |endpoint| endpoint.health_check.interval = second)].into_iter(), unknown, now);
    assert_eq!(schedule.next_due(), Some(now + second));
}
