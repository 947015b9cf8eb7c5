//! What writes to bindings would do.

use std::sync::Arc;

use uuid::Uuid;

use super::input::BindingInput;
use super::{Binding, Target};
use crate::domain::change::{Resource, ResourceKind};
use crate::domain::error::{Error, Result, Violations};
use crate::domain::id::{BindingId, Id, ModelId, ProviderId};
use crate::domain::mask::Mask;
use crate::domain::meta::Meta;
use crate::domain::model::parameters::parameter_differences;
use crate::domain::plan::{Answer, Edit, Plan, PlanContext, changed_fields, check_revision};
use crate::domain::revision::Revision;
use crate::domain::view::View;

#[cfg(test)]
mod tests;

/// Creates a binding. The input was checked.
///
/// # Errors
/// [`Error::NotFound`] for the target; [`Error::AlreadyExists`] when the consumer has a binding for the purpose.
pub fn create(input: &BindingInput, view: &dyn View, context: &PlanContext<'_>) -> Result<Plan> {
    let consumer = input.consumer.clone().ok_or_else(|| Error::field("binding.consumer", "required"))?;
    let target = input.target.ok_or_else(|| Error::field("binding.model_id", "required: model_id or provider_id"))?;
    check_target(target, view)?;
    let (id, meta, purpose) = (Id::new(context.ids.next()), Meta::created(context), input.purpose().to_owned());
    let mut binding = Binding { id, meta, consumer, purpose, target, parameters: None };
    check_free(&binding, view)?;
    input.merge_into(&mut binding, &Mask::Carried);
    let resource = Resource::Binding(Arc::new(binding));
    Ok(Plan::of(vec![Edit::create(resource.clone())], Answer::Resource(resource)))
}

/// Refuses a target that does not exist, or whose provider is deleted.
pub(in crate::domain) fn check_target(target: Target, view: &dyn View) -> Result<()> {
    match target {
        Target::Model(id) => view.live_model(id).map(drop),
        Target::Provider(id) => view.live_provider(id).map(drop),
    }
}

/// Refuses the (consumer, purpose) of another binding.
pub(in crate::domain) fn check_free(binding: &Binding, view: &dyn View) -> Result<()> {
    match view.binding_for(&binding.consumer, &binding.purpose) {
        Some(holder) if holder.id != binding.id => Err(Error::AlreadyExists {
            kind: ResourceKind::Binding,
            field: "(consumer, purpose)",
            value: format!("({}, {})", binding.consumer, binding.purpose),
            holder: holder.id.uuid(),
        }),
        _ => Ok(()),
    }
}

/// Changes the fields that `mask` names or `input` carries.
///
/// # Errors
/// [`Error::NotFound`] for the binding or its new target, [`Error::RevisionMismatch`]; [`Error::InvalidField`] for
/// another consumer or purpose than the stored one.
pub fn update(
    id: BindingId,
    input: &BindingInput,
    mask: &Mask,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let current = found(id, view)?;
    check_revision(ResourceKind::Binding, id.uuid(), expected, current.meta.revision)?;
    if *mask == Mask::Carried {
        check_immutable(input, &current)?;
    }
    let mut next = Binding::clone(&current);
    input.merge_into(&mut next, mask);
    changed(current, next, view, context)
}

fn found(id: BindingId, view: &dyn View) -> Result<Arc<Binding>> {
    view.binding(id).ok_or_else(|| Error::not_found(ResourceKind::Binding, id))
}

fn check_immutable(input: &BindingInput, current: &Binding) -> Result<()> {
    let mut violations = Violations::default();
    if input.consumer.as_ref().is_some_and(|consumer| *consumer != current.consumer) {
        violations.add("binding.consumer", "cannot be changed; create another binding");
    }
    if input.purpose.as_ref().is_some_and(|purpose| *purpose != current.purpose) {
        violations.add("binding.purpose", "cannot be changed; create another binding");
    }
    violations.into_result()
}

/// The plan that turns `current` into `next`.
///
/// # Errors
/// [`Error::NotFound`] for a new target.
pub(in crate::domain) fn changed(
    current: Arc<Binding>,
    mut next: Binding,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    check_target(next.target, view)?;
    let mut fields: Vec<String> = Vec::new();
    if current.target != next.target {
        let (before, after) = (current.target.field(), next.target.field());
        fields.push(after.into());
        fields.extend((before != after).then(|| before.into()));
    }
    fields.extend(parameter_differences("parameters", current.parameters.as_ref(), next.parameters.as_ref()));
    fields.extend(changed_fields!(current, next; "labels" => meta.labels));
    if fields.is_empty() {
        return Ok(Plan::unchanged(Answer::Resource(Resource::Binding(current))));
    }
    next.meta.touch(context);
    let next = Resource::Binding(Arc::new(next));
    let edit = Edit::update(Resource::Binding(current), next.clone(), fields);
    Ok(Plan::of(vec![edit], Answer::Resource(next)))
}

/// Deletes a binding for good.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`].
pub fn delete(id: BindingId, expected: Option<Revision>, view: &dyn View) -> Result<Plan> {
    let current = found(id, view)?;
    check_revision(ResourceKind::Binding, id.uuid(), expected, current.meta.revision)?;
    Ok(Plan::of(vec![Edit::destroy(Resource::Binding(current))], Answer::Empty))
}

/// Refuses to delete a model that is bound.
///
/// # Errors
/// [`Error::InUse`].
pub fn check_model_unbound(id: ModelId, view: &dyn View) -> Result<()> {
    unbound(ids(Target::Model(id), view).collect())
}

/// Refuses to delete a provider that is bound, or one of whose models is.
///
/// # Errors
/// [`Error::InUse`].
pub fn check_provider_unbound(id: ProviderId, view: &dyn View) -> Result<()> {
    if !view.has_bindings() {
        return Ok(());
    }
    let models = view.models_of(id);
    let of_models = models.iter().flat_map(|model| ids(Target::Model(model.id), view));
    unbound(ids(Target::Provider(id), view).chain(of_models).collect())
}

fn ids(target: Target, view: &dyn View) -> impl Iterator<Item = Uuid> {
    view.bindings_to(target).into_iter().map(|binding| binding.id.uuid())
}

fn unbound(bindings: Vec<Uuid>) -> Result<()> {
    if bindings.is_empty() { Ok(()) } else { Err(Error::InUse { bindings }) }
}
