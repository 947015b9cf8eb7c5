//! Lists of credentials.

use std::sync::Arc;

use super::page::{Builder, Page, PageRequest};
use super::text::Needle;
use super::{Present, has_labels, list, passes, scope};
use crate::domain::credential::{Credential, CredentialState};
use crate::domain::error::Result;
use crate::domain::id::ProviderId;
use crate::domain::meta::Labels;
use crate::snapshot::entry::Entry;
use crate::snapshot::state::Snapshot;

/// Absent and empty fields let everything pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CredentialFilter {
    pub provider_id: Option<ProviderId>,
    /// Exact.
    pub alias: Option<String>,
    pub state: Option<CredentialState>,
    /// In alias or description.
    pub query: Option<Needle>,
    pub labels: Labels,
}

impl CredentialFilter {
    /// Whether everything within the scope passes.
    fn is_open(&self) -> bool {
        let Self { provider_id: _, alias, state, query, labels } = self;
        alias.is_none() && state.is_none() && query.is_none() && labels.is_empty()
    }

    fn matches(&self, credential: &Credential, present: Present<'_>) -> bool {
        passes(self.alias.as_ref(), &credential.alias)
            && has_labels(&credential.meta.labels, &self.labels)
            && self.query.as_ref().is_none_or(|query| query.is_in_any(&[&credential.alias, &credential.description]))
            && self.state.is_none_or(|wanted| present.state(credential) == wanted)
    }
}

impl Present<'_> {
    /// The state of a credential as it is shown.
    #[must_use]
    pub fn state(&self, credential: &Credential) -> CredentialState {
        credential.state(self.now, self.board.is_exhausted(credential, self.now))
    }
}

impl Snapshot {
    /// A page of credentials.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::domain::Error::NotFound) for an unknown or deleted provider,
    /// [`Error::InvalidPageToken`](crate::domain::Error::InvalidPageToken) for a cursor of another order.
    pub fn list_credentials(
        &self,
        filter: &CredentialFilter,
        present: Present<'_>,
        request: &PageRequest,
        fits: impl FnMut(&Arc<Entry<Credential>>) -> bool,
    ) -> Result<Page<Credential>> {
        let builder = Builder::new(request, self.head().revision, fits);
        let entries = scope(self, &self.credentials, filter.provider_id)?;
        list(&entries, filter.is_open(), builder, |credential| filter.matches(credential, present))
    }
}
