//! The status board: the latest known status of everything, beside the configuration.
//!
//! Each value remembers the status revision at which it was seen, and an older one never replaces a newer one, in
//! whatever order batches arrive. Values of ids that the snapshot does not know yet are kept: status and configuration
//! travel on different ways.

use std::cmp::Ordering;
use std::sync::Arc;

use arc_swap::ArcSwap;
use imbl::{HashMap, HashSet};

use super::changed::{Changed, Mark, StatusKey};
use super::entry::Entry;
use super::pending::{Pending, UsesOf};
use super::state::Snapshot;
use crate::domain::credential::{Credential, Validation};
use crate::domain::endpoint::Endpoint;
use crate::domain::health::{EndpointHealth, HealthStatus};
use crate::domain::id::{CredentialId, EndpointId, Id, ModelId, ProviderId, TokenId};
use crate::domain::image::{StatusBatch, StatusRevision, StatusValue};
use crate::domain::model::{Availability, Model};
use crate::domain::provider::{Provider, SyncStatus};
use crate::domain::time::Timestamp;
use crate::domain::token::Token;
use crate::domain::usage::{CredentialUsage, ModelUsage};

mod shown;

pub use shown::Shown;

/// Shared access to the current [`Board`]. All clones are one board.
#[derive(Debug, Clone, Default)]
pub struct StatusBoard {
    current: Arc<ArcSwap<Board>>,
}

/// The status of everything at one moment. Cheap to clone: all maps are persistent.
#[derive(Debug, Clone, Default)]
pub struct Board {
    seen: StatusRevision,
    health: Values<Endpoint, EndpointHealth>,
    /// What this process found while the store was down; hides the stored value until a new one arrives.
    local_health: HashMap<EndpointId, Arc<Entry<EndpointHealth>>>,
    validation: Values<Credential, Validation>,
    credential_usage: Values<Credential, CredentialUsage>,
    availability: Values<Model, Availability>,
    model_usage: Values<Model, ModelUsage>,
    sync: Values<Provider, SyncStatus>,
    token_use: Values<Token, Timestamp>,
    /// Credentials whose secrets do not open elsewhere, where this process cannot look.
    locked: HashSet<CredentialId>,
    /// What this process has counted and the store does not have yet.
    credential_uses: Pending<Credential, CredentialUsage>,
    model_uses: Pending<Model, ModelUsage>,
    changed: Changed,
    /// Counts what was taken in from another process.
    mirrored: StatusRevision,
}

type Values<R, T> = HashMap<Id<R>, Stamped<T>>;

/// A stored value, and where it stands in the order of status.
#[derive(Debug)]
pub(super) struct Stamped<T> {
    pub at: StatusRevision,
    pub entry: Arc<Entry<T>>,
}

impl<T> Clone for Stamped<T> {
    fn clone(&self) -> Self {
        Self { at: self.at, entry: Arc::clone(&self.entry) }
    }
}

impl StatusBoard {
    /// The current board, owned; take it once per call.
    #[must_use]
    pub fn load(&self) -> Arc<Board> {
        self.current.load_full()
    }

    /// Up to where the store's status was read.
    #[must_use]
    pub fn seen(&self) -> StatusRevision {
        self.current.load().seen
    }

    /// Takes in what was read from the store beyond [`seen`](Self::seen), which moves to the batch's revision.
    pub fn apply(&self, batch: &StatusBatch) {
        self.change(|board| {
            board.take(batch);
            board.seen = board.seen.max(batch.revision);
        });
    }

    /// Takes in a batch that this process has just committed itself. `seen` stays: batches of others with a lower
    /// revision may not have been read yet.
    pub fn record(&self, batch: &StatusBatch) {
        self.change(|board| board.take(batch));
    }

    /// Begins again with all status that the store has: at start, after a reload, or when its counter went back. What
    /// this process has counted is still to be written.
    pub fn reset(&self, all: &StatusBatch) {
        self.current.rcu(|board| {
            let (credential_uses, model_uses) = (board.credential_uses.clone(), board.model_uses.clone());
            let changed = Changed::after(&board.changed);
            let mut next = Board { seen: all.revision, credential_uses, model_uses, changed, ..Board::default() };
            next.take(all);
            next.refresh();
            next
        });
    }

    /// Counts uses: they show here at once, and wait to be written.
    pub fn count(&self, credentials: &UsesOf<Credential>, models: &UsesOf<Model>) {
        self.change(|board| {
            for (id, uses) in credentials {
                board.credential_uses.add(*id, uses, board.credential_usage.get(id));
            }
            for (id, uses) in models {
                board.model_uses.add(*id, uses, board.model_usage.get(id));
            }
        });
    }

    /// Whether uses wait to be written.
    #[must_use]
    pub fn has_uses(&self) -> bool {
        let board = self.current.load();
        !board.credential_uses.is_empty() || !board.model_uses.is_empty()
    }

    /// Sends uses on their way, of at most `most` resources of each kind, in a batch with this revision: they go on to
    /// show. One batch at a time; [`landed`](Self::landed) ends it.
    pub fn depart(&self, revision: StatusRevision, most: usize) -> (UsesOf<Credential>, UsesOf<Model>) {
        let mut departed = (UsesOf::new(), UsesOf::new());
        self.current.rcu(|board| {
            let mut next = Board::clone(board);
            departed = (next.credential_uses.depart(revision, most), next.model_uses.depart(revision, most));
            next
        });
        departed
    }

    /// Ends a batch of uses: with the values that were written, or without any; then the uses wait again.
    pub fn landed(&self, credentials: &UsesOf<Credential>, models: &UsesOf<Model>, written: Option<&StatusBatch>) {
        self.change(|board| {
            board.credential_uses.land(credentials.keys().copied(), written.is_some());
            board.model_uses.land(models.keys().copied(), written.is_some());
            if let Some(written) = written {
                board.take(written);
            }
            board.refresh();
        });
    }

    /// Says that the status of resources has turned without a value of theirs: by the time, or with a configuration.
    pub fn touch(&self, keys: &[StatusKey]) {
        if !keys.is_empty() {
            self.change(|board| keys.iter().for_each(|key| board.changed.note(*key, board.seen)));
        }
    }

    /// Shows a health that could not be stored, on this process alone, until the store tells another one.
    pub fn set_local(&self, endpoint: EndpointId, health: EndpointHealth) {
        let entry = Arc::new(Entry::new(Arc::new(health)));
        self.change(|board| {
            board.local_health.insert(endpoint, Arc::clone(&entry));
            board.changed.note(StatusKey::Endpoint(endpoint), board.seen);
        });
    }

    /// Forgets everything that was set locally: the store is back and its values count.
    pub fn clear_local(&self) {
        self.change(|board| {
            for id in std::mem::take(&mut board.local_health).keys() {
                board.changed.note(StatusKey::Endpoint(*id), board.seen);
            }
        });
    }

    /// Drops values that were seen before `before` and belong to nothing in `snapshot`.
    pub fn sweep(&self, snapshot: &Snapshot, before: StatusRevision) {
        self.change(|board| {
            retain(&mut board.health, before, |id| snapshot.endpoint_entry(id).is_some());
            board.local_health.retain(|id, _| snapshot.endpoint_entry(*id).is_some());
            retain(&mut board.validation, before, |id| snapshot.credential_entry(id).is_some());
            retain(&mut board.credential_usage, before, |id| snapshot.credential_entry(id).is_some());
            retain(&mut board.availability, before, |id| snapshot.model_entry(id).is_some());
            retain(&mut board.model_usage, before, |id| snapshot.model_entry(id).is_some());
            retain(&mut board.sync, before, |id| snapshot.provider_entry(id).is_some());
            retain(&mut board.token_use, before, |id| snapshot.token_entry(id).is_some());
            board.credential_uses.retain(|id| snapshot.credential_entry(id).is_some());
            board.model_uses.retain(|id| snapshot.model_entry(id).is_some());
            board.changed.retain(|mark| mark.at >= before || is_known(snapshot, mark.key));
        });
    }

    /// Replaces the board by a changed copy; tried again when another thread was faster.
    fn change(&self, edit: impl Fn(&mut Board)) {
        self.current.rcu(|board| {
            let mut next = Board::clone(board);
            edit(&mut next);
            next
        });
    }
}

impl Board {
    #[must_use]
    pub const fn seen(&self) -> StatusRevision {
        self.seen
    }

    #[must_use]
    pub fn health(&self, id: EndpointId) -> Option<&Arc<Entry<EndpointHealth>>> {
        self.local_health.get(&id).or_else(|| get(&self.health, id))
    }

    /// [`HealthStatus::Unknown`] for an endpoint that was never probed.
    #[must_use]
    pub fn health_status(&self, id: EndpointId) -> HealthStatus {
        self.health(id).map_or(HealthStatus::Unknown, |entry| entry.value().status)
    }

    #[must_use]
    pub fn validation(&self, id: CredentialId) -> Option<&Arc<Entry<Validation>>> {
        get(&self.validation, id)
    }

    #[must_use]
    pub fn credential_usage(&self, id: CredentialId) -> Option<&Arc<Entry<CredentialUsage>>> {
        self.credential_uses.shown(id).or_else(|| get(&self.credential_usage, id))
    }

    /// Whether the quota of a credential is used up.
    #[must_use]
    pub fn is_exhausted(&self, credential: &Credential, now: Timestamp) -> bool {
        let Some(quota) = credential.quota else { return false };
        self.credential_usage(credential.id).is_some_and(|usage| usage.exhausts(quota, now))
    }

    #[must_use]
    pub fn availability(&self, id: ModelId) -> Option<&Arc<Entry<Availability>>> {
        get(&self.availability, id)
    }

    #[must_use]
    pub fn model_usage(&self, id: ModelId) -> Option<&Arc<Entry<ModelUsage>>> {
        self.model_uses.shown(id).or_else(|| get(&self.model_usage, id))
    }

    #[must_use]
    pub fn sync(&self, id: ProviderId) -> Option<&Arc<Entry<SyncStatus>>> {
        get(&self.sync, id)
    }

    /// When a token was last used.
    #[must_use]
    pub fn token_use(&self, id: TokenId) -> Option<Timestamp> {
        get(&self.token_use, id).map(|entry| **entry.value())
    }

    /// How many changes of status this process has seen.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changed.last()
    }

    /// The resources whose status has changed since that many changes were seen, in the order of their last change.
    pub fn changed_since(&self, changes: u64) -> impl Iterator<Item = (u64, &Arc<Mark>)> {
        self.changed.since(changes)
    }

    /// Whether anything is known of a resource.
    #[must_use]
    pub fn knows(&self, key: StatusKey) -> bool {
        match key {
            StatusKey::Provider(id) => self.sync.contains_key(&id),
            StatusKey::Endpoint(id) => self.health(id).is_some(),
            StatusKey::Credential(id) => self.validation.contains_key(&id) || self.credential_usage.contains_key(&id),
            StatusKey::Model(id) => self.availability.contains_key(&id) || self.model_usage.contains_key(&id),
        }
    }

    fn take(&mut self, batch: &StatusBatch) {
        for value in &batch.values {
            self.put(value.clone(), batch.revision);
        }
    }

    /// Puts what is shown of all resources with waiting uses together again.
    fn refresh(&mut self) {
        for id in self.credential_uses.ids() {
            self.credential_uses.refresh(id, self.credential_usage.get(&id));
        }
        for id in self.model_uses.ids() {
            self.model_uses.refresh(id, self.model_usage.get(&id));
        }
    }

    fn put(&mut self, value: StatusValue, at: StatusRevision) {
        let key = StatusKey::of(&value);
        let put = match value {
            StatusValue::Health(id, health) => {
                let put = put(&mut self.health, id, health, at);
                let local = put != Put::Older && self.local_health.remove(&id).is_some();
                if local { Put::Newer } else { put }
            }
            StatusValue::Validation(id, validation) => put(&mut self.validation, id, validation, at),
            StatusValue::CredentialUsage(id, usage) => {
                let put = put(&mut self.credential_usage, id, usage, at);
                self.credential_uses.refresh(id, self.credential_usage.get(&id));
                put
            }
            StatusValue::Availability(id, availability) => put(&mut self.availability, id, availability, at),
            StatusValue::ModelUsage(id, usage) => {
                let put = put(&mut self.model_usage, id, usage, at);
                self.model_uses.refresh(id, self.model_usage.get(&id));
                put
            }
            StatusValue::Sync(id, sync) => put(&mut self.sync, id, sync, at),
            StatusValue::TokenUse(id, time) => put(&mut self.token_use, id, time, at),
            // Sealed secrets are the snapshot's.
            StatusValue::Rewrapped(_) => Put::Older,
        };
        if let (Some(key), Put::Newer) = (key, put) {
            self.changed.note(key, at);
        }
    }
}

fn get<R, T>(values: &Values<R, T>, id: Id<R>) -> Option<&Arc<Entry<T>>> {
    values.get(&id).map(|value| &value.entry)
}

/// What a value was beside the one that was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    Older,
    /// Of the same batch: what this process wrote itself comes again when the store is read.
    Same,
    Newer,
}

/// Sets a value unless a newer one is known.
fn put<R, T>(values: &mut Values<R, T>, id: Id<R>, value: T, at: StatusRevision) -> Put {
    let put = match values.get(&id).map(|known| known.at.cmp(&at)) {
        Some(Ordering::Greater) => return Put::Older,
        Some(Ordering::Equal) => Put::Same,
        Some(Ordering::Less) | None => Put::Newer,
    };
    values.insert(id, Stamped { at, entry: Arc::new(Entry::new(Arc::new(value))) });
    put
}

fn is_known(snapshot: &Snapshot, key: StatusKey) -> bool {
    match key {
        StatusKey::Provider(id) => snapshot.provider_entry(id).is_some(),
        StatusKey::Endpoint(id) => snapshot.endpoint_entry(id).is_some(),
        StatusKey::Credential(id) => snapshot.credential_entry(id).is_some(),
        StatusKey::Model(id) => snapshot.model_entry(id).is_some(),
    }
}

fn retain<R, T>(values: &mut Values<R, T>, before: StatusRevision, known: impl Fn(Id<R>) -> bool) {
    values.retain(|id, value| value.at >= before || known(*id));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::usage::{DailyUses, Uses};
    use crate::snapshot::fixtures::{self, at, id};

    fn health(status: HealthStatus) -> EndpointHealth {
        EndpointHealth { status, ..EndpointHealth::default() }
    }

    fn batch(revision: i64, values: &[(u128, HealthStatus)]) -> StatusBatch {
        let values = values.iter().map(|(number, status)| StatusValue::Health(id(*number), health(*status))).collect();
        StatusBatch { revision: StatusRevision(revision), values }
    }

    #[test]
    fn an_older_value_never_replaces_a_newer_one() {
        let board = StatusBoard::default();
        board.record(&batch(11, &[(1, HealthStatus::Unhealthy)]));
        board.apply(&batch(10, &[(1, HealthStatus::Healthy), (2, HealthStatus::Healthy)]));
        assert_eq!(board.load().health_status(id(1)), HealthStatus::Unhealthy);
        assert_eq!(board.load().health_status(id(2)), HealthStatus::Healthy);
        assert_eq!(board.load().health_status(id(3)), HealthStatus::Unknown);
    }

    #[test]
    fn only_what_was_read_from_the_store_moves_the_mark() {
        let board = StatusBoard::default();
        board.record(&batch(11, &[(1, HealthStatus::Healthy)]));
        assert_eq!(board.seen(), StatusRevision(0));
        board.apply(&batch(12, &[]));
        board.apply(&batch(9, &[]));
        assert_eq!(board.seen(), StatusRevision(12));
        board.reset(&batch(5, &[(2, HealthStatus::Degraded)]));
        assert_eq!(board.seen(), StatusRevision(5));
        assert_eq!(board.load().health_status(id(1)), HealthStatus::Unknown);
    }

    #[test]
    fn a_local_health_shows_until_the_store_tells_another() {
        let board = StatusBoard::default();
        board.apply(&batch(1, &[(1, HealthStatus::Healthy), (2, HealthStatus::Healthy)]));
        board.set_local(id(1), health(HealthStatus::Unhealthy));
        board.set_local(id(2), health(HealthStatus::Unhealthy));
        assert_eq!(board.load().health_status(id(1)), HealthStatus::Unhealthy);
        board.apply(&batch(2, &[(1, HealthStatus::Degraded)]));
        assert_eq!(board.load().health_status(id(1)), HealthStatus::Degraded);
        assert_eq!(board.load().health_status(id(2)), HealthStatus::Unhealthy);
        board.clear_local();
        assert_eq!(board.load().health_status(id(2)), HealthStatus::Healthy);
    }

    fn uses(requests: i64) -> UsesOf<Credential> {
        let mut daily = DailyUses::default();
        daily.add(at(1), &Uses { requests, ..Uses::default() });
        [(id(1), daily)].into()
    }

    fn stored(revision: i64, total_requests: i64) -> StatusBatch {
        let usage = CredentialUsage { total_requests, ..CredentialUsage::default() };
        StatusBatch { revision: StatusRevision(revision), values: vec![StatusValue::CredentialUsage(id(1), usage)] }
    }

    fn requests(board: &StatusBoard) -> i64 {
        board.load().credential_usage(id(1)).map_or(0, |usage| usage.total_requests)
    }

    #[test]
    fn uses_show_at_once_and_count_once_however_a_batch_ends() {
        let (board, none) = (StatusBoard::default(), UsesOf::new());
        board.apply(&stored(1, 10));
        board.count(&uses(3), &none);
        assert_eq!(requests(&board), 13);
        board.apply(&stored(2, 20));
        assert_eq!(requests(&board), 23, "another replica has written");
        let (departed, _) = board.depart(StatusRevision(3), 10);
        board.count(&uses(1), &none);
        assert_eq!(requests(&board), 24);
        board.landed(&departed, &none, None);
        assert_eq!((requests(&board), board.has_uses()), (24, true), "it came back");
        let (departed, _) = board.depart(StatusRevision(4), 10);
        assert_eq!(departed, uses(4));
        // The batch is read from the store before its writer learns that it is committed.
        board.apply(&stored(4, 24));
        assert_eq!(requests(&board), 24);
        board.count(&uses(2), &none);
        assert_eq!(requests(&board), 26);
        board.landed(&departed, &none, Some(&stored(4, 24)));
        assert_eq!((requests(&board), board.has_uses()), (26, true));
        board.reset(&stored(9, 100));
        assert_eq!(requests(&board), 102, "what waits is not forgotten with the rest");
        let (departed, _) = board.depart(StatusRevision(10), 10);
        board.landed(&departed, &none, Some(&stored(10, 102)));
        assert_eq!((requests(&board), board.has_uses()), (102, false));
    }

    #[test]
    fn every_kind_of_value_is_kept_and_found() {
        let board = StatusBoard::default();
        let sync = SyncStatus {
            last_time: at(1),
            result: crate::domain::provider::SyncResult::Succeeded,
            message: String::new(),
            added: 1,
            updated: 0,
            deprecated: 0,
            restored: 0,
            unchanged: 0,
        };
        let values = vec![
            StatusValue::Validation(id(1), Validation { secret_version: 3, ..Validation::default() }),
            StatusValue::CredentialUsage(id(1), CredentialUsage { total_tokens: 4, ..CredentialUsage::default() }),
            StatusValue::Availability(id(2), Availability { message: "m".into(), ..Availability::default() }),
            StatusValue::ModelUsage(id(2), ModelUsage { total_requests: 5, ..ModelUsage::default() }),
            StatusValue::Sync(id(3), sync),
            StatusValue::TokenUse(id(4), at(9)),
            StatusValue::Rewrapped(fixtures::sealed(1, 1)),
        ];
        board.apply(&StatusBatch { revision: StatusRevision(1), values });
        let board = board.load();
        assert_eq!(board.validation(id(1)).unwrap().value().secret_version, 3);
        assert_eq!(board.credential_usage(id(1)).unwrap().value().total_tokens, 4);
        assert_eq!(board.availability(id(2)).unwrap().value().message, "m");
        assert_eq!(board.model_usage(id(2)).unwrap().value().total_requests, 5);
        assert_eq!(board.sync(id(3)).unwrap().value().added, 1);
        assert_eq!(board.token_use(id(4)), Some(at(9)));
    }

    fn changed(board: &StatusBoard, since: u64) -> Vec<StatusKey> {
        board.load().changed_since(since).map(|(_, mark)| mark.key).collect()
    }

    #[test]
    fn who_follows_reads_what_changed_since_in_order_and_once() {
        let board = StatusBoard::default();
        board.record(&batch(1, &[(1, HealthStatus::Healthy), (2, HealthStatus::Healthy)]));
        let seen = board.load().changes();
        board.record(&batch(3, &[(3, HealthStatus::Healthy)]));
        board.apply(&batch(2, &[(1, HealthStatus::Unhealthy)]));
        board.touch(&[StatusKey::Credential(id(7))]);
        board.apply(&batch(3, &[(3, HealthStatus::Healthy)]));
        board.record(&batch(4, &[(1, HealthStatus::Healthy)]));
        let expected = [StatusKey::Endpoint(id(3)), StatusKey::Credential(id(7)), StatusKey::Endpoint(id(1))];
        assert_eq!(changed(&board, seen), expected);
        let seen = board.load().changes();
        assert_eq!(changed(&board, seen), []);
        board.reset(&batch(9, &[(2, HealthStatus::Degraded)]));
        assert_eq!(changed(&board, seen), [StatusKey::Endpoint(id(2))]);
    }

    #[test]
    fn a_local_health_is_a_change_when_it_comes_and_when_it_goes() {
        let board = StatusBoard::default();
        board.apply(&batch(1, &[(1, HealthStatus::Healthy)]));
        for turn in [
            || StatusValue::Health(id(1), health(HealthStatus::Unhealthy)),
            || StatusValue::Health(id(1), health(HealthStatus::Healthy)),
        ] {
            let seen = board.load().changes();
            if let StatusValue::Health(id, health) = turn() {
                board.set_local(id, health);
            }
            assert_eq!(changed(&board, seen), [StatusKey::Endpoint(id(1))]);
        }
        let seen = board.load().changes();
        board.clear_local();
        assert_eq!(changed(&board, seen), [StatusKey::Endpoint(id(1))]);
    }

    #[test]
    fn a_sweep_drops_old_values_of_unknown_ids_only() {
        let mut image = fixtures::image();
        image.endpoints.push(Arc::new(fixtures::endpoint(1, 1)));
        let board = StatusBoard::default();
        board.apply(&batch(1, &[(1, HealthStatus::Healthy), (2, HealthStatus::Healthy)]));
        board.apply(&batch(5, &[(3, HealthStatus::Healthy)]));
        board.sweep(&Snapshot::from_image(image), StatusRevision(5));
        let statuses = [1, 2, 3].map(|number| board.load().health_status(id(number)));
        assert_eq!(statuses, [HealthStatus::Healthy, HealthStatus::Unknown, HealthStatus::Healthy]);
    }
}
