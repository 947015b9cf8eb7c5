use proptest::prelude::*;

use super::*;
use crate::domain::model::input::{FIXED, PricingInput, SETTABLE};
use crate::domain::model::sync::{ListedModel, Listing, sync};
use crate::domain::provider::ProviderKind;
use crate::domain::provider::plan as provider_plan;
use crate::domain::view::memory::{World, answered, story};

fn input(provider: ProviderId, vendor_id: &str) -> ModelInput {
    ModelInput { provider_id: Some(provider), model_id: Some(vendor_id.into()), ..ModelInput::default() }
}

fn add(world: &mut World, input: &ModelInput) -> Arc<Model> {
    model(&world.write(|view, context| create(input, false, view, context)))
}

fn add_default(world: &mut World, input: &ModelInput) -> Arc<Model> {
    model(&world.write(|view, context| create(input, true, view, context)))
}

/// A model that a vendor listed.
fn synced(world: &mut World, provider: ProviderId, vendor_id: &str) -> Arc<Model> {
    let listing = Listing::new([ListedModel::named(vendor_id)]);
    world.write(|view, context| sync(provider, &listing, true, None, view, context)).unwrap();
    world.view.model_named(provider, vendor_id).unwrap()
}

fn change(world: &mut World, id: ModelId, input: &ModelInput, paths: &[&str], unpin: &[&str]) -> Result<Plan> {
    let strings = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mask = Mask::parse(&strings(paths), SETTABLE, FIXED)?;
    world.write(|view, context| update(id, input, &mask, &strings(unpin), None, view, context))
}

fn model(plan: &Result<Plan>) -> Arc<Model> {
    match answered(plan.as_ref().unwrap_or_else(|error| panic!("{error}"))) {
        Resource::Model(model) => model,
        other => panic!("not a model: {other:?}"),
    }
}

fn world() -> (World, ProviderId) {
    let mut world = World::default();
    let provider = world.provider("p", ProviderKind::OpenAi);
    (world, provider)
}

fn described(text: &str) -> ModelInput {
    ModelInput { description: Some(text.into()), ..ModelInput::default() }
}

fn typed(model_type: ModelType) -> ModelInput {
    ModelInput { model_type: Some(model_type), ..ModelInput::default() }
}

fn pins(model: &Model) -> Vec<&str> {
    model.pinned_fields.iter().map(String::as_str).collect()
}

fn sources(model: &Model) -> Vec<(&str, FieldSource)> {
    model.field_sources.iter().map(|(field, source)| (field.as_str(), *source)).collect()
}

#[test]
fn a_model_made_by_hand_has_defaults_and_says_what_the_person_said() {
    let (mut world, provider) = world();
    let made = add(&mut world, &ModelInput { context_window: Some(8), ..input(provider, &"x".repeat(150)) });
    assert_eq!((made.name.clone(), made.model_type), ("x".repeat(100), ModelType::Chat));
    assert_eq!((made.is_active, made.status, made.source), (true, ModelStatus::Available, ModelSource::Manual));
    assert_eq!(sources(&made), [("context_window", FieldSource::Person)]);
    assert!(!made.is_default && made.pinned_fields.is_empty());
    assert_eq!(made.meta.revision, world.revision);
}

#[test]
fn the_identifier_is_unique_in_the_provider_alone() {
    let (mut world, provider) = world();
    let other = world.provider("q", ProviderKind::Ollama);
    let first = add(&mut world, &input(provider, "m"));
    let again = world.write(|view, context| create(&input(provider, "m"), false, view, context));
    assert!(
        matches!(&again, Err(Error::AlreadyExists { field: "model_id", holder, .. }) if *holder == first.id.uuid())
    );
    add(&mut world, &input(other, "m"));
    add(&mut world, &input(provider, "M"));
}

#[test]
fn nothing_is_written_under_an_unknown_or_deleted_provider() {
    let (mut world, provider) = world();
    let unknown = world.plan(|view, context| create(&input(ProviderId::nil(), "m"), false, view, context));
    assert!(matches!(unknown, Err(Error::NotFound { kind: ResourceKind::Provider, .. })));
    let made = add(&mut world, &input(provider, "m"));
    world.write(|view, context| provider_plan::delete(provider, None, view, context)).unwrap();
    let outcomes = [
        world.plan(|view, context| create(&input(provider, "n"), false, view, context)),
        world.plan(|view, context| update(made.id, &described("d"), &Mask::Carried, &[], None, view, context)),
        world.plan(|view, context| set_active(made.id, false, None, view, context)),
        world.plan(|view, context| set_default(made.id, None, view, context)),
        world.plan(|view, _| delete(made.id, None, view)),
    ];
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::NotFound { .. }))));
}

#[test]
fn every_change_checks_the_revision_it_expects() {
    let (mut world, provider) = world();
    let made = add(&mut world, &input(provider, "m"));
    let stale = Some(Revision(made.meta.revision.0 - 1));
    let outcomes = [
        world.plan(|view, context| update(made.id, &described("d"), &Mask::Carried, &[], stale, view, context)),
        world.plan(|view, context| set_active(made.id, false, stale, view, context)),
        world.plan(|view, context| set_default(made.id, stale, view, context)),
        world.plan(|view, _| delete(made.id, stale, view)),
    ];
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::RevisionMismatch { .. }))));
    let current = Some(made.meta.revision);
    assert!(world.plan(|view, context| set_active(made.id, false, current, view, context)).is_ok());
}

#[test]
fn a_write_that_changes_nothing_has_no_edit() {
    let (mut world, provider) = world();
    let made = synced(&mut world, provider, "m");
    let same = ModelInput { name: Some("m".into()), status: Some(ModelStatus::Available), ..ModelInput::default() };
    let plan = change(&mut world, made.id, &same, &[], &["pricing"]);
    assert_eq!(story(plan.as_ref().unwrap()), [""; 0]);
    assert_eq!(model(&plan), made);
    let plan = world.write(|view, context| set_active(made.id, true, None, view, context));
    assert_eq!(story(plan.as_ref().unwrap()), [""; 0]);
}

#[test]
fn a_persons_change_pins_the_field_of_a_synced_model_until_it_is_released() {
    let (mut world, provider) = world();
    let made = synced(&mut world, provider, "m");
    let price = PricingInput { input_per_1k: Some("1".into()), ..PricingInput::default() };
    let input = ModelInput {
        pricing: price,
        name: Some("m".into()),
        is_active: Some(false),
        labels: [("k".to_owned(), "v".to_owned())].into(),
        ..described("d")
    };
    let plan = change(&mut world, made.id, &input, &[], &[]);
    let prices = "pricing.input_per_1k,pricing.output_per_1k,pricing.currency";
    let line = format!("update model description,is_active,pinned_fields,field_sources,labels,{prices}");
    assert_eq!(story(plan.as_ref().unwrap()), [line]);
    let pinned = model(&plan);
    assert_eq!(pins(&pinned), ["description", "pricing"]);
    assert_eq!(
        sources(&pinned),
        [("description", FieldSource::Person), ("pricing", FieldSource::Person), ("status", FieldSource::Vendor)]
    );
    let plan = change(&mut world, made.id, &ModelInput::default(), &[], &["pricing", "version"]);
    assert_eq!(story(plan.as_ref().unwrap()), ["update model pinned_fields"]);
    assert_eq!(pins(&model(&plan)), ["description"]);
    assert_eq!(model(&plan).pricing, pinned.pricing);
}

#[test]
fn a_change_and_its_release_in_one_write_leave_no_pin() {
    let (mut world, provider) = world();
    let made = synced(&mut world, provider, "m");
    let changed = model(&change(&mut world, made.id, &described("d"), &[], &["description"]));
    assert_eq!((changed.description.as_str(), pins(&changed).len()), ("d", 0));
}

#[test]
fn a_field_that_a_person_resets_is_pinned_too() {
    let (mut world, provider) = world();
    let made = synced(&mut world, provider, "m");
    change(&mut world, made.id, &described("d"), &[], &[]).unwrap();
    change(&mut world, made.id, &ModelInput::default(), &[], &["description"]).unwrap();
    let reset = model(&change(&mut world, made.id, &ModelInput::default(), &["description"], &[]));
    assert_eq!((reset.description.as_str(), pins(&reset)), ("", vec!["description"]));
}

#[test]
fn fields_of_a_manual_model_are_never_pinned() {
    let (mut world, provider) = world();
    let made = add(&mut world, &input(provider, "m"));
    let changed = model(&change(&mut world, made.id, &described("d"), &[], &[]));
    assert_eq!((pins(&changed).len(), sources(&changed)), (0, vec![("description", FieldSource::Person)]));
}

#[test]
fn the_identifier_and_the_provider_cannot_be_changed() {
    let (mut world, provider) = world();
    let other = world.provider("q", ProviderKind::Ollama);
    let made = add(&mut world, &input(provider, "m"));
    let refused = change(&mut world, made.id, &input(other, "n"), &[], &[]);
    assert!(matches!(refused, Err(Error::InvalidField { violations }) if violations.len() == 2));
    let same = ModelInput { name: Some("n".into()), ..input(provider, "m") };
    assert_eq!(model(&change(&mut world, made.id, &same, &[], &[])).name, "n");
    let ignored = model(&change(&mut world, made.id, &input(other, "n"), &["*"], &[]));
    assert_eq!((ignored.model_id.as_str(), ignored.provider_id, ignored.name.as_str()), ("m", provider, "m"));
}

#[test]
fn a_new_default_unsets_the_former_one_over_all_providers() {
    let (mut world, provider) = world();
    let other = world.provider("q", ProviderKind::Ollama);
    let first = add_default(&mut world, &input(provider, "a"));
    assert!(first.is_default);
    let plan = world.write(|view, context| create(&input(other, "b"), true, view, context)).unwrap();
    assert_eq!(story(&plan), ["update model is_default", "create model"]);
    let plan = world.write(|view, context| set_default(first.id, None, view, context)).unwrap();
    assert_eq!(story(&plan), ["update model is_default", "update model is_default"]);
    let revisions: Vec<_> = world.view.models_of(other).iter().map(|model| model.meta.revision).collect();
    assert_eq!(revisions, [world.revision]);
    assert_eq!(world.view.default_model(ModelType::Chat).unwrap().id, first.id);
    let again = world.write(|view, context| set_default(first.id, None, view, context)).unwrap();
    assert_eq!(story(&again), [""; 0]);
}

#[test]
fn types_have_defaults_of_their_own_and_a_default_follows_its_type() {
    let (mut world, provider) = world();
    let chat = add_default(&mut world, &input(provider, "chat"));
    let image = ModelInput { model_type: Some(ModelType::Image), ..input(provider, "image") };
    let image = add_default(&mut world, &image);
    assert!(world.view.model(chat.id).unwrap().is_default);
    let moved = model(&change(&mut world, chat.id, &typed(ModelType::Audio), &[], &[]));
    assert!(moved.is_default && world.view.default_model(ModelType::Chat).is_none());
    let plan = change(&mut world, chat.id, &typed(ModelType::Image), &[], &[]);
    assert_eq!(story(plan.as_ref().unwrap()), ["update model type,is_default"]);
    assert_eq!(world.view.default_model(ModelType::Image).unwrap().id, image.id);
}

#[test]
fn a_deleted_default_leaves_none() {
    let (mut world, provider) = world();
    let made = add_default(&mut world, &input(provider, "m"));
    add(&mut world, &input(provider, "n"));
    let plan = world.write(|view, _| delete(made.id, None, view)).unwrap();
    assert_eq!(story(&plan), ["delete model"]);
    assert!(world.view.model(made.id).is_none() && world.view.default_model(ModelType::Chat).is_none());
    add(&mut world, &input(provider, "m"));
}

#[test]
fn switching_a_model_off_pins_nothing() {
    let (mut world, provider) = world();
    let made = synced(&mut world, provider, "m");
    let plan = world.write(|view, context| set_active(made.id, false, None, view, context));
    assert_eq!(story(plan.as_ref().unwrap()), ["update model is_active"]);
    assert!(!model(&plan).is_active && model(&plan).pinned_fields.is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Create(u8, usize, bool),
    Retype(u8, usize),
    SetDefault(u8),
    Delete(u8),
    Hide(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..12_u8, 0..3_usize, any::<bool>()).prop_map(|(id, kind, default)| Step::Create(id, kind, default)),
        (0..12_u8, 0..3_usize).prop_map(|(id, kind)| Step::Retype(id, kind)),
        (0..12_u8).prop_map(Step::SetDefault),
        (0..12_u8).prop_map(Step::Delete),
        any::<bool>().prop_map(Step::Hide),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Does a step, as far as the rules allow it: models with even numbers belong to one provider, others to another.
fn take(world: &mut World, providers: [ProviderId; 2], step: &Step) {
    let at = |world: &World, number: u8| {
        let provider = providers[usize::from(number % 2)];
        world.view.model_named(provider, &number.to_string()).map_or(Id::nil(), |model| model.id)
    };
    let _refused_or_done = match *step {
        Step::Create(number, kind, default) => {
            let provider = providers[usize::from(number % 2)];
            let input = ModelInput { model_type: Some(ModelType::ALL[kind]), ..input(provider, &number.to_string()) };
            world.write(|view, context| create(&input, default, view, context))
        }
        Step::Retype(number, kind) => {
            let id = at(world, number);
            change(world, id, &typed(ModelType::ALL[kind]), &[], &[])
        }
        Step::SetDefault(number) => {
            let id = at(world, number);
            world.write(|view, context| set_default(id, None, view, context))
        }
        Step::Delete(number) => {
            let id = at(world, number);
            world.write(|view, _| delete(id, None, view))
        }
        Step::Hide(true) => world.write(|view, context| provider_plan::delete(providers[0], None, view, context)),
        Step::Hide(false) => world.write(|view, context| provider_plan::undelete(providers[0], None, view, context)),
    };
}

proptest! {
    #[test]
    fn whatever_happens_a_type_has_at_most_one_default(steps in steps()) {
        let mut world = World::default();
        let providers = [world.provider("p", ProviderKind::OpenAi), world.provider("q", ProviderKind::Ollama)];
        for step in &steps {
            take(&mut world, providers, step);
            for model_type in ModelType::ALL {
                let live = providers.into_iter().filter(|id| world.view.live_provider(*id).is_ok());
                let defaults = live
                    .flat_map(|id| world.view.models_of(id))
                    .filter(|model| model.is_default && model.model_type == *model_type);
                prop_assert!(defaults.count() <= 1, "{model_type:?} after {step:?}");
            }
        }
    }
}
