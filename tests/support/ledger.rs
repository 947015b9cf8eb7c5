//! The check that the configuration and its log tell the same: every row as the last change of it says, and every
//! record of a change that happened.

use std::collections::{BTreeMap, BTreeSet};

use modelward::domain::image::Image;
use modelward::domain::{Change, Operation, Resource, ResourceKind, Revision};
use modelward::store::Store;
use modelward::wire;
use uuid::Uuid;

use super::load::{Attempt, Outcome};

type Key = (ResourceKind, Uuid);

/// The tables and the log of a database that nobody writes to.
pub struct Ledger {
    pub image: Image,
    pub changes: Vec<Change>,
}

impl Ledger {
    pub async fn read(store: &Store) -> Self {
        let image = store.load_image().await.expect("the tables are read");
        let rows = store.log_after(Revision(0), i64::MAX).await.expect("the log is read");
        let changes = rows.iter().map(|row| wire::log::decode(&row.payload).expect("a payload"));
        Self { image, changes: changes.collect() }
    }

    /// What does not fit, one line each.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let told = self.fold(&mut complaints);
        let rows = rows(&self.image);
        for (key, row) in &rows {
            match told.get(key) {
                Some(Some(after)) if after == row => {}
                // The key ring is there from the beginning, and other resources are not.
                None if key.0 == ResourceKind::Keyring && revision(row) == Revision(0) => {}
                None => complaints.push(format!("{}: a row that no record made", name(key))),
                Some(None) => complaints.push(format!("{}: a row whose last record is its end", name(key))),
                Some(Some(after)) => complaints.push(format!(
                    "{}: a row of revision {} that is not as its last record says, of revision {}",
                    name(key),
                    revision(row),
                    revision(after)
                )),
            }
        }
        for (key, _) in told.iter().filter(|(key, after)| after.is_some() && !rows.contains_key(key)) {
            complaints.push(format!("{}: a record of a row that is not there", name(key)));
        }
        self.check_revisions(&mut complaints);
        self.check_secrets(&mut complaints);
        complaints
    }

    /// How the log leaves each resource. On the way, each change must begin where the one before it ended.
    fn fold(&self, complaints: &mut Vec<String>) -> BTreeMap<Key, Option<Resource>> {
        let mut told: BTreeMap<Key, Option<Resource>> = BTreeMap::new();
        for change in &self.changes {
            let key = (change.resource_kind, change.resource_id);
            let place = format!("{} at {}/{}", name(&key), change.revision, change.ordinal);
            if change.operation == Operation::Access {
                continue;
            }
            let held = told.get(&key).cloned().flatten();
            let is_first_of_keyring = key.0 == ResourceKind::Keyring && held.is_none();
            if change.before != held && !is_first_of_keyring {
                complaints.push(format!("{place}: a record of a change from what was not there"));
            }
            if (change.operation == Operation::Create) != (change.before.is_none() && change.after.is_some()) {
                complaints.push(format!("{place}: a record of another operation than {}", change.operation.name()));
            }
            told.insert(key, change.after.clone());
        }
        told
    }

    /// A row carries the revision of a change of it.
    fn check_revisions(&self, complaints: &mut Vec<String>) {
        let changes = self.changes.iter();
        let places: BTreeSet<_> =
            changes.map(|change| (change.resource_kind, change.resource_id, change.revision)).collect();
        for (key, row) in rows(&self.image) {
            let revision = revision(&row);
            if key.0 != ResourceKind::Keyring && !places.contains(&(key.0, key.1, revision)) {
                complaints.push(format!("{}: a row of revision {revision}, of which there is no record", name(&key)));
            }
        }
    }

    /// Ciphertexts have no records of their own: they go with their credentials.
    fn check_secrets(&self, complaints: &mut Vec<String>) {
        let sealed: BTreeSet<_> =
            self.image.sealed.iter().map(|sealed| (sealed.credential_id, sealed.version)).collect();
        let credentials = self.image.credentials.iter();
        let current: BTreeMap<_, _> =
            credentials.map(|credential| (credential.id, credential.secret_version)).collect();
        for (id, version) in current.iter().filter(|(id, version)| !sealed.contains(&(**id, **version))) {
            complaints.push(format!("credential {id}: no ciphertext of its version {version}"));
        }
        for (id, version) in sealed.iter().filter(|(id, version)| current.get(id).is_none_or(|last| version > last)) {
            complaints.push(format!("credential {id}: a ciphertext of version {version}, which it never had"));
        }
    }

    /// What callers were told against what the log has: nothing done without its records, nothing refused with one.
    pub fn differs_from(&self, book: &[Attempt]) -> Vec<String> {
        let mut records: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
        for change in &self.changes {
            records.entry(&change.reason).or_default().push(change);
        }
        let mut complaints = Vec::new();
        for attempt in book {
            let found = records.get(attempt.reason.as_str()).map(Vec::as_slice).unwrap_or_default();
            let told = format!("{} ({})", attempt.reason, attempt.rpc);
            if attempt.must_have_changed() && found.is_empty() {
                complaints.push(format!("{told}: done and not recorded"));
            }
            let first = found.first().map(|change| change.revision);
            if found.iter().any(|change| Some(change.revision) != first) {
                complaints.push(format!("{told}: recorded in several revisions"));
            }
            match (&attempt.outcome, first) {
                (Outcome::Refused(refusal), Some(revision)) => {
                    complaints.push(format!("{told}: refused with {} and recorded at {revision}", refusal.reason));
                }
                (Outcome::Done { revision }, Some(recorded)) if *revision < recorded.0 => {
                    complaints.push(format!("{told}: done at {revision} and recorded at {recorded}"));
                }
                _ => {}
            }
        }
        complaints
    }
}

fn rows(image: &Image) -> BTreeMap<Key, Resource> {
    let providers = image.providers.iter().cloned().map(Resource::Provider);
    let endpoints = image.endpoints.iter().cloned().map(Resource::Endpoint);
    let credentials = image.credentials.iter().cloned().map(Resource::Credential);
    let models = image.models.iter().cloned().map(Resource::Model);
    let bindings = image.bindings.iter().cloned().map(Resource::Binding);
    let tokens = image.tokens.iter().cloned().map(Resource::Token);
    let keyring = [Resource::Keyring(image.keyring.clone())];
    let all = providers.chain(endpoints).chain(credentials).chain(models).chain(bindings).chain(tokens).chain(keyring);
    all.map(|row| ((row.kind(), row.id()), row)).collect()
}

fn revision(resource: &Resource) -> Revision {
    match resource {
        Resource::Provider(provider) => provider.meta.revision,
        Resource::Endpoint(endpoint) => endpoint.meta.revision,
        Resource::Credential(credential) => credential.meta.revision,
        Resource::Model(model) => model.meta.revision,
        Resource::Binding(binding) => binding.meta.revision,
        Resource::Token(token) => token.revision,
        Resource::Keyring(keyring) => keyring.revision,
    }
}

fn name((kind, id): &Key) -> String {
    format!("{} {id}", kind.noun())
}
