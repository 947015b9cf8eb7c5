//! Providers by id and, while live, by name.

use std::sync::Arc;

use imbl::OrdMap;

use super::entry::Entry;
use super::table::Entries;
use crate::domain::id::ProviderId;
use crate::domain::provider::Provider;
use crate::domain::text::name_key;

/// Every provider is in exactly one of `live` and `hidden`; `names` knows the live ones by [`name_key`].
#[derive(Debug, Clone)]
pub struct Providers {
    live: Entries<Provider>,
    hidden: Entries<Provider>,
    names: OrdMap<String, ProviderId>,
}

/// Whether a change made a provider appear or disappear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    None,
    Appeared,
    Disappeared,
}

impl Providers {
    pub fn new() -> Self {
        Self { live: OrdMap::new(), hidden: OrdMap::new(), names: OrdMap::new() }
    }

    pub fn get(&self, id: ProviderId) -> Option<&Arc<Entry<Provider>>> {
        self.live.get(&id).or_else(|| self.hidden.get(&id))
    }

    pub const fn live(&self) -> &Entries<Provider> {
        &self.live
    }

    pub const fn hidden(&self) -> &Entries<Provider> {
        &self.hidden
    }

    pub fn is_live(&self, id: ProviderId) -> bool {
        self.live.contains_key(&id)
    }

    pub fn named(&self, name: &str) -> Option<&Arc<Entry<Provider>>> {
        self.names.get(name_key(name).as_str()).and_then(|id| self.live.get(id))
    }

    /// Adds or replaces.
    pub fn put(&mut self, provider: Arc<Provider>) -> Turn {
        let (id, live) = (provider.id, provider.delete_time.is_none());
        let before = self.live.remove(&id);
        if let Some(before) = &before {
            self.forget_name(before.value());
        }
        self.hidden.remove(&id);
        let name = name_key(&provider.name);
        let entry = Arc::new(Entry::new(provider));
        if live {
            self.names.insert(name, id);
            self.live.insert(id, entry);
        } else {
            self.hidden.insert(id, entry);
        }
        match (before.is_some(), live) {
            (false, true) => Turn::Appeared,
            (true, false) => Turn::Disappeared,
            _ => Turn::None,
        }
    }

    pub fn remove(&mut self, id: ProviderId) {
        if let Some(entry) = self.live.remove(&id) {
            self.forget_name(entry.value());
        }
        self.hidden.remove(&id);
    }

    /// Frees a name, unless another provider took it meanwhile.
    fn forget_name(&mut self, provider: &Provider) {
        let key = name_key(&provider.name);
        if self.names.get(key.as_str()) == Some(&provider.id) {
            self.names.remove(key.as_str());
        }
    }
}
