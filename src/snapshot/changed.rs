//! In which order resources last changed on the board: a count of this process alone, so that whoever follows the
//! status reads "what changed since", in order, each resource once and as it is now.

use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use imbl::{HashMap, OrdMap};

use crate::domain::change::ResourceKind;
use crate::domain::id::{CredentialId, EndpointId, ModelId, ProviderId};
use crate::domain::image::{StatusRevision, StatusValue};

/// A resource that has a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusKey {
    Provider(ProviderId),
    Endpoint(EndpointId),
    Credential(CredentialId),
    Model(ModelId),
}

impl StatusKey {
    /// Whose status a value is part of; what is no status of a resource has none.
    pub(super) const fn of(value: &StatusValue) -> Option<Self> {
        match value {
            StatusValue::Health(id, _) => Some(Self::Endpoint(*id)),
            StatusValue::Validation(id, _) | StatusValue::CredentialUsage(id, _) => Some(Self::Credential(*id)),
            StatusValue::Availability(id, _) | StatusValue::ModelUsage(id, _) => Some(Self::Model(*id)),
            StatusValue::Sync(id, _) => Some(Self::Provider(*id)),
            StatusValue::TokenUse(..) | StatusValue::Rewrapped(_) => None,
        }
    }

    #[must_use]
    pub const fn kind(self) -> ResourceKind {
        match self {
            Self::Provider(_) => ResourceKind::Provider,
            Self::Endpoint(_) => ResourceKind::Endpoint,
            Self::Credential(_) => ResourceKind::Credential,
            Self::Model(_) => ResourceKind::Model,
        }
    }
}

/// The last change of one resource's status.
#[derive(Debug)]
pub struct Mark {
    pub key: StatusKey,
    /// The status revision of the change, or the one that was seen when the status turned by itself.
    pub at: StatusRevision,
    wire: OnceLock<Bytes>,
}

impl Mark {
    /// The encoded status. What `encode` makes is kept, because it is the same for all until the next mark.
    pub fn wire_or(&self, encode: impl FnOnce() -> Option<Bytes>) -> Option<&Bytes> {
        match self.wire.get() {
            Some(wire) => Some(wire),
            None => encode().map(|wire| self.wire.get_or_init(|| wire)),
        }
    }
}

/// The marks of all resources, in order. Invariant: each resource has at most one.
#[derive(Debug, Clone, Default)]
pub(super) struct Changed {
    last: u64,
    marks: OrdMap<u64, Arc<Mark>>,
    places: HashMap<StatusKey, u64>,
}

impl Changed {
    /// Nothing, going on with the count.
    pub fn after(other: &Self) -> Self {
        Self { last: other.last, ..Self::default() }
    }

    pub const fn last(&self) -> u64 {
        self.last
    }

    pub fn note(&mut self, key: StatusKey, at: StatusRevision) {
        self.last = self.last.saturating_add(1);
        if let Some(place) = self.places.insert(key, self.last) {
            self.marks.remove(&place);
        }
        self.marks.insert(self.last, Arc::new(Mark { key, at, wire: OnceLock::new() }));
    }

    pub fn since(&self, seen: u64) -> impl Iterator<Item = (u64, &Arc<Mark>)> {
        self.marks.range((Bound::Excluded(seen), Bound::Unbounded)).map(|(place, mark)| (*place, mark))
    }

    pub fn retain(&mut self, keeps: impl Fn(&Mark) -> bool) {
        let gone: Vec<_> = self.marks.iter().filter(|(_, mark)| !keeps(mark)).map(|(p, mark)| (*p, mark.key)).collect();
        for (place, key) in gone {
            self.marks.remove(&place);
            self.places.remove(&key);
        }
    }
}
