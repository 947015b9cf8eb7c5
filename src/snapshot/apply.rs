//! How a snapshot comes into being: from an image of the whole configuration, and from the one before it by changes.
//!
//! Both ways lead to the same state; a test applies random edits and compares. Whether children are live follows from
//! their provider's `delete_time` alone, so the changes of a revision may be applied in any order.

use std::sync::Arc;

use imbl::OrdMap;

use super::bindings::Bindings;
use super::entry::Entry;
use super::models::ModelIndex;
use super::providers::{Providers, Turn};
use super::sealed::SealedSecrets;
use super::state::Snapshot;
use super::table::Table;
use crate::domain::change::{Change, Operation, Resource, ResourceKind};
use crate::domain::credential::Credential;
use crate::domain::id::{CredentialId, EndpointId, Id, ModelId, ProviderId, TokenId};
use crate::domain::image::{Image, Page};
use crate::domain::keyring::Keyring;
use crate::domain::model::Model;
use crate::domain::provider::Provider;
use crate::domain::revision::Head;
use crate::domain::secret::SealedSecret;
use crate::domain::time::Timestamp;
use crate::domain::view::View;

impl Snapshot {
    /// The configuration as it was read in one transaction.
    #[must_use]
    pub fn from_image(image: Image) -> Self {
        let mut snapshot = Self::empty(image.head, Arc::clone(&image.keyring));
        for page in image.into_pages() {
            snapshot.add(page);
        }
        snapshot
    }

    /// Adds what was read of the configuration at this snapshot's head; providers come before what belongs to them.
    pub fn add(&mut self, page: Page) {
        match page {
            Page::Providers(providers) => providers.into_iter().for_each(|provider| self.put_provider(provider)),
            Page::Endpoints(endpoints) => {
                for endpoint in endpoints {
                    let live = self.is_live(endpoint.provider_id);
                    self.endpoints.put(endpoint, live);
                }
            }
            Page::Credentials(credentials) => {
                for credential in credentials {
                    let live = self.is_live(credential.provider_id);
                    self.credentials.put(credential, live);
                }
            }
            Page::Models(models) => models.into_iter().for_each(|model| self.put_model(model)),
            Page::Bindings(bindings) => bindings.into_iter().for_each(|binding| self.bindings.put(binding)),
            Page::Tokens(tokens) => {
                self.tokens.extend(tokens.into_iter().map(|token| (token.id, Arc::new(Entry::new(token)))));
            }
            Page::Sealed(sealed) => sealed.into_iter().for_each(|secret| self.sealed.insert(secret)),
        }
    }

    /// The configuration after `changes`, which lead from this snapshot's head to `head`. `sealed` are the secret
    /// versions that came with them; a version that is missing makes its credential undecryptable, nothing worse.
    #[must_use]
    pub fn apply(&self, changes: &[Change], sealed: &[SealedSecret], head: Head) -> Self {
        let mut next = self.clone();
        next.head = head;
        for change in changes {
            match (change.operation, &change.after) {
                (Operation::Access, _) => {}
                (_, Some(after)) => next.put(after, sealed, change.time),
                (Operation::Delete, None) => next.remove(change.resource_kind, change),
                (_, None) => {}
            }
        }
        next
    }

    /// The same configuration with the data key of a secret wrapped anew. A version that is not here is left out: it was
    /// destroyed meanwhile, or comes with a change that is still to be applied.
    #[must_use]
    pub fn apply_rewrapped(&self, secret: SealedSecret) -> Self {
        let mut next = self.clone();
        next.sealed.replace(secret);
        next
    }

    /// Nothing yet: what is to be filled by [`add`](Self::add).
    #[must_use]
    pub fn empty(head: Head, keyring: Arc<Keyring>) -> Self {
        Self {
            head,
            keyring,
            providers: Providers::new(),
            endpoints: Table::new(),
            credentials: Table::new(),
            models: Table::new(),
            model_index: ModelIndex::new(),
            bindings: Bindings::new(),
            tokens: OrdMap::new(),
            sealed: SealedSecrets::new(),
        }
    }

    /// Adds what another process shows of its configuration.
    pub fn put_shown(&mut self, resource: &Resource) {
        self.put(resource, &[], Timestamp::default());
    }

    /// The same configuration at another place of the log.
    #[must_use]
    pub fn at(self, head: Head) -> Self {
        Self { head, ..self }
    }

    fn put(&mut self, resource: &Resource, sealed: &[SealedSecret], time: Timestamp) {
        match resource {
            Resource::Provider(provider) => self.put_provider(Arc::clone(provider)),
            Resource::Endpoint(endpoint) => {
                let live = self.is_live(endpoint.provider_id);
                self.endpoints.put(Arc::clone(endpoint), live);
            }
            Resource::Credential(credential) => self.put_credential(Arc::clone(credential), sealed, time),
            Resource::Model(model) => self.put_model(Arc::clone(model)),
            Resource::Binding(binding) => self.bindings.put(Arc::clone(binding)),
            Resource::Token(token) => {
                self.tokens.insert(token.id, Arc::new(Entry::new(Arc::clone(token))));
            }
            Resource::Keyring(keyring) => self.keyring = Arc::clone(keyring),
        }
    }

    fn put_provider(&mut self, provider: Arc<Provider>) {
        let id = provider.id;
        match self.providers.put(provider) {
            Turn::None => {}
            Turn::Appeared => self.set_live(id, true),
            Turn::Disappeared => self.set_live(id, false),
        }
    }

    fn put_credential(&mut self, credential: Arc<Credential>, sealed: &[SealedSecret], time: Timestamp) {
        // Changes that are applied together share their secrets: of an older version what is known counts, because the
        // end of its grace came with a change before this one.
        let brought = |secret: &&SealedSecret| {
            secret.credential_id == credential.id
                && (secret.version == credential.secret_version
                    || secret.version < credential.secret_version
                        && self.sealed.get(credential.id, secret.version).is_none())
        };
        let brought: Vec<_> = sealed.iter().filter(brought).cloned().collect();
        for secret in brought {
            self.sealed.insert(secret);
        }
        self.sealed.retain(&credential, time);
        let live = self.is_live(credential.provider_id);
        self.credentials.put(credential, live);
    }

    fn put_model(&mut self, model: Arc<Model>) {
        let live = self.is_live(model.provider_id);
        let put = self.models.put(model, live);
        if let Some(before) = put.before {
            self.model_index.remove(&before);
        }
        self.model_index.insert(&put.now, live);
    }

    fn set_live(&mut self, provider: ProviderId, live: bool) {
        self.endpoints.set_live(provider, live);
        self.credentials.set_live(provider, live);
        self.models.set_live(provider, live);
        for entry in self.models.of(provider).into_iter().flat_map(OrdMap::values) {
            if live {
                self.model_index.show(entry);
            } else {
                self.model_index.hide(entry);
            }
        }
    }

    fn remove(&mut self, kind: ResourceKind, change: &Change) {
        let id = change.resource_id;
        match kind {
            ResourceKind::Provider => self.remove_provider(Id::new(id)),
            ResourceKind::Endpoint => {
                self.endpoints.remove(EndpointId::new(id));
            }
            ResourceKind::Credential => self.remove_credential(Id::new(id)),
            ResourceKind::Model => self.remove_model(Id::new(id)),
            ResourceKind::Token => {
                self.tokens.remove(&TokenId::new(id));
            }
            ResourceKind::Binding => self.bindings.remove(Id::new(id)),
            // There is always one.
            ResourceKind::Keyring => {}
        }
    }

    /// Destroys a provider; whatever of its children is still here goes with it.
    fn remove_provider(&mut self, id: ProviderId) {
        for endpoint in self.endpoints_of(id) {
            self.endpoints.remove(endpoint.id);
        }
        for credential in self.credentials_of(id) {
            self.remove_credential(credential.id);
        }
        for model in self.models_of(id) {
            self.remove_model(model.id);
        }
        self.providers.remove(id);
    }

    fn remove_credential(&mut self, id: CredentialId) {
        self.credentials.remove(id);
        self.sealed.remove_all(id);
    }

    fn remove_model(&mut self, id: ModelId) {
        if let Some(before) = self.models.remove(id) {
            self.model_index.remove(&before);
        }
    }
}

#[cfg(test)]
mod tests;
