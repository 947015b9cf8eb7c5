//! Replicas in tests: each with a writer, a tail and a status board of its own, all over one SQLite file.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::batch::Planner;
use super::tail::{Follower, Tail};
use super::writer::WriterTask;
use super::{Fanout, Keys, Past, RequestId, Statuses, WatchConfig, WatchParts, Watches, Write, Writer, cluster, feed};
use crate::domain::provider::input::ProviderInput;
use crate::domain::provider::{ProviderKind, plan};
use crate::domain::{Answer, CallContext, Limits, Plan, PlanContext, RandomIds, Resource, Result, SystemClock, View};
use crate::secrets::{ClusterKeys, KeyRing, KeySource, Secrets, generate_key_line};
use crate::snapshot::{Snapshot, SnapshotHandle, StatusBoard, publish};
use crate::store::{Store, StoreConfig};
use crate::task::Tasks;
use crate::telemetry::Metrics;

/// Master keys with these ids.
pub fn ring(ids: &[&str]) -> KeyRing {
    let lines: Vec<_> = ids.iter().map(|id| generate_key_line(Some(id)).unwrap().to_string()).collect();
    KeyRing::load(KeySource::Text(Zeroizing::new(lines.join(",")))).unwrap_or_else(|error| panic!("{error}"))
}

/// The keys of a cluster that no database knows.
pub fn secrets(ids: &[&str]) -> Secrets {
    let ring = ring(ids);
    let id = Uuid::from_u128(1);
    let (keys, _) = ClusterKeys::create(&ring, &ring.first_id(), id).unwrap_or_else(|error| panic!("{error}"));
    Secrets::new(ring, keys, id)
}

pub fn planner(secrets: &Secrets) -> Planner {
    Planner {
        secrets: secrets.clone(),
        limits: Limits::default(),
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
    }
}

pub fn write(plan: impl Fn(&dyn View, &PlanContext<'_>) -> Result<Plan> + Send + Sync + 'static) -> Write {
    Write { call: CallContext::system("Test"), request: None, reason: String::new(), claim: None, plan: Box::new(plan) }
}

/// Creates a provider.
pub fn create(name: &str) -> Write {
    let kind = Some(ProviderKind::Ollama);
    let input = ProviderInput { name: Some(name.to_owned()), kind, ..ProviderInput::default() };
    write(move |view, context| plan::create(&input, view, context))
}

/// Changes nothing.
pub fn idle() -> Write {
    write(|_, _| Ok(Plan::unchanged(Answer::Empty)))
}

/// The same write under a request id; `payload` stands for what was asked.
pub fn under(id: &str, payload: u8, write: Write) -> Write {
    Write { request: Some(RequestId { id: id.to_owned(), payload_hash: [payload; 32] }), ..write }
}

/// The names of all providers, sorted.
pub fn names(view: &dyn View) -> Vec<String> {
    let mut names: Vec<_> = view.providers().iter().map(|provider| provider.name.clone()).collect();
    names.sort_unstable();
    names
}

pub fn provider_name(answer: &Answer) -> &str {
    match answer {
        Answer::Resource(Resource::Provider(provider)) => &provider.name,
        other => panic!("not a provider: {other:?}"),
    }
}

pub struct Database {
    pub store: Store,
    pub secrets: Secrets,
    _folder: tempfile::TempDir,
}

impl Database {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("modelward.db").display());
        let store = Store::connect(&StoreConfig::new(url)).await.unwrap();
        store.migrate(None).await.unwrap();
        let secrets = cluster::open(&store, ring(&["k1", "k2"]), &SystemClock, &RandomIds).await;
        Self { store, secrets: secrets.unwrap_or_else(|error| panic!("{error}")), _folder: folder }
    }

    /// A replica that begins with what is stored.
    pub async fn replica(&self) -> Replica {
        let first = super::load(&self.store).await.unwrap();
        Replica::build(self, first)
    }
}

/// One process of the cluster, before its tasks run.
pub struct Replica {
    pub snapshot: SnapshotHandle,
    pub writer: Writer,
    pub tail: Tail,
    pub statuses: Statuses,
    pub watches: Watches,
    pub metrics: Metrics,
    task: WriterTask,
    follower: Follower,
    fanout: Fanout,
}

impl Replica {
    /// A replica that believes `first`.
    pub fn build(database: &Database, first: Snapshot) -> Self {
        let (store, secrets) = (&database.store, &database.secrets);
        let (publisher, snapshot) = publish(first);
        let (feed, fed) = feed();
        let (tail, follower) = Tail::build(store.clone(), secrets.clone(), publisher, snapshot.clone(), feed);
        let statuses = Statuses::new(store.clone(), StatusBoard::default(), tail.clone());
        let parts = WatchParts {
            snapshot: snapshot.clone(),
            board: statuses.board().clone(),
            keys: Keys::Ring(secrets.clone()),
            past: Past::Database { store: store.clone(), secrets: secrets.clone(), tail: tail.clone() },
            clock: Arc::new(SystemClock),
        };
        let config = WatchConfig { streams: 10, history: 64 << 10, patience: Duration::from_secs(30) };
        let watches = Watches::new(parts, config);
        let fanout = Fanout::new(fed, watches.clone());
        let (planner, metrics) = (Arc::new(planner(secrets)), Metrics::new());
        let (writer, task) = WriterTask::build(store.clone(), snapshot.clone(), tail.clone(), planner, metrics.clone());
        Self { snapshot, writer, tail, statuses, watches, metrics, task, follower, fanout }
    }

    pub fn start(self) -> Running {
        let tasks = Tasks::new();
        tasks.spawn("fan-out", self.fanout.run(CancellationToken::new()));
        tasks.spawn("tail", self.follower.run(CancellationToken::new()));
        tasks.spawn("statuses", self.statuses.clone().follow(tasks.stopping()));
        tasks.spawn("writer", self.task.run(tasks.stopping()));
        Running {
            snapshot: self.snapshot,
            writer: self.writer,
            tail: self.tail,
            statuses: self.statuses,
            watches: self.watches,
            metrics: self.metrics,
            tasks,
        }
    }
}

/// A replica whose tasks run.
pub struct Running {
    pub snapshot: SnapshotHandle,
    pub writer: Writer,
    pub tail: Tail,
    pub statuses: Statuses,
    pub watches: Watches,
    pub metrics: Metrics,
    pub tasks: Tasks,
}

impl Running {
    /// Waits until `holds`; fails after a while.
    pub async fn eventually(&self, what: &str, holds: impl Fn() -> bool) {
        for _ in 0..1000 {
            if holds() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}");
    }
}
