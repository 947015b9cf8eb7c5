//! The tail of the log: the only place that changes the snapshot, for this process's own writes too.
//!
//! One loop. It is woken by own commits, by the database's hints and by a poll every second ([`POLL`]), which is the
//! truth. What it applies continues the hash chain of what it holds; anything else makes it load everything anew.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::fanout::{Feed, Told};
use super::load::load;
use crate::domain::secret::SealedSecret;
use crate::domain::{ChainHash, Change, CredentialId, Head, Operation, Resource};
use crate::secrets::Secrets;
use crate::snapshot::{Publisher, Snapshot, SnapshotHandle};
use crate::store::{Hint, LogRow, Store, StoreError};
use crate::wire;

/// How often the log is read without being asked.
pub const POLL: Duration = Duration::from_secs(1);
/// How many revisions are read at a time.
const PAGE: i64 = 1000;
/// A look at the head that takes longer counts as failed, so that health soon tells of a frozen database.
const HEAD_LIMIT: Duration = Duration::from_secs(2);
/// One read of the log that takes longer counts as failed: a frozen database still acknowledges TCP.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(10);

/// Changes that follow the revision and hash of `base`.
pub(super) struct Transition {
    pub base: Head,
    pub head: Head,
    pub changes: Vec<Change>,
    /// The hash of the log up to each change.
    pub hashes: Vec<ChainHash>,
    pub sealed: Vec<SealedSecret>,
}

enum Input {
    Own(Transition),
    Rows(Vec<LogRow>),
    Hint,
    Rewrapped(Vec<SealedSecret>),
    Reload(oneshot::Sender<()>),
}

/// How things stand with the database, as the tail last saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    pub connected: bool,
    /// When the snapshot was last known to be the newest.
    pub fresh: Instant,
    /// How often everything was loaded anew since the start: status that belongs to what was held before is void.
    pub loads: u64,
    /// Whether there is anything in memory yet.
    pub loaded: bool,
}

impl Contact {
    /// How long ago the snapshot was last known to be the newest, where that is not known now.
    #[must_use]
    pub fn stale(&self) -> Option<Duration> {
        (!self.connected).then(|| self.fresh.elapsed())
    }
}

/// The way to the tail, for the writer of the same process.
#[derive(Debug, Clone)]
pub struct Tail {
    inputs: mpsc::UnboundedSender<Input>,
    contact: watch::Receiver<Contact>,
}

impl Tail {
    /// The handle and the loop; the loop runs until `stop`.
    #[must_use]
    pub fn build(
        store: Store,
        secrets: Secrets,
        publisher: Publisher,
        snapshot: SnapshotHandle,
        feed: Feed,
    ) -> (Self, Follower) {
        let (sender, inputs) = mpsc::unbounded_channel();
        let (contact, watched) =
            watch::channel(Contact { connected: true, fresh: Instant::now(), loads: 0, loaded: true });
        (
            Self { inputs: sender, contact: watched },
            Follower { store, secrets, publisher, snapshot, feed, inputs, contact, missed: false },
        )
    }

    #[must_use]
    pub fn contact(&self) -> watch::Receiver<Contact> {
        self.contact.clone()
    }

    pub(super) fn own(&self, transition: Transition) {
        drop(self.inputs.send(Input::Own(transition)));
    }

    /// Asks for a look at the log now.
    pub(super) fn hint(&self) {
        drop(self.inputs.send(Input::Hint));
    }

    pub(super) fn rows(&self, rows: Vec<LogRow>) {
        drop(self.inputs.send(Input::Rows(rows)));
    }

    /// Replaces stored forms of secrets whose data keys were wrapped anew.
    pub(super) fn rewrapped(&self, sealed: Vec<SealedSecret>) {
        drop(self.inputs.send(Input::Rewrapped(sealed)));
    }

    /// Loads everything anew and waits for that; gives up silently when the database does not answer.
    pub(super) async fn reload(&self) {
        let (done, wait) = oneshot::channel();
        drop(self.inputs.send(Input::Reload(done)));
        drop(wait.await);
    }
}

/// The loop behind [`Tail`].
pub struct Follower {
    store: Store,
    secrets: Secrets,
    publisher: Publisher,
    snapshot: SnapshotHandle,
    feed: Feed,
    inputs: mpsc::UnboundedReceiver<Input>,
    contact: watch::Sender<Contact>,
    /// A data key that was wrapped anew may belong to a change that is not applied yet.
    missed: bool,
}

/// Why rows of the log were not applied.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the database does not answer")]
    Timeout,
    #[error("the log does not continue what this replica holds")]
    Broken,
    #[error("a line of the log does not decode: {0}")]
    Undecodable(String),
}

impl Follower {
    /// Follows the log until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut hints = self.store.notifications();
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let was_away = !self.contact.borrow().connected;
            tokio::select! {
                () = stop.cancelled() => return,
                input = self.inputs.recv() => match input {
                    Some(input) => self.take(input).await,
                    None => return,
                },
                hint = hints.recv() => if hint != Hint::Status { self.catch_up().await },
                _ = poll.tick() => self.catch_up().await,
            }
            if was_away && self.contact.borrow().connected {
                hints.renew();
            }
        }
    }

    async fn take(&mut self, input: Input) {
        match input {
            Input::Own(transition) => self.own(transition).await,
            Input::Rows(rows) => {
                let result = self.apply_rows(rows).await;
                self.settle(result).await;
            }
            Input::Hint => self.catch_up().await,
            Input::Rewrapped(sealed) => self.rewrapped(sealed).await,
            Input::Reload(done) => {
                let result = self.reload().await;
                self.settle(result).await;
                let _ = done.send(());
            }
        }
    }

    /// Applies a commit of this process. When another replica's changes lie between, the log is read instead.
    async fn own(&mut self, transition: Transition) {
        let snapshot = self.snapshot.load();
        if transition.head.revision <= snapshot.head().revision {
            return;
        }
        if transition.base == snapshot.head() && !self.missed {
            self.publish(snapshot.apply(&transition.changes, &transition.sealed, transition.head));
            let Transition { base, head, changes, hashes, .. } = transition;
            self.feed.tell(Told::Applied { base: base.revision, head, changes, hashes });
            self.mark(true);
        } else {
            self.catch_up().await;
        }
    }

    /// Replaces what was wrapped anew. A version that is not here yet belongs to a change that is committed: with it
    /// comes the row as it is in the database now. Where that cannot be read, the next change of this process, which
    /// knows its own rows as they first were, is read from the log instead.
    async fn rewrapped(&mut self, sealed: Vec<SealedSecret>) {
        let held = self.snapshot.load();
        if sealed.iter().any(|one| held.sealed(one.credential_id, one.version).is_none()) {
            let result = self.read_on().await;
            self.missed |= result.is_err();
            self.settle(result).await;
        }
        let current = self.snapshot.load();
        let next = sealed.into_iter().fold(Snapshot::clone(&current), |next, one| next.apply_rewrapped(one));
        self.publish(next);
    }

    async fn catch_up(&mut self) {
        let result = self.read_on().await;
        self.settle(result).await;
    }

    /// Reads the log to its end.
    async fn read_on(&mut self) -> Result<(), FollowError> {
        loop {
            let held = self.snapshot.load().head();
            let head = within(HEAD_LIMIT, self.store.head()).await?;
            if head == held {
                self.missed = false;
                return Ok(());
            }
            if head.revision <= held.revision {
                return Err(FollowError::Broken);
            }
            let rows = bounded(self.store.log_after(held.revision, PAGE)).await?;
            if rows.is_empty() {
                return Err(FollowError::Broken);
            }
            self.apply_rows(rows).await?;
        }
    }

    /// Applies whole revisions, skipping those that are held already.
    async fn apply_rows(&mut self, rows: Vec<LogRow>) -> Result<(), FollowError> {
        let snapshot = self.snapshot.load();
        let mut head = snapshot.head();
        let held = head.revision;
        let mut changes = Vec::with_capacity(rows.len());
        let mut hashes = Vec::with_capacity(rows.len());
        for row in rows.into_iter().filter(|row| row.revision > held) {
            let follows =
                if row.ordinal == 0 { row.revision == head.revision.next() } else { row.revision == head.revision };
            let hash = self.secrets.chain(row.revision, row.ordinal, &head.hash, &row.payload);
            if !follows || hash != row.hash {
                return Err(FollowError::Broken);
            }
            head = Head { revision: row.revision, hash };
            hashes.push(hash);
            changes.push(wire::log::decode(&row.payload).map_err(|error| FollowError::Undecodable(error.to_string()))?);
        }
        if changes.is_empty() {
            return Ok(());
        }
        let sealed = bounded(self.store.secrets_of(&new_versions(&changes))).await?;
        self.publish(snapshot.apply(&changes, &sealed, head));
        self.feed.tell(Told::Applied { base: held, head, changes, hashes });
        Ok(())
    }

    /// Loads everything anew.
    async fn reload(&mut self) -> Result<(), FollowError> {
        let held = self.snapshot.load().head();
        let snapshot = load(&self.store).await?;
        let head = snapshot.head();
        let continues = head == held || self.is_in_log(held).await?;
        tracing::info!(revision = head.revision.0, continues, "the configuration was loaded anew");
        self.publish(snapshot);
        self.feed.tell(Told::Reloaded { head, continues });
        self.contact.send_modify(|contact| contact.loads += 1);
        Ok(())
    }

    /// Whether the log goes on from what was held, so that who followed it may go on too.
    async fn is_in_log(&self, held: Head) -> Result<bool, FollowError> {
        Ok(held.revision.0 == 0 || bounded(self.store.find_commit(held.revision)).await? == Some(held.hash))
    }

    fn publish(&mut self, snapshot: Snapshot) {
        self.publisher.store(snapshot);
    }

    /// Notes how a round ended. A log that does not continue what is held calls for a reload.
    async fn settle(&mut self, result: Result<(), FollowError>) {
        let result = match result {
            Err(error @ (FollowError::Broken | FollowError::Undecodable(_))) => {
                let revision = self.snapshot.load().head().revision.0;
                tracing::error!(error = &error as &dyn std::error::Error, revision, "loading the configuration anew");
                self.reload().await
            }
            other => other,
        };
        match result {
            Ok(()) => self.mark(true),
            Err(error) => {
                if self.contact.borrow().connected {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the database cannot be read; serving from memory"
                    );
                }
                self.mark(false);
            }
        }
    }

    fn mark(&self, connected: bool) {
        let was = *self.contact.borrow();
        if connected && !was.connected {
            tracing::info!("the database answers again");
        }
        let fresh = if connected { Instant::now() } else { was.fresh };
        self.contact.send_replace(Contact { connected, fresh, ..was });
    }
}

async fn bounded<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T, FollowError> {
    within(READ_LIMIT, read).await
}

async fn within<T>(limit: Duration, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, FollowError> {
    Ok(timeout(limit, read).await.map_err(|_| FollowError::Timeout)??)
}

/// The secret versions that `changes` bring: their ciphertexts stand in a table of their own.
fn new_versions(changes: &[Change]) -> Vec<(CredentialId, i64)> {
    let version = |resource: &Option<Resource>| match resource {
        Some(Resource::Credential(credential)) => Some((credential.id, credential.secret_version)),
        _ => None,
    };
    changes
        .iter()
        .filter(|change| change.operation != Operation::Access)
        .filter_map(|change| {
            let after = version(&change.after)?;
            (version(&change.before) != Some(after)).then_some(after)
        })
        .collect()
}

#[cfg(test)]
mod tests;
