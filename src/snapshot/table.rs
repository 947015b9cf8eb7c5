//! The children of providers: endpoints, credentials or models, by id and by provider.
//!
//! Every child is in exactly one of `live` and `hidden`, and in its provider's map. Whether it is live is decided by
//! its provider alone, so the order of changes within a revision does not matter.

use std::sync::Arc;

use imbl::OrdMap;

use super::entry::Entry;
use crate::domain::credential::Credential;
use crate::domain::endpoint::Endpoint;
use crate::domain::id::{Id, ProviderId};
use crate::domain::model::Model;

/// Entries by id.
pub type Entries<T> = OrdMap<Id<T>, Arc<Entry<T>>>;

/// A resource that belongs to a provider.
pub trait Child: Sized {
    fn id(&self) -> Id<Self>;
    fn provider_id(&self) -> ProviderId;
}

macro_rules! child {
    ($($type:ty),+) => {
        $(impl Child for $type {
            fn id(&self) -> Id<Self> {
                self.id
            }

            fn provider_id(&self) -> ProviderId {
                self.provider_id
            }
        })+
    };
}
child!(Endpoint, Credential, Model);

#[derive(Debug)]
pub struct Table<T> {
    live: Entries<T>,
    hidden: Entries<T>,
    of: OrdMap<ProviderId, Entries<T>>,
}

/// What [`Table::put`] did: the entry that stands now and the one it replaced.
pub struct Put<T> {
    pub now: Arc<Entry<T>>,
    pub before: Option<Arc<Entry<T>>>,
}

impl<T: Child + PartialEq> Table<T> {
    pub fn new() -> Self {
        Self { live: OrdMap::new(), hidden: OrdMap::new(), of: OrdMap::new() }
    }

    pub fn get(&self, id: Id<T>) -> Option<&Arc<Entry<T>>> {
        self.live.get(&id).or_else(|| self.hidden.get(&id))
    }

    /// Those of live providers.
    pub const fn live(&self) -> &Entries<T> {
        &self.live
    }

    pub const fn hidden(&self) -> &Entries<T> {
        &self.hidden
    }

    /// Those of one provider, live or not.
    pub fn of(&self, provider: ProviderId) -> Option<&Entries<T>> {
        self.of.get(&provider)
    }

    /// Adds or replaces. An equal value keeps its entry and with it its encoded form.
    pub fn put(&mut self, value: Arc<T>, live: bool) -> Put<T> {
        let id = value.id();
        let before = self.remove(id);
        let now = match &before {
            Some(entry) if **entry.value() == *value => Arc::clone(entry),
            _ => Arc::new(Entry::new(value)),
        };
        self.of.entry(now.value().provider_id()).or_default().insert(id, Arc::clone(&now));
        self.side(live).insert(id, Arc::clone(&now));
        Put { now, before }
    }

    pub fn remove(&mut self, id: Id<T>) -> Option<Arc<Entry<T>>> {
        let entry = self.live.remove(&id).or_else(|| self.hidden.remove(&id))?;
        let provider = entry.value().provider_id();
        if let Some(siblings) = self.of.get_mut(&provider) {
            siblings.remove(&id);
            if siblings.is_empty() {
                self.of.remove(&provider);
            }
        }
        Some(entry)
    }

    /// Moves all children of a provider to the side that its new state asks for.
    pub fn set_live(&mut self, provider: ProviderId, live: bool) {
        let children = self.of.get(&provider).cloned().unwrap_or_default();
        for (id, entry) in children {
            self.side(!live).remove(&id);
            self.side(live).insert(id, entry);
        }
    }

    const fn side(&mut self, live: bool) -> &mut Entries<T> {
        if live { &mut self.live } else { &mut self.hidden }
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self { live: self.live.clone(), hidden: self.hidden.clone(), of: self.of.clone() }
    }
}
