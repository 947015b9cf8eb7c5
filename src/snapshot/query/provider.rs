//! Lists of providers.

use std::sync::Arc;

use super::page::{Builder, Page, PageRequest};
use super::text::Needle;
use super::{has_labels, list, passes};
use crate::domain::error::Result;
use crate::domain::meta::Labels;
use crate::domain::provider::{Provider, ProviderKind};
use crate::snapshot::entry::Entry;
use crate::snapshot::state::Snapshot;

/// Absent and empty fields let everything pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderFilter {
    pub kind: Option<ProviderKind>,
    pub is_active: Option<bool>,
    /// Exact.
    pub name: Option<String>,
    /// In name or description.
    pub query: Option<Needle>,
    pub labels: Labels,
    /// Also deleted ones.
    pub show_deleted: bool,
}

impl ProviderFilter {
    /// Whether every live provider passes.
    fn is_open(&self) -> bool {
        let Self { kind, is_active, name, query, labels, show_deleted: _ } = self;
        kind.is_none() && is_active.is_none() && name.is_none() && query.is_none() && labels.is_empty()
    }

    fn matches(&self, provider: &Provider) -> bool {
        passes(self.kind.as_ref(), &provider.kind)
            && passes(self.is_active.as_ref(), &provider.is_active)
            && passes(self.name.as_ref(), &provider.name)
            && has_labels(&provider.meta.labels, &self.labels)
            && self.query.as_ref().is_none_or(|query| query.is_in_any(&[&provider.name, &provider.description]))
    }
}

impl Snapshot {
    /// A page of providers.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`](crate::domain::Error::InvalidPageToken) for a cursor of another order.
    pub fn list_providers(
        &self,
        filter: &ProviderFilter,
        request: &PageRequest,
        fits: impl FnMut(&Arc<Entry<Provider>>) -> bool,
    ) -> Result<Page<Provider>> {
        let builder = Builder::new(request, self.head().revision, fits);
        let matches = |provider: &Provider| filter.matches(provider);
        if filter.show_deleted {
            let all = self.providers.live().values().chain(self.providers.hidden().values());
            return Ok(builder.sort(all, request.position()?, matches));
        }
        list(self.providers.live(), filter.is_open(), builder, matches)
    }
}
