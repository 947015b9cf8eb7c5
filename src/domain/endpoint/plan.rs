//! What writes to endpoints would do.
//!
//! A provider that has endpoints has exactly one default among them: each plan here leaves it so.

use std::sync::Arc;

use super::input::EndpointInput;
use super::{BaseUrl, CONNECT_TIMEOUT, Endpoint, HealthCheckPolicy, PRIORITY, READ_TIMEOUT, RetryPolicy, WEIGHT};
use crate::domain::change::{Resource, ResourceKind};
use crate::domain::credential::hosts::{self, VendorHosts};
use crate::domain::error::{Error, Result};
use crate::domain::id::{EndpointId, Id, ProviderId};
use crate::domain::mask::Mask;
use crate::domain::meta::Meta;
use crate::domain::plan::{Answer, Edit, Plan, PlanContext, changed_fields, check_revision};
use crate::domain::revision::Revision;
use crate::domain::text::name_key;
use crate::domain::view::View;

/// Creates an endpoint; the first one of a provider becomes its default. The input was checked.
///
/// # Errors
/// [`Error::NotFound`] for the provider, [`Error::LimitExceeded`], [`Error::AlreadyExists`].
pub fn create(
    input: &EndpointInput,
    set_default: bool,
    vendors: &dyn VendorHosts,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let provider_id = input.provider_id.ok_or_else(|| Error::field("endpoint.provider_id", "required"))?;
    let provider = view.live_provider(provider_id)?;
    let base_url = input.base_url.as_deref().unwrap_or_default();
    let base_url = BaseUrl::parse(base_url).map_err(|problem| Error::field("endpoint.base_url", problem))?;
    let mut endpoint = fresh(provider_id, base_url, context);
    input.merge_into(&mut endpoint, &Mask::Carried)?;
    let siblings = view.endpoints_of(provider_id);
    check_limit(&siblings, context)?;
    check_name(&endpoint, &siblings)?;
    endpoint.is_default = set_default || siblings.is_empty();
    let mut edits = if endpoint.is_default { unset_defaults(&siblings, context) } else { Vec::new() };
    let admitted = hosts::admit(&provider, &endpoint, vendors, view, context);
    let resource = Resource::Endpoint(Arc::new(endpoint));
    edits.push(Edit::create(resource.clone()));
    edits.extend(admitted);
    Ok(Plan::of(edits, Answer::Resource(resource)))
}

pub(in crate::domain) fn check_limit(siblings: &[Arc<Endpoint>], context: &PlanContext<'_>) -> Result<()> {
    let limit = context.limits.endpoints_per_provider;
    if siblings.len() >= limit {
        let (what, setting) = ("endpoints of a provider", "limits.endpoints_per_provider");
        return Err(Error::LimitExceeded { what, limit, setting });
    }
    Ok(())
}

fn fresh(provider_id: ProviderId, base_url: BaseUrl, context: &PlanContext<'_>) -> Endpoint {
    Endpoint {
        id: Id::new(context.ids.next()),
        provider_id,
        meta: Meta::created(context),
        name: String::new(),
        base_url,
        api_version: String::new(),
        region: String::new(),
        connect_timeout: CONNECT_TIMEOUT.default,
        read_timeout: READ_TIMEOUT.default,
        retry: RetryPolicy::default(),
        is_default: false,
        is_active: true,
        priority: PRIORITY.default,
        weight: WEIGHT.default,
        health_check: HealthCheckPolicy::default(),
    }
}

/// Changes the fields that `mask` names or `input` carries.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`], [`Error::AlreadyExists`]; [`Error::InvalidField`] for another
/// provider than the stored one, and for pauses that end up the wrong way round.
pub fn update(
    id: EndpointId,
    input: &EndpointInput,
    mask: &Mask,
    expected: Option<Revision>,
    vendors: &dyn VendorHosts,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let current = view.live_endpoint(id)?;
    let provider = view.live_provider(current.provider_id)?;
    check_revision(ResourceKind::Endpoint, id.uuid(), expected, current.meta.revision)?;
    if *mask == Mask::Carried && input.provider_id.is_some_and(|provider| provider != current.provider_id) {
        return Err(Error::field("endpoint.provider_id", "cannot be changed; create another endpoint"));
    }
    let mut next = Endpoint::clone(&current);
    input.merge_into(&mut next, mask)?;
    check_name(&next, &view.endpoints_of(current.provider_id))?;
    let moved = next.base_url.host() != current.base_url.host();
    let admitted = if moved { hosts::admit(&provider, &next, vendors, view, context) } else { Vec::new() };
    let mut plan = changed(current, next, context);
    plan.edits.extend(admitted);
    Ok(plan)
}

pub(in crate::domain) fn changed(current: Arc<Endpoint>, mut next: Endpoint, context: &PlanContext<'_>) -> Plan {
    let fields = changed_fields!(current, next;
        "name" => name, "base_url" => base_url, "api_version" => api_version, "region" => region,
        "connect_timeout" => connect_timeout, "read_timeout" => read_timeout, "retry.max_attempts" => retry.max_attempts, "retry.initial_backoff" => retry.initial_backoff,
        "retry.max_backoff" => retry.max_backoff,
        "is_default" => is_default, "is_active" => is_active, "priority" => priority, "weight" => weight,
        "health_check.enabled" => health_check.enabled, "health_check.interval" => health_check.interval,
        "health_check.timeout" => health_check.timeout,
        "health_check.unhealthy_threshold" => health_check.unhealthy_threshold,
        "health_check.healthy_threshold" => health_check.healthy_threshold,
        "health_check.degraded_latency" => health_check.degraded_latency, "health_check.path" => health_check.path, "labels" => meta.labels,
    );
    if fields.is_empty() {
        return Plan::unchanged(Answer::Resource(Resource::Endpoint(current)));
    }
    next.meta.touch(context);
    let next = Resource::Endpoint(Arc::new(next));
    Plan::of(vec![Edit::update(Resource::Endpoint(current), next.clone(), fields)], Answer::Resource(next))
}

/// Deletes an endpoint for good. Was it the default, the next one by priority and age becomes it.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`]; [`Error::LastEndpoint`] for a provider's only one.
pub fn delete(id: EndpointId, expected: Option<Revision>, view: &dyn View, context: &PlanContext<'_>) -> Result<Plan> {
    let current = view.live_endpoint(id)?;
    check_revision(ResourceKind::Endpoint, id.uuid(), expected, current.meta.revision)?;
    let mut others = view.endpoints_of(current.provider_id);
    others.retain(|other| other.id != id);
    let heir = others.into_iter().min_by_key(|other| (other.priority, other.meta.create_time, other.id));
    let Some(heir) = heir else {
        return Err(Error::LastEndpoint { endpoint_id: id.uuid(), provider_id: current.provider_id.uuid() });
    };
    let passed = current.is_default.then(|| with_default(heir, true, context));
    let mut edits = vec![Edit::destroy(Resource::Endpoint(current))];
    edits.extend(passed);
    Ok(Plan::of(edits, Answer::Empty))
}

/// Makes an endpoint its provider's default; the former one is none afterwards.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`].
pub fn set_default(
    id: EndpointId,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let current = view.live_endpoint(id)?;
    check_revision(ResourceKind::Endpoint, id.uuid(), expected, current.meta.revision)?;
    if current.is_default {
        return Ok(Plan::unchanged(Answer::Resource(Resource::Endpoint(current))));
    }
    let mut edits = unset_defaults(&view.endpoints_of(current.provider_id), context);
    let edit = with_default(current, true, context);
    let answer = edit.after.clone().map_or(Answer::Empty, Answer::Resource);
    edits.push(edit);
    Ok(Plan::of(edits, answer))
}

fn unset_defaults(endpoints: &[Arc<Endpoint>], context: &PlanContext<'_>) -> Vec<Edit> {
    let defaults = endpoints.iter().filter(|endpoint| endpoint.is_default).cloned();
    defaults.map(|endpoint| with_default(endpoint, false, context)).collect()
}

fn with_default(endpoint: Arc<Endpoint>, is_default: bool, context: &PlanContext<'_>) -> Edit {
    let mut next = Endpoint::clone(&endpoint);
    next.is_default = is_default;
    next.meta.touch(context);
    Edit::update(Resource::Endpoint(endpoint), Resource::Endpoint(Arc::new(next)), vec!["is_default".into()])
}

pub(in crate::domain) fn check_name(endpoint: &Endpoint, siblings: &[Arc<Endpoint>]) -> Result<()> {
    let key = name_key(&endpoint.name);
    match siblings.iter().find(|other| other.id != endpoint.id && name_key(&other.name) == key) {
        Some(holder) => Err(Error::AlreadyExists {
            kind: ResourceKind::Endpoint,
            field: "name",
            value: endpoint.name.clone(),
            holder: holder.id.uuid(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
