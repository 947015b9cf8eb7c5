use std::time::Duration;

use super::*;
use crate::domain::binding::Target;
use crate::domain::binding::input::BindingInput;
use crate::domain::caller::Role;
use crate::domain::credential::input::CredentialInput;
use crate::domain::credential::rotation::NewSecret;
use crate::domain::endpoint::input::EndpointInput;
use crate::domain::id::{Id, ProviderId};
use crate::domain::mask::Mask;
use crate::domain::model::input::ModelInput;
use crate::domain::model::sync::{ListedModel, Listing, sync};
use crate::domain::provider::ProviderKind;
use crate::domain::secret::{CredentialSecret, SecretText};
use crate::domain::view::memory::{FakeHosts, World, answered, story};

fn world() -> (World, ProviderId) {
    let mut world = World::default();
    let provider = world.provider("p", ProviderKind::OpenAi);
    (world, provider)
}

fn back(world: &mut World, then: &Resource) -> Result<Plan> {
    world.write(|view, context| rollback(then, None, view, context))
}

/// The same, as one line: what it does, or why not.
fn told(world: &mut World, then: &Resource) -> String {
    back(world, then).map_or_else(|error| error.reason().to_owned(), |plan| story(&plan).join("; "))
}

fn add_endpoint(world: &mut World, provider: ProviderId, name: &str, host: &str) -> Resource {
    let (name, base_url) = (Some(name.into()), Some(format!("https://{host}/v1")));
    let input = EndpointInput { provider_id: Some(provider), name, base_url, ..EndpointInput::default() };
    answered(&world.write(|view, context| endpoint::plan::create(&input, false, &FakeHosts, view, context)).unwrap())
}

fn add_credential(world: &mut World, provider: ProviderId, alias: &str, hosts: &[&str]) -> Resource {
    let secret = CredentialSecret { api_key: Some(SecretText::new("sk-0123456789".into())), ..<_>::default() };
    let secret = NewSecret { secret: Arc::new(secret), fingerprint: "f".into() };
    let allowed_hosts = hosts.iter().map(ToString::to_string).collect();
    let (provider_id, alias) = (Some(provider), Some(alias.into()));
    let input = CredentialInput { provider_id, alias, allowed_hosts, ..CredentialInput::default() };
    answered(
        &world.write(|view, context| credential::plan::create(&input, &secret, &FakeHosts, view, context)).unwrap(),
    )
}

fn add_model(world: &mut World, provider: ProviderId, vendor_id: &str, set_default: bool) -> Resource {
    let (provider_id, model_id) = (Some(provider), Some(vendor_id.into()));
    let input = ModelInput { provider_id, model_id, ..ModelInput::default() };
    answered(&world.write(|view, context| model::plan::create(&input, set_default, view, context)).unwrap())
}

fn bind(world: &mut World, consumer: &str, target: Target) -> Resource {
    let input = BindingInput { consumer: Some(consumer.into()), target: Some(target), ..BindingInput::default() };
    answered(&world.write(|view, context| binding::plan::create(&input, view, context)).unwrap())
}

fn rename(world: &mut World, id: Uuid, name: &str) {
    let input = EndpointInput { name: Some(name.into()), ..EndpointInput::default() };
    let (id, mask) = (Id::new(id), Mask::Carried);
    world.write(|view, context| endpoint::plan::update(id, &input, &mask, None, &FakeHosts, view, context)).unwrap();
}

/// Lets a credential's secret go to these hosts alone, as an admin may.
fn allow(world: &mut World, id: Uuid, hosts: &[&str]) -> Resource {
    let caller = world.call.clone();
    world.act_as(Role::Admin);
    let allowed_hosts = hosts.iter().map(ToString::to_string).collect();
    let input = CredentialInput { allowed_hosts, ..CredentialInput::default() };
    let (id, mask) = (Id::new(id), Mask::Paths(vec!["allowed_hosts".into()]));
    let plan = world.write(|view, context| credential::plan::update(id, &input, &mask, None, None, view, context));
    world.call = caller;
    answered(&plan.unwrap())
}

fn hosts(plan: &Plan) -> (Vec<String>, bool) {
    let Resource::Credential(credential) = answered(plan) else { panic!("not a credential") };
    (credential.allowed_hosts.hosts.iter().map(ToString::to_string).collect(), credential.allowed_hosts.explicit)
}

#[test]
fn a_changed_resource_is_what_it_was_and_once_more_changes_nothing() {
    let (mut world, provider) = world();
    let then = add_endpoint(&mut world, provider, "e", "a.example");
    rename(&mut world, then.id(), "other");
    let plan = back(&mut world, &then).unwrap();
    assert_eq!(story(&plan), ["update endpoint name"]);
    let (Resource::Endpoint(then), Resource::Endpoint(now)) = (&then, answered(&plan)) else { panic!() };
    assert_eq!(now.meta.revision, world.revision, "a new revision");
    assert_eq!(*now, Endpoint { meta: now.meta.clone(), ..Endpoint::clone(then) });
    assert_eq!(told(&mut world, &Resource::Endpoint(then.clone())), "");
}

#[test]
fn a_revision_that_nobody_has_seen_is_refused() {
    let (mut world, provider) = world();
    let then = add_endpoint(&mut world, provider, "e", "a.example");
    add_endpoint(&mut world, provider, "f", "a.example");
    let wrong = Some(Revision(99));
    let refused = |world: &World| world.plan(|view, context| rollback(&then, wrong, view, context)).err();
    assert!(matches!(refused(&world), Some(Error::RevisionMismatch { .. })));
    world.write(|view, context| endpoint::plan::delete(Id::new(then.id()), None, view, context)).unwrap();
    assert!(matches!(refused(&world), Some(Error::RevisionMismatch { .. })));
}

#[test]
fn what_was_deleted_comes_back_under_its_id_and_is_no_default() {
    let (mut world, provider) = world();
    let first = add_endpoint(&mut world, provider, "e", "a.example");
    add_endpoint(&mut world, provider, "f", "a.example");
    let default = add_model(&mut world, provider, "m", true);
    let bound = bind(&mut world, "c", Target::Provider(provider));
    world.write(|view, context| endpoint::plan::delete(Id::new(first.id()), None, view, context)).unwrap();
    world.write(|view, _| model::plan::delete(Id::new(default.id()), None, view)).unwrap();
    world.write(|view, _| binding::plan::delete(Id::new(bound.id()), None, view)).unwrap();
    for (then, line) in [(&first, "create endpoint"), (&default, "create model"), (&bound, "create binding")] {
        let plan = back(&mut world, then).unwrap();
        assert_eq!(story(&plan), [line]);
        assert_eq!(answered(&plan).id(), then.id());
    }
    let defaults = world.view.endpoints_of(provider).into_iter().filter(|one| one.is_default);
    assert_eq!(defaults.map(|one| one.name.clone()).collect::<Vec<_>>(), ["f"]);
    assert!(!world.view.model(Id::new(default.id())).unwrap().is_default);
}

#[test]
fn names_that_were_taken_meanwhile_are_told() {
    let (mut world, provider) = world();
    let endpoint = add_endpoint(&mut world, provider, "e", "a.example");
    let model = add_model(&mut world, provider, "m", false);
    let bound = bind(&mut world, "c", Target::Provider(provider));
    add_endpoint(&mut world, provider, "f", "a.example");
    world.write(|view, context| endpoint::plan::delete(Id::new(endpoint.id()), None, view, context)).unwrap();
    world.write(|view, _| model::plan::delete(Id::new(model.id()), None, view)).unwrap();
    world.write(|view, _| binding::plan::delete(Id::new(bound.id()), None, view)).unwrap();
    add_endpoint(&mut world, provider, "E", "a.example");
    add_model(&mut world, provider, "m", false);
    bind(&mut world, "c", Target::Provider(provider));
    for then in [&endpoint, &model, &bound] {
        assert_eq!(told(&mut world, then), "ALREADY_EXISTS");
    }
    world.limits.endpoints_per_provider = 2;
    assert_eq!(told(&mut world, &endpoint), "LIMIT_EXCEEDED");
}

#[test]
fn what_belongs_to_nothing_any_more_stays_away() {
    let (mut world, provider) = world();
    let gone = world.view.provider(provider).map(Resource::Provider).unwrap();
    let endpoint = add_endpoint(&mut world, provider, "e", "a.example");
    let model = add_model(&mut world, provider, "m", false);
    let credential = add_credential(&mut world, provider, "k", &[]);
    let bound = bind(&mut world, "c", Target::Model(Id::new(model.id())));
    world.write(|view, _| binding::plan::delete(Id::new(bound.id()), None, view)).unwrap();
    world.write(|view, context| provider::plan::delete(provider, None, view, context)).unwrap();
    for then in [&gone, &endpoint, &model, &credential, &bound] {
        assert_eq!(told(&mut world, then), "NOT_FOUND");
    }
    world.write(|view, _| provider::plan::purge(provider, None, view)).unwrap();
    for (then, reason) in [(&gone, "NOT_FOUND"), (&endpoint, "NOT_FOUND"), (&credential, "SECRET_DESTROYED")] {
        assert_eq!(told(&mut world, then), reason);
    }
}

#[test]
fn a_secret_never_comes_back_and_never_goes_further() {
    let (mut world, provider) = world();
    let derived = add_credential(&mut world, provider, "k", &[]);
    let both = allow(&mut world, derived.id(), &["a.example", "b.example"]);
    let one = allow(&mut world, derived.id(), &["b.example"]);
    let hosts_after = |world: &mut World, then: &Resource| hosts(&back(world, then).unwrap());
    assert_eq!(hosts_after(&mut world, &both), (vec!["b.example".to_owned()], true), "not wider, for an admin either");
    allow(&mut world, one.id(), &["a.example", "b.example"]);
    assert_eq!(hosts_after(&mut world, &one), (vec!["b.example".to_owned()], true), "narrower");
    allow(&mut world, one.id(), &["own.example", "c.example"]);
    assert_eq!(hosts_after(&mut world, &derived), (vec!["own.example".to_owned()], true), "what both allow");
    world.act_as(Role::Admin);
    let implicit = add_credential(&mut world, provider, "l", &[]);
    let endpoint = add_endpoint(&mut world, provider, "e", "a.example");
    assert_eq!(told(&mut world, &implicit), "", "a list that follows the endpoints goes on doing so");
    let moved = EndpointInput { base_url: Some("https://z.example".into()), ..EndpointInput::default() };
    world.act_as(Role::Editor);
    let (id, mask) = (Id::new(endpoint.id()), Mask::Carried);
    world.write(|view, context| endpoint::plan::update(id, &moved, &mask, None, &FakeHosts, view, context)).unwrap();
    world.act_as(Role::Admin);
    assert_eq!(told(&mut world, &endpoint), "update endpoint base_url", "no list of hosts follows");
}

#[test]
fn a_rollback_revives_no_revoked_key_and_takes_no_last_one() {
    let (mut world, provider) = world();
    let then = add_credential(&mut world, provider, "k", &[]);
    let Resource::Credential(known) = &then else { panic!() };
    let off = Resource::Credential(Arc::new(Credential { is_active: false, ..Credential::clone(known) }));
    assert_eq!(told(&mut world, &off), "LAST_CREDENTIAL");
    world.write(|view, context| credential::plan::revoke(known.id, None, view, context)).unwrap();
    assert_eq!(told(&mut world, &then), "", "a revocation is not undone");
    world.pass(Duration::from_secs(1));
    assert_eq!(told(&mut world, &off), "update credential is_active", "it was of no use any more");
}

#[test]
fn in_a_synced_model_it_pins_what_it_brings_back() {
    let (mut world, provider) = world();
    let listing = Listing::new([ListedModel::named("m")]);
    world.write(|view, context| sync(provider, &listing, true, None, view, context)).unwrap();
    let then = world.view.model_named(provider, "m").map(Resource::Model).unwrap();
    let input = ModelInput { description: Some("by hand".into()), ..ModelInput::default() };
    let (id, mask) = (Id::new(then.id()), Mask::Carried);
    world.write(|view, context| model::plan::update(id, &input, &mask, &[], None, view, context)).unwrap();
    let Resource::Model(after) = answered(&back(&mut world, &then).unwrap()) else { panic!() };
    assert_eq!((after.description.as_str(), after.pinned_fields.len()), ("", 1));
}
