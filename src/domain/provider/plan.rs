//! What writes to providers would do.

use std::sync::Arc;

use super::input::ProviderInput;
use super::{Provider, ProviderKind, SyncPolicy};
use crate::domain::binding::plan::check_provider_unbound;
use crate::domain::change::{Operation, Resource, ResourceKind};
use crate::domain::error::{Error, Result};
use crate::domain::id::{Id, ProviderId};
use crate::domain::mask::Mask;
use crate::domain::meta::Meta;
use crate::domain::model::Model;
use crate::domain::plan::{Answer, Edit, Plan, PlanContext, changed_fields, check_revision};
use crate::domain::revision::Revision;
use crate::domain::view::View;

/// Creates a provider. The input was checked.
///
/// # Errors
/// [`Error::AlreadyExists`] when the name is taken.
pub fn create(input: &ProviderInput, view: &dyn View, context: &PlanContext<'_>) -> Result<Plan> {
    let kind = input.kind.ok_or_else(|| Error::field("provider.kind", "required"))?;
    let mut provider = fresh(kind, context);
    input.merge_into(&mut provider, &Mask::Carried);
    check_name(&provider, view)?;
    let resource = Resource::Provider(Arc::new(provider));
    Ok(Plan::of(vec![Edit::create(resource.clone())], Answer::Resource(resource)))
}

fn fresh(kind: ProviderKind, context: &PlanContext<'_>) -> Provider {
    Provider {
        id: Id::new(context.ids.next()),
        meta: Meta::created(context),
        name: String::new(),
        kind,
        description: String::new(),
        is_active: true,
        sync_policy: SyncPolicy::default(),
        delete_time: None,
        purge_time: None,
    }
}

/// Changes the fields that `mask` names or `input` carries.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`], [`Error::AlreadyExists`]; [`Error::InvalidField`] for another
/// kind than the stored one.
pub fn update(
    id: ProviderId,
    input: &ProviderInput,
    mask: &Mask,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let current = view.live_provider(id)?;
    check_revision(ResourceKind::Provider, id.uuid(), expected, current.meta.revision)?;
    if *mask == Mask::Carried && input.kind.is_some_and(|kind| kind != current.kind) {
        return Err(Error::field("provider.kind", "cannot be changed; create another provider"));
    }
    let mut next = Provider::clone(&current);
    input.merge_into(&mut next, mask);
    check_name(&next, view)?;
    Ok(changed(current, next, context))
}

/// Switches a provider on or off.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`].
pub fn set_active(
    id: ProviderId,
    is_active: bool,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let input = ProviderInput { is_active: Some(is_active), ..ProviderInput::default() };
    update(id, &input, &Mask::Carried, expected, view, context)
}

pub(in crate::domain) fn changed(current: Arc<Provider>, mut next: Provider, context: &PlanContext<'_>) -> Plan {
    let fields = changed_fields!(current, next;
        "name" => name, "description" => description, "is_active" => is_active,
        "sync_policy.enabled" => sync_policy.enabled, "sync_policy.interval" => sync_policy.interval,
        "labels" => meta.labels,
    );
    if fields.is_empty() {
        return Plan::unchanged(Answer::Resource(Resource::Provider(current)));
    }
    next.meta.touch(context);
    let next = Resource::Provider(Arc::new(next));
    Plan::of(vec![Edit::update(Resource::Provider(current), next.clone(), fields)], Answer::Resource(next))
}

/// Hides a provider and all that belongs to it, until it is brought back or purged.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`]; [`Error::InUse`] while it or one of its models is bound.
pub fn delete(id: ProviderId, expected: Option<Revision>, view: &dyn View, context: &PlanContext<'_>) -> Result<Plan> {
    let current = view.live_provider(id)?;
    check_revision(ResourceKind::Provider, id.uuid(), expected, current.meta.revision)?;
    check_provider_unbound(id, view)?;
    let mut next = Provider::clone(&current);
    next.delete_time = Some(context.now);
    next.purge_time = Some(context.now.after(context.limits.deleted_retention));
    next.meta.touch(context);
    let mut edits = vec![Edit::hide(Resource::Provider(current), Resource::Provider(Arc::new(next)))];
    edits.extend(children(id, view).into_iter().map(|child| Edit::hide(child.clone(), child)));
    Ok(Plan::of(edits, Answer::Empty))
}

/// Brings a deleted provider back with all that belongs to it. A model that was the default of its type gives that
/// up if another model has become it.
///
/// # Errors
/// [`Error::NotFound`] also for one that is not deleted; [`Error::RevisionMismatch`]; [`Error::AlreadyExists`] when
/// the name was taken in the meantime.
pub fn undelete(
    id: ProviderId,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let deleted = view.provider(id).filter(|provider| provider.delete_time.is_some());
    let current = deleted.ok_or_else(|| Error::not_found(ResourceKind::Provider, id))?;
    check_revision(ResourceKind::Provider, id.uuid(), expected, current.meta.revision)?;
    check_name(&current, view)?;
    let mut next = Provider::clone(&current);
    next.delete_time = None;
    next.purge_time = None;
    next.meta.touch(context);
    let answer = Resource::Provider(Arc::new(next));
    let mut edits = vec![restore(Resource::Provider(current), answer.clone())];
    edits.extend(children(id, view).into_iter().map(|child| match child {
        Resource::Model(model) if model.is_default && view.default_model(model.model_type).is_some() => {
            without_default(model, context)
        }
        child => restore(child.clone(), child),
    }));
    Ok(Plan::of(edits, Answer::Resource(answer)))
}

fn restore(before: Resource, after: Resource) -> Edit {
    Edit { operation: Operation::Undelete, before: Some(before), after: Some(after), changed_fields: Vec::new() }
}

fn without_default(model: Arc<Model>, context: &PlanContext<'_>) -> Edit {
    let mut next = Model::clone(&model);
    next.is_default = false;
    next.meta.touch(context);
    let mut edit = restore(Resource::Model(model), Resource::Model(Arc::new(next)));
    edit.changed_fields.push("is_default".into());
    edit
}

/// Destroys a provider, deleted before or not, with all that belongs to it: rows and ciphertexts. A deleted one is not
/// bound any more: it could not have been deleted, and cannot be bound since.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`]; [`Error::InUse`] while it or one of its models is bound.
pub fn purge(id: ProviderId, expected: Option<Revision>, view: &dyn View) -> Result<Plan> {
    let current = view.provider(id).ok_or_else(|| Error::not_found(ResourceKind::Provider, id))?;
    check_revision(ResourceKind::Provider, id.uuid(), expected, current.meta.revision)?;
    check_provider_unbound(id, view)?;
    let mut edits: Vec<_> = children(id, view).into_iter().map(Edit::destroy).collect();
    edits.push(Edit::destroy(Resource::Provider(current)));
    Ok(Plan::of(edits, Answer::Empty))
}

/// Purges a provider whose time has come, if there is one: called again until nothing is left to do.
///
/// # Errors
/// None of its own.
pub fn purge_expired(view: &dyn View, context: &PlanContext<'_>) -> Result<Plan> {
    let due = |provider: &Arc<Provider>| provider.purge_time.is_some_and(|time| time <= context.now);
    match view.providers().into_iter().find(due) {
        Some(provider) => purge(provider.id, None, view),
        None => Ok(Plan::unchanged(Answer::Empty)),
    }
}

fn children(id: ProviderId, view: &dyn View) -> Vec<Resource> {
    let endpoints = view.endpoints_of(id).into_iter().map(Resource::Endpoint);
    let credentials = view.credentials_of(id).into_iter().map(Resource::Credential);
    let models = view.models_of(id).into_iter().map(Resource::Model);
    endpoints.chain(credentials).chain(models).collect()
}

pub(in crate::domain) fn check_name(provider: &Provider, view: &dyn View) -> Result<()> {
    match view.provider_named(&provider.name) {
        Some(holder) if holder.id != provider.id => Err(Error::AlreadyExists {
            kind: ResourceKind::Provider,
            field: "name",
            value: provider.name.clone(),
            holder: holder.id.uuid(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
