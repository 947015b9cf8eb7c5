//! A follower of a log, wherever the log is: it reads what is new, as a replica does, and checks that nothing is
//! skipped, reordered or altered.

use bytes::Bytes;
use modelward::changes::cluster;
use modelward::domain::{ChainHash, RandomIds, Revision, SystemClock};
use modelward::secrets::{KeyRing, Secrets};
use modelward::store::Store;

/// More complaints than these say nothing new.
const ENOUGH: usize = 20;

/// One line of a log.
#[derive(Debug, Clone)]
pub struct Line {
    pub revision: i64,
    pub ordinal: u32,
    pub hash: [u8; 32],
    pub payload: Bytes,
}

/// Where a log is read.
pub trait Source {
    /// The lines after a revision, in order.
    fn after(&self, revision: i64) -> impl Future<Output = Vec<Line>>;

    /// The hash that a line must have when `before` is the hash of the line before it.
    fn hash(&self, before: &[u8; 32], line: &Line) -> [u8; 32];
}

/// The log of a cluster.
pub struct Log {
    pub store: Store,
    secrets: Secrets,
}

impl Log {
    pub async fn open(store: Store, ring: KeyRing) -> Self {
        let secrets = cluster::open(&store, ring, &SystemClock, &RandomIds).await.expect("the cluster's keys");
        Self { store, secrets }
    }
}

impl Source for Log {
    async fn after(&self, revision: i64) -> Vec<Line> {
        let rows = self.store.log_after(Revision(revision), 1000).await.expect("the log is read");
        let line = |row: modelward::store::LogRow| Line {
            revision: row.revision.0,
            ordinal: row.ordinal,
            hash: row.hash.0,
            payload: row.payload,
        };
        rows.into_iter().map(line).collect()
    }

    fn hash(&self, before: &[u8; 32], line: &Line) -> [u8; 32] {
        self.secrets.chain(Revision(line.revision), line.ordinal, &ChainHash(*before), &line.payload).0
    }
}

/// What is wrong with the log of a cluster that nobody writes to, its head included.
pub async fn check_chain(store: &Store, ring: KeyRing) -> Vec<String> {
    let head = store.head().await.expect("the head is read");
    let mut follower = Follower::new(Log::open(store.clone(), ring).await);
    follower.read_on().await;
    if (follower.revision, follower.hash) != (head.revision.0, head.hash.0) {
        follower
            .complaints
            .push(format!("the log ends at {} and not at its head, {}", follower.revision, head.revision));
    }
    follower.complaints
}

/// How far a log was followed, and what was wrong on the way.
pub struct Follower<S> {
    source: S,
    pub revision: i64,
    pub hash: [u8; 32],
    ordinal: u32,
    pub complaints: Vec<String>,
}

impl<S: Source> Follower<S> {
    pub fn new(source: S) -> Self {
        Self { source, revision: 0, hash: [0; 32], ordinal: 0, complaints: Vec::new() }
    }

    /// Reads on to the end that the log has now.
    pub async fn read_on(&mut self) {
        loop {
            let lines = self.source.after(self.revision).await;
            if lines.is_empty() || self.complaints.len() >= ENOUGH {
                return;
            }
            for line in &lines {
                self.take(line);
            }
        }
    }

    /// Follows until `end`, and then to the end of the log.
    pub async fn until(&mut self, end: impl Future<Output = ()>) {
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                biased;
                () = &mut end => break,
                () = tokio::time::sleep(std::time::Duration::from_millis(1)) => self.read_on().await,
            }
        }
        self.read_on().await;
    }

    fn take(&mut self, line: &Line) {
        let place = format!("{}/{}", line.revision, line.ordinal);
        let last = format!("{}/{}", self.revision, self.ordinal);
        let begins = line.revision == self.revision + 1 && line.ordinal == 0;
        let goes_on = self.revision > 0 && line.revision == self.revision && line.ordinal == self.ordinal + 1;
        if !begins && !goes_on {
            self.complaints.push(format!("{place} after {last}: skipped or reordered"));
        }
        if self.source.hash(&self.hash, line) != line.hash {
            self.complaints.push(format!("{place} after {last}: the chain of hashes is broken"));
        }
        self.revision = line.revision.max(self.revision);
        self.ordinal = line.ordinal;
        self.hash = line.hash;
    }
}
