//! Lists of models.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::page::{Builder, Page, PageRequest};
use super::text::Needle;
use super::{Present, has_labels, list, passes, scope};
use crate::domain::error::Result;
use crate::domain::id::ProviderId;
use crate::domain::meta::Labels;
use crate::domain::model::{Capability, Model, ModelStatus, ModelType, Score};
use crate::domain::time::Timestamp;
use crate::domain::view::View;
use crate::snapshot::entry::Entry;
use crate::snapshot::state::Snapshot;
use crate::snapshot::usable::offered;

/// Absent and empty fields let everything pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelFilter {
    pub provider_id: Option<ProviderId>,
    /// Exact.
    pub name: Option<String>,
    /// The vendor's identifier, exact.
    pub model_id: Option<String>,
    pub model_type: Option<ModelType>,
    pub status: Option<ModelStatus>,
    pub is_active: Option<bool>,
    pub is_default: Option<bool>,
    pub usable: Option<bool>,
    /// All of them.
    pub capabilities: Vec<Capability>,
    /// In each of `capabilities`, or in any one when that is empty.
    pub min_score: Option<Score>,
    pub min_context_window: Option<i64>,
    /// In name, vendor's identifier or description.
    pub query: Option<Needle>,
    pub labels: Labels,
}

impl ModelFilter {
    /// Whether everything within the scope passes.
    fn is_open(&self) -> bool {
        *self == Self { provider_id: self.provider_id, ..Self::default() }
    }

    /// Whether the model passes all but `usable`.
    fn matches(&self, model: &Model) -> bool {
        passes(self.name.as_ref(), &model.name)
            && passes(self.model_id.as_ref(), &model.model_id)
            && passes(self.model_type.as_ref(), &model.model_type)
            && passes(self.status.as_ref(), &model.status)
            && passes(self.is_active.as_ref(), &model.is_active)
            && passes(self.is_default.as_ref(), &model.is_default)
            && self.is_able(model)
            && self.min_context_window.is_none_or(|least| model.context_window.is_some_and(|size| size >= least))
            && has_labels(&model.meta.labels, &self.labels)
            && self
                .query
                .as_ref()
                .is_none_or(|query| query.is_in_any(&[&model.name, &model.model_id, &model.description]))
    }

    fn is_able(&self, model: &Model) -> bool {
        let good = |score: &Score| self.min_score.is_none_or(|least| *score >= least);
        if self.capabilities.is_empty() {
            self.min_score.is_none() || model.capabilities.values().any(good)
        } else {
            self.capabilities.iter().all(|capability| model.capabilities.get(capability).is_some_and(good))
        }
    }
}

/// Remembers for the time of one list which providers are ready: there are few of them and many models.
struct Ready<'a> {
    snapshot: &'a Snapshot,
    now: Timestamp,
    known: RefCell<HashMap<ProviderId, bool>>,
}

impl Ready<'_> {
    fn usable(&self, model: &Model) -> bool {
        let ready = |id| self.snapshot.provider_ready(id, self.now).is_ok();
        offered(model).is_ok() && *self.known.borrow_mut().entry(model.provider_id).or_insert_with_key(|id| ready(*id))
    }
}

impl Snapshot {
    /// A page of models.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::domain::Error::NotFound) for an unknown or deleted provider,
    /// [`Error::InvalidPageToken`](crate::domain::Error::InvalidPageToken) for a cursor of another order.
    pub fn list_models(
        &self,
        filter: &ModelFilter,
        present: Present<'_>,
        request: &PageRequest,
        fits: impl FnMut(&Arc<Entry<Model>>) -> bool,
    ) -> Result<Page<Model>> {
        let builder = Builder::new(request, self.head().revision, fits);
        let ready = Ready { snapshot: self, now: present.now, known: RefCell::default() };
        let matches =
            |model: &Model| filter.matches(model) && filter.usable.is_none_or(|wanted| ready.usable(model) == wanted);
        let Some(vendor_id) = &filter.model_id else {
            let entries = scope(self, &self.models, filter.provider_id)?;
            return list(&entries, filter.is_open(), builder, matches);
        };
        if let Some(id) = filter.provider_id {
            self.live_provider(id)?;
        }
        let wanted = |model: &Model| filter.provider_id.is_none_or(|id| model.provider_id == id) && matches(model);
        Ok(builder.sort(self.live_models_named(vendor_id), request.position()?, wanted))
    }

    /// The default model of a type with its encoded form.
    #[must_use]
    pub fn default_model_entry(&self, model_type: ModelType) -> Option<&Arc<Entry<Model>>> {
        self.model_index.default_of(model_type).and_then(|id| self.model_entry(id))
    }
}
