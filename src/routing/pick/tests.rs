use std::collections::BTreeMap;

use super::*;
use crate::domain::health::{EndpointHealth, HealthStatus};
use crate::domain::provider::Provider;
use crate::snapshot::StatusBoard;
use crate::snapshot::fixtures::{self, at, id};

struct Fixture {
    snapshot: Snapshot,
    board: StatusBoard,
    picker: Picker,
}

/// A provider 1 with endpoints 1, 2, … of these (priority, weight).
fn fixture(endpoints: &[(i32, i32)]) -> Fixture {
    let endpoints = (1..).zip(endpoints);
    let endpoints = endpoints.map(|(number, (priority, weight))| Endpoint {
        priority: *priority,
        weight: *weight,
        ..fixtures::endpoint(number, 1)
    });
    Fixture { snapshot: snapshot(endpoints), board: StatusBoard::default(), picker: Picker::default() }
}

fn snapshot(endpoints: impl IntoIterator<Item = Endpoint>) -> Snapshot {
    let mut image = fixtures::image();
    image.providers.push(Arc::new(fixtures::provider(1)));
    image.endpoints = endpoints.into_iter().map(Arc::new).collect();
    Snapshot::from_image(image)
}

impl Fixture {
    fn set(&self, number: u128, status: HealthStatus) {
        self.board.set_local(id(number), EndpointHealth { status, ..EndpointHealth::default() });
    }

    fn try_pick(&self, exclude: &[u128]) -> Result<u128> {
        let exclude: Vec<_> = exclude.iter().copied().map(id).collect();
        let picked = pick(&self.snapshot, &self.board.load(), &self.picker, id(1), &exclude)?;
        Ok(picked.value().id.uuid().as_u128())
    }

    fn picks(&self, count: usize, exclude: &[u128]) -> Vec<u128> {
        (0..count).map(|_| self.try_pick(exclude).unwrap()).collect()
    }

    fn counts(&self, count: usize, exclude: &[u128]) -> BTreeMap<u128, usize> {
        self.picks(count, exclude).into_iter().fold(BTreeMap::new(), |mut counts, number| {
            *counts.entry(number).or_default() += 1;
            counts
        })
    }
}

#[test]
fn picks_follow_the_smooth_schedule() {
    let fixture = fixture(&[(0, 5), (0, 1), (0, 1)]);
    assert_eq!(fixture.picks(14, &[]), [1, 1, 2, 1, 3, 1, 1, 1, 1, 2, 1, 3, 1, 1]);
}

#[test]
fn the_lowest_tier_that_can_serves() {
    let fixture = fixture(&[(0, 1), (0, 1), (1, 1), (2, 1)]);
    assert_eq!(fixture.picks(4, &[]), [1, 2, 1, 2]);
    fixture.set(1, HealthStatus::Unhealthy);
    assert_eq!(fixture.picks(2, &[]), [2, 2]);
    fixture.set(2, HealthStatus::Unhealthy);
    assert_eq!(fixture.picks(2, &[]), [3, 3]);
    assert_eq!(fixture.picks(2, &[3]), [4, 4]);
    fixture.set(2, HealthStatus::Healthy);
    assert_eq!(fixture.picks(2, &[]), [2, 2], "health that changes is felt by the next pick");
}

#[test]
fn the_unknown_share_with_the_healthy_and_the_degraded_serve_only_alone() {
    let fixture = fixture(&[(0, 1), (0, 1), (0, 8)]);
    fixture.set(1, HealthStatus::Healthy);
    fixture.set(3, HealthStatus::Degraded);
    assert_eq!(fixture.picks(4, &[]), [1, 2, 1, 2]);
    assert_eq!(fixture.picks(2, &[1, 2]), [3, 3]);
    fixture.set(1, HealthStatus::Degraded);
    fixture.set(2, HealthStatus::Unhealthy);
    assert_eq!(fixture.counts(18, &[]), BTreeMap::from([(1, 2), (3, 16)]));
}

#[test]
fn a_degraded_endpoint_of_the_lowest_tier_comes_before_a_healthy_one_of_the_next() {
    let fixture = fixture(&[(0, 1), (1, 1)]);
    fixture.set(1, HealthStatus::Degraded);
    fixture.set(2, HealthStatus::Healthy);
    assert_eq!(fixture.picks(2, &[]), [1, 1]);
}

#[test]
fn every_way_of_having_no_endpoint_has_its_error() {
    let mut fixture = fixture(&[(0, 1), (1, 1)]);
    assert!(matches!(fixture.try_pick(&[1, 2]), Err(Error::NoHealthyEndpoint { .. })));
    fixture.set(1, HealthStatus::Unhealthy);
    assert!(matches!(fixture.try_pick(&[2]), Err(Error::NoHealthyEndpoint { .. })));
    fixture.set(2, HealthStatus::Unhealthy);
    assert!(matches!(fixture.try_pick(&[]), Err(Error::NoHealthyEndpoint { .. })));
    fixture.snapshot = snapshot([Endpoint { is_active: false, ..fixtures::endpoint(1, 1) }]);
    assert!(matches!(fixture.try_pick(&[]), Err(Error::NoEndpoint { .. })));

    let with = |provider: Provider| {
        let mut image = fixtures::image();
        image.providers.push(Arc::new(provider));
        Snapshot::from_image(image)
    };
    fixture.snapshot = with(Provider { is_active: false, ..fixtures::provider(1) });
    assert!(matches!(fixture.try_pick(&[]), Err(Error::ProviderDisabled { .. })));
    fixture.snapshot = with(Provider { delete_time: Some(at(1)), ..fixtures::provider(1) });
    assert!(matches!(fixture.try_pick(&[]), Err(Error::NotFound { .. })));
}

#[test]
fn excluded_endpoints_are_passed_over_and_the_others_keep_their_shares() {
    let fixture = fixture(&[(0, 5), (0, 2), (0, 1)]);
    assert_eq!(fixture.counts(30, &[1]), BTreeMap::from([(2, 20), (3, 10)]));
    assert_eq!(fixture.counts(80, &[]), BTreeMap::from([(1, 50), (2, 20), (3, 10)]));
}

#[test]
fn the_place_survives_a_change_of_the_set_and_of_the_tier() {
    let mut fixture = fixture(&[(0, 1), (0, 1), (1, 1)]);
    assert_eq!(fixture.picks(1, &[]), [1]);
    assert_eq!(fixture.picks(1, &[1, 2]), [3], "another tier has a place of its own");
    assert_eq!(fixture.picks(1, &[]), [2]);
    fixture.snapshot = snapshot((1..=4).map(|number| fixtures::endpoint(number, 1)));
    assert_eq!(fixture.picks(8, &[]), [3, 4, 1, 2, 3, 4, 1, 2]);
    fixture.snapshot = snapshot([Endpoint { weight: 3, ..fixtures::endpoint(1, 1) }, fixtures::endpoint(2, 1)]);
    assert_eq!(fixture.counts(40, &[]), BTreeMap::from([(1, 30), (2, 10)]));
}

#[test]
fn many_threads_together_meet_the_weights() {
    let fixture = fixture(&[(0, 3), (0, 1)]);
    let counts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| fixture.counts(1000, &[]))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let total = |number| counts.iter().filter_map(|counts| counts.get(&number)).sum::<usize>();
    assert_eq!((total(1), total(2)), (3000, 1000));
}

#[test]
fn lanes_of_providers_that_are_gone_do_not_gather() {
    let picker = Picker::default();
    for number in 1..200 {
        let mut image = fixtures::image();
        image.providers.push(Arc::new(fixtures::provider(number)));
        image.endpoints.push(Arc::new(fixtures::endpoint(number, number)));
        let snapshot = Snapshot::from_image(image);
        pick(&snapshot, &Board::default(), &picker, id(number), &[]).unwrap();
    }
    assert!(picker.lanes.load().len() < 9, "{}", picker.lanes.load().len());
}
