use super::*;
use crate::domain::credential::{AllowedHosts, Credential, Quota, QuotaPeriod, QuotaUnit};
use crate::domain::endpoint::{BaseUrl, Endpoint, Host};
use crate::domain::health::{EndpointHealth, HealthStatus};
use crate::domain::id::EndpointId;
use crate::domain::image::{Image, StatusBatch, StatusRevision, StatusValue};
use crate::domain::model::requirement::Requirement;
use crate::domain::model::{Capability, ModelStatus, ModelType};
use crate::domain::provider::{Provider, ProviderKind};
use crate::domain::time::Timestamp;
use crate::domain::usage::{CredentialUsage, DailyUses, Uses};
use crate::routing::Router;
use crate::snapshot::fixtures::{self, at, id};
use crate::snapshot::{Snapshot, StatusBoard, UsesOf};

mod choice;

const NOW: Timestamp = Timestamp::from_micros(1_000_000);

/// A configuration to ask.
struct World {
    image: Image,
    board: StatusBoard,
    router: Router,
    exclude: Vec<EndpointId>,
    now: Timestamp,
}

/// (model, endpoint, credential), 0 for none.
type Found = (u128, u128, u128);

impl World {
    fn new() -> Self {
        let (image, board) = (fixtures::image(), StatusBoard::default());
        Self { image, board, router: Router::default(), exclude: Vec::new(), now: NOW }
    }

    /// Provider `number` with the model, the endpoint and the credential of the same number.
    fn account(&mut self, number: u128) {
        self.image.providers.push(Arc::new(fixtures::provider(number)));
        self.add_model(fixtures::model(number, number));
        self.add_endpoint(fixtures::endpoint(number, number));
        self.add_credential(fixtures::credential(number, number));
    }

    fn add_model(&mut self, model: Model) {
        self.image.models.push(Arc::new(model));
    }

    fn add_endpoint(&mut self, endpoint: Endpoint) {
        self.image.endpoints.push(Arc::new(endpoint));
    }

    fn add_credential(&mut self, credential: Credential) {
        self.image.sealed.push(fixtures::sealed(credential.id.uuid().as_u128(), 1));
        self.image.credentials.push(Arc::new(credential));
    }

    fn health(&self, endpoint: u128, status: HealthStatus) {
        self.board.set_local(id(endpoint), EndpointHealth { status, ..EndpointHealth::default() });
    }

    fn used(&self, credential: u128, requests: i64, last: i64) {
        let usage =
            CredentialUsage { total_requests: requests, last_use_time: Some(at(last)), ..CredentialUsage::default() };
        let values = vec![StatusValue::CredentialUsage(id(credential), usage)];
        self.board.apply(&StatusBatch { revision: StatusRevision(1), values });
    }

    fn ask(&self, selector: &Selector, max_fallbacks: usize) -> Result<Vec<Found>> {
        let snapshot = Snapshot::from_image(self.image.clone());
        let scene = Scene {
            snapshot: &snapshot,
            board: &self.board.load(),
            router: &self.router,
            now: self.now,
            exclude: &self.exclude,
            readable: &|credential| {
                let sealed = snapshot.sealed(credential.id, credential.secret_version);
                sealed.is_some_and(|sealed| sealed.master_key_id == "k1")
            },
        };
        let found = resolve(scene, Wanted { selector, max_fallbacks })?;
        Ok(found.iter().map(numbers).collect())
    }

    fn reason(&self, selector: &Selector) -> &'static str {
        self.ask(selector, 0).unwrap_err().reason()
    }
}

fn numbers(target: &Target<'_>) -> Found {
    let model = target.model.map_or(0, |model| model.id.uuid().as_u128());
    let credential = target.credential.map_or(0, |credential| credential.id.uuid().as_u128());
    (model, target.endpoint.id.uuid().as_u128(), credential)
}

fn by_id(number: u128) -> Selector {
    Selector::Id(id(number))
}

fn named(name: &str) -> Selector {
    Selector::Name(name.into())
}

fn needs(capabilities: &[Capability]) -> Selector {
    Selector::Requirement(Requirement { capabilities: capabilities.to_vec(), ..Requirement::default() })
}

fn at_host(endpoint: Endpoint, host: &str) -> Endpoint {
    Endpoint { base_url: BaseUrl::parse(&format!("https://{host}/v1")).unwrap(), ..endpoint }
}

fn only_to(credential: Credential, hosts: &[&str]) -> Credential {
    let hosts = hosts.iter().map(|host| Host::parse(host).unwrap());
    Credential { allowed_hosts: AllowedHosts::new(hosts, true), ..credential }
}

#[test]
fn every_selector_finds_what_it_means() {
    let mut world = World::new();
    world.account(1);
    world.account(2);
    world.add_model(Model { model_id: "meta/llama/3".into(), ..fixtures::model(3, 2) });
    world.add_model(Model { model_id: "llama/3".into(), ..fixtures::model(4, 1) });
    world.add_model(Model { model_id: "provider 2/x".into(), ..fixtures::model(5, 1) });
    world.add_model(Model { is_default: true, ..fixtures::model(6, 1) });
    world.add_model(Model {
        is_default: true,
        model_type: ModelType::Embedding,
        capabilities: [(Capability::Embedding, 3)].into(),
        ..fixtures::model(7, 2)
    });
    let embedding = Requirement { model_type: Some(ModelType::Embedding), ..Requirement::default() };
    for (selector, expected) in [
        (by_id(2), (2, 2, 2)),
        (named("model-1"), (1, 1, 1)),
        (named("Provider 2/model-2"), (2, 2, 2)),
        (named("PROVIDER 2/model-2"), (2, 2, 2)),
        (named("meta/llama/3"), (3, 2, 2)),
        (named("provider 2/meta/llama/3"), (3, 2, 2)),
        (named("llama/3"), (4, 1, 1)),
        // The exact identifier comes before the split.
        (named("provider 2/x"), (5, 1, 1)),
        (Selector::Default(ModelType::Chat), (6, 1, 1)),
        (Selector::Default(ModelType::Embedding), (7, 2, 2)),
        (needs(&[Capability::Embedding]), (7, 2, 2)),
        (Selector::Requirement(embedding), (7, 2, 2)),
    ] {
        assert_eq!(world.ask(&selector, 0).unwrap(), [expected], "{selector:?}");
    }
    for selector in [
        by_id(99),
        named("model-9"),
        named("provider 1/model-2"),
        named("nobody/model-1"),
        needs(&[Capability::Audio]),
        Selector::Default(ModelType::Audio),
    ] {
        assert_eq!(world.reason(&selector), "NOT_FOUND", "{selector:?}");
    }
    world.image.providers[1] = Arc::new(Provider { delete_time: Some(at(1)), ..fixtures::provider(2) });
    for selector in [by_id(2), named("model-2"), named("provider 2/model-2"), Selector::Default(ModelType::Embedding)] {
        assert_eq!(world.reason(&selector), "NOT_FOUND", "{selector:?}");
    }
}

type Change = Box<dyn Fn(&mut World)>;

/// What is in the way, and what is told about it.
#[test]
fn what_is_in_the_way_is_told() {
    let quota = Some(Quota { limit: 3, unit: QuotaUnit::Requests, period: QuotaPeriod::Total });
    let provider = |change: fn(Provider) -> Provider| {
        move |world: &mut World| {
            world.image.providers[0] = Arc::new(change(fixtures::provider(1)));
        }
    };
    let model = |change: fn(Model) -> Model| {
        move |world: &mut World| {
            world.image.models[0] = Arc::new(change(fixtures::model(1, 1)));
        }
    };
    let credential = |change: fn(Credential) -> Credential| {
        move |world: &mut World| {
            world.image.credentials[0] = Arc::new(change(fixtures::credential(1, 1)));
        }
    };
    let table: Vec<(&str, Change)> = vec![
        ("PROVIDER_DISABLED", Box::new(provider(|p| Provider { is_active: false, ..p }))),
        ("MODEL_UNAVAILABLE", Box::new(model(|m| Model { is_active: false, ..m }))),
        ("MODEL_UNAVAILABLE", Box::new(model(|m| Model { status: ModelStatus::Maintenance, ..m }))),
        ("MODEL_UNAVAILABLE", Box::new(credential(|c| Credential { is_active: false, ..c }))),
        ("MODEL_UNAVAILABLE", Box::new(credential(|c| Credential { revoke_time: Some(at(1)), ..c }))),
        ("MODEL_UNAVAILABLE", Box::new(credential(|c| Credential { expire_time: Some(NOW), ..c }))),
        ("MODEL_UNAVAILABLE", Box::new(|world: &mut World| drop(world.image.credentials.remove(0)))),
        ("HOST_NOT_ALLOWED", Box::new(credential(|c| only_to(c, &["elsewhere.example.com"])))),
        ("SECRET_UNREADABLE", Box::new(|world: &mut World| world.image.sealed[0].master_key_id = "lost".into())),
        (
            "NO_ENDPOINT",
            Box::new(|world: &mut World| {
                world.image.endpoints[0] = Arc::new(Endpoint { is_active: false, ..fixtures::endpoint(1, 1) });
            }),
        ),
        ("NO_HEALTHY_ENDPOINT", Box::new(|world: &mut World| world.health(1, HealthStatus::Unhealthy))),
        ("NO_HEALTHY_ENDPOINT", Box::new(|world: &mut World| world.exclude = vec![id(9), id(1)])),
        (
            "QUOTA_EXHAUSTED",
            Box::new(move |world: &mut World| {
                world.image.credentials[0] = Arc::new(Credential { quota, ..fixtures::credential(1, 1) });
                world.used(1, 3, 1);
            }),
        ),
    ];
    for (place, (reason, change)) in table.iter().enumerate() {
        let mut world = World::new();
        world.account(1);
        world.account(2);
        world.image.models[0] = Arc::new(fixtures::model(1, 1));
        change(&mut world);
        assert_eq!(world.reason(&by_id(1)), *reason, "row {place}");
        assert_eq!(world.reason(&named("model-1")), *reason, "row {place}");
        // Whatever stops one provider, the other goes on.
        assert_eq!(world.ask(&needs(&[]), 5).unwrap(), [(2, 2, 2)], "row {place}");
    }
}

#[test]
fn details_say_which_host_and_which_credential() {
    let mut world = World::new();
    world.account(1);
    world.image.credentials[0] = Arc::new(only_to(fixtures::credential(1, 1), &["other.example.com"]));
    let error = world.ask(&by_id(1), 0).unwrap_err();
    let expected = Error::HostNotAllowed { host: fixtures::HOST.into(), credential_id: id::<Credential>(1).uuid() };
    assert_eq!(error, expected);
    world.image.credentials.clear();
    let Error::ModelUnavailable { model_id, cause } = world.ask(&by_id(1), 0).unwrap_err() else { panic!() };
    assert_eq!(model_id, Some(id::<Model>(1).uuid()));
    assert_eq!(cause, "the provider has no usable credential");
}

#[test]
fn of_several_reasons_the_one_nearest_to_success_is_told() {
    let mut world = World::new();
    world.account(1);
    world.account(2);
    for place in 0..2 {
        let model = Model::clone(&world.image.models[place]);
        world.image.models[place] = Arc::new(Model { model_id: "shared".into(), ..model });
    }
    world.health(2, HealthStatus::Unhealthy);
    world.image.providers[0] = Arc::new(Provider { is_active: false, ..fixtures::provider(1) });
    assert_eq!(world.reason(&named("shared")), "NO_HEALTHY_ENDPOINT");
    assert_eq!(world.reason(&needs(&[])), "NO_HEALTHY_ENDPOINT");
}

#[test]
fn who_needs_no_key_is_called_without_one() {
    let mut world = World::new();
    world.account(1);
    world.image.providers[0] = Arc::new(Provider { kind: ProviderKind::Ollama, ..fixtures::provider(1) });
    assert_eq!(world.ask(&by_id(1), 0).unwrap(), [(1, 1, 1)], "a key that is there is used");
    world.image.credentials[0] = Arc::new(only_to(fixtures::credential(1, 1), &["other.example.com"]));
    assert_eq!(world.reason(&by_id(1)), "HOST_NOT_ALLOWED");
    world.image.credentials.clear();
    assert_eq!(world.ask(&by_id(1), 5).unwrap(), [(1, 1, 0)]);
}

#[test]
fn fallbacks_go_over_endpoints_then_credentials_then_models() {
    let mut world = World::new();
    world.account(1);
    world.add_endpoint(at_host(Endpoint { priority: 1, ..fixtures::endpoint(11, 1) }, "second.example.com"));
    world.add_endpoint(Endpoint { priority: 2, ..fixtures::endpoint(12, 1) });
    world.add_credential(only_to(fixtures::credential(11, 1), &["second.example.com", fixtures::HOST]));
    world.add_model(Model { status: ModelStatus::Deprecated, ..fixtures::model(10, 1) });
    world.account(2);
    world.used(1, 1, 5);
    let expected = [(1, 1, 11), (1, 11, 11), (1, 12, 11), (1, 1, 1), (1, 12, 1)];
    assert_eq!(world.ask(&by_id(1), 5).unwrap(), expected);
    let world = World { router: Router::default(), ..world };
    world.health(12, HealthStatus::Unhealthy);
    assert_eq!(
        world.ask(&needs(&[]), 5).unwrap(),
        [(1, 1, 11), (1, 11, 11), (1, 1, 1), (2, 2, 2), (10, 1, 11), (10, 11, 11)],
        "the other models behind, deprecated ones last"
    );
    assert_eq!(world.ask(&by_id(1), 0).unwrap().len(), 1);
}

#[test]
fn providers_of_the_same_model_take_turns_and_those_that_cannot_are_passed_over() {
    let mut world = World::new();
    for number in 1..=4 {
        world.account(number);
        let place = world.image.models.len() - 1;
        let status = if number == 4 { ModelStatus::Deprecated } else { ModelStatus::Available };
        let model = Model { model_id: "shared".into(), status, ..fixtures::model(number, number) };
        world.image.models[place] = Arc::new(model);
    }
    let serve = |world: &World, count: usize| -> Vec<u128> {
        (0..count).map(|_| world.ask(&named("shared"), 0).unwrap()[0].0).collect()
    };
    assert_eq!(serve(&world, 6), [1, 2, 3, 1, 2, 3]);
    assert_eq!(world.ask(&named("shared"), 5).unwrap(), [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)]);
    world.health(2, HealthStatus::Unhealthy);
    let mut served = serve(&world, 10);
    served.sort_unstable();
    assert_eq!(served, [1, 1, 1, 1, 1, 3, 3, 3, 3, 3], "the rest share evenly");
    world.health(1, HealthStatus::Unhealthy);
    world.health(3, HealthStatus::Unhealthy);
    assert_eq!(serve(&world, 2), [4, 4], "the deprecated one serves where there is no other");
}

#[test]
fn credentials_take_turns_by_their_last_use() {
    let mut world = World::new();
    world.account(1);
    world.add_credential(fixtures::credential(2, 1));
    world.add_credential(fixtures::credential(3, 1));
    world.used(1, 1, 3);
    world.used(3, 1, 2);
    let served: Vec<_> = (0..6).map(|_| world.ask(&by_id(1), 0).unwrap()[0].2).collect();
    assert_eq!(served, [2, 3, 1, 2, 3, 1]);
}

#[test]
fn a_quota_lets_its_credential_serve_again_when_the_next_period_begins() {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    let mut world = World::new();
    world.account(1);
    let quota = Some(Quota { limit: 2, unit: QuotaUnit::Requests, period: QuotaPeriod::Day });
    world.image.credentials[0] = Arc::new(Credential { quota, ..fixtures::credential(1, 1) });
    let used = |world: &World, time: i64| {
        let mut uses = DailyUses::default();
        uses.add(at(time), &Uses { requests: 1, last_use_time: Some(at(time)), ..Uses::default() });
        world.board.count(&[(id(1), uses)].into(), &UsesOf::new());
    };
    world.now = at(10 * DAY + 1);
    used(&world, 10 * DAY);
    assert_eq!(world.ask(&by_id(1), 0).unwrap(), [(1, 1, 1)]);
    used(&world, 10 * DAY + 1);
    assert_eq!(world.reason(&by_id(1)), "QUOTA_EXHAUSTED");
    world.now = at(11 * DAY - 1);
    assert_eq!(world.reason(&by_id(1)), "QUOTA_EXHAUSTED");
    world.now = at(11 * DAY);
    assert_eq!(world.ask(&by_id(1), 0).unwrap(), [(1, 1, 1)], "by the clock alone");
    used(&world, 11 * DAY);
    assert_eq!(world.ask(&by_id(1), 0).unwrap(), [(1, 1, 1)]);
    used(&world, 11 * DAY);
    assert_eq!(world.reason(&by_id(1)), "QUOTA_EXHAUSTED");
}
