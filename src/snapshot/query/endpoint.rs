//! Lists of endpoints.

use std::sync::Arc;

use super::page::{Builder, Page, PageRequest};
use super::text::Needle;
use super::{Present, has_labels, list, passes, scope};
use crate::domain::endpoint::Endpoint;
use crate::domain::error::Result;
use crate::domain::health::HealthStatus;
use crate::domain::id::ProviderId;
use crate::domain::meta::Labels;
use crate::snapshot::entry::Entry;
use crate::snapshot::state::Snapshot;

/// Absent and empty fields let everything pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointFilter {
    pub provider_id: Option<ProviderId>,
    /// Exact.
    pub name: Option<String>,
    pub is_active: Option<bool>,
    pub health_status: Option<HealthStatus>,
    /// In the name.
    pub query: Option<Needle>,
    pub labels: Labels,
}

impl EndpointFilter {
    /// Whether everything within the scope passes.
    fn is_open(&self) -> bool {
        let Self { provider_id: _, name, is_active, health_status, query, labels } = self;
        name.is_none() && is_active.is_none() && health_status.is_none() && query.is_none() && labels.is_empty()
    }

    fn matches(&self, endpoint: &Endpoint, present: Present<'_>) -> bool {
        passes(self.name.as_ref(), &endpoint.name)
            && passes(self.is_active.as_ref(), &endpoint.is_active)
            && has_labels(&endpoint.meta.labels, &self.labels)
            && self.query.as_ref().is_none_or(|query| query.is_in(&endpoint.name))
            && self.health_status.is_none_or(|wanted| present.board.health_status(endpoint.id) == wanted)
    }
}

impl Snapshot {
    /// A page of endpoints.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::domain::Error::NotFound) for an unknown or deleted provider,
    /// [`Error::InvalidPageToken`](crate::domain::Error::InvalidPageToken) for a cursor of another order.
    pub fn list_endpoints(
        &self,
        filter: &EndpointFilter,
        present: Present<'_>,
        request: &PageRequest,
        fits: impl FnMut(&Arc<Entry<Endpoint>>) -> bool,
    ) -> Result<Page<Endpoint>> {
        let builder = Builder::new(request, self.head().revision, fits);
        let entries = scope(self, &self.endpoints, filter.provider_id)?;
        list(&entries, filter.is_open(), builder, |endpoint| filter.matches(endpoint, present))
    }
}
