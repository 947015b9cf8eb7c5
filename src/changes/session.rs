//! One Watch stream: what its next message is.
//!
//! Nothing is kept for a stream that does not read: it holds a place in the log and asks for what follows when its client
//! has taken what it had. Order: the state, then changes in the order of the log, between them the latest statuses.
//! Invariant: the place moves with whole revisions only, and only the last message of one carries a token for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::history::Look;
use super::published::{Filter, Published, bodies};
use super::resume::Located;
use super::states::Walk;
use super::watchers::{Place, Watcher};
use super::watches::{Shared, Signal};
use crate::domain::image::StatusRevision;
use crate::domain::{Error, Pass, Result, Revision, TokenId, View as _};
use crate::snapshot::{Mark, Snapshot, StatusKey};
use crate::wire::watch::{Event, MAX_BODY, RawWatch, ResumeToken, ShortHash};

mod log;
pub(super) mod state;

use log::LogReader;

/// A stream tells at least so often where it is; clients are promised ten seconds.
const BOOKMARK: Duration = Duration::from_secs(9);
/// How long revisions of which nothing is shown are gathered; clients are promised a tenth of a second.
const GATHER: Duration = Duration::from_millis(50);
/// Who does not read for so long and meanwhile falls behind what is kept in memory reads too slowly.
const SLOW: Duration = Duration::from_secs(1);

/// What a stream begins with.
pub(super) struct Opening {
    pub place: Place,
    pub signal: watch::Receiver<Signal>,
    pub known: Signal,
    pub start: Located,
    pub state: bool,
    pub deleted: bool,
    pub filter: Filter,
    pub token: Option<TokenId>,
    pub pass: Option<Pass>,
}

/// An open stream.
pub struct Session {
    shared: Arc<Shared>,
    place: Place,
    signal: watch::Receiver<Signal>,
    known: Signal,
    watch_id: Arc<str>,
    filter: Filter,
    /// The token of the caller, or what it came with instead, and when that expires.
    token: Option<TokenId>,
    pass: Option<Pass>,
    expires: Option<Instant>,
    state: Option<Walk>,
    /// Whether the state shows deleted providers.
    deleted: bool,
    /// Messages that are ready.
    queue: VecDeque<RawWatch>,
    /// The last revision that was taken in as a whole.
    revision: Revision,
    hash: ShortHash,
    /// Set while changes are read from the log of the database.
    log: Option<Box<LogReader>>,
    /// What of the status was told: changes of the board; below `since` only those after a status revision.
    statuses: u64,
    since: (u64, StatusRevision),
    /// Up to where all statuses were told.
    seen: StatusRevision,
    last_token: String,
    told: Instant,
    hidden: Option<Instant>,
    /// Whether it was served from memory.
    live: bool,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, opening: Opening) -> Self {
        let Opening { place, signal, known, start, state, deleted, filter, token, pass } = opening;
        let board = shared.parts.board.load();
        let (statuses, seen) = start.status.map_or((board.changes(), board.seen()), |seen| (0, seen));
        let now = Instant::now();
        let found = token.and_then(|id| shared.parts.snapshot.load().token(id));
        let end = found.and_then(|token| token.expire_time).or_else(|| pass.as_ref().map(|pass| pass.until));
        let lifetime = end.map(|end| end.since(shared.parts.clock.now()));
        let expires = lifetime.and_then(|lifetime| now.checked_add(lifetime));
        place.watcher.reach(start.revision);
        let mut session = Self {
            watch_id: Arc::from(place.watcher.id.to_string()),
            known,
            filter,
            token,
            pass,
            expires,
            state: None,
            deleted,
            queue: VecDeque::new(),
            revision: start.revision,
            hash: start.hash,
            log: None,
            statuses,
            since: (board.changes(), seen),
            seen,
            last_token: String::new(),
            told: now,
            hidden: None,
            live: false,
            shared,
            place,
            signal,
        };
        if state {
            let snapshot = session.shared.parts.snapshot.load();
            session.place.watcher.pin(Some(session.shared.states.pin(snapshot, board)));
            session.state = Some(Walk::default());
        } else if start.status.is_none() {
            // Who has no position yet gets one at once: from here on nothing is missed.
            session.bookmark();
        }
        session
    }

    #[must_use]
    pub fn watcher(&self) -> &Arc<Watcher> {
        &self.place.watcher
    }

    /// The next message.
    ///
    /// # Errors
    /// Why the stream ends.
    pub async fn next(&mut self) -> Result<RawWatch> {
        loop {
            self.known = self.look()?;
            if let Some(message) = self.queue.pop_front() {
                if !message.resume_token.is_empty() {
                    self.last_token.clone_from(&message.resume_token);
                    self.told = Instant::now();
                    self.place.watcher.reach(message.revision);
                }
                return Ok(message);
            }
            if self.known.closing {
                return self.end();
            }
            let moved = self.fill().await?;
            if self.queue.is_empty() && !moved {
                self.wait().await;
            }
        }
    }

    /// What may end the stream at any time.
    fn look(&mut self) -> Result<Signal> {
        self.place.ask();
        let signal = *self.signal.borrow_and_update();
        if signal.forks != self.known.forks {
            return Err(Error::HistoryChanged);
        }
        if self.place.watcher.is_cut() {
            return Err(self.slow());
        }
        let expired = self.expires.is_some_and(|end| end <= Instant::now());
        if expired || signal.tokens != self.known.tokens && !self.is_welcome() {
            return Err(Error::Unauthenticated { problem: "the token has expired or was revoked" });
        }
        Ok(signal)
    }

    /// Whether what its caller came with is still good.
    fn is_welcome(&self) -> bool {
        let now = self.shared.parts.clock.now();
        if self.pass.as_ref().is_some_and(|pass| !pass.is_good(now)) {
            return false;
        }
        let Some(id) = self.token else { return true };
        self.shared.parts.snapshot.load().token(id).is_some_and(|token| token.is_valid(now))
    }

    fn slow(&self) -> Error {
        Error::SlowReader { resume_token: self.last_token.clone() }
    }

    /// The server stops: a last bookmark, then the end.
    fn end(&mut self) -> Result<RawWatch> {
        let token = self.resume_token();
        // In the middle of the state, or of a revision, there is no place to go on from but the last one.
        let between = self.state.is_some() || self.log.as_ref().is_some_and(|log| log.is_within());
        if between || self.last_token == token {
            return Err(Error::Stopping);
        }
        self.last_token.clone_from(&token);
        Ok(self.message(Event::Bookmark, Vec::new(), Some(token)))
    }

    /// Finds what can be told now; whether there may be more of it.
    async fn fill(&mut self) -> Result<bool> {
        if self.state.is_some() {
            self.fill_state()?;
            return Ok(true);
        }
        let moved = self.fill_changes().await?;
        if self.queue.is_empty() && self.log.is_none() {
            self.fill_statuses();
        }
        if self.queue.is_empty() && self.due() <= Instant::now() {
            self.bookmark();
        }
        Ok(moved)
    }

    async fn fill_changes(&mut self) -> Result<bool> {
        if self.log.as_ref().is_some_and(|log| log.is_within()) {
            return self.fill_from_log().await;
        }
        match self.shared.history.after(self.revision) {
            Look::Nothing => {
                (self.log, self.live) = (None, true);
                Ok(false)
            }
            Look::Revisions(revisions) => {
                for published in &revisions {
                    self.take(published);
                }
                (self.log, self.live) = (None, true);
                Ok(true)
            }
            Look::Older { since } if self.live && since.elapsed() >= SLOW => Err(self.slow()),
            Look::Older { .. } => {
                self.live = false;
                self.fill_from_log().await
            }
        }
    }

    /// Takes in a whole revision.
    fn take(&mut self, published: &Published) {
        let mut shown = published.bodies(&self.filter);
        let last = shown.pop();
        (self.revision, self.hash) = (published.revision, published.hash);
        for body in shown {
            let message = self.message(Event::Changes, body, None);
            self.queue.push_back(message);
        }
        self.finish(last);
    }

    /// The revision is complete: its last message, if it has any, carries the token.
    fn finish(&mut self, last: Option<Vec<Bytes>>) {
        match last {
            Some(body) => {
                let token = self.resume_token();
                let message = self.message(Event::Changes, body, Some(token));
                self.queue.push_back(message);
                self.hidden = None;
            }
            None => {
                self.hidden.get_or_insert_with(Instant::now);
            }
        }
    }

    /// Takes in a part of the log.
    async fn fill_from_log(&mut self) -> Result<bool> {
        let mut log = self.log.take().unwrap_or_default();
        // On the heap: the futures of a database's connection are large.
        let groups = Box::pin(log.read(&self.shared, self.revision)).await?;
        let moved = !groups.is_empty();
        for group in groups {
            let mut shown = log.held.take().into_iter().chain(group.published.bodies(&self.filter)).collect::<Vec<_>>();
            let last = shown.pop();
            let revision = group.published.revision;
            for body in shown {
                let message = RawWatch { revision, ..self.message(Event::Changes, body, None) };
                self.queue.push_back(message);
            }
            if group.complete {
                (self.revision, self.hash) = (revision, group.published.hash);
                self.finish(last);
            } else {
                // Whether it is the last one of its revision shows when that has come to its end.
                log.held = last;
            }
        }
        self.log = Some(log);
        Ok(moved)
    }

    /// The latest statuses that the client does not have, as many as fit into a message.
    fn fill_statuses(&mut self) {
        if self.known.statuses <= self.statuses && self.statuses >= self.since.0 {
            return;
        }
        let (board, snapshot) = (self.shared.parts.board.load(), self.shared.parts.snapshot.load());
        let (mut fields, mut size) = (Vec::new(), 0);
        for (place, mark) in board.changed_since(self.statuses) {
            if self.wants(place, mark, &snapshot) {
                let field = mark.wire_or(|| self.shared.status(mark.key, &board, &snapshot));
                size += field.map_or(0, Bytes::len);
                if size > MAX_BODY && !fields.is_empty() {
                    break;
                }
                fields.extend(field.cloned());
            }
            self.statuses = place;
        }
        if size <= MAX_BODY {
            self.statuses = self.statuses.max(board.changes());
            self.seen = self.seen.max(board.seen());
        }
        for body in bodies(fields.into_iter()) {
            let message = self.message(Event::Status, body, None);
            self.queue.push_back(message);
        }
    }

    /// Whether the client is to be told of a change of status.
    fn wants(&self, place: u64, mark: &Mark, snapshot: &Snapshot) -> bool {
        let (until, after) = self.since;
        (place > until || mark.at >= after) && self.filter.shows_kind(mark.key.kind()) && {
            let provider = match mark.key {
                StatusKey::Provider(id) => Some(id).filter(|id| snapshot.is_live(*id)),
                StatusKey::Endpoint(id) => snapshot.provider_of_endpoint(id),
                StatusKey::Credential(id) => snapshot.provider_of_credential(id),
                StatusKey::Model(id) => snapshot.provider_of_model(id),
            };
            provider.is_some() && self.filter.shows(mark.key.kind(), provider)
        }
    }

    /// When the next bookmark is due.
    fn due(&self) -> Instant {
        let regular = self.told + BOOKMARK;
        self.hidden.map_or(regular, |since| regular.min(since + GATHER))
    }

    fn bookmark(&mut self) {
        self.hidden = None;
        let token = self.resume_token();
        let message = self.message(Event::Bookmark, Vec::new(), Some(token));
        self.queue.push_back(message);
    }

    async fn wait(&mut self) {
        let due = self.due();
        let until = self.expires.map_or(due, |end| end.min(due));
        tokio::select! {
            biased;
            // The sender lives as long as what is shared.
            _ = self.signal.changed() => {}
            () = sleep_until(until) => {}
        }
    }

    fn resume_token(&self) -> String {
        let cluster_id = self.shared.parts.past.cluster_id();
        ResumeToken { cluster_id, revision: self.revision, hash: self.hash, status: self.seen }.write()
    }

    fn message(&self, event: Event, body: Vec<Bytes>, token: Option<String>) -> RawWatch {
        RawWatch {
            event,
            body,
            revision: self.revision,
            last_of_revision: token.is_some(),
            resume_token: token.unwrap_or_default(),
            watch_id: Arc::clone(&self.watch_id),
        }
    }
}

#[cfg(test)]
mod tests;
