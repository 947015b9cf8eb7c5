//! Watching: what all streams of a process share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tokio::sync::watch;
use uuid::Uuid;

use super::history::History;
use super::keys::Keys;
use super::past::Past;
use super::published::Filter;
use super::resume::Start;
use super::session::state::Teller;
use super::session::{Opening, Session};
use super::states::{StatePart, States, Walk};
use super::watchers::{Pin, Watchers};
use crate::domain::{Clock, Head, Pass, Result, Timestamp, TokenId};
use crate::snapshot::query::Present;
use crate::snapshot::{Board, Snapshot, SnapshotHandle, StatusBoard, StatusKey};
use crate::wire;
use crate::wire::credential::Status;
use crate::wire::watch::{Event, RawWatch, ResumeToken};

/// How much watching may take.
#[derive(Debug, Clone, Copy)]
pub struct WatchConfig {
    /// How many streams there may be.
    pub streams: usize,
    /// How many bytes of recent changes are kept in memory.
    pub history: usize,
    /// How long a client may leave a message unread.
    pub patience: Duration,
}

/// What watching is made of.
pub struct WatchParts {
    pub snapshot: SnapshotHandle,
    pub board: StatusBoard,
    pub keys: Keys,
    pub past: Past,
    pub clock: Arc<dyn Clock>,
}

/// What wakes streams, besides a new revision. Each is a count of how often it happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Signal {
    /// Tokens have changed, or what vouches for other callers.
    pub tokens: u64,
    /// Another history was loaded.
    pub forks: u64,
    /// How many changes of status are to be told.
    pub statuses: u64,
    pub closing: bool,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Watches(Arc<Shared>);

pub(super) struct Shared {
    pub parts: WatchParts,
    pub history: History,
    pub watchers: Arc<Watchers>,
    pub states: States,
    signal: watch::Sender<Signal>,
    config: WatchConfig,
}

/// A stream that somebody wants.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub watch_id: Uuid,
    pub start: Start,
    /// First the state.
    pub state: bool,
    /// With the state: also deleted providers.
    pub deleted: bool,
    pub filter: Filter,
    /// What the client calls itself.
    pub client: String,
    /// The token that it came with: without it the stream ends.
    pub token: Option<TokenId>,
    /// What it came with instead: the stream ends with it too.
    pub pass: Option<Pass>,
}

/// A state at one moment.
pub struct StateCopy {
    /// Encoded messages of a stream.
    pub messages: Vec<Bytes>,
    pub token: ResumeToken,
}

impl Watches {
    #[must_use]
    pub fn new(parts: WatchParts, config: WatchConfig) -> Self {
        let history = History::new(parts.snapshot.head(), config.history);
        let (signal, _) = watch::channel(Signal::default());
        let watchers = Arc::new(Watchers::new(config.streams));
        Self(Arc::new(Shared { parts, history, watchers, states: States::default(), signal, config }))
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// When there are too many, or it cannot begin there.
    pub async fn open(&self, wanted: Wanted) -> Result<Session> {
        let place = self.0.watchers.enter(wanted.watch_id, wanted.client, self.now())?;
        // Before the position is looked up: what comes after it wakes the stream.
        let mut signal = self.0.signal.subscribe();
        let known = *signal.borrow_and_update();
        // The token is looked at once more: it may have been revoked since the call was let in.
        let known = Signal { tokens: known.tokens.wrapping_sub(1), ..known };
        let start = self.0.locate(wanted.start).await?;
        let Wanted { state, deleted, filter, token, pass, .. } = wanted;
        let opening = Opening { place, signal, known, start, state, deleted, filter, token, pass };
        Ok(Session::new(Arc::clone(&self.0), opening))
    }

    /// Whether a token is one of this history.
    ///
    /// # Errors
    /// As a stream that begins with it.
    pub async fn check(&self, token: &ResumeToken) -> Result<()> {
        self.0.check(token).await
    }

    /// Whose configuration is watched.
    #[must_use]
    pub fn cluster_id(&self) -> Uuid {
        self.0.parts.past.cluster_id()
    }

    /// The state as a stream would send it, deleted providers too, and where that stream would go on.
    #[must_use]
    pub fn copy(&self) -> StateCopy {
        let parts = &self.0.parts;
        let pin = Pin { snapshot: parts.snapshot.load(), board: parts.board.load() };
        let head = pin.snapshot.head();
        let teller = Teller { shared: &self.0, filter: &Filter::default(), deleted: true, pin: &pin };
        let (mut messages, mut walk) = (Vec::new(), Some(Walk::default()));
        while let Some(place) = walk {
            let StatePart { body, next } = teller.make(place);
            let message = RawWatch { event: Event::State, body, revision: head.revision, ..RawWatch::default() };
            messages.push(message.encode_to_vec().into());
            walk = next;
        }
        let (cluster_id, status) = (parts.past.cluster_id(), pin.board.seen());
        let token = ResumeToken { cluster_id, revision: head.revision, hash: head.hash.into(), status };
        StateCopy { messages, token }
    }

    /// Ends all streams, each with a last bookmark.
    pub fn close(&self) {
        self.0.signal.send_modify(|signal| signal.closing = true);
    }

    /// Has every stream look again whether its caller is still welcome.
    pub fn look_again(&self) {
        self.wake(true);
    }

    #[must_use]
    pub fn watchers(&self) -> &Arc<Watchers> {
        &self.0.watchers
    }

    pub(super) fn history(&self) -> &History {
        &self.0.history
    }

    pub(super) fn board(&self) -> &StatusBoard {
        &self.0.parts.board
    }

    pub(super) fn snapshot(&self) -> &SnapshotHandle {
        &self.0.parts.snapshot
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }

    /// Changes when other master keys can be read.
    pub(super) fn keys(&self) -> u64 {
        self.0.parts.keys.generation()
    }

    pub(super) fn cut_stalled(&self) -> usize {
        self.0.watchers.cut(self.0.config.patience)
    }

    /// There are new revisions.
    pub(super) fn wake(&self, tokens: bool) {
        self.0.watchers.tell();
        self.0.signal.send_modify(|signal| signal.tokens += u64::from(tokens));
    }

    /// Tells of statuses that have changed since the last time.
    pub(super) fn pulse(&self) {
        let changes = self.0.parts.board.load().changes();
        let told = self.0.signal.send_if_modified(|signal| std::mem::replace(&mut signal.statuses, changes) != changes);
        if told {
            self.0.watchers.tell();
        }
    }

    pub(super) fn restart(&self, head: Head, continues: bool) {
        self.0.history.restart(head);
        self.0.watchers.tell();
        self.0.signal.send_modify(|signal| {
            signal.tokens += 1;
            signal.forks += u64::from(!continues);
        });
    }
}

impl Shared {
    /// The status of a resource as it is shown; of a credential that is not there none.
    pub fn status(&self, key: StatusKey, board: &Board, snapshot: &Snapshot) -> Option<Bytes> {
        let StatusKey::Credential(id) = key else { return wire::watch::status(key, board, None) };
        let credential = snapshot.credential_entry(id)?;
        let now = self.parts.clock.now();
        let present = Present { now, board };
        let status = Status {
            state: present.state(credential),
            decryptable: self.parts.keys.opens(credential, snapshot, board),
            validation: board.validation(id).map(|entry| &***entry),
            usage: board.credential_usage(id).map(|entry| &***entry),
            quota: credential.quota,
            now,
        };
        wire::watch::status(key, board, Some(status))
    }
}
