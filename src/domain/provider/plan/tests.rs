//! The rules for providers, one by one.

use std::time::Duration;

use super::*;
use crate::domain::caller::Role;
use crate::domain::endpoint::input::EndpointInput;
use crate::domain::endpoint::plan as endpoint_plan;
use crate::domain::error::Violations;
use crate::domain::mask::Presence;
use crate::domain::model::input::ModelInput;
use crate::domain::model::{ModelType, plan as model_plan};
use crate::domain::provider::input::{FIXED, SETTABLE};
use crate::domain::provider::{DEFAULT_SYNC_INTERVAL, MAX_SYNC_INTERVAL};
use crate::domain::view::memory::{FakeHosts, World, answered, story};

const DAY: Duration = Duration::from_hours(24);

fn input(name: &str) -> ProviderInput {
    ProviderInput { name: Some(name.into()), kind: Some(ProviderKind::OpenAi), ..ProviderInput::default() }
}

fn add(world: &mut World, name: &str) -> ProviderId {
    world.provider(name, ProviderKind::OpenAi)
}

fn change(world: &mut World, id: ProviderId, input: &ProviderInput, paths: &[&str]) -> Result<Plan> {
    let mask = mask(paths)?;
    world.write(|view, context| update(id, input, &mask, None, view, context))
}

fn mask(paths: &[&str]) -> Result<Mask> {
    let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
    Mask::parse(&paths, SETTABLE, FIXED)
}

fn remove(world: &mut World, id: ProviderId) -> Plan {
    world.write(|view, context| delete(id, None, view, context)).unwrap()
}

fn bring_back(world: &mut World, id: ProviderId) -> Result<Plan> {
    world.write(|view, context| undelete(id, None, view, context))
}

fn provider(plan: &Plan) -> Arc<Provider> {
    match answered(plan) {
        Resource::Provider(provider) => provider,
        other => panic!("not a provider: {other:?}"),
    }
}

fn add_endpoint(world: &mut World, provider: ProviderId) {
    let input = EndpointInput {
        provider_id: Some(provider),
        name: Some("e".into()),
        base_url: Some("https://a.example".into()),
        ..EndpointInput::default()
    };
    world.write(|view, context| endpoint_plan::create(&input, false, &FakeHosts, view, context)).unwrap();
}

fn add_default_model(world: &mut World, provider: ProviderId) -> Arc<Model> {
    let input = ModelInput { provider_id: Some(provider), model_id: Some("m".into()), ..ModelInput::default() };
    let plan = world.write(|view, context| model_plan::create(&input, true, view, context)).unwrap();
    match answered(&plan) {
        Resource::Model(model) => model,
        other => panic!("not a model: {other:?}"),
    }
}

fn shape(input: &ProviderInput, presence: Presence<'_>) -> Vec<String> {
    let mut violations = Violations::default();
    input.check("provider", presence, &mut violations);
    match violations.into_result() {
        Err(Error::InvalidField { violations }) => violations.into_iter().map(|violation| violation.field).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_wrong_field_of_a_provider_is_named_at_once() {
    let wrong = ProviderInput {
        name: Some(String::new()),
        description: Some("d".repeat(1001)),
        sync_interval: Some(Duration::from_secs(59)),
        labels: [("k".repeat(64), "v".repeat(257))].into(),
        ..ProviderInput::default()
    };
    let fields = shape(&wrong, Presence::Create);
    let (key, rest) = fields.split_last().unwrap();
    assert!(key.starts_with("provider.labels[kkk"), "{key}");
    let expected = ["name", "kind", "description", "sync_policy.interval", "labels.key"];
    assert_eq!(rest, expected.map(|name| format!("provider.{name}")));
    let longest = ProviderInput { sync_interval: Some(MAX_SYNC_INTERVAL), ..input(&"n".repeat(100)) };
    assert!(shape(&longest, Presence::Create).is_empty());
    assert!(shape(&ProviderInput::default(), Presence::Update(&Mask::Carried)).is_empty());
    assert_eq!(shape(&ProviderInput::default(), Presence::Update(&Mask::Full)), ["provider.name"]);
}

#[test]
fn a_new_provider_has_the_defaults_of_the_contract() {
    let mut world = World::default();
    let plan = world.write(|view, context| create(&input("p"), view, context)).unwrap();
    let created = provider(&plan);
    assert_eq!((created.is_active, created.sync_policy), (true, SyncPolicy::default()));
    assert_eq!((created.meta.revision, created.meta.updated_by.as_str()), (Revision(1), "system"));
    assert_eq!((created.delete_time, created.purge_time), (None, None));
}

#[test]
fn a_live_name_is_taken_whatever_its_case_and_a_deleted_one_is_free() {
    let mut world = World::default();
    let first = add(&mut world, "Öl");
    let taken =
        |result: Result<Plan>| matches!(result, Err(Error::AlreadyExists { holder, .. }) if holder == first.uuid());
    assert!(taken(world.write(|view, context| create(&input("öL"), view, context))));
    let second = add(&mut world, "b");
    let rename = ProviderInput { name: Some("ÖL".into()), ..ProviderInput::default() };
    assert!(taken(change(&mut world, second, &rename, &[])));
    assert_eq!(provider(&change(&mut world, first, &rename, &[]).unwrap()).name, "ÖL");
    remove(&mut world, first);
    assert!(change(&mut world, second, &rename, &["name"]).is_ok());
}

#[test]
fn masks_decide_what_an_update_touches() {
    let mut world = World::default();
    let id = add(&mut world, "p");
    let given = ProviderInput {
        description: Some("d".into()),
        sync_enabled: Some(true),
        sync_interval: Some(DAY * 2),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        ..ProviderInput::default()
    };
    change(&mut world, id, &given, &[]).unwrap();
    let interval = ProviderInput { sync_interval: Some(DAY * 3), ..ProviderInput::default() };
    let after = provider(&change(&mut world, id, &interval, &[]).unwrap());
    assert_eq!(after.sync_policy, SyncPolicy { enabled: true, interval: DAY * 3 });
    let after = provider(&change(&mut world, id, &interval, &["sync_policy"]).unwrap());
    assert_eq!(after.sync_policy, SyncPolicy { enabled: false, interval: DAY * 3 });
    assert_eq!((after.description.as_str(), after.meta.labels.len()), ("d", 1));
    let after = provider(&change(&mut world, id, &interval, &["labels", "sync_policy.interval"]).unwrap());
    assert_eq!((after.meta.labels.len(), after.description.as_str()), (0, "d"));
    let full = ProviderInput { kind: Some(ProviderKind::Ollama), ..input("q") };
    let after = provider(&change(&mut world, id, &full, &["*"]).unwrap());
    assert_eq!((after.name.as_str(), after.description.as_str(), after.kind), ("q", "", ProviderKind::OpenAi));
    assert_eq!(after.sync_policy.interval, DEFAULT_SYNC_INTERVAL);
    assert!(matches!(mask(&["kind"]), Err(Error::InvalidMask { .. })));
}

#[test]
fn another_kind_is_refused_without_a_mask_and_the_same_one_is_not() {
    let mut world = World::default();
    let id = add(&mut world, "p");
    let other = ProviderInput { kind: Some(ProviderKind::Ollama), ..ProviderInput::default() };
    assert!(matches!(change(&mut world, id, &other, &[]), Err(Error::InvalidField { .. })));
    assert!(change(&mut world, id, &input("p"), &[]).unwrap().edits.is_empty());
}

#[test]
fn switching_a_provider_off_is_one_change_and_repeating_it_none() {
    let mut world = World::default();
    let id = add(&mut world, "p");
    world.act_as(Role::Editor);
    let plan = world.write(|view, context| set_active(id, false, Some(Revision(1)), view, context)).unwrap();
    assert_eq!(story(&plan), ["update provider is_active"]);
    assert_eq!(provider(&plan).meta.updated_by, "editor");
    let again = world.write(|view, context| set_active(id, false, None, view, context)).unwrap();
    assert!(again.edits.is_empty());
    let stale = world.plan(|view, context| set_active(id, true, Some(Revision(1)), view, context));
    assert!(matches!(stale, Err(Error::RevisionMismatch { current: Revision(2), .. })));
}

#[test]
fn a_deleted_provider_hides_its_children_and_leaves_their_revisions() {
    let mut world = World::default();
    let id = add(&mut world, "p");
    add_endpoint(&mut world, id);
    let model = add_default_model(&mut world, id);
    let before = world.view.models_of(id);
    let now = world.now;
    let plan = remove(&mut world, id);
    assert_eq!(story(&plan), ["delete provider", "delete endpoint", "delete model"]);
    assert_eq!(world.view.models_of(id), before);
    let hidden = world.view.provider(id).unwrap();
    assert_eq!((hidden.delete_time, hidden.purge_time), (Some(now), Some(now.after(DAY * 30))));
    assert_eq!(hidden.meta.revision, world.revision);
    assert!(world.view.live_model(model.id).is_err());
    let again = world.write(|view, context| delete(id, None, view, context));
    assert!(matches!(again, Err(Error::NotFound { .. })));
}

#[test]
fn undelete_brings_all_back_as_it_was() {
    let mut world = World::default();
    let id = add(&mut world, "p");
    add_endpoint(&mut world, id);
    let model = add_default_model(&mut world, id);
    remove(&mut world, id);
    let plan = bring_back(&mut world, id).unwrap();
    assert_eq!(story(&plan), ["undelete provider", "undelete endpoint", "undelete model"]);
    assert_eq!((provider(&plan).delete_time, provider(&plan).purge_time), (None, None));
    assert_eq!(world.view.live_model(model.id).unwrap(), model);
    assert!(matches!(bring_back(&mut world, id), Err(Error::NotFound { .. })), "it is not deleted any more");
}

#[test]
fn undelete_drops_a_default_that_another_model_has_become() {
    let mut world = World::default();
    let id = add(&mut world, "p");
    let model = add_default_model(&mut world, id);
    remove(&mut world, id);
    let other = add(&mut world, "q");
    let heir = add_default_model(&mut world, other);
    let plan = bring_back(&mut world, id).unwrap();
    assert_eq!(story(&plan), ["undelete provider", "undelete model is_default"]);
    let back = world.view.live_model(model.id).unwrap();
    assert_eq!((back.is_default, back.meta.revision), (false, world.revision));
    assert_eq!(world.view.default_model(ModelType::Chat).unwrap().id, heir.id);
}

#[test]
fn undelete_names_a_provider_that_is_not_deleted_by_its_bare_id() {
    let mut world = World::default();
    let id = add(&mut world, "p");
    assert_eq!(bring_back(&mut world, id).err(), Some(Error::not_found(ResourceKind::Provider, id)));
}

#[test]
fn undelete_is_refused_when_the_name_was_taken() {
    let mut world = World::default();
    let id = add(&mut world, "p");
    remove(&mut world, id);
    let thief = add(&mut world, "P");
    let taken =
        |result: Result<Plan>| matches!(result, Err(Error::AlreadyExists { holder, .. }) if holder == thief.uuid());
    assert!(taken(bring_back(&mut world, id)));
}

#[test]
fn purge_destroys_a_provider_with_its_children_deleted_before_or_not() {
    let mut world = World::default();
    for hidden in [false, true] {
        let id = add(&mut world, "p");
        add_endpoint(&mut world, id);
        add_default_model(&mut world, id);
        if hidden {
            remove(&mut world, id);
        }
        let plan = world.write(|view, _| purge(id, None, view)).unwrap();
        assert_eq!(story(&plan), ["delete endpoint", "delete model", "delete provider"]);
        assert!(plan.edits.iter().all(|edit| edit.after.is_none()));
        assert!(world.view.provider(id).is_none() && world.view.models_of(id).is_empty());
        assert!(matches!(world.plan(|view, _| purge(id, None, view)), Err(Error::NotFound { .. })));
    }
}

#[test]
fn retention_purges_what_is_due_and_nothing_else() {
    let mut world = World::default();
    let id = add(&mut world, "p");
    add(&mut world, "live");
    remove(&mut world, id);
    world.pass(Duration::from_secs(30 * 24 * 60 * 60 - 2));
    assert!(world.write(purge_expired).unwrap().edits.is_empty());
    world.pass(Duration::from_secs(1));
    assert_eq!(story(&world.write(purge_expired).unwrap()), ["delete provider"]);
    assert!(world.write(purge_expired).unwrap().edits.is_empty());
    assert_eq!(world.view.providers().len(), 1);
}
