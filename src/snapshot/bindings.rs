//! Bindings by id, by consumer and purpose, and by what they point to.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::entry::Entry;
use super::table::Entries;
use crate::domain::binding::{Binding, Target};
use crate::domain::id::BindingId;

/// Every binding is in all three maps.
#[derive(Debug, Clone)]
pub struct Bindings {
    all: Entries<Binding>,
    /// Consumer to purpose to binding.
    names: OrdMap<String, OrdMap<String, BindingId>>,
    targets: OrdMap<Target, OrdSet<BindingId>>,
}

impl Bindings {
    pub fn new() -> Self {
        Self { all: OrdMap::new(), names: OrdMap::new(), targets: OrdMap::new() }
    }

    pub const fn all(&self) -> &Entries<Binding> {
        &self.all
    }

    pub fn get(&self, id: BindingId) -> Option<&Arc<Entry<Binding>>> {
        self.all.get(&id)
    }

    pub fn named(&self, consumer: &str, purpose: &str) -> Option<&Arc<Entry<Binding>>> {
        self.names.get(consumer).and_then(|purposes| purposes.get(purpose)).and_then(|id| self.all.get(id))
    }

    /// All of one consumer, in order of purpose.
    pub fn of_consumer(&self, consumer: &str) -> impl Iterator<Item = &Arc<Entry<Binding>>> {
        self.names.get(consumer).into_iter().flat_map(OrdMap::values).filter_map(|id| self.all.get(id))
    }

    /// Those that point to exactly this, in order of id.
    pub fn to(&self, target: Target) -> impl Iterator<Item = &Arc<Entry<Binding>>> {
        self.targets.get(&target).into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// Adds or replaces.
    pub fn put(&mut self, binding: Arc<Binding>) {
        let id = binding.id;
        self.remove(id);
        self.names.entry(binding.consumer.clone()).or_default().insert(binding.purpose.clone(), id);
        self.targets.entry(binding.target).or_default().insert(id);
        self.all.insert(id, Arc::new(Entry::new(binding)));
    }

    pub fn remove(&mut self, id: BindingId) {
        let Some(entry) = self.all.remove(&id) else { return };
        let binding = entry.value();
        if let Some(purposes) = self.names.get_mut(&binding.consumer) {
            // Changes of a revision come in any order: another one may hold the name already.
            if purposes.get(&binding.purpose) == Some(&id) {
                purposes.remove(&binding.purpose);
            }
            if purposes.is_empty() {
                self.names.remove(&binding.consumer);
            }
        }
        if let Some(bound) = self.targets.get_mut(&binding.target) {
            bound.remove(&id);
            if bound.is_empty() {
                self.targets.remove(&binding.target);
            }
        }
    }
}
