//! What holds for every sequence of writes to providers, endpoints, credentials, models and bindings, and of ways back: no
//! plan breaks a promise, and each does what it says and no more.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::binding::Target;
use crate::domain::mask::Mask;
use crate::domain::model::ModelType;
use crate::domain::provider::{Provider, plan as providers};
use crate::domain::text::name_key;
use crate::domain::view::memory::World;

mod step;

use step::{Step, What, nth, steps};

const LIMIT: usize = 3;

/// How many usable credentials each live provider that needs one has.
fn usable(world: &World) -> Vec<(Uuid, usize)> {
    let live = world.view.providers().into_iter().filter(|one| one.delete_time.is_none());
    let needy = live.filter(|one| one.kind.requires_credential());
    let count = |provider: Arc<Provider>| {
        let credentials = world.view.credentials_of(provider.id);
        (provider.id.uuid(), credentials.iter().filter(|one| one.is_usable(world.now)).count())
    };
    needy.map(count).collect()
}

fn is_unique(mut names: Vec<String>) -> bool {
    let all = names.len();
    names.sort();
    names.dedup();
    names.len() == all
}

/// What is promised of every configuration.
fn broken(world: &World) -> Option<String> {
    let all = world.view.providers();
    let known: BTreeSet<_> = all.iter().map(|one| one.id).collect();
    let parents = world.view.resources().filter_map(|resource| match resource {
        Resource::Endpoint(one) => Some(one.provider_id),
        Resource::Credential(one) => Some(one.provider_id),
        Resource::Model(one) => Some(one.provider_id),
        _ => None,
    });
    if let Some(lost) = parents.into_iter().find(|parent| !known.contains(parent)) {
        return Some(format!("a child of {lost}, which is gone"));
    }
    let live: Vec<_> = all.iter().filter(|one| one.delete_time.is_none()).collect();
    if !is_unique(live.iter().map(|one| name_key(&one.name)).collect()) {
        return Some("two live providers of one name".into());
    }
    for provider in &all {
        let (endpoints, credentials) = (world.view.endpoints_of(provider.id), world.view.credentials_of(provider.id));
        if endpoints.len() > LIMIT || credentials.len() > LIMIT {
            return Some("more than the limit".into());
        }
        if !is_unique(endpoints.iter().map(|one| name_key(&one.name)).collect())
            || !is_unique(credentials.iter().map(|one| name_key(&one.alias)).collect())
            || !is_unique(world.view.models_of(provider.id).iter().map(|one| one.model_id.clone()).collect())
        {
            return Some("two siblings of one name".into());
        }
        let defaults = endpoints.iter().filter(|one| one.is_default).count();
        if defaults != usize::from(!endpoints.is_empty()) {
            return Some(format!("{defaults} defaults of {} endpoints", endpoints.len()));
        }
    }
    for model_type in ModelType::ALL {
        let of_live = live.iter().flat_map(|one| world.view.models_of(one.id));
        let defaults = of_live.filter(|one| one.is_default && one.model_type == *model_type).count();
        if defaults > 1 {
            return Some(format!("{defaults} defaults of {model_type:?}"));
        }
    }
    broken_binding(world)
}

/// What is bound is there and live, whatever was tried.
fn broken_binding(world: &World) -> Option<String> {
    let view = &world.view;
    let is_there = |target| match target {
        Target::Model(id) => view.live_model(id).is_ok(),
        Target::Provider(id) => view.live_provider(id).is_ok(),
    };
    if let Some(lost) = view.bindings().find(|one| !is_there(one.target)) {
        return Some(format!("a binding to what is not there: {lost:?}"));
    }
    let names = view.bindings().map(|one| format!("{} {}", one.consumer, one.purpose));
    (!is_unique(names.collect())).then(|| "two bindings of one consumer for one purpose".into())
}

fn revision(resource: &Resource) -> Revision {
    match resource {
        Resource::Provider(one) => one.meta.revision,
        Resource::Endpoint(one) => one.meta.revision,
        Resource::Credential(one) => one.meta.revision,
        Resource::Model(one) => one.meta.revision,
        Resource::Binding(one) => one.meta.revision,
        other => panic!("{other:?}"),
    }
}

/// Each edit starts from what is there; what it changes takes the revision, and what it leaves alone keeps its own.
fn check_edits(world: &World, plan: &Plan) -> Result<(), TestCaseError> {
    let next = world.revision.next();
    let mut seen = BTreeSet::new();
    for edit in &plan.edits {
        let id = edit.resource().unwrap().id();
        prop_assert!(seen.insert(id), "two edits of one resource");
        let stored = world.view.resources().find(|resource| resource.id() == id).cloned();
        prop_assert_eq!(&edit.before, &stored, "it starts from what is stored");
        match (&edit.before, &edit.after) {
            (Some(before), Some(after)) if before == after => {
                let leaves = [Operation::Delete, Operation::Undelete, Operation::Access];
                prop_assert!(leaves.contains(&edit.operation), "an update of nothing");
            }
            (_, Some(after)) => prop_assert_eq!(revision(after), next),
            (_, None) => prop_assert_eq!(edit.operation, Operation::Delete),
        }
        prop_assert_eq!(edit.operation == Operation::Create, edit.before.is_none());
        prop_assert!(edit.operation != Operation::Update || !edit.changed_fields.is_empty());
    }
    Ok(())
}

/// An update touches what its mask names; of models also what is kept about the fields.
fn check_mask(step: &Step, plan: &Plan) -> Result<(), TestCaseError> {
    let Some(kind) = step.updates().filter(|_| step.mask != 0) else { return Ok(()) };
    let Mask::Paths(named) = step.mask(kind) else { return Ok(()) };
    let mut about = vec!["field_sources", "pinned_fields"];
    // One target takes the place of the other.
    about.extend(
        named.iter().any(|field| field.ends_with("_id")).then_some(["model_id", "provider_id"]).into_iter().flatten(),
    );
    for edit in &plan.edits {
        let root = |field: &str| field.split('.').next().unwrap_or_default().to_owned();
        let known = |field: &str| named.contains(&root(field)) || about.contains(&field);
        let stray = edit.changed_fields.iter().find(|field| !known(field));
        prop_assert!(stray.is_none(), "{stray:?} was not named: {named:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_sequence_of_writes_breaks_a_promise(steps in steps()) {
        let mut world = World::default();
        world.limits.endpoints_per_provider = LIMIT;
        world.limits.credentials_per_provider = LIMIT;
        let mut past = Vec::new();
        for step in &steps {
            let before = usable(&world);
            let Ok(plan) = step.plan(&world, &past, None) else { continue };
            check_edits(&world, &plan)?;
            check_mask(step, &plan)?;
            if step.expects_a_revision() {
                let wrong = step.plan(&world, &past, Some(Revision(1_000_000)));
                prop_assert!(matches!(wrong, Err(Error::RevisionMismatch { .. })), "{step:?} expects nothing");
            }
            // The same step means the same resource afterwards, too: nothing that is idempotent makes or removes one
            // of the kind that it counts.
            let made: Vec<_> = plan.edits.iter().filter_map(|edit| edit.after.clone()).collect();
            world.write(|_, _| Ok(plan)).unwrap();
            prop_assert_eq!(broken(&world), None, "after {:?}", step);
            if step.is_idempotent() {
                let edits = step.plan(&world, &past, None).unwrap().edits;
                prop_assert!(edits.is_empty(), "{step:?} once more: {edits:?}");
            }
            if step.what != What::Revoke {
                let after = usable(&world);
                let lost = before.iter().find(|(id, count)| *count > 0 && after.contains(&(*id, 0)));
                prop_assert!(lost.is_none(), "{step:?} took the last credential of {lost:?}");
            }
            past.extend(made);
        }
    }

    #[test]
    fn what_is_deleted_and_brought_back_is_as_it_was(steps in steps(), which in 0..6_usize) {
        let mut world = World::default();
        for step in &steps {
            if let Ok(plan) = step.plan(&world, &[], None) {
                world.write(|_, _| Ok(plan)).unwrap();
            }
        }
        let id = nth::<Provider>(&world, ResourceKind::Provider, which);
        let all = |world: &World| world.view.resources().cloned().collect::<Vec<_>>();
        let before = all(&world);
        if world.write(|view, context| providers::delete(id, None, view, context)).is_ok() {
            world.write(|view, context| providers::undelete(id, None, view, context)).unwrap();
            let mut after = all(&world);
            for resource in &mut after {
                if let (Resource::Provider(one), Some(Resource::Provider(was))) =
                    (&mut *resource, before.iter().find(|was| was.id() == id.uuid() ))
                    && one.id == id
                {
                    prop_assert!(one.meta.revision > was.meta.revision);
                    Arc::make_mut(one).meta = was.meta.clone();
                }
            }
            prop_assert_eq!(before, after);
        }
    }
}
