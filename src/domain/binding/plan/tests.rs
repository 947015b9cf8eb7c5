use super::*;
use crate::domain::binding::input::{FIXED, SETTABLE};
use crate::domain::model::ModelParameters;
use crate::domain::model::input::ModelInput;
use crate::domain::model::plan as model_plan;
use crate::domain::provider::ProviderKind;
use crate::domain::provider::plan as provider_plan;
use crate::domain::view::memory::{World, answered, story};

fn world() -> (World, ProviderId, ModelId) {
    let mut world = World::default();
    let provider = world.provider("p", ProviderKind::OpenAi);
    let model = model(&mut world, provider, "m");
    (world, provider, model)
}

fn model(world: &mut World, provider: ProviderId, vendor_id: &str) -> ModelId {
    let input = ModelInput { provider_id: Some(provider), model_id: Some(vendor_id.into()), ..ModelInput::default() };
    Id::new(answered(&world.write(|view, context| model_plan::create(&input, false, view, context)).unwrap()).id())
}

fn input(consumer: &str, target: Target) -> BindingInput {
    BindingInput { consumer: Some(consumer.into()), target: Some(target), ..BindingInput::default() }
}

fn bind(world: &mut World, consumer: &str, target: Target) -> Arc<Binding> {
    binding(&world.write(|view, context| create(&input(consumer, target), view, context)).unwrap())
}

fn binding(plan: &Plan) -> Arc<Binding> {
    match answered(plan) {
        Resource::Binding(binding) => binding,
        other => panic!("not a binding: {other:?}"),
    }
}

fn change(world: &mut World, id: BindingId, input: &BindingInput, paths: &[&str]) -> Result<Plan> {
    let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
    let mask = Mask::parse(&paths, SETTABLE, FIXED)?;
    world.write(|view, context| update(id, input, &mask, None, view, context))
}

#[test]
fn a_consumer_has_one_binding_for_a_purpose() {
    let (mut world, provider, model) = world();
    let first = bind(&mut world, "team/a", Target::Model(model));
    assert_eq!((first.purpose.as_str(), &first.parameters), ("default", &None));
    let again = world.write(|view, context| create(&input("team/a", Target::Provider(provider)), view, context));
    assert!(matches!(again, Err(Error::AlreadyExists { holder, .. }) if holder == first.id.uuid()));
    let other = BindingInput { purpose: Some("embed".into()), ..input("team/a", Target::Provider(provider)) };
    assert_eq!(story(&world.write(|view, context| create(&other, view, context)).unwrap()), ["create binding"]);
    bind(&mut world, "team/A", Target::Model(model));
}

#[test]
fn a_target_must_be_there_and_live() {
    let (mut world, provider, model) = world();
    let unknown = world.plan(|view, context| create(&input("a", Target::Model(Id::nil())), view, context));
    assert!(matches!(unknown, Err(Error::NotFound { kind: ResourceKind::Model, .. })));
    let bound = bind(&mut world, "b", Target::Provider(provider));
    let turned = BindingInput { target: Some(Target::Provider(Id::nil())), ..BindingInput::default() };
    let turned = change(&mut world, bound.id, &turned, &[]);
    assert!(matches!(turned, Err(Error::NotFound { kind: ResourceKind::Provider, .. })));
    world.write(|view, _| delete(bound.id, None, view)).unwrap();
    world.write(|view, context| provider_plan::delete(provider, None, view, context)).unwrap();
    for target in [Target::Model(model), Target::Provider(provider)] {
        let hidden = world.plan(|view, context| create(&input("a", target), view, context));
        assert!(matches!(hidden, Err(Error::NotFound { .. })), "{target:?}");
    }
}

#[test]
fn what_is_bound_is_not_deleted() {
    let (mut world, provider, bound_model) = world();
    let free = model(&mut world, provider, "free");
    let to_model = bind(&mut world, "a", Target::Model(bound_model));
    let to_provider = bind(&mut world, "b", Target::Provider(provider));
    let refused = world.plan(|view, _| model_plan::delete(bound_model, None, view)).err();
    assert_eq!(refused, Some(Error::InUse { bindings: vec![to_model.id.uuid()] }));
    let both = Some(Error::InUse { bindings: vec![to_provider.id.uuid(), to_model.id.uuid()] });
    assert_eq!(world.plan(|view, context| provider_plan::delete(provider, None, view, context)).err(), both);
    assert_eq!(world.plan(|view, _| provider_plan::purge(provider, None, view)).err(), both);
    world.write(|view, _| model_plan::delete(free, None, view)).unwrap();
    world.write(|view, _| delete(to_provider.id, None, view)).unwrap();
    assert!(world.plan(|view, context| provider_plan::delete(provider, None, view, context)).is_err());
    world.write(|view, _| delete(to_model.id, None, view)).unwrap();
    world.write(|view, _| model_plan::delete(bound_model, None, view)).unwrap();
    world.write(|view, context| provider_plan::delete(provider, None, view, context)).unwrap();
}

#[test]
fn an_update_turns_the_target_and_merges_the_rest() {
    let (mut world, provider, model) = world();
    let id = bind(&mut world, "a", Target::Provider(provider)).id;
    let hot = ModelParameters { temperature: Some(1.5), ..ModelParameters::default() };
    let target = Some(Target::Model(model));
    let all =
        BindingInput { target, parameters: hot.clone(), labels: [("k".into(), "v".into())].into(), ..<_>::default() };
    let plan = change(&mut world, id, &all, &[]).unwrap();
    assert_eq!(story(&plan), ["update binding model_id,provider_id,parameters.temperature,labels"]);
    assert_eq!((binding(&plan).target, binding(&plan).parameters.clone()), (Target::Model(model), Some(hot)));
    assert!(change(&mut world, id, &all, &[]).unwrap().edits.is_empty(), "nothing is new");
    let bare = BindingInput { target, ..BindingInput::default() };
    let plan = change(&mut world, id, &bare, &["parameters.temperature"]).unwrap();
    assert_eq!(binding(&plan).parameters, None);
    let plan = change(&mut world, id, &bare, &["*"]).unwrap();
    assert_eq!(story(&plan), ["update binding labels"]);
}

#[test]
fn consumer_and_purpose_stay() {
    let (mut world, _, model) = world();
    let id = bind(&mut world, "a", Target::Model(model)).id;
    let other = BindingInput { purpose: Some("x".into()), ..input("b", Target::Model(model)) };
    let Err(Error::InvalidField { violations }) = change(&mut world, id, &other, &[]) else { panic!("not refused") };
    let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["binding.consumer", "binding.purpose"]);
    assert!(change(&mut world, id, &other, &["*"]).unwrap().edits.is_empty(), "ignored");
    assert!(matches!(change(&mut world, id, &other, &["consumer"]), Err(Error::InvalidMask { .. })));
    let stale = world.plan(|view, _| delete(id, Some(Revision(99)), view));
    assert!(matches!(stale, Err(Error::RevisionMismatch { .. })));
}
