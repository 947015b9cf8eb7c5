//! When which endpoint is probed: the loop around [`Schedule`].
//!
//! One loop, woken by what becomes due, by probes that end, by changes of the configuration (looked at most every
//! [`LOOK`]) and by changes of standing. Probes run in a set of their own and are cut off when
//! this replica is to stop probing.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::probe::{Prober, Target};
use super::schedule::{Known, PROMPT, Schedule};
use crate::domain::Timestamp;
use crate::domain::health::{EndpointHealth, Evidence, HealthCause};
use crate::lease::Standing;
use crate::snapshot::{SnapshotHandle, StatusBoard};

/// How often a changing configuration is looked through for what is to be probed.
const LOOK: Duration = Duration::from_millis(250);

pub(super) struct Scheduler {
    pub snapshot: SnapshotHandle,
    pub board: StatusBoard,
    pub prober: Prober,
    pub schedule: Schedule,
    pub found: mpsc::UnboundedSender<(Target, Evidence)>,
}

type Probes = JoinSet<(Target, Option<Evidence>)>;

impl Scheduler {
    /// Probes what is due, as long as this replica is to probe, until `stop`.
    pub async fn run(mut self, mut standings: watch::Receiver<Standing>, stop: &CancellationToken) {
        let mut heads = self.snapshot.subscribe();
        let mut probes = Probes::new();
        let mut was_probing = false;
        // When to look at the configuration; `None`: it has not changed.
        let mut look = None;
        loop {
            let standing = *standings.borrow_and_update();
            let probing = is_probing(standing);
            match (was_probing, probing) {
                (false, true) => look = Some(Instant::now()),
                (true, false) => {
                    look = None;
                    // Cuts them off.
                    probes = Probes::new();
                    self.schedule.clear();
                }
                _ => {}
            }
            was_probing = probing;
            if look.is_some_and(|look| look <= Instant::now()) {
                look = None;
                heads.mark_unchanged();
                self.look();
            }
            self.launch(&mut probes);
            let end = if probing { standing.end() } else { None };
            let wake = [look, self.schedule.next_due(), end].into_iter().flatten().min();
            tokio::select! {
                () = stop.cancelled() => return,
                changed = standings.changed() => if changed.is_err() { return },
                changed = heads.changed(), if probing && look.is_none() => {
                    // Nothing is applied here any more: another replica does better.
                    if changed.is_err() { return }
                    look = Some(Instant::now() + LOOK);
                }
                Some(landed) = probes.join_next(), if !probes.is_empty() => self.land(landed),
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    /// Follows the configuration.
    fn look(&mut self) {
        let (snapshot, board, wall) = (self.snapshot.load(), self.board.load(), self.prober.clock.now());
        let known = |id| board.health(id).and_then(|entry| known(entry.value(), wall));
        self.schedule.follow(Target::all(&snapshot), known, Instant::now());
    }

    /// Starts as many probes as may be in flight.
    fn launch(&mut self, probes: &mut Probes) {
        let now = Instant::now();
        self.schedule.advance(now);
        while let Some(target) = self.schedule.launch(now) {
            let prober = self.prober.clone();
            probes.spawn(async move {
                let evidence = prober.probe(target.clone()).await;
                (target, evidence)
            });
        }
    }

    fn land(&mut self, landed: Result<(Target, Option<Evidence>), JoinError>) {
        // Panics are caught in the probe, and sets that were cut off are dropped as a whole.
        let Ok((target, evidence)) = landed else { return };
        let answered = evidence.as_ref().is_some_and(|evidence| evidence.cause != HealthCause::Timeout);
        if self.schedule.land(&target, answered, Instant::now())
            && let Some(evidence) = evidence
        {
            // The recorder ends last.
            let _ = self.found.send((target, evidence));
        }
    }
}

/// Whether this replica is to probe: as the holder of the lease, or for itself while nobody can tell who that is.
fn is_probing(standing: Standing) -> bool {
    standing == Standing::Alone || standing.held(Instant::now()).is_some()
}

/// What the schedule wants to know of a health. `None`: never probed.
fn known(health: &EndpointHealth, now: Timestamp) -> Option<Known> {
    let prompt = health.cause != HealthCause::Timeout && health.latency.is_none_or(|latency| latency < PROMPT);
    health.last_check_time.map(|time| Known { age: now.since(time), prompt })
}
