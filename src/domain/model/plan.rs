//! What writes to models would do. At most one model of a type is the default, over all live providers: whoever makes
//! a default unmakes the former one in the same write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::input::ModelInput;
use super::parameters::parameter_differences;
use super::{DESCRIPTIVE_FIELDS, FieldSource, Model, ModelSource, ModelStatus, ModelType, default_name};
use crate::domain::binding::plan::check_model_unbound;
use crate::domain::change::{Resource, ResourceKind};
use crate::domain::error::{Error, Result, Violations};
use crate::domain::id::{Id, ModelId, ProviderId};
use crate::domain::mask::Mask;
use crate::domain::meta::Meta;
use crate::domain::plan::{Answer, Edit, Plan, PlanContext, changed_fields, changed_within, check_revision};
use crate::domain::revision::Revision;
use crate::domain::view::View;

#[cfg(test)]
mod tests;

/// Creates a model by hand, as the default of its type if `set_default`. The input was checked.
///
/// # Errors
/// [`Error::NotFound`] for the provider; [`Error::AlreadyExists`] when the provider has a model of this identifier.
pub fn create(input: &ModelInput, set_default: bool, view: &dyn View, context: &PlanContext<'_>) -> Result<Plan> {
    let provider_id = input.provider_id.ok_or_else(|| Error::field("model.provider_id", "required"))?;
    let vendor_id = input.model_id.as_deref().ok_or_else(|| Error::field("model.model_id", "required"))?;
    view.live_provider(provider_id)?;
    check_free(provider_id, vendor_id, view)?;
    let mut model = fresh(provider_id, vendor_id, ModelSource::Manual, context);
    input.merge_into(&mut model, &Mask::Carried);
    model.field_sources = input.described().map(|field| (field.to_owned(), FieldSource::Person)).collect();
    let mut edits = Vec::new();
    if set_default {
        edits.extend(unset_default(model.model_type, view, context));
        model.is_default = true;
    }
    let resource = Resource::Model(Arc::new(model));
    edits.push(Edit::create(resource.clone()));
    Ok(Plan::of(edits, Answer::Resource(resource)))
}

/// Refuses the identifier of another model of the provider.
pub(in crate::domain) fn check_free(provider_id: ProviderId, vendor_id: &str, view: &dyn View) -> Result<()> {
    match view.model_named(provider_id, vendor_id) {
        Some(holder) => Err(Error::AlreadyExists {
            kind: ResourceKind::Model,
            field: "model_id",
            value: vendor_id.to_owned(),
            holder: holder.id.uuid(),
        }),
        None => Ok(()),
    }
}

pub(super) fn fresh(provider_id: ProviderId, vendor_id: &str, source: ModelSource, context: &PlanContext<'_>) -> Model {
    Model {
        id: Id::new(context.ids.next()),
        provider_id,
        meta: Meta::created(context),
        model_id: vendor_id.to_owned(),
        name: default_name(vendor_id),
        description: String::new(),
        version: String::new(),
        model_type: ModelType::Chat,
        context_window: None,
        max_output_tokens: None,
        pricing: None,
        capabilities: BTreeMap::new(),
        recommended_uses: Vec::new(),
        default_parameters: None,
        is_active: true,
        status: ModelStatus::Available,
        source,
        pinned_fields: BTreeSet::new(),
        field_sources: BTreeMap::new(),
        is_default: false,
    }
}

/// Changes the fields that `mask` names or `input` carries, and releases the fields in `unpin`, also when this very
/// write changed them. Both were checked.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`]; [`Error::InvalidField`] for another provider or identifier than
/// the stored one.
pub fn update(
    id: ModelId,
    input: &ModelInput,
    mask: &Mask,
    unpin: &[String],
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let current = view.live_model(id)?;
    check_revision(ResourceKind::Model, id.uuid(), expected, current.meta.revision)?;
    if *mask == Mask::Carried {
        check_immutable(input, &current)?;
    }
    let mut next = Model::clone(&current);
    input.merge_into(&mut next, mask);
    Ok(changed_by_person(current, next, unpin, view, context))
}

/// The plan of a change by hand: it pins what it changes, but for the fields in `unpin`. A default that becomes one of
/// another type gives way to that type's own.
pub(in crate::domain) fn changed_by_person(
    current: Arc<Model>,
    mut next: Model,
    unpin: &[String],
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Plan {
    credit_person(&current, &mut next);
    for field in unpin {
        next.pinned_fields.remove(field);
    }
    if next.model_type != current.model_type && view.default_model(next.model_type).is_some() {
        next.is_default = false;
    }
    changed(current, next, Vec::new(), context)
}

fn check_immutable(input: &ModelInput, current: &Model) -> Result<()> {
    let mut violations = Violations::default();
    if input.provider_id.is_some_and(|id| id != current.provider_id) {
        violations.add("model.provider_id", "cannot be changed; create another model");
    }
    if input.model_id.as_ref().is_some_and(|id| *id != current.model_id) {
        violations.add("model.model_id", "cannot be changed; create another model");
    }
    violations.into_result()
}

/// Notes which values a person has given. What a person changed in a synced model, a synchronisation leaves alone.
fn credit_person(current: &Model, next: &mut Model) {
    for field in differences(current, next) {
        // What is known of a message is known of it as a whole.
        let field = field.split('.').next().unwrap_or_default().to_owned();
        if !DESCRIPTIVE_FIELDS.contains(&field.as_str()) {
            continue;
        }
        if next.source == ModelSource::Synced {
            next.pinned_fields.insert(field.clone());
        }
        next.field_sources.insert(field, FieldSource::Person);
    }
}

fn differences(before: &Model, after: &Model) -> Vec<String> {
    let mut fields = changed_fields!(before, after;
        "name" => name, "description" => description, "version" => version, "type" => model_type,
        "context_window" => context_window, "max_output_tokens" => max_output_tokens,
        "capabilities" => capabilities, "recommended_uses" => recommended_uses,
        "is_active" => is_active, "status" => status,
        "pinned_fields" => pinned_fields, "field_sources" => field_sources, "is_default" => is_default,
        "labels" => meta.labels,
    );
    let (old, new) = (before.pricing.as_ref(), after.pricing.as_ref());
    fields.extend(changed_within!("pricing", old, new; input_per_1k, output_per_1k, currency));
    let (old, new) = (&before.default_parameters, &after.default_parameters);
    fields.extend(parameter_differences("default_parameters", old.as_ref(), new.as_ref()));
    fields
}

/// Switches a model on or off.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`].
pub fn set_active(
    id: ModelId,
    is_active: bool,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let input = ModelInput { is_active: Some(is_active), ..ModelInput::default() };
    update(id, &input, &Mask::Carried, &[], expected, view, context)
}

/// Makes a model the default of its type.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`].
pub fn set_default(
    id: ModelId,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let current = view.live_model(id)?;
    check_revision(ResourceKind::Model, id.uuid(), expected, current.meta.revision)?;
    let mut next = Model::clone(&current);
    next.is_default = true;
    let unset = if current.is_default { None } else { unset_default(current.model_type, view, context) };
    Ok(changed(current, next, unset.into_iter().collect(), context))
}

/// The default model of a type as it gives that up, if there is one.
fn unset_default(model_type: ModelType, view: &dyn View, context: &PlanContext<'_>) -> Option<Edit> {
    let before = view.default_model(model_type)?;
    let mut after = Model::clone(&before);
    after.is_default = false;
    after.meta.touch(context);
    let changed = differences(&before, &after);
    Some(Edit::update(Resource::Model(before), Resource::Model(Arc::new(after)), changed))
}

/// The plan that turns `current` into `next` after `edits` were done.
fn changed(current: Arc<Model>, mut next: Model, mut edits: Vec<Edit>, context: &PlanContext<'_>) -> Plan {
    let fields = differences(&current, &next);
    if fields.is_empty() {
        return Plan::unchanged(Answer::Resource(Resource::Model(current)));
    }
    next.meta.touch(context);
    let next = Resource::Model(Arc::new(next));
    edits.push(Edit::update(Resource::Model(current), next.clone(), fields));
    Plan::of(edits, Answer::Resource(next))
}

/// Deletes a model for good; if it was the default of its type, there is none then.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`]; [`Error::InUse`] while it is bound.
pub fn delete(id: ModelId, expected: Option<Revision>, view: &dyn View) -> Result<Plan> {
    let current = view.live_model(id)?;
    check_revision(ResourceKind::Model, id.uuid(), expected, current.meta.revision)?;
    check_model_unbound(id, view)?;
    Ok(Plan::of(vec![Edit::destroy(Resource::Model(current))], Answer::Empty))
}
