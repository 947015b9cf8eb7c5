//! The snapshot: the configuration at one revision.

use std::sync::Arc;

use imbl::OrdMap;

use super::bindings::Bindings;
use super::entry::Entry;
use super::models::ModelIndex;
use super::providers::Providers;
use super::sealed::{Sealed, SealedSecrets};
use super::table::{Entries, Table};
use crate::domain::binding::{Binding, Target};
use crate::domain::change::ResourceKind;
use crate::domain::credential::Credential;
use crate::domain::endpoint::Endpoint;
use crate::domain::error::{Error, Result};
use crate::domain::id::{BindingId, CredentialId, EndpointId, ModelId, ProviderId, TokenId};
use crate::domain::keyring::Keyring;
use crate::domain::model::requirement::Requirement;
use crate::domain::model::{Model, ModelType};
use crate::domain::provider::Provider;
use crate::domain::revision::Head;
use crate::domain::token::Token;
use crate::domain::view::View;

/// The configuration at one revision. Cheap to clone: all maps are persistent.
///
/// What a soft-deleted provider hides stays reachable by id and by provider; lists, names, defaults and capabilities
/// know the live ones only. The methods named like a resource answer with the [`Entry`], which carries the encoded
/// form; those of [`View`] with the value alone.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) head: Head,
    pub(super) keyring: Arc<Keyring>,
    pub(super) providers: Providers,
    pub(super) endpoints: Table<Endpoint>,
    pub(super) credentials: Table<Credential>,
    pub(super) models: Table<Model>,
    pub(super) model_index: ModelIndex,
    pub(super) bindings: Bindings,
    pub(super) tokens: OrdMap<TokenId, Arc<Entry<Token>>>,
    pub(super) sealed: SealedSecrets,
}

impl Snapshot {
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    #[must_use]
    pub fn provider_entry(&self, id: ProviderId) -> Option<&Arc<Entry<Provider>>> {
        self.providers.get(id)
    }

    #[must_use]
    pub fn endpoint_entry(&self, id: EndpointId) -> Option<&Arc<Entry<Endpoint>>> {
        self.endpoints.get(id)
    }

    #[must_use]
    pub fn credential_entry(&self, id: CredentialId) -> Option<&Arc<Entry<Credential>>> {
        self.credentials.get(id)
    }

    #[must_use]
    pub fn model_entry(&self, id: ModelId) -> Option<&Arc<Entry<Model>>> {
        self.models.get(id)
    }

    #[must_use]
    pub fn binding_entry(&self, id: BindingId) -> Option<&Arc<Entry<Binding>>> {
        self.bindings.get(id)
    }

    #[must_use]
    pub fn token_entry(&self, id: TokenId) -> Option<&Arc<Entry<Token>>> {
        self.tokens.get(&id)
    }

    /// The provider that ordinary calls see.
    ///
    /// # Errors
    /// As [`View::live_provider`].
    pub fn live_provider_entry(&self, id: ProviderId) -> Result<&Arc<Entry<Provider>>> {
        self.providers.live().get(&id).ok_or_else(|| Error::not_found(ResourceKind::Provider, id))
    }

    /// The endpoint that ordinary calls see.
    ///
    /// # Errors
    /// As [`View::live_endpoint`].
    pub fn live_endpoint_entry(&self, id: EndpointId) -> Result<&Arc<Entry<Endpoint>>> {
        self.endpoints.live().get(&id).ok_or_else(|| Error::not_found(ResourceKind::Endpoint, id))
    }

    /// The model that ordinary calls see.
    ///
    /// # Errors
    /// As [`View::live_model`].
    pub fn live_model_entry(&self, id: ModelId) -> Result<&Arc<Entry<Model>>> {
        self.models.live().get(&id).ok_or_else(|| Error::not_found(ResourceKind::Model, id))
    }

    /// Whether the provider exists and is not deleted.
    #[must_use]
    pub fn is_live(&self, provider: ProviderId) -> bool {
        self.providers.is_live(provider)
    }

    /// The endpoints of one provider in order of id, without copying the list.
    pub fn endpoint_entries_of(&self, provider: ProviderId) -> impl Iterator<Item = &Arc<Entry<Endpoint>>> {
        self.endpoints.of(provider).into_iter().flat_map(Entries::values)
    }

    /// The credentials of one provider in order of id, without copying the list.
    pub fn credential_entries_of(&self, provider: ProviderId) -> impl Iterator<Item = &Arc<Entry<Credential>>> {
        self.credentials.of(provider).into_iter().flat_map(Entries::values)
    }

    /// The live models with this vendor's identifier, of any provider.
    pub fn live_models_named<'a>(&'a self, vendor_id: &'a str) -> impl Iterator<Item = &'a Arc<Entry<Model>>> {
        self.model_index.all_named(vendor_id).filter(|entry| self.is_live(entry.value().provider_id))
    }

    /// The live provider with this name, as [`View::provider_named`].
    #[must_use]
    pub fn provider_entry_named(&self, name: &str) -> Option<&Arc<Entry<Provider>>> {
        self.providers.named(name)
    }

    /// The model of a provider by the vendor's identifier.
    #[must_use]
    pub fn model_entry_named(&self, provider: ProviderId, vendor_id: &str) -> Option<&Arc<Entry<Model>>> {
        self.model_index.named(provider, vendor_id)
    }

    /// The live models that meet a requirement, best first: highest total score, then price, then name; deprecated ones
    /// after all others, and those that are not offered at the end.
    pub fn models_meeting<'a>(&'a self, requirement: &'a Requirement) -> impl Iterator<Item = &'a Arc<Entry<Model>>> {
        self.model_index.best(requirement)
    }

    /// The credentials of live providers.
    pub fn live_credentials(&self) -> impl Iterator<Item = &Arc<Entry<Credential>>> {
        self.credentials.live().values()
    }

    /// All tokens in order of id.
    pub fn token_entries(&self) -> impl Iterator<Item = &Arc<Entry<Token>>> {
        self.tokens.values()
    }

    /// The live providers in order of id.
    pub fn live_providers(&self) -> impl Iterator<Item = &Arc<Entry<Provider>>> {
        self.providers.live().values()
    }

    /// The endpoints of live providers in order of id.
    pub fn live_endpoints(&self) -> impl Iterator<Item = &Arc<Entry<Endpoint>>> {
        self.endpoints.live().values()
    }

    /// One sealed version. A superseded one may be here a little longer than it may be read: compare its `expire_time`.
    #[must_use]
    pub fn sealed(&self, credential: CredentialId, version: i64) -> Option<&Arc<Sealed>> {
        self.sealed.get(credential, version)
    }

    /// All sealed versions.
    pub fn all_sealed(&self) -> impl Iterator<Item = &Arc<Sealed>> {
        self.sealed.iter()
    }

    /// How many resources there are, also hidden ones.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            providers: self.providers.live().len() + self.providers.hidden().len(),
            endpoints: self.endpoints.live().len() + self.endpoints.hidden().len(),
            credentials: self.credentials.live().len() + self.credentials.hidden().len(),
            models: self.models.live().len() + self.models.hidden().len(),
            bindings: self.bindings.all().len(),
            tokens: self.tokens.len(),
        }
    }
}

/// Sizes, for metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub providers: usize,
    pub endpoints: usize,
    pub credentials: usize,
    pub models: usize,
    pub bindings: usize,
    pub tokens: usize,
}

fn value<T>(entry: &Arc<Entry<T>>) -> Arc<T> {
    Arc::clone(entry.value())
}

fn values<T>(entries: Option<&Entries<T>>) -> Vec<Arc<T>> {
    entries.into_iter().flat_map(Entries::values).map(value).collect()
}

impl View for Snapshot {
    fn provider(&self, id: ProviderId) -> Option<Arc<Provider>> {
        self.providers.get(id).map(value)
    }

    fn provider_named(&self, name: &str) -> Option<Arc<Provider>> {
        self.providers.named(name).map(value)
    }

    fn providers(&self) -> Vec<Arc<Provider>> {
        let mut all: Vec<_> =
            self.providers.live().values().chain(self.providers.hidden().values()).map(value).collect();
        all.sort_unstable_by_key(|provider| provider.id);
        all
    }

    fn endpoint(&self, id: EndpointId) -> Option<Arc<Endpoint>> {
        self.endpoints.get(id).map(value)
    }

    fn endpoints_of(&self, provider: ProviderId) -> Vec<Arc<Endpoint>> {
        values(self.endpoints.of(provider))
    }

    fn credential(&self, id: CredentialId) -> Option<Arc<Credential>> {
        self.credentials.get(id).map(value)
    }

    fn credentials_of(&self, provider: ProviderId) -> Vec<Arc<Credential>> {
        values(self.credentials.of(provider))
    }

    fn model(&self, id: ModelId) -> Option<Arc<Model>> {
        self.models.get(id).map(value)
    }

    fn models_of(&self, provider: ProviderId) -> Vec<Arc<Model>> {
        values(self.models.of(provider))
    }

    fn model_named(&self, provider: ProviderId, vendor_id: &str) -> Option<Arc<Model>> {
        self.model_index.named(provider, vendor_id).map(value)
    }

    fn default_model(&self, model_type: ModelType) -> Option<Arc<Model>> {
        self.model_index.default_of(model_type).and_then(|id| self.model(id))
    }

    fn binding(&self, id: BindingId) -> Option<Arc<Binding>> {
        self.bindings.get(id).map(value)
    }

    fn binding_for(&self, consumer: &str, purpose: &str) -> Option<Arc<Binding>> {
        self.bindings.named(consumer, purpose).map(value)
    }

    fn bindings_to(&self, target: Target) -> Vec<Arc<Binding>> {
        self.bindings.to(target).map(value).collect()
    }

    fn has_bindings(&self) -> bool {
        !self.bindings.all().is_empty()
    }

    fn token(&self, id: TokenId) -> Option<Arc<Token>> {
        self.tokens.get(&id).map(value)
    }

    fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring)
    }
}
