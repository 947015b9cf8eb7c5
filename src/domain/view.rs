//! Read access to the configuration, as rules and plans need it.

use std::sync::Arc;

use super::binding::{Binding, Target};
use super::change::ResourceKind;
use super::credential::Credential;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::id::{BindingId, CredentialId, EndpointId, ModelId, ProviderId, TokenId};
use super::keyring::Keyring;
use super::model::{Model, ModelType};
use super::provider::Provider;
use super::token::Token;

#[cfg(test)]
pub mod memory;

/// The configuration at one revision. `…_of` lists are in order of id and include what a soft-deleted provider hides;
/// the `live_…` methods are what ordinary calls see.
pub trait View {
    /// Also a deleted one.
    fn provider(&self, id: ProviderId) -> Option<Arc<Provider>>;
    /// The live provider with this name, compared by [`name_key`](super::text::name_key).
    fn provider_named(&self, name: &str) -> Option<Arc<Provider>>;
    /// All providers, the deleted ones too.
    fn providers(&self) -> Vec<Arc<Provider>>;
    fn endpoint(&self, id: EndpointId) -> Option<Arc<Endpoint>>;
    fn endpoints_of(&self, provider: ProviderId) -> Vec<Arc<Endpoint>>;
    fn credential(&self, id: CredentialId) -> Option<Arc<Credential>>;
    fn credentials_of(&self, provider: ProviderId) -> Vec<Arc<Credential>>;
    fn model(&self, id: ModelId) -> Option<Arc<Model>>;
    fn models_of(&self, provider: ProviderId) -> Vec<Arc<Model>>;
    /// By the vendor's identifier.
    fn model_named(&self, provider: ProviderId, vendor_id: &str) -> Option<Arc<Model>>;
    /// The default model of a type among live providers.
    fn default_model(&self, model_type: ModelType) -> Option<Arc<Model>>;
    fn binding(&self, id: BindingId) -> Option<Arc<Binding>>;
    /// The consumer's binding for the purpose.
    fn binding_for(&self, consumer: &str, purpose: &str) -> Option<Arc<Binding>>;
    /// Those that point to exactly this: to a provider as a whole, not to its models.
    fn bindings_to(&self, target: Target) -> Vec<Arc<Binding>>;
    fn has_bindings(&self) -> bool;
    fn token(&self, id: TokenId) -> Option<Arc<Token>>;
    fn has_tokens(&self) -> bool;
    fn keyring(&self) -> Arc<Keyring>;

    /// # Errors
    /// [`Error::NotFound`] for an unknown or deleted provider.
    fn live_provider(&self, id: ProviderId) -> Result<Arc<Provider>> {
        self.provider(id)
            .filter(|provider| provider.delete_time.is_none())
            .ok_or_else(|| Error::not_found(ResourceKind::Provider, id))
    }

    /// # Errors
    /// [`Error::NotFound`] for an unknown endpoint or one of a deleted provider.
    fn live_endpoint(&self, id: EndpointId) -> Result<Arc<Endpoint>> {
        self.endpoint(id)
            .filter(|endpoint| self.live_provider(endpoint.provider_id).is_ok())
            .ok_or_else(|| Error::not_found(ResourceKind::Endpoint, id))
    }

    /// # Errors
    /// [`Error::NotFound`] for an unknown credential or one of a deleted provider.
    fn live_credential(&self, id: CredentialId) -> Result<Arc<Credential>> {
        self.credential(id)
            .filter(|credential| self.live_provider(credential.provider_id).is_ok())
            .ok_or_else(|| Error::not_found(ResourceKind::Credential, id))
    }

    /// # Errors
    /// [`Error::NotFound`] for an unknown model or one of a deleted provider.
    fn live_model(&self, id: ModelId) -> Result<Arc<Model>> {
        self.model(id)
            .filter(|model| self.live_provider(model.provider_id).is_ok())
            .ok_or_else(|| Error::not_found(ResourceKind::Model, id))
    }
}
