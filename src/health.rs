//! Health checks of endpoints: who probes, when, and what becomes of the results.
//!
//! Health is status: it takes no revision. One task holds three loops. The [`Leader`] keeps the lease that says which
//! replica probes; the [`scheduler`] probes what is due; the [`recorder`] folds what was found and writes it in
//! batches. Checks on demand run beside them, on any replica.
//!
//! Invariants: never more than `max_in_flight` background probes; a replica whose lease is over writes nothing; while
//! the store is silent every replica probes for itself and shows what it finds on its own board only.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

mod backlog;
mod ledger;
mod probe;
mod recorder;
mod report;
mod schedule;
mod scheduler;

pub use probe::{ProbeFn, Target, by_adapters};

use backlog::{Finding, Turn};
use ledger::{Ledger, StoreLedger};
use probe::Prober;
use recorder::{Recorder, known, tell};
use report::Reports;
use schedule::Schedule;
use scheduler::Scheduler;

use crate::domain::health::{EndpointHealth, Evidence, Weight};
use crate::domain::{Clock, EndpointId, Error, Result};
use crate::lease::{Leader, Standing};
use crate::snapshot::{SnapshotHandle, StatusBoard};
use crate::store::Store;
use crate::task::Tasks;
use crate::telemetry::Metrics;

/// So long a demanded check waits for its verdict to be written; a probe takes at most 9 s and a check less than 10 s.
const WRITE_LIMIT: Duration = Duration::from_millis(600);

/// Settings of the background checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthConfig {
    /// Whether this process takes part in background checks. Checks on demand always work.
    pub enabled: bool,
    pub max_in_flight: usize,
    /// Whether first probes are spread over time; off in tests only.
    pub jitter: bool,
}

/// What health checks are made of.
#[derive(Clone)]
pub struct HealthParts {
    pub snapshot: SnapshotHandle,
    pub board: StatusBoard,
    pub probe: ProbeFn,
    pub clock: Arc<dyn Clock>,
    pub metrics: Metrics,
    pub tasks: Tasks,
}

/// The way to health checks; cheap to clone.
#[derive(Clone)]
pub struct HealthChecks {
    snapshot: SnapshotHandle,
    board: StatusBoard,
    prober: Prober,
    ledger: Arc<dyn Ledger>,
    tasks: Tasks,
    reports: Reports,
}

/// The background checks, to be run.
pub struct BackgroundChecks {
    enabled: bool,
    ledger: Arc<dyn Ledger>,
    leader: Leader,
    scheduler: Scheduler,
    standings: watch::Receiver<Standing>,
    recorder: Recorder,
    found: mpsc::UnboundedReceiver<(Target, Evidence)>,
}

impl HealthChecks {
    /// The handle, and the background checks to be run. `replica` names this process; another one after each start.
    #[must_use]
    pub fn build(config: HealthConfig, parts: HealthParts, store: Store, replica: String) -> (Self, BackgroundChecks) {
        Self::with_ledger(config, parts, Arc::new(StoreLedger::new(store, replica)))
    }

    fn with_ledger(config: HealthConfig, parts: HealthParts, ledger: Arc<dyn Ledger>) -> (Self, BackgroundChecks) {
        let HealthParts { snapshot, board, probe, clock, metrics, tasks } = parts;
        let leader = Leader::new("health checks", metrics.probe_leader.clone());
        let prober = Prober { probe, clock, metrics };
        let (found_by, found) = mpsc::unbounded_channel();
        let background = BackgroundChecks {
            enabled: config.enabled,
            ledger: Arc::clone(&ledger),
            scheduler: Scheduler {
                snapshot: snapshot.clone(),
                board: board.clone(),
                prober: prober.clone(),
                schedule: Schedule::new(config.max_in_flight, config.jitter),
                found: found_by,
            },
            standings: leader.subscribe(),
            recorder: Recorder::new(Arc::clone(&ledger), board.clone(), leader.clone()),
            leader,
            found,
        };
        (Self { snapshot, board, prober, ledger, tasks, reports: Reports::new() }, background)
    }

    /// Probes an endpoint now, on this replica, whatever the background checks are doing. This one probe sets the
    /// status; the answer is what is then shown. Takes less than 10 s, also when the database does not answer.
    ///
    /// # Errors
    /// `NOT_FOUND` for an unknown endpoint or one of a deleted provider.
    pub async fn check_now(&self, id: EndpointId) -> Result<EndpointHealth> {
        let target = Target::find(&self.snapshot.load(), id)?;
        let evidence = self.prober.probe(target.clone()).await.ok_or_else(Error::internal)?;
        let finding = Finding::new(target, evidence, Weight::Demanded, &known(&self.board, id));
        let (answer, answered) = oneshot::channel();
        let this = self.clone();
        // A caller that goes away does not cut off a transaction.
        self.tasks.spawn("health verdict", async move {
            let health = this.conclude(finding).await;
            let _ = answer.send(health);
        });
        answered.await.map_err(|_| Error::internal())
    }

    /// Takes note that clients failed to use an endpoint: DEGRADED at most, and a probe from here that may say more.
    /// Returns at once; of many reports few act.
    pub fn report_failure(&self, id: EndpointId) {
        let Some(permit) = self.reports.admit(id, Instant::now()) else { return };
        let Ok(target) = Target::find(&self.snapshot.load(), id) else { return };
        let this = self.clone();
        self.tasks.spawn("health report", async move {
            let _permit = permit;
            let now = this.prober.clock.now();
            let known_health = known(&this.board, id);
            let reported = this.conclude(Finding::reported(target.clone(), now, &known_health)).await;
            if let Some(evidence) = this.prober.probe(target.clone()).await {
                this.conclude(Finding::new(target, evidence, Weight::Background, &reported)).await;
            }
        });
    }

    /// Takes in the failures of this server's own calls, until `stop`.
    pub async fn hear(self, mut failures: mpsc::Receiver<EndpointId>, stop: CancellationToken) {
        while let Some(Some(id)) = stop.run_until_cancelled(failures.recv()).await {
            self.report_failure(id);
        }
    }

    /// Writes and shows the finding outside of the background checks; shows it here only if it cannot be written.
    async fn conclude(&self, finding: Finding) -> EndpointHealth {
        let findings = [finding];
        let written = timeout(WRITE_LIMIT, self.ledger.fold(None, &findings)).await;
        let [finding] = findings;
        if let Ok(Ok(written)) = written
            && let Some((_, turn)) = written.turns.first()
        {
            self.board.record(&written.batch());
            tell(&finding.target, turn, false);
            return turn.after.clone();
        }
        let turn = Turn { before: known(&self.board, finding.id()), after: finding.folded };
        self.board.set_local(finding.target.endpoint.id, turn.after.clone());
        tell(&finding.target, &turn, true);
        turn.after
    }
}

impl BackgroundChecks {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        if !self.enabled {
            return;
        }
        let Self { ledger, leader, scheduler, standings, recorder, found, .. } = self;
        // The lease is given back after the last batch.
        let written = CancellationToken::new();
        let work = async {
            tokio::join!(scheduler.run(standings, &stop), recorder.run(found, &stop));
            written.cancel();
        };
        tokio::join!(leader.run(ledger.as_ref(), &written), work);
    }
}

#[cfg(test)]
mod tests;
