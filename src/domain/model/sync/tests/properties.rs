//! What holds for every sequence of lists.

use super::*;

fn sourced<T: Clone + std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Option<Sourced<T>>> {
    let source = prop_oneof![Just(FieldSource::Vendor), Just(FieldSource::Catalogue)];
    proptest::option::of((value, source).prop_map(|(value, source)| Sourced { value, source }))
}

fn pricing() -> impl Strategy<Value = Pricing> {
    (0..3_i64).prop_map(|nanos| Pricing {
        input_per_1k: Some(Price::from_nanos(nanos)),
        output_per_1k: None,
        currency: "USD".into(),
    })
}

fn listed() -> impl Strategy<Value = ListedModel> {
    let model_type = proptest::sample::select(ModelType::ALL);
    let capabilities = proptest::collection::btree_set(proptest::sample::select(Capability::ALL), 0..4);
    let about = (sourced("[a-c]{0,3}"), sourced("[a-c\n ]{0,4}"), sourced(model_type), sourced(-1..4_i64));
    (0..8_u8, about, sourced(pricing()), sourced(capabilities), any::<bool>()).prop_map(
        |(number, (name, description, model_type, context_window), pricing, capabilities, deprecated)| ListedModel {
            name,
            description,
            model_type,
            context_window,
            pricing,
            capabilities,
            deprecated,
            ..ListedModel::named(format!("m{number}"))
        },
    )
}

fn listing() -> impl Strategy<Value = Listing> {
    proptest::collection::vec(listed(), 0..10).prop_map(Listing::new)
}

/// The models by identifier, without their times and revisions.
fn models(world: &World, provider: ProviderId) -> Vec<Model> {
    let mut models: Vec<_> = world.view.models_of(provider).iter().map(|model| Model::clone(model)).collect();
    for model in &mut models {
        model.meta = crate::domain::meta::Meta::default();
    }
    models.sort_by(|a, b| a.model_id.cmp(&b.model_id));
    models
}

/// A person touches some models: numbers decide which and how.
fn meddle(world: &mut World, provider: ProviderId, choices: &[u8]) {
    for (model, choice) in world.view.models_of(provider).iter().zip(choices) {
        let input = match choice % 6 {
            0 => with_status(ModelStatus::Maintenance),
            1 => with_status(ModelStatus::Deprecated),
            2 => ModelInput { context_window: Some(99), ..ModelInput::default() },
            3 => ModelInput { is_active: Some(false), model_type: Some(ModelType::Chat), ..ModelInput::default() },
            4 => {
                make_default(world, model.id);
                continue;
            }
            _ => continue,
        };
        by_person(world, model.id, &input, &[]);
    }
}

proptest! {
    #[test]
    fn the_second_time_nothing_happens(
        lists in proptest::collection::vec(listing(), 1..4),
        choices in proptest::collection::vec(any::<u8>(), 8),
    ) {
        let (mut world, provider) = world();
        for list in &lists {
            forced(&mut world, provider, list);
            meddle(&mut world, provider, &choices);
            forced(&mut world, provider, list);
            let again = forced(&mut world, provider, list);
            prop_assert!(again.edits.is_empty(), "{:?}", story(&again));
        }
    }

    #[test]
    fn an_earlier_list_restores_what_it_had_brought(a in listing(), b in listing()) {
        let (mut world, provider) = world();
        forced(&mut world, provider, &a);
        let before = models(&world, provider);
        forced(&mut world, provider, &b);
        forced(&mut world, provider, &a);
        let (mut after, strangers): (Vec<_>, Vec<_>) =
            models(&world, provider).into_iter().partition(|model| before.iter().any(|old| old.id == model.id));
        after.sort_by(|a, b| a.model_id.cmp(&b.model_id));
        prop_assert_eq!(after, before);
        prop_assert!(strangers.iter().all(|model| model.status == ModelStatus::Deprecated));
    }

    #[test]
    fn counts_add_up_persons_are_respected_and_defaults_stay_single(
        a in listing(),
        b in listing(),
        choices in proptest::collection::vec(any::<u8>(), 8),
    ) {
        let (mut world, provider) = world();
        forced(&mut world, provider, &a);
        meddle(&mut world, provider, &choices);
        let before = models(&world, provider);
        let plan = forced(&mut world, provider, &b);
        let after = models(&world, provider);
        let [added, updated, deprecated, restored, unchanged] = counts(&plan);
        prop_assert_eq!((added + updated + deprecated + restored) as usize, plan.edits.len());
        prop_assert_eq!((added + updated + deprecated + restored + unchanged) as usize, after.len());
        for old in &before {
            let new = after.iter().find(|model| model.id == old.id).unwrap();
            prop_assert_eq!(old.is_active, new.is_active);
            prop_assert_eq!(&old.pinned_fields, &new.pinned_fields);
            if old.pinned_fields.contains("status") || old.status == ModelStatus::Maintenance {
                prop_assert_eq!(old.status, new.status);
            }
            if old.pinned_fields.contains("context_window") {
                prop_assert_eq!(old.context_window, new.context_window);
            }
        }
        for model_type in ModelType::ALL {
            let defaults = after.iter().filter(|model| model.is_default && model.model_type == *model_type);
            prop_assert!(defaults.count() <= 1);
        }
    }
}
