//! What holds for every choice, whatever the configuration.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const HOSTS: [&str; 3] = ["a.example.com", "b.example.com", "c.example.com"];

const HEALTH: [HealthStatus; 4] =
    [HealthStatus::Unknown, HealthStatus::Healthy, HealthStatus::Degraded, HealthStatus::Unhealthy];

/// Provider, hosts, active, revoked, expires, readable, used of a quota of 2 (3: no quota).
type OfCredential = (u128, Vec<usize>, bool, bool, i64, bool, i64);

#[derive(Debug, Clone)]
struct Setup {
    /// Provider, host, priority, health, active.
    endpoints: Vec<(u128, usize, i32, u8, bool)>,
    credentials: Vec<OfCredential>,
    /// Provider, vendor's identifier, status, active.
    models: Vec<(u128, u8, u8, bool)>,
    keyless: bool,
    exclude: Vec<u128>,
}

fn setup() -> impl Strategy<Value = Setup> {
    let provider = || 1..4_u128;
    let often = || prop::bool::weighted(0.8);
    let endpoint = (provider(), 0..3_usize, 0..2, 0..4_u8, often());
    let hosts = prop::collection::vec(0..3_usize, 0..3);
    let credential = (provider(), hosts, often(), prop::bool::weighted(0.1), 900_000..1_300_000_i64, often(), 0..4_i64);
    let model = (provider(), 0..2_u8, 0..3_u8, often());
    (
        prop::collection::vec(endpoint, 0..8),
        prop::collection::vec(credential, 0..8),
        prop::collection::vec(model, 1..6),
        any::<bool>(),
        prop::collection::vec(0..8_u128, 0..3),
    )
        .prop_map(|(endpoints, credentials, models, keyless, exclude)| Setup {
            endpoints,
            credentials,
            models,
            keyless,
            exclude,
        })
}

fn world(setup: &Setup) -> World {
    let mut world = World::new();
    for number in 1..4 {
        let kind = if setup.keyless && number == 1 { ProviderKind::Ollama } else { ProviderKind::OpenAi };
        world.image.providers.push(Arc::new(Provider { kind, ..fixtures::provider(number) }));
    }
    for (number, (provider, host, priority, health, is_active)) in (0..).zip(&setup.endpoints) {
        let endpoint = Endpoint { priority: *priority, is_active: *is_active, ..fixtures::endpoint(number, *provider) };
        world.add_endpoint(at_host(endpoint, HOSTS[*host]));
        world.health(number, HEALTH[usize::from(*health)]);
    }
    for (number, (provider, hosts, is_active, revoked, end, readable, used)) in (1..).zip(&setup.credentials) {
        let quota = Quota { limit: 2, unit: QuotaUnit::Requests, period: QuotaPeriod::Total };
        let credential = Credential {
            is_active: *is_active,
            revoke_time: revoked.then_some(at(1)),
            expire_time: Some(at(*end)),
            quota: (*used < 3).then_some(quota),
            ..fixtures::credential(number, *provider)
        };
        let hosts: Vec<_> = hosts.iter().map(|host| HOSTS[*host]).collect();
        world.add_credential(only_to(credential, &hosts));
        if !readable {
            world.image.sealed.last_mut().unwrap().master_key_id = "lost".into();
        }
        world.used(number, *used, i64::try_from(number).unwrap());
    }
    for (number, (provider, name, status, is_active)) in (0..).zip(&setup.models) {
        let status = [ModelStatus::Available, ModelStatus::Deprecated, ModelStatus::Maintenance][usize::from(*status)];
        let base = fixtures::model(number, *provider);
        world.add_model(Model { model_id: format!("{name}-{number}"), status, is_active: *is_active, ..base });
    }
    world.exclude = setup.exclude.iter().copied().map(id).collect();
    world
}

/// What may never be answered, told from the configuration alone.
fn check(world: &World, found: &[Found]) {
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len(), "nothing twice: {found:?}");
    for (model, endpoint, credential) in found {
        let model = world.image.models.iter().find(|found| found.id == id(*model)).unwrap();
        let endpoint = world.image.endpoints.iter().find(|found| found.id == id(*endpoint)).unwrap();
        assert!(model.is_active && model.status != ModelStatus::Maintenance);
        assert_eq!(model.provider_id, endpoint.provider_id);
        assert!(endpoint.is_active && !world.exclude.contains(&endpoint.id));
        assert_ne!(world.board.load().health_status(endpoint.id), HealthStatus::Unhealthy);
        let of_provider = |credential: &&Arc<Credential>| credential.provider_id == model.provider_id;
        let credentials: Vec<_> = world.image.credentials.iter().filter(of_provider).collect();
        let Some(credential) = credentials.iter().find(|found| found.id == id(*credential)) else {
            let provider = world.image.providers.iter().find(|found| found.id == model.provider_id).unwrap();
            assert!(!provider.kind.requires_credential());
            assert!(credentials.iter().all(|credential| !credential.is_usable(NOW)), "a key that is there is used");
            continue;
        };
        assert!(credential.is_active && credential.revoke_time.is_none());
        assert!(credential.expire_time.is_some_and(|end| end > NOW));
        assert!(credential.allowed_hosts.allow(endpoint.base_url.host()), "a host that it may not be sent to");
        let used = world.board.load().credential_usage(credential.id).map_or(0, |usage| usage.total_requests);
        assert!(credential.quota.is_none_or(|quota| used < quota.limit), "it has quota left");
        let sealed = world.image.sealed.iter().find(|sealed| sealed.credential_id == credential.id).unwrap();
        assert_eq!(sealed.master_key_id, "k1");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_choice_is_one_that_must_not_be_made(setup in setup(), max_fallbacks in 0..6_usize) {
        let world = world(&setup);
        for selector in [needs(&[]), by_id(0), by_id(1), by_id(2)] {
            match world.ask(&selector, max_fallbacks) {
                Ok(found) => {
                    prop_assert!((1..=max_fallbacks + 1).contains(&found.len()));
                    check(&world, &found);
                }
                Err(error) => prop_assert_ne!(error.reason(), "INTERNAL"),
            }
        }
    }
}

#[test]
#[should_panic(expected = "a host that it may not be sent to")]
fn the_check_finds_a_credential_at_a_host_that_is_not_its_own() {
    let mut world = World::new();
    world.account(1);
    let found = world.ask(&by_id(1), 0).unwrap();
    world.image.credentials[0] = Arc::new(only_to(fixtures::credential(1, 1), &["other.example.com"]));
    // The expiry is part of the check, too.
    let credential = Credential { expire_time: Some(at(2_000_000)), ..Credential::clone(&world.image.credentials[0]) };
    world.image.credentials[0] = Arc::new(credential);
    check(&world, &found);
}
