//! Walking through what is live, a part at a time, in order of id: for those who cannot take all of it at once.

use std::ops::Bound;
use std::sync::Arc;

use super::entry::Entry;
use super::state::Snapshot;
use super::table::{Child, Entries, Table};
use crate::domain::binding::Binding;
use crate::domain::credential::Credential;
use crate::domain::endpoint::Endpoint;
use crate::domain::id::{CredentialId, EndpointId, Id, ModelId, ProviderId};
use crate::domain::model::Model;
use crate::domain::provider::Provider;

/// Which part of what is live: of one provider or of all, and behind which id.
#[derive(Debug, Clone, Copy)]
pub struct Part<T> {
    pub provider: Option<ProviderId>,
    pub after: Option<Id<T>>,
}

impl Snapshot {
    pub fn providers_in(&self, part: Part<Provider>) -> impl Iterator<Item = &Arc<Entry<Provider>>> {
        let only = part.provider;
        behind(Some(self.providers.live()), part.after).filter(move |entry| only.is_none_or(|id| id == entry.id))
    }

    /// Those that can be brought back.
    pub fn deleted_providers_in(&self, part: Part<Provider>) -> impl Iterator<Item = &Arc<Entry<Provider>>> {
        let only = part.provider;
        behind(Some(self.providers.hidden()), part.after).filter(move |entry| only.is_none_or(|id| id == entry.id))
    }

    pub fn endpoints_in(&self, part: Part<Endpoint>) -> impl Iterator<Item = &Arc<Entry<Endpoint>>> {
        self.children(&self.endpoints, part)
    }

    pub fn credentials_in(&self, part: Part<Credential>) -> impl Iterator<Item = &Arc<Entry<Credential>>> {
        self.children(&self.credentials, part)
    }

    pub fn models_in(&self, part: Part<Model>) -> impl Iterator<Item = &Arc<Entry<Model>>> {
        self.children(&self.models, part)
    }

    /// All bindings: what they point to is live.
    pub fn bindings_in(&self, part: Part<Binding>) -> impl Iterator<Item = &Arc<Entry<Binding>>> {
        let shown =
            move |entry: &&Arc<Entry<Binding>>| part.provider.is_none_or(|wanted| entry.provider(self) == Some(wanted));
        behind(Some(self.bindings.all()), part.after).filter(shown)
    }

    fn children<'a, T: Child + PartialEq>(
        &'a self,
        table: &'a Table<T>,
        part: Part<T>,
    ) -> impl Iterator<Item = &'a Arc<Entry<T>>> {
        let entries = match part.provider {
            None => Some(table.live()),
            Some(id) if self.is_live(id) => table.of(id),
            Some(_) => None,
        };
        behind(entries, part.after)
    }

    /// The provider of a live endpoint.
    #[must_use]
    pub fn provider_of_endpoint(&self, id: EndpointId) -> Option<ProviderId> {
        self.endpoints.live().get(&id).map(|entry| entry.provider_id)
    }

    /// The provider of a live credential.
    #[must_use]
    pub fn provider_of_credential(&self, id: CredentialId) -> Option<ProviderId> {
        self.credentials.live().get(&id).map(|entry| entry.provider_id)
    }

    /// The provider of a live model.
    #[must_use]
    pub fn provider_of_model(&self, id: ModelId) -> Option<ProviderId> {
        self.models.live().get(&id).map(|entry| entry.provider_id)
    }
}

fn behind<T>(entries: Option<&Entries<T>>, after: Option<Id<T>>) -> impl Iterator<Item = &Arc<Entry<T>>> {
    let lower = after.map_or(Bound::Unbounded, Bound::Excluded);
    let range = (lower, Bound::Unbounded);
    entries.into_iter().flat_map(move |entries| entries.range::<_, Id<T>>(range)).map(|(_, entry)| entry)
}
