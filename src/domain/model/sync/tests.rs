use proptest::prelude::*;

use super::*;
use crate::domain::id::ModelId;
use crate::domain::mask::Mask;
use crate::domain::model::input::{ModelInput, PricingInput};
use crate::domain::model::plan as model_plan;
use crate::domain::model::{Capability, Price, Pricing};
use crate::domain::provider::ProviderKind;
use crate::domain::provider::plan as provider_plan;
use crate::domain::view::memory::{World, story};

mod properties;

fn world() -> (World, ProviderId) {
    let mut world = World::default();
    let provider = world.provider("p", ProviderKind::OpenAi);
    (world, provider)
}

fn named(ids: &[&str]) -> Listing {
    Listing::new(ids.iter().map(|id| ListedModel::named(*id)))
}

fn run(world: &mut World, provider: ProviderId, listing: &Listing) -> Plan {
    world.write(|view, context| sync(provider, listing, false, None, view, context)).unwrap()
}

fn forced(world: &mut World, provider: ProviderId, listing: &Listing) -> Plan {
    world.write(|view, context| sync(provider, listing, true, None, view, context)).unwrap()
}

fn summary(plan: &Plan) -> &SyncSummary {
    match &plan.answer {
        Answer::Sync(summary) => summary,
        other => panic!("not a summary: {other:?}"),
    }
}

/// Added, updated, deprecated, restored, unchanged.
fn counts(plan: &Plan) -> [u32; 5] {
    let SyncSummary { added, updated, deprecated, restored, unchanged, .. } = *summary(plan);
    [added, updated, deprecated, restored, unchanged]
}

fn at(world: &World, provider: ProviderId, id: &str) -> Arc<Model> {
    world.view.model_named(provider, id).unwrap()
}

fn status(world: &World, provider: ProviderId, id: &str) -> ModelStatus {
    at(world, provider, id).status
}

fn by_person(world: &mut World, id: ModelId, input: &ModelInput, unpin: &[&str]) {
    let unpin: Vec<_> = unpin.iter().map(ToString::to_string).collect();
    world.write(|view, context| model_plan::update(id, input, &Mask::Carried, &unpin, None, view, context)).unwrap();
}

fn with_status(status: ModelStatus) -> ModelInput {
    ModelInput { status: Some(status), ..ModelInput::default() }
}

fn windowed(id: &str, window: i64) -> ListedModel {
    ListedModel { context_window: Some(Sourced::vendor(window)), ..ListedModel::named(id) }
}

fn make_default(world: &mut World, id: ModelId) {
    world.write(|view, context| model_plan::set_default(id, None, view, context)).unwrap();
}

#[test]
fn new_models_are_added_with_what_is_told_of_them() {
    let (mut world, provider) = world();
    let pricing =
        Pricing { input_per_1k: Some(Price::parse("0.5").unwrap()), output_per_1k: None, currency: "USD".into() };
    let listed = ListedModel {
        name: Some(Sourced::vendor("A Model".into())),
        model_type: Some(Sourced::catalogue(ModelType::Embedding)),
        pricing: Some(Sourced::catalogue(pricing.clone())),
        capabilities: Some(Sourced::vendor([Capability::Embedding].into())),
        ..windowed("a", 4096)
    };
    let gone = ListedModel { deprecated: true, ..ListedModel::named("b") };
    let plan = run(&mut world, provider, &Listing::new([listed, gone]));
    assert_eq!(story(&plan), ["create model", "create model"]);
    assert_eq!(counts(&plan), [2, 0, 0, 0, 0]);
    let a = at(&world, provider, "a");
    assert_eq!((a.name.as_str(), a.model_type, a.context_window), ("A Model", ModelType::Embedding, Some(4096)));
    assert_eq!((&a.pricing, a.capabilities.len()), (&Some(pricing), 1));
    assert_eq!((a.source, a.is_active, a.status), (ModelSource::Synced, true, ModelStatus::Available));
    assert_eq!(a.meta.revision, world.revision);
    let source = |field: &str| a.field_sources.get(field).copied();
    assert_eq!(source("context_window"), Some(FieldSource::Vendor));
    assert_eq!(source("pricing"), Some(FieldSource::Catalogue));
    assert_eq!(source("description"), None);
    assert_eq!(status(&world, provider, "b"), ModelStatus::Deprecated);
}

#[test]
fn known_models_are_updated_and_what_is_no_longer_told_returns_to_its_default() {
    let (mut world, provider) = world();
    run(&mut world, provider, &Listing::new([windowed("a", 1), windowed("b", 1)]));
    let plan = run(&mut world, provider, &Listing::new([windowed("b", 1), windowed("a", 2)]));
    assert_eq!(story(&plan), ["update model context_window"]);
    assert_eq!(counts(&plan), [0, 1, 0, 0, 1]);
    assert_eq!(summary(&plan).models, [at(&world, provider, "a")]);
    let plan = run(&mut world, provider, &Listing::new([ListedModel::named("a"), windowed("b", 1)]));
    assert_eq!(story(&plan), ["update model context_window,field_sources"]);
    assert_eq!(at(&world, provider, "a").context_window, None);
    let told = ListedModel { context_window: Some(Sourced::catalogue(1)), ..ListedModel::named("b") };
    let plan = run(&mut world, provider, &Listing::new([ListedModel::named("a"), told]));
    assert_eq!(story(&plan), ["update model field_sources"]);
}

#[test]
fn the_same_list_changes_nothing() {
    let (mut world, provider) = world();
    run(&mut world, provider, &named(&["a", "b"]));
    let plan = run(&mut world, provider, &named(&["b", "a"]));
    assert!(plan.edits.is_empty() && summary(&plan).models.is_empty());
    assert_eq!(counts(&plan), [0, 0, 0, 0, 2]);
}

#[test]
fn missing_models_are_deprecated_once_and_returning_ones_restored() {
    let (mut world, provider) = world();
    run(&mut world, provider, &named(&["a", "b", "c"]));
    let plan = run(&mut world, provider, &named(&["a", "b"]));
    assert_eq!(story(&plan), ["update model status"]);
    assert_eq!(counts(&plan), [0, 0, 1, 0, 2]);
    assert_eq!(counts(&run(&mut world, provider, &named(&["a", "b"]))), [0, 0, 0, 0, 3]);
    let back = ListedModel { name: Some(Sourced::vendor("C".into())), ..ListedModel::named("c") };
    let listing = Listing::new([ListedModel::named("a"), ListedModel::named("b"), back]);
    let plan = run(&mut world, provider, &listing);
    assert_eq!(counts(&plan), [0, 0, 0, 1, 2]);
    assert_eq!(status(&world, provider, "c"), ModelStatus::Available);
    assert_eq!(at(&world, provider, "c").name, "C");
}

#[test]
fn the_vendors_own_deprecation_stays_as_long_as_the_vendor_says_so() {
    let (mut world, provider) = world();
    let old = |deprecated| Listing::new([ListedModel { deprecated, ..ListedModel::named("a") }]);
    run(&mut world, provider, &old(false));
    assert_eq!(counts(&run(&mut world, provider, &old(true))), [0, 1, 0, 0, 0]);
    assert_eq!(counts(&run(&mut world, provider, &old(true))), [0, 0, 0, 0, 1]);
    forced(&mut world, provider, &named(&["b"]));
    assert_eq!(counts(&run(&mut world, provider, &old(true))), [0, 0, 1, 0, 1]);
    assert_eq!(status(&world, provider, "a"), ModelStatus::Deprecated);
    assert_eq!(counts(&run(&mut world, provider, &old(false))), [0, 0, 0, 1, 1]);
}

#[test]
fn pinned_fields_are_left_alone_until_they_are_released() {
    let (mut world, provider) = world();
    run(&mut world, provider, &Listing::new([windowed("a", 1)]));
    let id = at(&world, provider, "a").id;
    let price = PricingInput { input_per_1k: Some("1".into()), ..PricingInput::default() };
    by_person(&mut world, id, &ModelInput { context_window: Some(7), pricing: price, ..ModelInput::default() }, &[]);
    let next = ListedModel { version: Some(Sourced::vendor("v2".into())), ..windowed("a", 2) };
    let plan = run(&mut world, provider, &Listing::new([next.clone()]));
    assert_eq!(story(&plan), ["update model version,field_sources"]);
    let kept = at(&world, provider, "a");
    assert_eq!((kept.context_window, kept.pricing.is_some()), (Some(7), true));
    assert_eq!(kept.field_sources.get("context_window"), Some(&FieldSource::Person));
    by_person(&mut world, id, &ModelInput::default(), &["context_window", "pricing"]);
    run(&mut world, provider, &Listing::new([next]));
    let followed = at(&world, provider, "a");
    assert_eq!((followed.context_window, &followed.pricing), (Some(2), &None));
    assert_eq!(followed.field_sources.get("context_window"), Some(&FieldSource::Vendor));
    assert_eq!(followed.field_sources.get("pricing"), None);
}

#[test]
fn manual_models_are_never_touched() {
    let (mut world, provider) = world();
    for id in ["hand", "alone"] {
        let input = ModelInput { provider_id: Some(provider), model_id: Some(id.into()), ..ModelInput::default() };
        world.write(|view, context| model_plan::create(&input, false, view, context)).unwrap();
    }
    let plan = run(&mut world, provider, &Listing::new([windowed("hand", 5), windowed("a", 1)]));
    assert_eq!(counts(&plan), [1, 0, 0, 0, 1]);
    assert_eq!(at(&world, provider, "hand").context_window, None);
    let plan = forced(&mut world, provider, &named(&["a2"]));
    assert_eq!(counts(&plan), [1, 0, 1, 0, 0]);
    for id in ["hand", "alone"] {
        assert_eq!(status(&world, provider, id), ModelStatus::Available);
    }
}

#[test]
fn maintenance_a_persons_status_and_the_switch_are_never_touched() {
    let (mut world, provider) = world();
    run(&mut world, provider, &named(&["a", "b", "c", "d"]));
    for (id, status) in [("a", ModelStatus::Maintenance), ("b", ModelStatus::Deprecated)] {
        let id = at(&world, provider, id).id;
        by_person(&mut world, id, &with_status(status), &[]);
    }
    let c = at(&world, provider, "c").id;
    world.write(|view, context| model_plan::set_active(c, false, None, view, context)).unwrap();
    let before: Vec<_> = ["a", "b", "c", "d"].iter().map(|id| at(&world, provider, id)).collect();
    for listing in [named(&["d"]), named(&["a", "b", "c", "d"])] {
        forced(&mut world, provider, &listing);
    }
    for (id, before) in ["a", "b", "c", "d"].iter().zip(before) {
        let after = at(&world, provider, id);
        assert_eq!((after.status, after.is_active), (before.status, before.is_active), "{id}");
    }
}

#[test]
fn maintenance_holds_even_when_the_pin_is_released_and_other_fields_follow() {
    let (mut world, provider) = world();
    run(&mut world, provider, &Listing::new([windowed("a", 1)]));
    let id = at(&world, provider, "a").id;
    by_person(&mut world, id, &with_status(ModelStatus::Maintenance), &["status"]);
    run(&mut world, provider, &Listing::new([windowed("a", 2)]));
    forced(&mut world, provider, &named(&[]));
    let model = at(&world, provider, "a");
    assert_eq!((model.status, model.context_window), (ModelStatus::Maintenance, Some(2)));
}

#[test]
fn a_released_deprecation_of_a_person_ends_with_the_next_list() {
    let (mut world, provider) = world();
    run(&mut world, provider, &named(&["a"]));
    let id = at(&world, provider, "a").id;
    by_person(&mut world, id, &with_status(ModelStatus::Deprecated), &[]);
    assert_eq!(counts(&run(&mut world, provider, &named(&["a"]))), [0, 0, 0, 0, 1]);
    by_person(&mut world, id, &ModelInput::default(), &["status"]);
    assert_eq!(counts(&run(&mut world, provider, &named(&["a"]))), [0, 0, 0, 1, 0]);
    assert_eq!(at(&world, provider, "a").field_sources.get("status"), Some(&FieldSource::Vendor));
}

#[test]
fn a_list_that_shrinks_too_much_needs_force() {
    let (mut world, provider) = world();
    run(&mut world, provider, &named(&["a", "b", "c", "d", "e"]));
    let refused = |world: &World, listing: &Listing| match world
        .plan(|view, context| sync(provider, listing, false, None, view, context))
    {
        Err(Error::SyncShrinks { listed, known }) => Some((listed, known)),
        Ok(_) => None,
        Err(other) => panic!("{other}"),
    };
    assert_eq!(refused(&world, &named(&[])), Some((0, 5)));
    assert_eq!(refused(&world, &named(&["a", "b"])), Some((2, 5)));
    assert_eq!(refused(&world, &named(&["x", "", "y", "x"])), Some((2, 5)));
    assert_eq!(refused(&world, &named(&["a", "b", "c"])), None);
    run(&mut world, provider, &named(&["a", "b", "c", "d"]));
    assert_eq!(refused(&world, &named(&["a", "b"])), None, "the deprecated one no longer counts; half is enough");
    assert_eq!(counts(&forced(&mut world, provider, &named(&[]))), [0, 0, 4, 0, 1]);
    assert_eq!(refused(&world, &named(&["z"])), None);
    assert_eq!(refused(&world, &named(&[])), Some((0, 0)));
}

#[test]
fn a_default_whose_type_changes_gives_way_to_the_default_of_its_new_type() {
    let (mut world, provider) = world();
    let other = world.provider("q", ProviderKind::Ollama);
    let typed =
        |id: &str, model_type| ListedModel { model_type: Some(Sourced::vendor(model_type)), ..ListedModel::named(id) };
    let start = [typed("a", ModelType::Chat), typed("b", ModelType::Image), typed("c", ModelType::Audio)];
    run(&mut world, provider, &Listing::new(start));
    run(&mut world, other, &Listing::new([typed("d", ModelType::Vision)]));
    for (provider, id) in [(provider, "a"), (provider, "b"), (provider, "c"), (other, "d")] {
        let id = at(&world, provider, id).id;
        make_default(&mut world, id);
    }
    let moved = [typed("a", ModelType::Rerank), typed("b", ModelType::Rerank), typed("c", ModelType::Vision)];
    let plan = run(&mut world, provider, &Listing::new(moved));
    assert_eq!(story(&plan), ["update model type", "update model type,is_default", "update model type,is_default"]);
    assert_eq!(world.view.default_model(ModelType::Rerank).unwrap().model_id, "a");
    assert_eq!(world.view.default_model(ModelType::Vision).unwrap().model_id, "d");
}

#[test]
fn the_provider_must_live_and_be_as_expected() {
    let (mut world, provider) = world();
    let plan = |world: &World, expected| {
        world.plan(|view, context| sync(provider, &named(&["a"]), false, expected, view, context)).map(|_| ())
    };
    assert!(plan(&world, Some(world.revision)).is_ok());
    assert!(matches!(plan(&world, Some(Revision(99))), Err(Error::RevisionMismatch { .. })));
    world.write(|view, context| provider_plan::delete(provider, None, view, context)).unwrap();
    assert!(matches!(plan(&world, None), Err(Error::NotFound { .. })));
}

#[test]
fn the_answer_shows_at_most_a_thousand_models() {
    let (mut world, provider) = world();
    let listing = Listing::new((0..1500).map(|number| ListedModel::named(format!("m{number}"))));
    let plan = run(&mut world, provider, &listing);
    assert_eq!((summary(&plan).added, summary(&plan).models.len(), plan.edits.len()), (1500, MAX_SYNC_MODELS, 1500));
}
