//! A revision as watchers are shown it: encoded once, whoever and however many they are.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::domain::{Change, Head, ProviderId, Resource, ResourceKind, Revision};
use crate::snapshot::Snapshot;
use crate::wire::change::is_watched;
use crate::wire::watch::{self, MAX_BODY, ShortHash};

/// What a watcher wants to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Empty: all.
    pub kinds: Vec<ResourceKind>,
    pub provider: Option<ProviderId>,
}

impl Filter {
    /// Whether everything passes.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.kinds.is_empty() && self.provider.is_none()
    }

    #[must_use]
    pub fn shows_kind(&self, kind: ResourceKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// `provider`: the one that the resource belongs to, or is. Of a binding to a model that is gone it is not known:
    /// better shown to one too many than missing.
    #[must_use]
    pub fn shows(&self, kind: ResourceKind, provider: Option<ProviderId>) -> bool {
        self.shows_kind(kind) && self.provider.is_none_or(|wanted| provider.is_none_or(|found| found == wanted))
    }
}

/// The changes of one revision that watchers may see; none of a revision that is for the audit log alone.
#[derive(Debug)]
pub struct Published {
    /// It stands for the revisions from here: nothing was shown of those before `revision`.
    pub first: Revision,
    pub revision: Revision,
    pub hash: ShortHash,
    pub at: Instant,
    items: Vec<Item>,
    /// The bodies of messages that show everything; the items are parts of them.
    whole: Vec<Bytes>,
}

#[derive(Debug)]
struct Item {
    kind: ResourceKind,
    provider: Option<ProviderId>,
    wire: Bytes,
}

impl Published {
    /// Encodes changes of one revision, in order. `head` is that revision with its last hash; `now` tells whose the
    /// models of bindings are.
    #[must_use]
    pub fn encode(head: Head, changes: &[Change], now: &Snapshot) -> Self {
        let mut chunk = BytesMut::new();
        let mut pending: Vec<(&Change, Range<usize>)> = Vec::new();
        let mut published = Self {
            first: head.revision,
            revision: head.revision,
            hash: head.hash.into(),
            at: Instant::now(),
            items: Vec::new(),
            whole: Vec::new(),
        };
        for change in changes.iter().filter(|change| is_watched(change)) {
            let mut begin = chunk.len();
            watch::changed(change, &mut chunk);
            if chunk.len() > MAX_BODY && begin > 0 {
                let next = chunk.split_off(begin);
                published.seal(chunk, &mut pending, now);
                (chunk, begin) = (next, 0);
            }
            pending.push((change, begin..chunk.len()));
        }
        published.seal(chunk, &mut pending, now);
        published
    }

    /// The same, standing for all revisions from `first`.
    #[must_use]
    pub fn since(self, first: Revision) -> Self {
        Self { first, ..self }
    }

    fn seal(&mut self, chunk: BytesMut, pending: &mut Vec<(&Change, Range<usize>)>, now: &Snapshot) {
        if chunk.is_empty() {
            return;
        }
        let whole = chunk.freeze();
        for (change, range) in pending.drain(..) {
            let wire = whole.slice(range);
            self.items.push(Item { kind: change.resource_kind, provider: provider_of(change, now), wire });
        }
        self.whole.push(whole);
    }

    /// What it takes in memory, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let bodies: usize = self.whole.iter().map(Bytes::len).sum();
        size_of::<Self>() + bodies + self.items.len() * size_of::<Item>()
    }

    /// The bodies of the messages that show what passes; none: nothing does.
    #[must_use]
    pub fn bodies(&self, filter: &Filter) -> Vec<Vec<Bytes>> {
        if filter.is_open() {
            return self.whole.iter().map(|whole| vec![whole.clone()]).collect();
        }
        let shown = self.items.iter().filter(|item| filter.shows(item.kind, item.provider));
        bodies(shown.map(|item| item.wire.clone()))
    }
}

/// Fields, gathered into messages.
#[must_use]
pub fn bodies(fields: impl Iterator<Item = Bytes>) -> Vec<Vec<Bytes>> {
    let mut bodies: Vec<Vec<Bytes>> = Vec::new();
    let mut size = 0;
    for field in fields {
        match bodies.last_mut() {
            Some(body) if size + field.len() <= MAX_BODY => {
                size += field.len();
                body.push(field);
            }
            _ => {
                size = field.len();
                bodies.push(vec![field]);
            }
        }
    }
    bodies
}

/// The provider that a changed resource belongs to, or is.
fn provider_of(change: &Change, now: &Snapshot) -> Option<ProviderId> {
    match change.after.as_ref().or(change.before.as_ref())? {
        Resource::Provider(provider) => Some(provider.id),
        Resource::Endpoint(endpoint) => Some(endpoint.provider_id),
        Resource::Credential(credential) => Some(credential.provider_id),
        Resource::Model(model) => Some(model.provider_id),
        Resource::Binding(binding) => binding.provider(now),
        Resource::Token(_) | Resource::Keyring(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::domain::model::Model;
    use crate::domain::{ChainHash, Id, Operation};
    use crate::proto::v1;
    use crate::snapshot::fixtures;
    use std::sync::Arc;

    fn change(ordinal: u32, model: Model) -> Change {
        let after = Resource::Model(Arc::new(model));
        Change {
            revision: Revision(5),
            ordinal,
            resource_kind: after.kind(),
            resource_id: after.id(),
            operation: Operation::Update,
            actor: "a".into(),
            rpc: "r".into(),
            request_id: String::new(),
            reason: String::new(),
            peer_address: String::new(),
            user_agent: String::new(),
            time: fixtures::at(1),
            before: None,
            after: Some(after),
            changed_fields: Vec::new(),
        }
    }

    fn published(changes: &[Change]) -> Published {
        let now = Snapshot::from_image(fixtures::image());
        Published::encode(Head { revision: Revision(5), hash: ChainHash([7; 32]) }, changes, &now)
    }

    fn ordinals(bodies: Vec<Vec<Bytes>>) -> Vec<Vec<i32>> {
        let message = |body: Vec<Bytes>| v1::WatchResponse::decode(&*body.concat()).unwrap();
        let ordinals = |body| message(body).changes.iter().map(|change| change.ordinal).collect();
        bodies.into_iter().map(ordinals).collect()
    }

    #[test]
    fn a_filter_shows_its_kinds_and_its_provider_only() {
        let changes: Vec<_> =
            (0..4).map(|number| change(number, fixtures::model(number.into(), u128::from(number % 2) + 1))).collect();
        let published = published(&changes);
        let all = Filter::default();
        assert_eq!(ordinals(published.bodies(&all)), [[0, 1, 2, 3]]);
        let one = Filter { provider: Some(Id::new(uuid::Uuid::from_u128(1))), ..Filter::default() };
        assert_eq!(ordinals(published.bodies(&one)), [[0, 2]]);
        let endpoints = Filter { kinds: vec![ResourceKind::Endpoint], ..Filter::default() };
        assert!(published.bodies(&endpoints).is_empty());
    }

    #[test]
    fn what_is_larger_than_a_message_is_shown_in_several() {
        let large = Model { description: "x".repeat(400_000), ..fixtures::model(1, 1) };
        let changes: Vec<_> = (0..5).map(|number| change(number, large.clone())).collect();
        let published = published(&changes);
        let parts = [vec![0, 1], vec![2, 3], vec![4]];
        assert_eq!(ordinals(published.bodies(&Filter::default())), parts);
        let models = Filter { kinds: vec![ResourceKind::Model], ..Filter::default() };
        assert_eq!(ordinals(published.bodies(&models)), parts);
    }
}
