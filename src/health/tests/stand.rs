//! What the tests stand on: a database in memory, servers that do as they are told, replicas over both.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::domain::endpoint::{Endpoint, HealthCheckPolicy};
use crate::domain::health::{EndpointHealth, Evidence, HealthCause, HealthStatus, Verdict};
use crate::domain::image::{Image, StatusRevision};
use crate::domain::{Clock as _, EndpointId, SystemClock};
use crate::health::backlog::Finding;
use crate::health::ledger::{Ledger, LedgerError, Written, turns};
use crate::health::{HealthChecks, HealthConfig, HealthParts, ProbeFn};
use crate::lease::{Epoch, Leader, Leases, Standing, Times};
use crate::snapshot::fixtures::{endpoint, id, image, provider};
use crate::snapshot::{Publisher, Snapshot, StatusBoard, publish};
use crate::store::{self, Cause, StoreError};
use crate::task::Tasks;
use crate::telemetry::Metrics;

pub(super) const INTERVAL: Duration = Duration::from_millis(20);
pub(super) const SOON: Duration = Duration::from_secs(20);

/// A database in memory, shared by replicas.
#[derive(Default)]
pub(super) struct Database {
    pub(super) healths: HashMap<EndpointId, EndpointHealth>,
    pub(super) owner: Option<(usize, Instant)>,
    pub(super) epoch: i64,
    pub(super) revision: i64,
    pub(super) batches: Vec<(usize, Option<Epoch>, usize)>,
    pub(super) down: bool,
}

#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Database>>);

pub(super) struct MemoryLedger {
    replica: usize,
    shared: Shared,
}

impl Shared {
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Database) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    pub(super) fn status(&self, number: u128) -> HealthStatus {
        self.with(|database| database.healths.get(&id(number)).map_or(HealthStatus::Unknown, |health| health.status))
    }
}

impl MemoryLedger {
    fn answer<T>(&self, act: impl FnOnce(&mut Database) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.shared.with(|database| {
            if database.down {
                return Err(LedgerError::Late);
            }
            act(database)
        })
    }
}

impl Leases for MemoryLedger {
    fn lease(&self, ttl: Duration) -> BoxFuture<'_, store::Result<Option<Epoch>>> {
        let now = Instant::now();
        let lease = self.answer(|database| {
            if database.owner.is_some_and(|(owner, until)| owner != self.replica && now < until) {
                return Ok(None);
            }
            if database.owner.is_none_or(|(owner, _)| owner != self.replica) {
                database.epoch += 1;
            }
            database.owner = Some((self.replica, now + ttl));
            Ok(Some(Epoch(database.epoch)))
        });
        Box::pin(async { lease.map_err(silent) })
    }

    fn release(&self) -> BoxFuture<'_, store::Result<()>> {
        let released = self.answer(|database| {
            if database.owner.is_some_and(|(owner, _)| owner == self.replica) {
                database.owner = None;
            }
            Ok(())
        });
        Box::pin(async { released.map_err(silent) })
    }
}

fn silent(error: LedgerError) -> StoreError {
    StoreError::Unavailable(Cause(error.to_string()))
}

impl Ledger for MemoryLedger {
    fn fold<'a>(
        &'a self,
        claim: Option<Epoch>,
        findings: &'a [Finding],
    ) -> BoxFuture<'a, Result<Written, LedgerError>> {
        let written = self.answer(|database| {
            let holds = database.owner.is_some_and(|(owner, _)| owner == self.replica);
            if claim.is_some_and(|claim| !holds || claim.0 != database.epoch) {
                return Err(LedgerError::LeaseLost);
            }
            let turns = turns(findings, database.healths.clone());
            database.healths.extend(turns.iter().map(|(id, turn)| (*id, turn.after.clone())));
            database.revision += 1;
            database.batches.push((self.replica, claim, turns.len()));
            Ok(Written { revision: StatusRevision(database.revision), turns })
        });
        Box::pin(async { written })
    }
}

/// How servers behave, and what probes saw of them.
#[derive(Default)]
pub(super) struct Servers {
    verdicts: Mutex<HashMap<EndpointId, Verdict>>,
    /// These answer never.
    pub(super) hanging: Mutex<Vec<EndpointId>>,
    pub(super) all_hang: AtomicBool,
    probes: Mutex<HashMap<EndpointId, usize>>,
    pub(super) open: AtomicUsize,
    pub(super) most_open: AtomicUsize,
}

struct Open(Arc<Servers>);

impl Open {
    fn new(servers: &Arc<Servers>) -> Self {
        let open = servers.open.fetch_add(1, Ordering::SeqCst) + 1;
        servers.most_open.fetch_max(open, Ordering::SeqCst);
        Self(Arc::clone(servers))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Servers {
    pub(super) fn set(&self, number: u128, verdict: Verdict) {
        self.verdicts.lock().unwrap().insert(id(number), verdict);
    }

    pub(super) fn probes(&self, number: u128) -> usize {
        self.probes.lock().unwrap().get(&id(number)).copied().unwrap_or_default()
    }

    pub(super) fn all_probes(&self) -> usize {
        self.probes.lock().unwrap().values().sum()
    }

    pub(super) fn probe(self: &Arc<Self>) -> ProbeFn {
        let servers = Arc::clone(self);
        Arc::new(move |target| {
            let servers = Arc::clone(&servers);
            Box::pin(async move {
                let id = target.endpoint.id;
                let _open = Open::new(&servers);
                *servers.probes.lock().unwrap().entry(id).or_default() += 1;
                let hangs = servers.all_hang.load(Ordering::SeqCst) || servers.hanging.lock().unwrap().contains(&id);
                if hangs {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
                let verdict = servers.verdicts.lock().unwrap().get(&id).copied().unwrap_or(Verdict::Alive);
                let cause = if verdict == Verdict::Down { HealthCause::HttpStatus } else { HealthCause::None };
                let latency = Some(Duration::from_millis(1));
                Evidence { verdict, cause, latency, http_status: None, time: SystemClock.now(), message: String::new() }
            })
        })
    }
}

/// One replica.
pub(super) struct Replica {
    pub(super) checks: HealthChecks,
    pub(super) board: StatusBoard,
    publisher: Publisher,
    pub(super) leader: Leader,
    pub(super) metrics: Metrics,
    pub(super) tasks: Tasks,
}

impl Replica {
    pub(super) fn start(number: usize, shared: &Shared, servers: &Arc<Servers>, image: Image) -> Self {
        Self::start_probing(number, shared, servers.probe(), image)
    }

    /// The same with probes of another kind.
    pub(super) fn start_probing(number: usize, shared: &Shared, probe: ProbeFn, image: Image) -> Self {
        let ledger = MemoryLedger { replica: number, shared: shared.clone() };
        Self::start_over(Arc::new(ledger), probe, image)
    }

    /// The same over any ledger.
    pub(super) fn start_over(ledger: Arc<dyn Ledger>, probe: ProbeFn, image: Image) -> Self {
        let (publisher, snapshot) = publish(Snapshot::from_image(image));
        let (board, metrics, tasks) = (StatusBoard::default(), Metrics::new(), Tasks::new());
        let parts = HealthParts {
            snapshot,
            board: board.clone(),
            probe,
            clock: Arc::new(SystemClock),
            metrics: metrics.clone(),
            tasks: tasks.clone(),
        };
        let config = HealthConfig { enabled: true, max_in_flight: 64, jitter: false };
        let (checks, mut background) = HealthChecks::with_ledger(config, parts, ledger);
        let ms = Duration::from_millis;
        background.leader.times = Times { ttl: ms(400), margin: ms(50), renew: ms(100), again: ms(20) };
        let leader = background.leader.clone();
        tasks.spawn("health", background.run(tasks.stopping()));
        Self { checks, board, publisher, leader, metrics, tasks }
    }

    pub(super) fn shown(&self, number: u128) -> HealthStatus {
        self.board.load().health_status(id(number))
    }

    pub(super) fn change(&mut self, image: Image) {
        self.publisher.store(Snapshot::from_image(image));
    }

    pub(super) fn holds(&self) -> bool {
        matches!(self.leader.standing(), Standing::Holder { .. })
    }
}

pub(super) fn quick(number: u128, edit: impl FnOnce(&mut Endpoint)) -> Endpoint {
    let mut endpoint = endpoint(number, 1);
    endpoint.health_check =
        HealthCheckPolicy { interval: INTERVAL, timeout: Duration::from_millis(100), ..HealthCheckPolicy::default() };
    edit(&mut endpoint);
    endpoint
}

pub(super) fn with(endpoints: impl IntoIterator<Item = Endpoint>) -> Image {
    let mut image = image();
    image.providers.push(Arc::new(provider(1)));
    image.endpoints.extend(endpoints.into_iter().map(Arc::new));
    image
}

pub(super) fn plain(numbers: std::ops::RangeInclusive<u128>) -> Image {
    with(numbers.map(|number| quick(number, |_| {})))
}

pub(super) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
