//! What becomes of background findings: folded, shown, written in batches, logged.
//!
//! One loop, woken by findings, by the times at which they are due, and by changes of standing. It writes only as the
//! holder of the lease; while the store is silent it shows on this replica's board what it would have written, and
//! writes that when the store is back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Finding, Turn};
use super::ledger::{Ledger, LedgerError};
use super::probe::Target;
use crate::domain::EndpointId;
use crate::domain::health::{EndpointHealth, Evidence};
use crate::lease::{Epoch, Leader, Standing};
use crate::snapshot::StatusBoard;

/// A batch that takes longer counts as not written.
const LIMIT: Duration = Duration::from_secs(2);
/// How soon a batch that was not written is tried again.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Recorder {
    ledger: Arc<dyn Ledger>,
    board: StatusBoard,
    leader: Leader,
    backlog: Backlog,
    /// Whether the last attempt to write failed: what is found is then shown here at once.
    silent: bool,
}

impl Recorder {
    pub fn new(ledger: Arc<dyn Ledger>, board: StatusBoard, leader: Leader) -> Self {
        Self { ledger, board, leader, backlog: Backlog::default(), silent: false }
    }

    /// Takes in findings until `stop`, then writes what is left.
    pub async fn run(mut self, mut found: mpsc::UnboundedReceiver<(Target, Evidence)>, stop: &CancellationToken) {
        let mut standing = self.leader.subscribe();
        let mut before = Standing::Idle;
        loop {
            let due = self.backlog.next().filter(|_| matches!(before, Standing::Holder { .. }));
            tokio::select! {
                () = stop.cancelled() => break,
                changed = changed(&mut standing) => {
                    self.turn(before, changed);
                    before = changed;
                }
                finding = found.recv() => match finding {
                    Some((target, evidence)) => self.take_in(target, evidence, before),
                    None => break,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.write(before).await,
            }
        }
        self.backlog.hurry(Instant::now());
        self.write(before).await;
    }

    fn turn(&mut self, before: Standing, now: Standing) {
        match (before, now) {
            (_, Standing::Idle) => {
                self.backlog.clear();
                if self.silent {
                    self.board.clear_local();
                }
                self.silent = false;
            }
            (_, Standing::Alone) => self.fall_silent(),
            (Standing::Alone, Standing::Holder { .. }) => self.backlog.hurry(Instant::now()),
            (Standing::Idle | Standing::Holder { .. }, Standing::Holder { .. }) => {}
        }
    }

    fn take_in(&mut self, target: Target, evidence: Evidence, standing: Standing) {
        if standing == Standing::Idle {
            return;
        }
        let known = || known(&self.board, target.endpoint.id);
        let health = self.backlog.add(target.clone(), evidence, known, Instant::now()).clone();
        if self.silent {
            self.show(&target, health);
        }
    }

    /// Shows a health on this replica alone.
    fn show(&self, target: &Target, after: EndpointHealth) {
        let id = target.endpoint.id;
        let turn = Turn { before: known(&self.board, id), after };
        tell(target, &turn, true);
        self.board.set_local(id, turn.after);
    }

    /// From now on what is found is shown here only, and what waits as well.
    fn fall_silent(&mut self) {
        self.silent = true;
        for finding in self.backlog.findings() {
            self.show(&finding.target, finding.folded.clone());
        }
    }

    /// Writes what is due.
    async fn write(&mut self, standing: Standing) {
        let Standing::Holder { epoch, .. } = standing else { return };
        let findings = self.backlog.take(Instant::now());
        if findings.is_empty() {
            return;
        }
        match self.try_write(epoch, &findings).await {
            Ok(()) => self.silent = false,
            Err(LedgerError::LeaseLost) => {
                self.backlog.clear();
                self.leader.lost(epoch);
            }
            Err(error @ (LedgerError::Store(_) | LedgerError::Late)) => {
                if !self.silent {
                    tracing::warn!(error = %error, "health could not be written; it is shown on this replica only");
                }
                self.backlog.put_back(findings, Instant::now() + AGAIN);
                self.fall_silent();
            }
        }
    }

    async fn try_write(&self, epoch: Epoch, findings: &[Finding]) -> Result<(), LedgerError> {
        let fold = self.ledger.fold(Some(epoch), findings);
        let written = timeout(LIMIT, fold).await.map_err(|_| LedgerError::Late)??;
        self.board.record(&written.batch());
        for (finding, (_, turn)) in findings.iter().zip(&written.turns) {
            // While the store was silent it was told when it was found.
            if !(self.silent && turn.after.status == finding.folded.status) {
                tell(&finding.target, turn, false);
            }
        }
        Ok(())
    }
}

async fn changed(standing: &mut watch::Receiver<Standing>) -> Standing {
    if standing.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    *standing.borrow_and_update()
}

/// The health that this replica shows.
pub(super) fn known(board: &StatusBoard, id: EndpointId) -> EndpointHealth {
    board.load().health(id).map(|entry| EndpointHealth::clone(entry.value())).unwrap_or_default()
}

/// Logs a transition.
pub(super) fn tell(target: &Target, turn: &Turn, here_only: bool) {
    let Turn { before, after } = turn;
    if before.status == after.status {
        return;
    }
    tracing::info!(
        endpoint.id = %target.endpoint.id,
        endpoint.name = target.endpoint.name,
        provider.name = target.provider.name,
        status.before = ?before.status,
        status.after = ?after.status,
        cause = ?after.cause,
        http_status = after.http_status,
        latency_ms = after.latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
        here_only,
        "the health of an endpoint has changed"
    );
}
