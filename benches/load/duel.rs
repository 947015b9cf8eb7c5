//! Two servers under the same load in turn, round after round: what else the machine does meets both.

use std::time::Duration;

use anyhow::Context as _;

use crate::generator::{Outcome, Plan};
use crate::process;
use crate::report::median;

/// How often each side is measured.
pub const ROUNDS: usize = 3;

/// A process and its load.
pub struct Side {
    pub pid: u32,
    pub plan: Plan,
}

/// What one round showed.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub outcome: Outcome,
    /// What the server computed for each call.
    pub cpu: Duration,
}

impl Side {
    pub fn measure(&self) -> anyhow::Result<Sample> {
        let before = process::cpu(self.pid)?;
        let outcome = self.plan.run()?;
        let spent = process::cpu(self.pid)?.saturating_sub(before);
        Ok(Sample { outcome, cpu: spent.div_f64(to_f64(outcome.calls).max(1.0)) })
    }
}

/// All rounds of a duel.
pub struct Duel {
    rounds: Vec<(Sample, Sample)>,
}

impl Duel {
    /// Measures A B, A B, ….
    pub fn fight(ours: &Side, theirs: &Side) -> anyhow::Result<Self> {
        let rounds = (0..ROUNDS).map(|_| Ok((ours.measure()?, theirs.measure()?)));
        Ok(Self { rounds: rounds.collect::<anyhow::Result<_>>()? })
    }

    /// Our calls per second as a share of theirs.
    pub fn throughput(&self) -> anyhow::Result<f64> {
        self.middle(|ours, theirs| ours.outcome.per_second / theirs.outcome.per_second)
    }

    /// What a call costs us, as a multiple of what it costs them.
    pub fn cost(&self) -> anyhow::Result<f64> {
        self.middle(|ours, theirs| ours.cpu.as_secs_f64() / theirs.cpu.as_secs_f64())
    }

    /// The round in the middle by our calls per second.
    pub fn ours(&self) -> anyhow::Result<Sample> {
        middle(self.rounds.iter().map(|(ours, _)| *ours))
    }

    pub fn theirs(&self) -> anyhow::Result<Sample> {
        middle(self.rounds.iter().map(|(_, theirs)| *theirs))
    }

    fn middle(&self, ratio: impl Fn(&Sample, &Sample) -> f64) -> anyhow::Result<f64> {
        median(self.rounds.iter().map(|(ours, theirs)| ratio(ours, theirs))).context("no rounds")
    }
}

/// The sample in the middle by calls per second.
pub fn middle(samples: impl IntoIterator<Item = Sample>) -> anyhow::Result<Sample> {
    let mut samples: Vec<_> = samples.into_iter().collect();
    samples.sort_by(|a, b| a.outcome.per_second.total_cmp(&b.outcome.per_second));
    samples.get(samples.len() / 2).copied().context("no rounds")
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
fn to_f64(count: u64) -> f64 {
    count as f64
}
