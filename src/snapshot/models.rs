//! Indexes of models: by the vendor's identifier, by capability in order of rank, by what they can do, and the defaults.
//!
//! The keys read the model through its entry instead of copying its texts: with a million models that is the difference
//! between eight and eighty bytes for each.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use equivalent::{Comparable, Equivalent};
use imbl::{OrdMap, OrdSet};
use uuid::Uuid;

use super::entry::Entry;
use super::profiles::Profiles;
use crate::domain::id::{ModelId, ProviderId};
use crate::domain::model::requirement::Requirement;
use crate::domain::model::{Capability, MAX_SCORE, Model, ModelType, Price, Score};

/// What a price counts as where it is not known: more than any.
const NO_PRICE: i64 = i64::MAX;

/// The input price in billionths, whatever the currency, as lists are ordered by it.
pub fn input_price(model: &Model) -> Option<i64> {
    model.pricing.as_ref().and_then(|pricing| pricing.input_per_1k).map(Price::nanos)
}

/// A place in the order of (vendor's identifier, provider).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VendorKey<'a>(&'a str, ProviderId);

/// A place in the order of rank among models of one score: (price, name, id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RankKey<'a> {
    price: i64,
    name: &'a str,
    id: Uuid,
}

impl<'a> RankKey<'a> {
    /// `price` as of [`input_price`].
    pub fn new(price: Option<i64>, name: &'a str, id: Uuid) -> Self {
        Self { price: price.unwrap_or(NO_PRICE), name, id }
    }
}

/// Declares an entry that is ordered by a key which it can show, and can be looked up by such a key.
macro_rules! ordered_by {
    ($name:ident, $key:ident, $show:expr) => {
        #[derive(Debug, Clone)]
        pub struct $name(Arc<Entry<Model>>);

        impl $name {
            pub fn new(entry: &Arc<Entry<Model>>) -> Self {
                Self(Arc::clone(entry))
            }

            pub const fn entry(&self) -> &Arc<Entry<Model>> {
                &self.0
            }

            pub fn key(&self) -> $key<'_> {
                let show: fn(&Model) -> $key<'_> = $show;
                show(self.0.value())
            }
        }
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.key() == other.key()
            }
        }
        impl Eq for $name {}
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.key().cmp(&other.key())
            }
        }
        impl Equivalent<$name> for $key<'_> {
            fn equivalent(&self, other: &$name) -> bool {
                *self == other.key()
            }
        }
        impl Comparable<$name> for $key<'_> {
            fn compare(&self, other: &$name) -> Ordering {
                self.cmp(&other.key())
            }
        }
    };
}
ordered_by!(ByVendorId, VendorKey, |model| VendorKey(&model.model_id, model.provider_id));
ordered_by!(ByRank, RankKey, |model| RankKey::new(input_price(model), &model.name, model.id.uuid()));

/// `vendor` holds all models, the others those of live providers.
#[derive(Debug, Clone)]
pub struct ModelIndex {
    vendor: OrdSet<ByVendorId>,
    ranked: OrdMap<(Capability, Score), OrdSet<ByRank>>,
    defaults: OrdMap<ModelType, OrdSet<ModelId>>,
    profiles: Profiles,
}

impl ModelIndex {
    pub fn new() -> Self {
        Self { vendor: OrdSet::new(), ranked: OrdMap::new(), defaults: OrdMap::new(), profiles: Profiles::new() }
    }

    pub fn insert(&mut self, entry: &Arc<Entry<Model>>, live: bool) {
        self.vendor.insert(ByVendorId::new(entry));
        if live {
            self.show(entry);
        }
    }

    pub fn remove(&mut self, entry: &Arc<Entry<Model>>) {
        self.vendor.remove(&ByVendorId::new(entry));
        self.hide(entry);
    }

    /// Enters a model whose provider came to life.
    pub fn show(&mut self, entry: &Arc<Entry<Model>>) {
        let model = entry.value();
        for (capability, score) in &model.capabilities {
            self.ranked.entry((*capability, *score)).or_default().insert(ByRank::new(entry));
        }
        self.profiles.insert(entry);
        if model.is_default {
            self.defaults.entry(model.model_type).or_default().insert(model.id);
        }
    }

    /// Leaves a model out whose provider was deleted.
    pub fn hide(&mut self, entry: &Arc<Entry<Model>>) {
        let model = entry.value();
        self.profiles.remove(entry);
        for (capability, score) in &model.capabilities {
            if let Some(set) = self.ranked.get_mut(&(*capability, *score)) {
                set.remove(&ByRank::new(entry));
                if set.is_empty() {
                    self.ranked.remove(&(*capability, *score));
                }
            }
        }
        if let Some(set) = self.defaults.get_mut(&model.model_type) {
            set.remove(&model.id);
            if set.is_empty() {
                self.defaults.remove(&model.model_type);
            }
        }
    }

    pub fn named(&self, provider: ProviderId, vendor_id: &str) -> Option<&Arc<Entry<Model>>> {
        self.vendor.get(&VendorKey(vendor_id, provider)).map(ByVendorId::entry)
    }

    /// All models of this identifier, also of deleted providers, in order of provider.
    pub fn all_named<'a>(&'a self, vendor_id: &'a str) -> impl Iterator<Item = &'a Arc<Entry<Model>>> {
        let first = VendorKey(vendor_id, ProviderId::nil());
        self.vendor
            .range::<_, VendorKey<'_>>((Bound::Included(first), Bound::Unbounded))
            .map(ByVendorId::entry)
            .take_while(move |entry| entry.value().model_id == vendor_id)
    }

    /// The default of a type. Within a revision there may be two for a moment; then the older one.
    pub fn default_of(&self, model_type: ModelType) -> Option<ModelId> {
        self.defaults.get(&model_type).and_then(|set| set.get_min()).copied()
    }

    /// How many models have the capability with at least this score.
    pub fn count_with(&self, capability: Capability, min_score: Score) -> usize {
        self.scores(capability, min_score).map(|(_, set)| set.len()).sum()
    }

    /// The models that have the capability with at least this score: highest score, then lowest price, then name, then
    /// id; those strictly behind `after`, if given.
    pub fn ranked<'a>(
        &'a self,
        capability: Capability,
        min_score: Score,
        after: Option<(Score, RankKey<'a>)>,
    ) -> impl Iterator<Item = &'a Arc<Entry<Model>>> {
        self.scores(capability, min_score)
            .filter(move |(score, _)| after.is_none_or(|(last, _)| *score <= last))
            .flat_map(move |(score, set)| {
                let behind = after.filter(|(last, _)| *last == score).map(|(_, key)| key);
                let lower = behind.map_or(Bound::Unbounded, Bound::Excluded);
                set.range::<_, RankKey<'_>>((lower, Bound::Unbounded))
            })
            .map(ByRank::entry)
    }

    /// See [`Profiles::best`].
    pub fn best<'a>(&'a self, requirement: &'a Requirement) -> impl Iterator<Item = &'a Arc<Entry<Model>>> {
        self.profiles.best(requirement)
    }

    fn scores(&self, capability: Capability, min_score: Score) -> impl Iterator<Item = (Score, &OrdSet<ByRank>)> {
        (min_score..=MAX_SCORE)
            .rev()
            .filter_map(move |score| self.ranked.get(&(capability, score)).map(|set| (score, set)))
    }
}
