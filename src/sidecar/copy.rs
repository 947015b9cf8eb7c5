//! What a sidecar keeps on disk: the state as its own watchers would be sent it, and the secrets that it holds.

use tokio::sync::watch;

use super::cache::Source;
use super::last_good::{HeldSecret, LastGood};
use crate::changes::{Contact, Watches};
use crate::control::Held;
use crate::domain::{Clock, Timestamp};
use crate::snapshot::{SnapshotHandle, StatusBoard};

/// What a copy is made from.
pub struct Memory {
    pub watches: Watches,
    pub snapshot: SnapshotHandle,
    pub board: StatusBoard,
    pub held: Held,
    pub contact: watch::Receiver<Contact>,
    pub clock: std::sync::Arc<dyn Clock>,
}

impl Source for Memory {
    /// Every change of configuration, of status or of what is held of secrets makes another one.
    fn version(&self) -> u64 {
        let revision = self.snapshot.head().revision.0.unsigned_abs();
        revision.rotate_left(32) ^ self.board.load().changes() ^ self.held.changes().rotate_left(48)
    }

    fn confirmed(&self) -> Timestamp {
        let contact = *self.contact.borrow();
        self.clock.now().before(contact.fresh.elapsed())
    }

    fn last_good(&self) -> Option<LastGood> {
        if !self.contact.borrow().loaded {
            return None;
        }
        let copy = self.watches.copy();
        let held = self.held.all().into_iter();
        let secrets =
            held.map(|(credential_id, secret_version, secret)| HeldSecret { credential_id, secret_version, secret });
        Some(LastGood {
            resume_token: copy.token.write(),
            revision: copy.token.revision.0,
            confirmed: self.confirmed(),
            state: copy.messages,
            secrets: secrets.collect(),
        })
    }
}
