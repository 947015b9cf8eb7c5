//! Watch streams as a careful client reads them, and a checker of what they show.

use std::time::Duration;

use modelward::domain::Revision;
use modelward::proto::v1::{self, WatchEvent};
use modelward::store::Store;
use modelward::wire;
use prost::Message as _;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::server::Caller;

/// Only a stream that hangs says nothing for so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most that a message may hold.
const MAX_MESSAGE: usize = 1 << 20;

/// An open stream.
pub struct Watching {
    stream: Streaming<v1::WatchResponse>,
}

impl Watching {
    /// # Panics
    /// When it is refused.
    pub async fn open(caller: &Caller, request: v1::WatchRequest) -> Self {
        Self::try_open(caller, request).await.unwrap()
    }

    pub async fn try_open(caller: &Caller, request: v1::WatchRequest) -> Result<Self, Status> {
        Ok(Self { stream: caller.watches().watch(request).await?.into_inner() })
    }

    /// From now on, with its first bookmark behind it.
    pub async fn from_now(caller: &Caller) -> Self {
        let mut watching = Self::open(caller, v1::WatchRequest::default()).await;
        assert_eq!(watching.next().await.event(), WatchEvent::Bookmark);
        watching
    }

    /// The next message, or why there is none.
    pub async fn step(&mut self) -> Result<v1::WatchResponse, Status> {
        let next = timeout(PATIENCE, self.stream.message()).await.expect("a stream that says something");
        Ok(next?.expect("a stream ends with a status"))
    }

    /// # Panics
    /// When the stream ends.
    pub async fn next(&mut self) -> v1::WatchResponse {
        self.step().await.unwrap()
    }

    /// The next message of this kind; others are passed over.
    pub async fn next_of(&mut self, event: WatchEvent) -> v1::WatchResponse {
        loop {
            let message = self.next().await;
            if message.event() == event {
                return message;
            }
        }
    }

    /// All messages up to the one that ends this revision.
    pub async fn up_to(&mut self, revision: i64) -> Vec<v1::WatchResponse> {
        let mut messages = Vec::new();
        loop {
            let message = self.next().await;
            let is_end = message.last_of_revision && message.revision >= revision;
            messages.push(message);
            if is_end {
                return messages;
            }
        }
    }

    /// How it ends; what comes before is passed over.
    pub async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.step().await {
                return status;
            }
        }
    }
}

/// A request that goes on where another stream ended.
pub fn resume(token: &str) -> v1::WatchRequest {
    v1::WatchRequest { resume_token: token.to_owned(), ..Default::default() }
}

/// The changes in some messages.
pub fn changes(messages: &[v1::WatchResponse]) -> Vec<v1::Change> {
    messages.iter().flat_map(|message| message.changes.clone()).collect()
}

/// The changes that the log has after a revision, as a stream has to show them.
pub async fn logged(store: &Store, after: i64) -> Vec<v1::Change> {
    let rows = store.log_after(Revision(after), i64::MAX / 2).await.unwrap();
    let changes = rows.iter().map(|row| wire::log::decode(&row.payload).unwrap());
    changes.filter(wire::change::is_watched).map(|change| wire::change::watched(&change)).collect()
}

/// A client that follows the log over any number of streams, and complains of what it must not be shown. It takes a
/// revision in when it is complete, as the contract says.
#[derive(Debug, Default)]
pub struct Checker {
    /// What was taken in.
    pub taken: Vec<v1::Change>,
    pub token: String,
    pub complaints: Vec<String>,
    pub bookmarks: usize,
    /// The last revision that was told to be complete.
    complete: i64,
    /// Changes of a revision that is not complete.
    pending: Vec<v1::Change>,
}

impl Checker {
    /// A client that has everything up to a revision.
    pub fn after(revision: i64) -> Self {
        Self { complete: revision, ..Self::default() }
    }

    pub const fn revision(&self) -> i64 {
        self.complete
    }

    /// Where its next stream begins.
    pub fn request(&self) -> v1::WatchRequest {
        if self.token.is_empty() {
            v1::WatchRequest { from_revision: Some(self.complete), ..Default::default() }
        } else {
            resume(&self.token)
        }
    }

    /// A stream ended: what it did not complete comes again.
    pub fn reconnect(&mut self) {
        self.pending.clear();
    }

    pub fn take(&mut self, message: &v1::WatchResponse) {
        let size = message.encoded_len();
        if size > MAX_MESSAGE {
            self.complain(message, &format!("{size} bytes"));
        }
        if message.last_of_revision == message.resume_token.is_empty() {
            self.complain(message, "the last message of a revision alone carries a token");
        }
        match message.event() {
            WatchEvent::Changes => self.take_changes(message),
            WatchEvent::Bookmark => {
                self.bookmarks += 1;
                if message.revision < self.complete || !self.pending.is_empty() || !message.changes.is_empty() {
                    self.complain(message, "a bookmark out of its place");
                }
            }
            WatchEvent::Status => {}
            _ => self.complain(message, "not asked for"),
        }
        if message.last_of_revision {
            self.complete = self.complete.max(message.revision);
            self.taken.append(&mut self.pending);
            self.token.clone_from(&message.resume_token);
        }
    }

    fn take_changes(&mut self, message: &v1::WatchResponse) {
        if message.revision <= self.complete || message.changes.is_empty() {
            self.complain(message, "a revision that was complete before");
        }
        for change in &message.changes {
            let place = (change.revision, change.ordinal);
            let last = self.pending.last().map(|last| (last.revision, last.ordinal));
            if change.revision != message.revision || last.is_some_and(|last| last.0 != place.0 || last >= place) {
                self.complain(message, &format!("{place:?} after {last:?}"));
            }
            self.pending.push(change.clone());
        }
    }

    fn complain(&mut self, message: &v1::WatchResponse, problem: &str) {
        let told = format!("{:?} of {}", message.event(), message.revision);
        self.complaints.push(format!("{told} after {}: {problem}", self.complete));
    }

    /// What is wrong in all, beside what the log has up to the revision that was told to be complete.
    pub fn verdict(&self, logged: &[v1::Change]) -> Vec<String> {
        let mut complaints = self.complaints.clone();
        let expected: Vec<_> = logged.iter().filter(|change| change.revision <= self.complete).collect();
        if let Some((index, change)) =
            (0..).zip(&expected).find(|(index, change)| self.taken.get(*index) != Some(change))
        {
            let found = self.taken.get(index).map(|found| (found.revision, found.ordinal));
            complaints.push(format!("({}, {}) is not shown: {found:?}", change.revision, change.ordinal));
        }
        if self.taken.len() != expected.len() {
            complaints.push(format!("{} changes are shown of {}", self.taken.len(), expected.len()));
        }
        complaints
    }
}
