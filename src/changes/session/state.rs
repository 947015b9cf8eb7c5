//! The state at the beginning of a stream: everything at one revision, a message at a time, then its end.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use super::Session;
use crate::changes::published::Filter;
use crate::changes::states::{StatePart, Walk};
use crate::changes::watchers::Pin;
use crate::changes::watches::Shared;
use crate::domain::{Id, Meta, ResourceKind, Result, Revision};
use crate::snapshot::{Part, StatusKey};
use crate::wire;
use crate::wire::watch::{Event, StateOf};

/// When a message of the state is full: far below what one may hold. When thousands come back at once, a message of each is
/// made and waits for its client; and who is served in turn must ask again before it counts as one that does not read.
const FULL: usize = 32 * 1024;

/// What is told one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// What is live, of one kind.
    Live(ResourceKind),
    /// Providers that were deleted and can be brought back.
    Deleted,
}

/// Parents before children.
const STAGES: [Stage; 6] = [
    Stage::Live(ResourceKind::Provider),
    Stage::Deleted,
    Stage::Live(ResourceKind::Endpoint),
    Stage::Live(ResourceKind::Credential),
    Stage::Live(ResourceKind::Model),
    Stage::Live(ResourceKind::Binding),
];

impl Stage {
    const fn kind(self) -> ResourceKind {
        match self {
            Self::Live(kind) => kind,
            Self::Deleted => ResourceKind::Provider,
        }
    }
}

/// A message that is being filled.
#[derive(Default)]
struct Chunk {
    changes: BytesMut,
    statuses: Vec<Bytes>,
    size: usize,
}

impl Chunk {
    fn is_full(&self) -> bool {
        self.size + self.changes.len() >= FULL
    }

    fn add(&mut self, kind: ResourceKind, id: Uuid, meta: &Meta, config: &Bytes, status: Option<Bytes>) {
        let of = StateOf { kind, id, revision: meta.revision, update_time: meta.update_time };
        wire::watch::state(of, config, &mut self.changes);
        self.size += status.as_ref().map_or(0, Bytes::len);
        self.statuses.extend(status);
    }
}

/// Tells a state, a part at a time.
pub(in crate::changes) struct Teller<'a> {
    pub shared: &'a Shared,
    pub filter: &'a Filter,
    /// Also deleted providers.
    pub deleted: bool,
    pub pin: &'a Pin,
}

impl Session {
    /// The next message of the state.
    pub(super) fn fill_state(&mut self) -> Result<()> {
        let Some(walk) = self.state.take() else { return Ok(()) };
        let pin = self.place.watcher.pinned().ok_or_else(|| self.slow())?;
        let head = pin.snapshot.head();
        let StatePart { body, next } = self.part(walk, &pin);
        if body.iter().any(|part| !part.is_empty()) {
            let message = self.message(Event::State, body, None);
            let revision: Revision = head.revision;
            self.queue.push_back(super::RawWatch { revision, ..message });
        }
        if next.is_some() {
            self.state = next;
        } else {
            self.place.watcher.pin(None);
            (self.revision, self.hash) = (head.revision, head.hash.into());
            self.statuses = pin.board.changes();
            self.seen = pin.board.seen();
            let token = self.resume_token();
            let message = self.message(Event::StateComplete, Vec::new(), Some(token));
            self.queue.push_back(message);
            drop(pin);
            self.shared.states.done();
        }
        Ok(())
    }

    /// The part at a place of the state: as it was made for another stream, or made now.
    fn part(&self, walk: Walk, pin: &Arc<Pin>) -> StatePart {
        let teller = Teller { shared: &self.shared, filter: &self.filter, deleted: self.deleted, pin };
        if !self.filter.is_open() || self.deleted {
            return teller.make(walk);
        }
        self.shared.states.part(pin, walk.number).unwrap_or_else(|| {
            let made = teller.make(walk);
            self.shared.states.keep(pin, walk.number, &made);
            made
        })
    }
}

impl Teller<'_> {
    /// The part at a place of the state.
    pub fn make(&self, mut walk: Walk) -> StatePart {
        let mut chunk = Chunk::default();
        while let Some(stage) = STAGES.get(walk.stage) {
            if self.filter.shows_kind(stage.kind()) && (*stage != Stage::Deleted || self.deleted) {
                walk.after = self.add(*stage, walk.after, &mut chunk);
            }
            if chunk.is_full() {
                break;
            }
            walk = Walk { stage: walk.stage + 1, after: None, ..walk };
        }
        let mut body = chunk.statuses;
        body.insert(0, chunk.changes.freeze());
        let next = (walk.stage < STAGES.len()).then_some(Walk { number: walk.number + 1, ..walk });
        StatePart { body, next }
    }

    /// Adds resources of one stage until the message is full; behind which one it goes on.
    fn add(&self, stage: Stage, after: Option<Uuid>, chunk: &mut Chunk) -> Option<Uuid> {
        let kind = stage.kind();
        let (snapshot, board) = (&self.pin.snapshot, &self.pin.board);
        let provider = self.filter.provider;
        let status = |key: StatusKey| self.shared.status(key, board, snapshot);
        let known = |key: StatusKey| if board.knows(key) { status(key) } else { None };
        let mut last = after;
        macro_rules! add {
            ($entries:ident, $noun:ident, $status:expr) => {
                for entry in snapshot.$entries(Part { provider, after: after.map(Id::new) }) {
                    let config = entry.wire_or(wire::$noun::config_bytes);
                    let status: Option<Bytes> = $status(entry.id);
                    chunk.add(kind, entry.id.uuid(), &entry.meta, config, status);
                    last = Some(entry.id.uuid());
                    if chunk.is_full() {
                        return last;
                    }
                }
            };
        }
        let Stage::Live(kind) = stage else {
            add!(deleted_providers_in, provider, |id| known(StatusKey::Provider(id)));
            return last;
        };
        match kind {
            ResourceKind::Provider => add!(providers_in, provider, |id| known(StatusKey::Provider(id))),
            ResourceKind::Endpoint => add!(endpoints_in, endpoint, |id| status(StatusKey::Endpoint(id))),
            ResourceKind::Credential => add!(credentials_in, credential, |id| status(StatusKey::Credential(id))),
            ResourceKind::Model => add!(models_in, model, |id| known(StatusKey::Model(id))),
            ResourceKind::Binding => add!(bindings_in, binding, |_| None),
            ResourceKind::Token | ResourceKind::Keyring => {}
        }
        last
    }
}
