//! Lists of bindings.

use std::sync::Arc;

use super::page::{Builder, Page, PageRequest};
use super::{has_labels, list, passes};
use crate::domain::binding::{Binding, Target};
use crate::domain::error::Result;
use crate::domain::id::{ModelId, ProviderId};
use crate::domain::meta::Labels;
use crate::domain::view::View;
use crate::snapshot::entry::Entry;
use crate::snapshot::state::Snapshot;

/// Absent and empty fields let everything pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BindingFilter {
    /// Exact.
    pub consumer: Option<String>,
    /// Exact.
    pub purpose: Option<String>,
    /// To this provider or one of its models.
    pub provider_id: Option<ProviderId>,
    pub model_id: Option<ModelId>,
    pub labels: Labels,
}

impl BindingFilter {
    /// Whether every binding passes.
    fn is_open(&self) -> bool {
        *self == Self::default()
    }

    fn matches(&self, binding: &Binding, view: &Snapshot) -> bool {
        passes(self.consumer.as_ref(), &binding.consumer)
            && passes(self.purpose.as_ref(), &binding.purpose)
            && self.model_id.is_none_or(|id| binding.model_id() == Some(id))
            && self.provider_id.is_none_or(|id| binding.provider(view) == Some(id))
            && has_labels(&binding.meta.labels, &self.labels)
    }
}

impl Snapshot {
    /// A page of bindings.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::domain::Error::NotFound) for an unknown or deleted provider,
    /// [`Error::InvalidPageToken`](crate::domain::Error::InvalidPageToken) for a cursor of another order.
    pub fn list_bindings(
        &self,
        filter: &BindingFilter,
        request: &PageRequest,
        fits: impl FnMut(&Arc<Entry<Binding>>) -> bool,
    ) -> Result<Page<Binding>> {
        if let Some(id) = filter.provider_id {
            self.live_provider(id)?;
        }
        let builder = Builder::new(request, self.head().revision, fits);
        let matches = |binding: &Binding| filter.matches(binding, self);
        if let Some(id) = filter.model_id {
            return Ok(builder.sort(self.bindings.to(Target::Model(id)), request.position()?, matches));
        }
        if let Some(consumer) = &filter.consumer {
            return Ok(builder.sort(self.bindings.of_consumer(consumer), request.position()?, matches));
        }
        list(self.bindings.all(), filter.is_open(), builder, matches)
    }
}
