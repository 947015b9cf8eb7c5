//! The configuration as three witnesses tell it: the log from its first line, the tables, and what a server holds in
//! memory. They must tell the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use modelward::domain::binding::Target;
use modelward::domain::image::Image;
use modelward::domain::{ChainHash, Change, Head, Operation, Resource, ResourceKind, Revision, View as _};
use modelward::snapshot::Snapshot;
use modelward::store::{LogRow, Store};
use modelward::wire;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// All resources but the key ring, and which versions of secrets are current.
#[derive(Debug, Clone, Default)]
pub struct Testimony {
    resources: BTreeMap<(ResourceKind, Uuid), Resource>,
    secrets: BTreeSet<(Uuid, i64)>,
}

impl Testimony {
    pub fn of_tables(image: &Image) -> Self {
        let mut told = Self::default();
        image.providers.iter().for_each(|one| told.add(Resource::Provider(one.clone())));
        image.endpoints.iter().for_each(|one| told.add(Resource::Endpoint(one.clone())));
        image.credentials.iter().for_each(|one| told.add(Resource::Credential(one.clone())));
        image.models.iter().for_each(|one| told.add(Resource::Model(one.clone())));
        image.bindings.iter().for_each(|one| told.add(Resource::Binding(one.clone())));
        image.tokens.iter().for_each(|one| told.add(Resource::Token(one.clone())));
        let current = image.sealed.iter().filter(|secret| secret.expire_time.is_none());
        told.secrets = current.map(|secret| (secret.credential_id.uuid(), secret.version)).collect();
        told
    }

    pub fn of_memory(snapshot: &Snapshot) -> Self {
        let mut told = Self::default();
        for provider in snapshot.providers() {
            let id = provider.id;
            told.add(Resource::Provider(provider));
            snapshot.endpoints_of(id).into_iter().for_each(|one| told.add(Resource::Endpoint(one)));
            snapshot.credentials_of(id).into_iter().for_each(|one| told.add(Resource::Credential(one)));
            let models = snapshot.models_of(id);
            let targets = models.iter().map(|one| Target::Model(one.id)).chain([Target::Provider(id)]);
            let bound = targets.flat_map(|target| snapshot.bindings_to(target));
            bound.for_each(|one| told.add(Resource::Binding(one)));
            told.resources
                .extend(models.into_iter().map(|one| ((ResourceKind::Model, one.id.uuid()), Resource::Model(one))));
        }
        snapshot.token_entries().for_each(|one| told.add(Resource::Token(one.value().clone())));
        let current = snapshot.all_sealed().filter(|secret| secret.expire_time.is_none());
        told.secrets = current.map(|secret| (secret.credential_id.uuid(), secret.version)).collect();
        // What it counts it must also find.
        let counts = snapshot.counts();
        let children = counts.endpoints + counts.credentials + counts.models + counts.bindings;
        let sum = counts.providers + children + counts.tokens;
        assert_eq!(sum, told.resources.len(), "children without their provider");
        told
    }

    fn add(&mut self, resource: Resource) {
        self.resources.insert((resource.kind(), resource.id()), resource);
    }

    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Equal testimonies have equal hashes.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for ((kind, id), resource) in &self.resources {
            hash.update(kind.noun());
            hash.update(id);
            let bytes = wire::resource::config(resource).encode_to_vec();
            hash.update(bytes.len().to_be_bytes());
            hash.update(bytes);
            if let Resource::Token(token) = resource {
                hash.update(token.secret_hash);
            }
        }
        for (credential, version) in &self.secrets {
            hash.update(credential);
            hash.update(version.to_be_bytes());
        }
        hash.finalize().into()
    }

    /// What differs, for people: names of resources only.
    pub fn against(&self, other: &Self) -> String {
        let keys: BTreeSet<_> = self.resources.keys().chain(other.resources.keys()).collect();
        let mut text = String::new();
        for key in keys {
            match (self.resources.get(key), other.resources.get(key)) {
                (Some(left), Some(right)) if left == right => {}
                (left, right) => {
                    let how = if left.is_none() || right.is_none() { "missing on one side" } else { "differs" };
                    writeln!(text, "{} {}: {how}", key.0.noun(), key.1).unwrap();
                }
            }
        }
        for (credential, version) in self.secrets.symmetric_difference(&other.secrets) {
            writeln!(text, "secret of {credential} v{version}: missing on one side").unwrap();
        }
        text
    }
}

/// The log, read from its first line and added up, in the simplest way there is.
#[derive(Debug, Default)]
pub struct Fold {
    pub head: Head,
    pub told: Testimony,
    pub changes: Vec<Change>,
}

impl Fold {
    /// The whole log.
    pub async fn all(store: &Store) -> Self {
        let mut fold = Self::default();
        fold.advance(store, store.head().await.unwrap().revision).await;
        fold
    }

    /// Reads on to `goal`. Revisions come as 1, 2, 3, …, and ordinals as 0, 1, 2, ….
    pub async fn advance(&mut self, store: &Store, goal: Revision) {
        while self.head.revision < goal {
            let rows = store.log_after(self.head.revision, (goal.0 - self.head.revision.0).min(500)).await.unwrap();
            assert!(!rows.is_empty(), "the log ends at {} of {goal}", self.head.revision);
            for row in rows {
                self.add(&row);
            }
        }
    }

    fn add(&mut self, row: &LogRow) {
        let change = wire::log::decode(&row.payload).unwrap_or_else(|error| panic!("{}: {error}", row.revision));
        assert_eq!((change.revision, change.ordinal), (row.revision, row.ordinal), "the payload tells its place");
        let follows = match self.changes.last() {
            Some(last) if row.ordinal > 0 => (last.revision, last.ordinal + 1) == (row.revision, row.ordinal),
            Some(last) => last.revision.next() == row.revision,
            None => row.ordinal == 0 && row.revision == Revision(1),
        };
        assert!(follows, "{}/{} is out of its place", row.revision, row.ordinal);
        self.head = Head { revision: row.revision, hash: ChainHash(row.hash.0) };
        self.told.follow(&change);
        self.changes.push(change);
    }
}

impl Testimony {
    fn follow(&mut self, change: &Change) {
        let key = (change.resource_kind, change.resource_id);
        if change.operation == Operation::Access || change.resource_kind == ResourceKind::Keyring {
            return;
        }
        if change.resource_kind == ResourceKind::Credential {
            self.secrets.retain(|(credential, _)| *credential != change.resource_id);
        }
        match &change.after {
            Some(after) => {
                assert_eq!((after.kind(), after.id()), key, "the change is about its resource");
                if let Resource::Credential(credential) = after {
                    self.secrets.insert((credential.id.uuid(), credential.secret_version));
                }
                self.resources.insert(key, after.clone());
            }
            None => drop(self.resources.remove(&key)),
        }
    }
}

/// Compares two testimonies by their hashes; a difference fails the test and is described.
#[track_caller]
pub fn agree(left: &Testimony, right: &Testimony, what: &str) {
    assert!(left.hash() == right.hash(), "{what}:\n{}", left.against(right));
}
