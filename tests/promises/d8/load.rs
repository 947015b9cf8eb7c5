//! Writers and readers that go on through an outage.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use modelward::proto::v1::{self, ProviderKind};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::support::postgres::Cluster;
use crate::support::resources::provider;
use crate::support::server::Caller;
use crate::support::{Refusal, Server};

pub const WRITERS: usize = 8;
/// Beside, so that there is something to catch up with.
const BESIDE: usize = 2;
const READERS: usize = 2;

/// What the answer to a write says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Stored,
    /// STORE_UNAVAILABLE: nothing was written.
    Refused,
    /// DEADLINE_EXCEEDED.
    Open,
}

/// A write that was answered.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub writer: usize,
    /// Through the server whose database went away.
    pub is_mine: bool,
    pub name: String,
    pub began: Instant,
    pub ended: Instant,
    pub outcome: Outcome,
}

impl Attempt {
    pub fn took(&self) -> Duration {
        self.ended - self.began
    }
}

#[derive(Default)]
struct Book {
    attempts: Mutex<Vec<Attempt>>,
    reads: AtomicUsize,
    stop: AtomicBool,
}

/// The load, as long as it runs.
pub struct Load {
    book: Arc<Book>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Eight write and two read on `server`, two write beside it.
    /// The names of what they write begin with `prefix`.
    pub fn start(server: &Server, beside: &Server, prefix: &str, endpoint: &v1::Endpoint) -> Self {
        let book = Arc::new(Book::default());
        let token = server.admin().token().map(ToOwned::to_owned);
        let own = |server: &Server| Caller::new(server.new_channel(), token.clone());
        let writers = (0..WRITERS + BESIDE).map(|writer| {
            let is_mine = writer < WRITERS;
            let caller = own(if is_mine { server } else { beside });
            tokio::spawn(write(caller, format!("{prefix}w{writer}"), writer, is_mine, book.clone()))
        });
        let readers = (0..READERS).map(|_| tokio::spawn(read(own(server), endpoint.clone(), book.clone())));
        let tasks = writers.chain(readers).collect();
        Self { book, tasks }
    }

    /// Whether each writer of the server has an attempt like that.
    pub fn all(&self, like: impl Fn(&Attempt) -> bool) -> bool {
        assert!(!self.tasks.iter().any(JoinHandle::is_finished), "a writer or a reader has failed");
        let attempts = self.book.attempts.lock().unwrap();
        (0..WRITERS).all(|writer| attempts.iter().rev().any(|attempt| attempt.writer == writer && like(attempt)))
    }

    /// All attempts, and how often was read meanwhile.
    pub async fn stop(self) -> (Vec<Attempt>, usize) {
        self.book.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let attempts = std::mem::take(&mut *self.book.attempts.lock().unwrap());
        (attempts, self.book.reads.load(Ordering::Relaxed))
    }
}

/// The truth.
pub fn names(cluster: &Cluster, database: &str) -> HashSet<String> {
    names_by(|sql| cluster.sql(database, sql))
}

/// The same, wherever the database is.
pub fn names_by(sql: impl FnOnce(&str) -> String) -> HashSet<String> {
    sql("SELECT name FROM providers").lines().map(ToOwned::to_owned).collect()
}

/// Creates providers, each once, whatever the answers.
async fn write(caller: Caller, prefix: String, writer: usize, is_mine: bool, book: Arc<Book>) {
    for number in 0.. {
        if book.stop.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("{prefix}-{number}");
        let began = Instant::now();
        let outcome = outcome(caller.try_provider(provider(&name, ProviderKind::Ollama)).await);
        let attempt = Attempt { writer, is_mine, name, began, ended: Instant::now(), outcome };
        book.attempts.lock().unwrap().push(attempt);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What the answer to a create says; anything else than the two promised refusals fails the test.
pub fn outcome(answer: Result<v1::Provider, Status>) -> Outcome {
    let Err(status) = answer else { return Outcome::Stored };
    let refusal = Refusal::of(&status);
    assert!(!refusal.message.contains("127.0.0.1") && !refusal.message.contains("postgres"), "{refusal}");
    match (refusal.code, refusal.reason.as_str()) {
        (Code::Unavailable, "STORE_UNAVAILABLE") => {
            refusal.says_when_to_retry();
            Outcome::Refused
        }
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED") => Outcome::Open,
        _ => panic!("a write was answered with {refusal}"),
    }
}

/// Reads and picks; no read ever fails.
async fn read(caller: Caller, endpoint: v1::Endpoint, book: Arc<Book>) {
    while !book.stop.load(Ordering::Relaxed) {
        let found = caller.get_provider(endpoint.provider_id()).await;
        assert_eq!(found.id, endpoint.provider_id());
        let pick = v1::PickEndpointRequest { provider_id: found.id, ..Default::default() };
        let picked = caller.endpoints().pick_endpoint(pick).await.unwrap().into_inner().endpoint.unwrap();
        assert_eq!(picked.id, endpoint.id);
        book.reads.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
