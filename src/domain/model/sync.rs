//! Synchronisation: what a vendor's list does to the models of a provider, in one revision.
//!
//! A synced model is what the vendor and the catalogue tell of it now, but for what a person pinned. Manual models,
//! `is_active` and a person's MAINTENANCE are never touched, and no row is ever deleted: the same list twice changes
//! nothing the second time, and an earlier list brings back what it had brought before.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::plan::fresh;
use super::{FieldSource, MAX_SYNC_MODELS, Model, ModelSource, ModelStatus, ModelType, SyncSummary};
use crate::domain::change::{Resource, ResourceKind};
use crate::domain::error::{Error, Result};
use crate::domain::id::ProviderId;
use crate::domain::plan::{Answer, Edit, Plan, PlanContext, check_revision};
use crate::domain::revision::Revision;
use crate::domain::view::View;

mod listing;
#[cfg(test)]
mod tests;

use listing::Entry;
pub use listing::{ListedModel, Listing, Sourced};

/// Applies a vendor's list to the models of a provider. `expected` is the provider's revision. A list that is empty,
/// or has less than half as many models as are known and not given up, is applied only with `force`.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`], [`Error::SyncShrinks`].
pub fn sync(
    provider: ProviderId,
    listing: &Listing,
    force: bool,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let current = view.live_provider(provider)?;
    check_revision(ResourceKind::Provider, provider.uuid(), expected, current.meta.revision)?;
    let models = view.models_of(provider);
    if !force {
        check_shrink(listing, &models)?;
    }
    let mut listed: HashMap<&str, &Entry> = listing.entries.iter().map(|e| (e.model_id.as_str(), e)).collect();
    let mut run = Run { view, context, edits: Vec::new(), summary: SyncSummary::default(), claimed: BTreeSet::new() };
    for model in models {
        let entry = listed.remove(model.model_id.as_str());
        match model.source {
            ModelSource::Synced => run.follow(model, entry),
            ModelSource::Manual => run.summary.unchanged += u32::from(entry.is_some()),
        }
    }
    for entry in listing.entries.iter().filter(|entry| listed.contains_key(entry.model_id.as_str())) {
        run.add(provider, entry);
    }
    Ok(Plan::of(run.edits, Answer::Sync(run.summary)))
}

fn check_shrink(listing: &Listing, models: &[Arc<Model>]) -> Result<()> {
    let is_known = |model: &&Arc<Model>| model.source == ModelSource::Synced && model.status != ModelStatus::Deprecated;
    let known = models.iter().filter(is_known).count();
    let listed = listing.len();
    if listed == 0 || listed.saturating_mul(2) < known { Err(Error::SyncShrinks { listed, known }) } else { Ok(()) }
}

/// A plan in the making.
struct Run<'a> {
    view: &'a dyn View,
    context: &'a PlanContext<'a>,
    edits: Vec<Edit>,
    summary: SyncSummary,
    /// Types of which a default model of this run has become.
    claimed: BTreeSet<ModelType>,
}

impl Run<'_> {
    fn add(&mut self, provider: ProviderId, entry: &Entry) {
        let blank = fresh(provider, &entry.model_id, ModelSource::Synced, self.context);
        let mut draft = Draft::of(&blank);
        draft.describe(entry);
        let model = Arc::new(draft.model.into_owned());
        self.summary.added += 1;
        self.show(&model);
        self.edits.push(Edit::create(Resource::Model(model)));
    }

    /// Brings a synced model in step with its entry, or with the lack of one.
    fn follow(&mut self, current: Arc<Model>, entry: Option<&Entry>) {
        let mut draft = Draft::of(&current);
        match entry {
            Some(entry) => draft.describe(entry),
            None => draft.set_status(ModelStatus::Deprecated),
        }
        if draft.model.is_default && draft.model.model_type != current.model_type {
            self.carry_default(&mut draft);
        }
        let Some((mut next, fields)) = draft.finish() else {
            self.summary.unchanged += 1;
            return;
        };
        *match (current.status, next.status) {
            (ModelStatus::Available, ModelStatus::Deprecated) if entry.is_none() => &mut self.summary.deprecated,
            (ModelStatus::Deprecated, ModelStatus::Available) => &mut self.summary.restored,
            _ => &mut self.summary.updated,
        } += 1;
        next.meta.touch(self.context);
        let next = Arc::new(next);
        self.show(&next);
        self.edits.push(Edit::update(Resource::Model(current), Resource::Model(next), fields));
    }

    /// A default model whose type changes becomes the default of the new type, unless that has one.
    fn carry_default(&mut self, draft: &mut Draft<'_>) {
        let model_type = draft.model.model_type;
        if self.view.default_model(model_type).is_some() || !self.claimed.insert(model_type) {
            draft.model.to_mut().is_default = false;
            draft.changed.push("is_default".into());
        }
    }

    fn show(&mut self, model: &Arc<Model>) {
        if self.summary.models.len() < MAX_SYNC_MODELS {
            self.summary.models.push(Arc::clone(model));
        }
    }
}

/// A model as it becomes; copied only when something changes, because most models of most lists stay as they are.
struct Draft<'a> {
    model: Cow<'a, Model>,
    changed: Vec<String>,
    sources_changed: bool,
}

/// Takes over the fields that are not pinned, each with its source.
macro_rules! take_over {
    ($draft:expr, $entry:expr; $($name:literal => $field:ident),+ $(,)?) => {
        $(if !$draft.model.pinned_fields.contains($name) {
            if $draft.model.$field != $entry.$field {
                $draft.model.to_mut().$field.clone_from(&$entry.$field);
                $draft.changed.push($name.into());
            }
            $draft.set_source($name, $entry.sources.get($name).copied());
        })+
    };
}

impl<'a> Draft<'a> {
    fn of(model: &'a Model) -> Self {
        Self { model: Cow::Borrowed(model), changed: Vec::new(), sources_changed: false }
    }

    fn describe(&mut self, entry: &Entry) {
        take_over!(self, entry;
            "name" => name, "description" => description, "version" => version, "type" => model_type,
            "context_window" => context_window, "max_output_tokens" => max_output_tokens, "pricing" => pricing,
            "capabilities" => capabilities,
        );
        self.set_status(entry.status);
    }

    fn set_status(&mut self, status: ModelStatus) {
        if self.model.status == ModelStatus::Maintenance || self.model.pinned_fields.contains("status") {
            return;
        }
        if self.model.status != status {
            self.model.to_mut().status = status;
            self.changed.push("status".into());
        }
        self.set_source("status", Some(FieldSource::Vendor));
    }

    fn set_source(&mut self, field: &str, source: Option<FieldSource>) {
        if self.model.field_sources.get(field).copied() == source {
            return;
        }
        self.sources_changed = true;
        let sources = &mut self.model.to_mut().field_sources;
        match source {
            Some(source) => sources.insert(field.to_owned(), source),
            None => sources.remove(field),
        };
    }

    /// The model and its changed fields, if there are any.
    fn finish(mut self) -> Option<(Model, Vec<String>)> {
        if self.sources_changed {
            self.changed.push("field_sources".into());
        }
        if self.changed.is_empty() { None } else { Some((self.model.into_owned(), self.changed)) }
    }
}
