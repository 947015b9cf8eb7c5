//! From the tail to all watchers: each revision is encoded once and kept in the [`History`] that they read.
//!
//! One loop. The tail tells it what was applied, through a queue that never makes the tail wait. Every [`PULSE`] it looks
//! whether statuses have changed, so that these reach watchers gathered; every second it looks for statuses that the
//! time has turned, and for watchers that do not read.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::published::Published;
use super::watches::Watches;
use crate::domain::credential::Credential;
use crate::domain::{ChainHash, Change, CredentialId, Head, Operation, Resource, ResourceKind, Revision, Timestamp};
use crate::snapshot::StatusKey;

/// How often watchers are told of statuses, at most.
const PULSE: Duration = Duration::from_millis(250);
/// Pulses of a second.
const SECOND: u32 = 4;
/// What is encoded between two looks at the rest.
const AT_ONCE: usize = 64;

/// What happened to the snapshot.
pub enum Told {
    /// Changes were applied, which lead from `base` to `head`; each with the hash of the log up to it. Of revisions
    /// between them nothing is shown.
    Applied { base: Revision, head: Head, changes: Vec<Change>, hashes: Vec<ChainHash> },
    /// Everything was loaded anew.
    Reloaded {
        head: Head,
        /// Whether the log still has what was held before.
        continues: bool,
    },
}

/// The tail's way to the fan-out.
#[derive(Debug, Clone)]
pub struct Feed(mpsc::UnboundedSender<Told>);

/// The other end of a [`Feed`].
pub struct Fed(mpsc::UnboundedReceiver<Told>);

#[must_use]
pub fn feed() -> (Feed, Fed) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Feed(sender), Fed(receiver))
}

impl Feed {
    /// Without watchers, in tests of other things, nobody listens.
    pub fn tell(&self, told: Told) {
        drop(self.0.send(told));
    }
}

/// The loop.
pub struct Fanout {
    fed: Fed,
    watches: Watches,
    /// Until when expiries were looked for.
    looked: Timestamp,
    keys: u64,
}

impl Fanout {
    #[must_use]
    pub fn new(fed: Fed, watches: Watches) -> Self {
        // Also what expired before the process began has turned since a client was here.
        let keys = watches.keys();
        Self { fed, watches, looked: Timestamp::from_micros(i64::MIN), keys }
    }

    /// Publishes until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut round = 0;
        let mut told = Vec::with_capacity(AT_ONCE);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                count = self.fed.0.recv_many(&mut told, AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    for told in told.drain(..) {
                        self.take(told);
                    }
                    tokio::task::yield_now().await;
                }
                _ = pulse.tick() => {
                    round = (round + 1) % SECOND;
                    if round == 0 {
                        self.every_second();
                    }
                    self.watches.pulse();
                }
            }
        }
    }

    fn take(&self, told: Told) {
        match told {
            Told::Applied { base, head, changes, hashes } => {
                self.publish(base, head, &changes, &hashes);
                self.touch(&changes);
                self.watches.wake(changes.iter().any(|change| change.resource_kind == ResourceKind::Token));
            }
            Told::Reloaded { head, continues } => {
                tracing::info!(revision = head.revision.0, continues, "watchers begin after a load");
                self.watches.restart(head, continues);
            }
        }
    }

    fn publish(&self, base: Revision, head: Head, changes: &[Change], hashes: &[ChainHash]) {
        let (mut hashes, now, mut last) = (hashes.iter(), self.watches.snapshot().load(), base);
        for revision in changes.chunk_by(|a, b| a.revision == b.revision) {
            let hash = hashes.by_ref().take(revision.len()).last();
            let (Some(first), Some(hash)) = (revision.first(), hash) else { return };
            let at = Head { revision: first.revision, hash: *hash };
            self.watches.history().push(Published::encode(at, revision, &now).since(last.next()));
            last = at.revision;
        }
        if last < head.revision {
            self.watches.history().push(Published::encode(head, &[], &now).since(last.next()));
        }
    }

    /// The state of a credential follows its configuration too; and of what appears, what is known may have come first.
    fn touch(&self, changes: &[Change]) {
        let board = self.watches.board().load();
        let appears = |change: &Change| matches!(change.operation, Operation::Create | Operation::Undelete);
        let key = |change: &Change| match change.after.as_ref()? {
            Resource::Credential(credential) => Some(StatusKey::Credential(credential.id)),
            Resource::Provider(provider) => Some(StatusKey::Provider(provider.id)).filter(|_| appears(change)),
            Resource::Endpoint(endpoint) => Some(StatusKey::Endpoint(endpoint.id)).filter(|_| appears(change)),
            Resource::Model(model) => Some(StatusKey::Model(model.id)).filter(|_| appears(change)),
            _ => None,
        };
        let shown = changes.iter().filter(|change| change.operation != Operation::Access).filter_map(key);
        let keys: Vec<_> = shown.filter(|key| key.kind() == ResourceKind::Credential || board.knows(*key)).collect();
        self.watches.board().touch(&keys);
    }

    fn every_second(&mut self) {
        let cut = self.watches.cut_stalled();
        if cut > 0 {
            tracing::warn!(count = cut, "watchers were cut because they do not read");
        }
        let now = self.watches.now();
        let keys = self.watches.keys();
        let all = std::mem::replace(&mut self.keys, keys) != keys;
        let looked = std::mem::replace(&mut self.looked, now);
        let snapshot = self.watches.snapshot().load();
        let has_turned = |end: Option<Timestamp>| end.is_some_and(|end| looked < end && end <= now);
        let board = self.watches.board().load();
        // A quota's window ends by the time, too.
        let rolls = |credential: &Credential| {
            credential.quota.is_some()
                && looked.micros() > 0
                && board.is_exhausted(credential, looked) != board.is_exhausted(credential, now)
        };
        let turned = |entry: &Credential| has_turned(entry.expire_time) || rolls(entry);
        let credentials = snapshot.live_credentials().filter(|entry| all || turned(entry));
        let ids: Vec<CredentialId> = credentials.map(|entry| entry.id).collect();
        self.watches.board().touch(&ids.into_iter().map(StatusKey::Credential).collect::<Vec<_>>());
    }
}
