//! The rules for endpoints, one by one.

use std::time::Duration;

use super::*;
use crate::domain::caller::Role;
use crate::domain::credential::{AllowedHosts, Credential};
use crate::domain::endpoint::input::{FIXED, HealthCheckInput, RetryInput, SETTABLE};
use crate::domain::error::Violations;
use crate::domain::mask::Presence;
use crate::domain::provider::ProviderKind;
use crate::domain::provider::plan as provider_plan;
use crate::domain::view::memory::{FakeHosts, World, answered, story};

fn input(provider: ProviderId, name: &str) -> EndpointInput {
    EndpointInput {
        provider_id: Some(provider),
        name: Some(name.into()),
        base_url: Some(format!("https://{name}.example/v1")),
        ..EndpointInput::default()
    }
}

fn add(world: &mut World, provider: ProviderId, name: &str) -> Arc<Endpoint> {
    add_with(world, &input(provider, name), false).map(|plan| endpoint(&answered(&plan))).unwrap()
}

fn add_with(world: &mut World, input: &EndpointInput, set_default: bool) -> Result<Plan> {
    world.write(|view, context| create(input, set_default, &FakeHosts, view, context))
}

fn change(world: &mut World, id: EndpointId, input: &EndpointInput, paths: &[&str]) -> Result<Plan> {
    let mask = mask(paths)?;
    world.write(|view, context| update(id, input, &mask, None, &FakeHosts, view, context))
}

fn mask(paths: &[&str]) -> Result<Mask> {
    let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
    Mask::parse(&paths, SETTABLE, FIXED)
}

fn endpoint(resource: &Resource) -> Arc<Endpoint> {
    match resource {
        Resource::Endpoint(endpoint) => endpoint.clone(),
        other => panic!("not an endpoint: {other:?}"),
    }
}

fn changed_endpoint(plan: Result<Plan>) -> Arc<Endpoint> {
    endpoint(&answered(&plan.unwrap()))
}

fn world() -> (World, ProviderId) {
    let mut world = World::default();
    let provider = world.provider("p", ProviderKind::OpenAi);
    (world, provider)
}

fn defaults(world: &World, provider: ProviderId) -> Vec<String> {
    let endpoints = world.view.endpoints_of(provider).into_iter();
    endpoints.filter(|endpoint| endpoint.is_default).map(|endpoint| endpoint.name.clone()).collect()
}

fn put_credential(world: &mut World, provider: ProviderId, hosts: &[&str], explicit: bool) -> Arc<Credential> {
    let hosts = hosts.iter().map(|host| crate::domain::endpoint::Host::parse(host).unwrap());
    let credential = Arc::new(Credential {
        id: Id::new(uuid::Uuid::now_v7()),
        provider_id: provider,
        meta: Meta::default(),
        alias: format!("explicit {explicit}"),
        description: String::new(),
        hint: "****".into(),
        fingerprint: String::new(),
        secret_version: 1,
        allowed_hosts: AllowedHosts::new(hosts, explicit),
        expire_time: None,
        quota: None,
        is_active: true,
        revoke_time: None,
        rotate_time: None,
        previous_secret_expire_time: None,
    });
    world.view.put(Resource::Credential(credential.clone()));
    credential
}

fn hosts(world: &World, credential: &Credential) -> Vec<String> {
    let credential = world.view.credential(credential.id).unwrap();
    credential.allowed_hosts.hosts.iter().map(ToString::to_string).collect()
}

fn fields(error: &Error) -> Vec<&str> {
    match error {
        Error::InvalidField { violations } | Error::InvalidMask { violations } => {
            violations.iter().map(|violation| violation.field.as_str()).collect()
        }
        other => panic!("no violations: {other:?}"),
    }
}

fn shape(input: &EndpointInput, presence: Presence<'_>) -> Result<()> {
    let mut violations = Violations::default();
    input.check("endpoint", presence, &mut violations);
    violations.into_result()
}

#[test]
fn a_new_endpoint_has_the_defaults_of_the_contract() {
    let (mut world, provider) = world();
    let endpoint = add(&mut world, provider, "a");
    assert_eq!(endpoint.connect_timeout, Duration::from_secs(5));
    assert_eq!(endpoint.read_timeout, Duration::from_mins(1));
    assert_eq!((endpoint.priority, endpoint.weight, endpoint.is_active), (0, 1, true));
    assert_eq!((endpoint.retry, &endpoint.health_check), (RetryPolicy::default(), &HealthCheckPolicy::default()));
    assert_eq!((endpoint.meta.revision, endpoint.meta.created_by.as_str()), (Revision(2), "system"));
}

#[test]
fn every_wrong_field_of_an_endpoint_is_named_at_once() {
    let second = Duration::from_secs(1);
    let wrong = EndpointInput {
        name: Some("x".repeat(101)),
        base_url: Some("ftp://a".into()),
        api_version: Some("v".repeat(51)),
        region: Some(" eu".into()),
        connect_timeout: Some(second * 61),
        read_timeout: Some(second / 2),
        retry: RetryInput {
            max_attempts: Some(11),
            initial_backoff: Some(Duration::ZERO),
            max_backoff: Some(second * 601),
        },
        priority: Some(-1),
        weight: Some(0),
        health_check: HealthCheckInput {
            enabled: None,
            interval: Some(second / 2),
            timeout: Some(second * 10),
            unhealthy_threshold: Some(0),
            healthy_threshold: Some(101),
            degraded_latency: Some(Duration::ZERO),
            path: Some("//evil.example".into()),
        },
        ..EndpointInput::default()
    };
    let error = shape(&wrong, Presence::Create).unwrap_err();
    let expected = [
        "provider_id",
        "name",
        "base_url",
        "api_version",
        "region",
        "connect_timeout",
        "read_timeout",
        "priority",
        "weight",
        "retry.max_attempts",
        "retry.initial_backoff",
        "retry.max_backoff",
        "health_check.interval",
        "health_check.timeout",
        "health_check.unhealthy_threshold",
        "health_check.healthy_threshold",
        "health_check.degraded_latency",
        "health_check.path",
    ];
    assert_eq!(fields(&error), expected.map(|name| format!("endpoint.{name}")));
    assert!(error.to_string().contains("endpoint.base_url: "));
    assert!(error.to_string().ends_with("and 13 more, see the details"));
    let Error::InvalidField { violations } = error else { panic!("{error}") };
    assert_eq!(violations[5].description, "must be from 100ms to 60s, found 61s");
}

#[test]
fn a_required_field_must_be_carried_when_it_is_named() {
    let nothing = EndpointInput::default();
    assert!(shape(&nothing, Presence::Update(&Mask::Carried)).is_ok());
    let error = shape(&nothing, Presence::Update(&mask(&["name", "base_url"]).unwrap())).unwrap_err();
    assert_eq!(fields(&error), ["endpoint.name", "endpoint.base_url"]);
    assert_eq!(fields(&shape(&nothing, Presence::Update(&Mask::Full)).unwrap_err()).len(), 2);
}

#[test]
fn the_first_pause_must_not_exceed_the_longest_at_creation_and_after_a_merge() {
    let (mut world, provider) = world();
    let twenty = RetryInput { initial_backoff: Some(Duration::from_secs(20)), ..RetryInput::default() };
    let long = EndpointInput { retry: twenty.clone(), ..input(provider, "a") };
    let error = shape(&long, Presence::Create).unwrap_err();
    assert_eq!(fields(&error), ["endpoint.retry.initial_backoff"]);
    let endpoint = add(&mut world, provider, "a");
    let merged = EndpointInput { retry: twenty, ..EndpointInput::default() };
    assert!(shape(&merged, Presence::Update(&Mask::Carried)).is_ok());
    let error = change(&mut world, endpoint.id, &merged, &[]).err().unwrap();
    assert_eq!(fields(&error), ["endpoint.retry.initial_backoff"]);
}

#[test]
fn is_default_and_provider_id_cannot_be_named() {
    assert!(matches!(mask(&["is_default"]), Err(Error::InvalidMask { .. })));
    assert!(matches!(mask(&["provider_id"]), Err(Error::InvalidMask { .. })));
}

#[test]
fn the_first_endpoint_is_the_default_and_set_default_moves_it_in_the_same_write() {
    let (mut world, provider) = world();
    add(&mut world, provider, "a");
    add(&mut world, provider, "b");
    assert_eq!(defaults(&world, provider), ["a"]);
    let plan = add_with(&mut world, &input(provider, "c"), true).unwrap();
    assert_eq!(story(&plan), ["update endpoint is_default", "create endpoint"]);
    assert_eq!(defaults(&world, provider), ["c"]);
}

#[test]
fn setting_the_default_unsets_the_other_and_setting_it_again_changes_nothing() {
    let (mut world, provider) = world();
    let first = add(&mut world, provider, "a");
    let second = add(&mut world, provider, "b");
    let plan = world.write(|view, context| set_default(second.id, None, view, context)).unwrap();
    assert_eq!(story(&plan), ["update endpoint is_default", "update endpoint is_default"]);
    assert_eq!(defaults(&world, provider), ["b"]);
    assert_eq!(world.view.endpoint(first.id).unwrap().meta.revision, world.revision);
    let again = world.write(|view, context| set_default(second.id, None, view, context)).unwrap();
    assert!(again.edits.is_empty());
    assert!(endpoint(&answered(&again)).is_default);
}

#[test]
fn an_eleventh_endpoint_is_refused_before_its_name_is_looked_at() {
    let (mut world, provider) = world();
    for number in 0..10 {
        add(&mut world, provider, &format!("e{number}"));
    }
    let error = add_with(&mut world, &input(provider, "e0"), false).err().unwrap();
    assert!(matches!(error, Error::LimitExceeded { limit: 10, .. }), "{error}");
    world.limits.endpoints_per_provider = 11;
    let error = add_with(&mut world, &input(provider, "e0"), false).err().unwrap();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
}

#[test]
fn a_name_is_unique_in_its_provider_whatever_its_case() {
    let (mut world, provider) = world();
    let holder = add(&mut world, provider, "straße");
    let other = add(&mut world, provider, "b");
    let rename = EndpointInput { name: Some("STRAßE".into()), ..EndpointInput::default() };
    let error = change(&mut world, other.id, &rename, &[]).err().unwrap();
    let taken = Error::AlreadyExists {
        kind: ResourceKind::Endpoint,
        field: "name",
        value: "STRAßE".into(),
        holder: holder.id.uuid(),
    };
    assert_eq!(error, taken);
    assert_eq!(changed_endpoint(change(&mut world, holder.id, &rename, &[])).name, "STRAßE");
    let elsewhere = world.provider("q", ProviderKind::OpenAi);
    add(&mut world, elsewhere, "b");
}

#[test]
fn deleting_the_default_passes_it_on_by_priority_then_age() {
    let (mut world, provider) = world();
    let first = add(&mut world, provider, "first");
    let low = EndpointInput { priority: Some(5), ..input(provider, "low") };
    add_with(&mut world, &low, false).unwrap();
    let older = add(&mut world, provider, "older");
    add(&mut world, provider, "younger");
    let plan = world.write(|view, context| delete(first.id, None, view, context)).unwrap();
    assert_eq!(story(&plan), ["delete endpoint", "update endpoint is_default"]);
    assert_eq!(defaults(&world, provider), ["older"]);
    let third = world.view.endpoints_of(provider).into_iter().find(|endpoint| !endpoint.is_default).unwrap();
    let plan = world.write(|view, context| delete(third.id, None, view, context)).unwrap();
    assert_eq!(story(&plan), ["delete endpoint"]);
    assert_eq!(world.view.endpoint(older.id).unwrap().name, "older");
}

#[test]
fn the_only_endpoint_cannot_be_deleted() {
    let (mut world, provider) = world();
    let only = add(&mut world, provider, "a");
    let error = world.write(|view, context| delete(only.id, None, view, context)).err().unwrap();
    assert!(matches!(error, Error::LastEndpoint { .. }), "{error}");
}

#[test]
fn an_expected_revision_is_checked_before_the_rules() {
    let (mut world, provider) = world();
    let only = add(&mut world, provider, "a");
    let old = Some(Revision(1));
    let error = world.write(|view, context| delete(only.id, old, view, context)).err().unwrap();
    assert!(matches!(error, Error::RevisionMismatch { current: Revision(2), .. }), "{error}");
    let seen = Some(only.meta.revision);
    assert!(world.write(|view, context| set_default(only.id, seen, view, context)).is_ok());
}

#[test]
fn endpoints_of_a_deleted_provider_are_not_found() {
    let (mut world, provider) = world();
    let hidden = add(&mut world, provider, "a");
    world.write(|view, context| provider_plan::delete(provider, None, view, context)).unwrap();
    let error = change(&mut world, hidden.id, &EndpointInput::default(), &[]).err().unwrap();
    assert!(matches!(error, Error::NotFound { kind: ResourceKind::Endpoint, .. }), "{error}");
    let error = add_with(&mut world, &input(provider, "b"), false).err().unwrap();
    assert!(matches!(error, Error::NotFound { kind: ResourceKind::Provider, .. }), "{error}");
}

#[test]
fn without_a_mask_a_carried_policy_changes_its_carried_fields_alone() {
    let (mut world, provider) = world();
    let five = Some(5);
    let given = HealthCheckInput { unhealthy_threshold: five, ..HealthCheckInput::default() };
    let first = EndpointInput { health_check: given, ..input(provider, "a") };
    let first = endpoint(&answered(&add_with(&mut world, &first, false).unwrap()));
    let minute = Duration::from_mins(1);
    let interval = HealthCheckInput { interval: Some(minute), ..HealthCheckInput::default() };
    let carried = EndpointInput { health_check: interval, ..EndpointInput::default() };
    let after = changed_endpoint(change(&mut world, first.id, &carried, &[]));
    assert_eq!((after.health_check.interval, after.health_check.unhealthy_threshold), (minute, 5));
    let after = changed_endpoint(change(&mut world, first.id, &carried, &["health_check"]));
    assert_eq!((after.health_check.interval, after.health_check.unhealthy_threshold), (minute, 3));
}

#[test]
fn a_named_field_that_is_not_carried_returns_to_its_default_and_others_stay() {
    let (mut world, provider) = world();
    let given = EndpointInput {
        weight: Some(9),
        priority: Some(7),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        ..input(provider, "a")
    };
    let first = endpoint(&answered(&add_with(&mut world, &given, false).unwrap()));
    let other = EndpointInput { priority: Some(1), ..EndpointInput::default() };
    let after = changed_endpoint(change(&mut world, first.id, &other, &["weight", "labels"]));
    assert_eq!((after.weight, after.priority, after.meta.labels.len()), (1, 7, 0));
}

#[test]
fn a_star_replaces_all_settable_fields_and_ignores_the_others() {
    let (mut world, provider) = world();
    let elsewhere = world.provider("q", ProviderKind::OpenAi);
    let given = EndpointInput {
        weight: Some(9),
        region: Some("eu".into()),
        is_active: Some(false),
        api_version: Some("v1".into()),
        ..input(provider, "a")
    };
    let first = endpoint(&answered(&add_with(&mut world, &given, false).unwrap()));
    let after = changed_endpoint(change(&mut world, first.id, &input(elsewhere, "b"), &["*"]));
    assert_eq!((after.name.as_str(), after.weight, after.region.as_str(), after.is_active), ("b", 1, "", true));
    assert_eq!((after.provider_id, after.is_default), (provider, true));
}

#[test]
fn another_provider_is_refused_without_a_mask_and_the_same_one_is_not() {
    let (mut world, provider) = world();
    let elsewhere = world.provider("q", ProviderKind::OpenAi);
    let first = add(&mut world, provider, "a");
    let error = change(&mut world, first.id, &input(elsewhere, "a"), &[]).err().unwrap();
    assert_eq!(fields(&error), ["endpoint.provider_id"]);
    let same = change(&mut world, first.id, &input(provider, "a"), &[]).unwrap();
    assert!(same.edits.is_empty());
}

#[test]
fn an_update_that_changes_nothing_keeps_the_revision_and_one_that_does_names_the_fields() {
    let (mut world, provider) = world();
    let first = add(&mut world, provider, "a");
    let same = EndpointInput { weight: Some(1), ..EndpointInput::default() };
    let plan = change(&mut world, first.id, &same, &[]).unwrap();
    assert!(plan.edits.is_empty());
    assert_eq!(endpoint(&answered(&plan)).meta.revision, first.meta.revision);
    world.act_as(Role::Editor);
    let off = EndpointInput { is_active: Some(false), weight: Some(2), ..EndpointInput::default() };
    let plan = change(&mut world, first.id, &off, &[]).unwrap();
    assert_eq!(story(&plan), ["update endpoint is_active,weight"]);
    let after = endpoint(&answered(&plan));
    assert_eq!((after.meta.revision, after.meta.updated_by.as_str()), (world.revision, "editor"));
    assert_eq!((after.meta.created_by.as_str(), after.meta.create_time), ("system", first.meta.create_time));
}

#[test]
fn an_endpoint_added_by_an_admin_widens_the_implicit_lists_only() {
    let (mut world, provider) = world();
    let follows = put_credential(&mut world, provider, &["old.example"], false);
    let fixed = put_credential(&mut world, provider, &[], true);
    let plan = add_with(&mut world, &input(provider, "a"), false).unwrap();
    assert_eq!(story(&plan), ["create endpoint", "update credential allowed_hosts"]);
    assert_eq!(hosts(&world, &follows), ["a.example", "control.a.example", "old.example"]);
    assert_eq!(hosts(&world, &fixed), Vec::<String>::new());
    let follows = world.view.credential(follows.id).unwrap();
    assert_eq!((follows.meta.revision, follows.allowed_hosts.explicit), (world.revision, false));
}

#[test]
fn an_endpoint_added_by_an_editor_widens_nothing() {
    let (mut world, provider) = world();
    let follows = put_credential(&mut world, provider, &["old.example"], false);
    world.act_as(Role::Editor);
    let plan = add_with(&mut world, &input(provider, "a"), false).unwrap();
    assert_eq!(story(&plan), ["create endpoint"]);
    assert_eq!(hosts(&world, &follows), ["old.example"]);
}

#[test]
fn an_endpoint_moved_by_an_admin_adds_its_new_host_and_a_new_path_adds_none() {
    let (mut world, provider) = world();
    let first = add(&mut world, provider, "a");
    let follows = put_credential(&mut world, provider, &["a.example"], false);
    let path = EndpointInput { base_url: Some("https://a.example/v2".into()), ..EndpointInput::default() };
    assert_eq!(story(&change(&mut world, first.id, &path, &[]).unwrap()), ["update endpoint base_url"]);
    let port = EndpointInput { base_url: Some("https://a.example:8443/v2".into()), ..EndpointInput::default() };
    let plan = change(&mut world, first.id, &port, &[]).unwrap();
    assert_eq!(story(&plan), ["update endpoint base_url", "update credential allowed_hosts"]);
    assert_eq!(hosts(&world, &follows), ["a.example", "a.example:8443", "control.a.example"]);
}
