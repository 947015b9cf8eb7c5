//! What a stream of Watch makes of the memory: messages in, snapshot and board out. It knows no network, so a copy on disk
//! is taken in through it too.
//!
//! Invariants: a state is shown when it is complete, a revision when its last message is here; what does not continue
//! what is held is refused.

use std::sync::{Arc, PoisonError, RwLock};

use prost::Message as _;
use uuid::Uuid;

use super::last_good::LastGood;
use crate::changes::{Feed, Told};
use crate::domain::keyring::Keyring;
use crate::domain::{Change, Head, Revision, Timestamp};
use crate::proto::v1;
use crate::proto::v1::WatchEvent;
use crate::snapshot::{Publisher, Shown, Snapshot, SnapshotHandle, StatusBoard, publish};
use crate::wire::WireError;
use crate::wire::watch::ResumeToken;
use crate::wire::watch::read::{changed, shown, state_of};

/// Why a message could not be taken in: the state has to be read anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("it shows what this version does not know ({0}); upgrade the sidecar")]
    Unknown(WireError),
    #[error("a message has no place in the log")]
    NoPlace,
    #[error("a message does not continue what is held")]
    Gap,
}

impl From<WireError> for Broken {
    fn from(error: WireError) -> Self {
        Self::Unknown(error)
    }
}

/// Whose configuration is followed; known with the first state. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cluster(Arc<RwLock<Uuid>>);

impl Cluster {
    #[must_use]
    pub fn id(&self) -> Uuid {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, id: Uuid) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = id;
    }
}

/// The memory of a sidecar, as it is written.
pub struct Replica {
    publisher: Publisher,
    board: StatusBoard,
    feed: Feed,
    cluster: Cluster,
    /// Where the stream goes on.
    place: Option<String>,
    /// Whether the next state is one of another history.
    forked: bool,
    /// A state that is not complete.
    building: Option<Building>,
    /// The changes so far of a revision that is not complete.
    pending: Vec<Change>,
}

struct Building {
    snapshot: Snapshot,
    shown: Shown,
}

impl Replica {
    /// Empty, until the first state.
    #[must_use]
    pub fn new(board: StatusBoard, feed: Feed, cluster: Cluster) -> (Self, SnapshotHandle) {
        let (publisher, snapshot) = publish(nothing());
        let replica =
            Self { publisher, board, feed, cluster, place: None, forked: false, building: None, pending: Vec::new() };
        (replica, snapshot)
    }

    /// The token to go on with; without one the state comes first.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// Takes in a copy of what was once shown, to begin with.
    ///
    /// # Errors
    /// When it is not one that this version has written.
    pub fn restore(&mut self, copy: &LastGood) -> Result<(), Broken> {
        let taken = self.take_copy(copy);
        if taken.is_err() {
            self.begin();
        }
        taken
    }

    fn take_copy(&mut self, copy: &LastGood) -> Result<(), Broken> {
        for message in &copy.state {
            self.take(v1::WatchResponse::decode(&**message).map_err(|_| Broken::NoPlace)?)?;
        }
        self.complete(copy.resume_token.clone())
    }

    /// A new stream begins: what the last one left incomplete is void.
    pub fn begin(&mut self) {
        self.building = None;
        self.pending.clear();
    }

    /// What is held cannot be continued: the state is to be read anew. `forked`: it is one of another history.
    pub fn forget_place(&mut self, forked: bool) {
        self.place = None;
        self.forked |= forked;
    }

    /// Takes in a message.
    ///
    /// # Errors
    /// Why it cannot be; then the state has to be read anew.
    pub fn take(&mut self, message: v1::WatchResponse) -> Result<(), Broken> {
        match WatchEvent::try_from(message.event) {
            Ok(WatchEvent::State) => self.take_state(message),
            Ok(WatchEvent::StateComplete) => self.complete(message.resume_token),
            Ok(WatchEvent::Changes) => {
                for change in message.changes {
                    self.pending.push(changed(change)?);
                }
                if message.last_of_revision { self.advance(message.resume_token) } else { Ok(()) }
            }
            Ok(WatchEvent::Bookmark) => self.advance(message.resume_token),
            Ok(WatchEvent::Status) => {
                self.board.mirror(&read_statuses(message.statuses)?);
                Ok(())
            }
            // An event that a later version has, without changes: nothing that is missed here.
            Ok(WatchEvent::Unspecified) | Err(_) => Ok(()),
        }
    }

    fn take_state(&mut self, message: v1::WatchResponse) -> Result<(), Broken> {
        let fresh = || Building { snapshot: nothing(), shown: Shown { anew: true, ..Shown::default() } };
        let building = self.building.get_or_insert_with(fresh);
        for change in message.changes {
            building.snapshot.put_shown(&state_of(change)?);
        }
        for status in message.statuses {
            shown(status, &mut building.shown)?;
        }
        Ok(())
    }

    /// The state is complete: readers change over to it at once.
    fn complete(&mut self, text: String) -> Result<(), Broken> {
        let token = ResumeToken::read(&text).ok_or(Broken::NoPlace)?;
        let (head, continues) = (token.head(), !std::mem::take(&mut self.forked));
        let anew = || Building { snapshot: nothing(), shown: Shown { anew: true, ..Shown::default() } };
        let Building { snapshot, shown } = self.building.take().unwrap_or_else(anew);
        self.cluster.set(token.cluster_id);
        self.board.mirror(&shown);
        self.board.mirrored_until(token.status);
        self.publisher.store(snapshot.at(head));
        self.feed.tell(Told::Reloaded { head, continues });
        self.place = Some(text);
        Ok(())
    }

    /// Up to the place of `text` all is here.
    fn advance(&mut self, text: String) -> Result<(), Broken> {
        let token = ResumeToken::read(&text).ok_or(Broken::NoPlace)?;
        let (head, held) = (token.head(), self.publisher.current());
        let (base, changes) = (held.head().revision, std::mem::take(&mut self.pending));
        let new = |change: &Change| base < change.revision && change.revision <= head.revision;
        if token.cluster_id != self.cluster.id() || head.revision < base || !changes.iter().all(new) {
            return Err(Broken::Gap);
        }
        if head.revision == base {
            if head != held.head() {
                return Err(Broken::Gap);
            }
        } else {
            self.publisher.store(held.apply(&changes, &[], head));
            let hashes = vec![head.hash; changes.len()];
            self.feed.tell(Told::Applied { base, head, changes, hashes });
        }
        self.board.mirrored_until(token.status);
        self.place = Some(text);
        Ok(())
    }
}

fn read_statuses(statuses: Vec<v1::ResourceStatus>) -> Result<Shown, Broken> {
    let mut found = Shown::default();
    for status in statuses {
        shown(status, &mut found)?;
    }
    Ok(found)
}

/// What is in memory before the first state. A sidecar has no master keys, and none of its reads asks for them.
fn nothing() -> Snapshot {
    let keyring = Keyring {
        id: Uuid::nil(),
        revision: Revision::default(),
        active_key_id: String::new(),
        update_time: Timestamp::default(),
        updated_by: String::new(),
    };
    Snapshot::empty(Head::default(), Arc::new(keyring))
}
