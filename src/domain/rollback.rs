//! Making a resource again what it was: one more change, planned like any other.
//!
//! What comes back is what a person may set, and nothing else: never a secret, never the place of a default, never a
//! host that a secret may not go to now. A deleted endpoint, model or binding is made anew under its id. Whatever
//! forbids the same change by hand forbids it here.

use std::sync::Arc;

use uuid::Uuid;

use super::binding::{self, Binding};
use super::change::{Resource, ResourceKind};
use super::credential::{self, AllowedHosts, Credential};
use super::endpoint::{self, Endpoint};
use super::error::{Error, Result};
use super::meta::Meta;
use super::model::{self, Model};
use super::plan::{Answer, Edit, Plan, PlanContext, check_revision};
use super::provider::{self, Provider};
use super::revision::Revision;
use super::view::View;

#[cfg(test)]
mod tests;

/// Makes a resource what `then` says.
///
/// # Errors
/// [`Error::NotFound`] for what it belongs or points to, and for a provider that is gone; [`Error::RevisionMismatch`];
/// [`Error::SecretDestroyed`] for a credential that is gone; what forbids the same change by hand.
pub fn rollback(
    then: &Resource,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    match then {
        Resource::Provider(then) => provider(then, expected, view, context),
        Resource::Endpoint(then) => endpoint(then, expected, view, context),
        Resource::Credential(then) => credential(then, expected, view, context),
        Resource::Model(then) => model(then, expected, view, context),
        Resource::Binding(then) => binding(then, expected, view, context),
        Resource::Token(_) | Resource::Keyring(_) => Err(Error::field("resource_kind", "cannot be rolled back")),
    }
}

/// Of a resource that is there: its own, with the labels of then.
fn kept(current: &Meta, then: &Meta) -> Meta {
    Meta { labels: then.labels.clone(), ..current.clone() }
}

/// Of a resource that is made anew: who made it first, and when.
fn again(then: &Meta, context: &PlanContext<'_>) -> Meta {
    let (create_time, created_by, labels) = (then.create_time, then.created_by.clone(), then.labels.clone());
    Meta { create_time, created_by, labels, ..Meta::created(context) }
}

fn created(resource: Resource) -> Plan {
    Plan::of(vec![Edit::create(resource.clone())], Answer::Resource(resource))
}

/// What is gone has no revision: nobody can have seen one.
fn expect_gone(kind: ResourceKind, id: Uuid, expected: Option<Revision>) -> Result<()> {
    check_revision(kind, id, expected, Revision::default())
}

fn provider(then: &Provider, expected: Option<Revision>, view: &dyn View, context: &PlanContext<'_>) -> Result<Plan> {
    let current = view.live_provider(then.id)?;
    check_revision(ResourceKind::Provider, then.id.uuid(), expected, current.meta.revision)?;
    let meta = kept(&current.meta, &then.meta);
    let next = Provider { meta, delete_time: None, purge_time: None, ..then.clone() };
    provider::plan::check_name(&next, view)?;
    Ok(provider::plan::changed(current, next, context))
}

/// Lists of allowed hosts stay as they are, whoever does it.
fn endpoint(then: &Endpoint, expected: Option<Revision>, view: &dyn View, context: &PlanContext<'_>) -> Result<Plan> {
    view.live_provider(then.provider_id)?;
    let siblings = view.endpoints_of(then.provider_id);
    let Some(current) = view.endpoint(then.id) else {
        expect_gone(ResourceKind::Endpoint, then.id.uuid(), expected)?;
        endpoint::plan::check_limit(&siblings, context)?;
        endpoint::plan::check_name(then, &siblings)?;
        let (meta, is_default) = (again(&then.meta, context), siblings.is_empty());
        return Ok(created(Resource::Endpoint(Arc::new(Endpoint { meta, is_default, ..then.clone() }))));
    };
    check_revision(ResourceKind::Endpoint, then.id.uuid(), expected, current.meta.revision)?;
    let (meta, is_default) = (kept(&current.meta, &then.meta), current.is_default);
    let next = Endpoint { meta, is_default, ..then.clone() };
    endpoint::plan::check_name(&next, &siblings)?;
    Ok(endpoint::plan::changed(current, next, context))
}

fn credential(
    then: &Credential,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let destroyed = Error::SecretDestroyed { credential_id: then.id.uuid() };
    let current = view.credential(then.id).ok_or(destroyed)?;
    view.live_provider(current.provider_id)?;
    check_revision(ResourceKind::Credential, then.id.uuid(), expected, current.meta.revision)?;
    let next = Credential {
        meta: kept(&current.meta, &then.meta),
        alias: then.alias.clone(),
        description: then.description.clone(),
        allowed_hosts: narrowed(&current.allowed_hosts, &then.allowed_hosts),
        expire_time: then.expire_time,
        quota: then.quota,
        is_active: then.is_active,
        ..Credential::clone(&current)
    };
    credential::plan::check_last(&current, Some(&next), view, context)?;
    credential::plan::check_alias(&next, &view.credentials_of(current.provider_id))?;
    Ok(credential::plan::changed(current, next, context))
}

/// The hosts that were allowed then and are allowed now. A list that follows the endpoints goes on following them, and
/// one that somebody gave does not begin to.
fn narrowed(current: &AllowedHosts, then: &AllowedHosts) -> AllowedHosts {
    if !current.explicit && !then.explicit {
        return current.clone();
    }
    let both = current.hosts.iter().filter(|host| then.allow(host));
    AllowedHosts::new(both.cloned(), true)
}

/// A person's change, as far as synchronisation is concerned: what it changes in a synced model is pinned.
fn model(then: &Model, expected: Option<Revision>, view: &dyn View, context: &PlanContext<'_>) -> Result<Plan> {
    view.live_provider(then.provider_id)?;
    let Some(current) = view.model(then.id) else {
        expect_gone(ResourceKind::Model, then.id.uuid(), expected)?;
        model::plan::check_free(then.provider_id, &then.model_id, view)?;
        let meta = again(&then.meta, context);
        return Ok(created(Resource::Model(Arc::new(Model { meta, is_default: false, ..then.clone() }))));
    };
    check_revision(ResourceKind::Model, then.id.uuid(), expected, current.meta.revision)?;
    let next = Model {
        meta: kept(&current.meta, &then.meta),
        source: current.source,
        pinned_fields: current.pinned_fields.clone(),
        field_sources: current.field_sources.clone(),
        is_default: current.is_default,
        ..then.clone()
    };
    Ok(model::plan::changed_by_person(current, next, &[], view, context))
}

fn binding(then: &Binding, expected: Option<Revision>, view: &dyn View, context: &PlanContext<'_>) -> Result<Plan> {
    let Some(current) = view.binding(then.id) else {
        expect_gone(ResourceKind::Binding, then.id.uuid(), expected)?;
        binding::plan::check_target(then.target, view)?;
        binding::plan::check_free(then, view)?;
        let meta = again(&then.meta, context);
        return Ok(created(Resource::Binding(Arc::new(Binding { meta, ..then.clone() }))));
    };
    check_revision(ResourceKind::Binding, then.id.uuid(), expected, current.meta.revision)?;
    let meta = kept(&current.meta, &then.meta);
    binding::plan::changed(current, Binding { meta, ..then.clone() }, view, context)
}
