//! A check of the promise that memory and database agree: compares them, and loads everything anew where they differ.
//!
//! One loop, every [`PERIOD`]. It reads all tables in one transaction, so it is a check for the long run, not one that
//! notices a difference at once.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::tail::Tail;
use crate::snapshot::SnapshotHandle;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

pub const PERIOD: Duration = Duration::from_hours(1);
/// How often a round tries to meet the snapshot at the revision that it read; writes may come in between.
const ATTEMPTS: usize = 3;
/// How long the snapshot may take to reach the revision that was read.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many differences of a round are logged.
const SHOWN: usize = 5;

pub struct Comparison {
    pub store: Store,
    pub snapshot: SnapshotHandle,
    pub tail: Tail,
    pub metrics: Metrics,
}

impl Comparison {
    /// Compares now and then, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
            if let Err(error) = self.round().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "memory could not be compared with the database; the next round will try"
                );
            }
        }
    }

    /// One comparison; how many differences it found.
    ///
    /// # Errors
    /// What the database says.
    pub async fn round(&self) -> Result<usize, StoreError> {
        for _ in 0..ATTEMPTS {
            let image = self.store.load_image().await?;
            // The tail may be a moment behind the transaction that was read.
            drop(self.snapshot.wait_for(image.head.revision, PATIENCE).await);
            let held = self.snapshot.load();
            if held.head().revision != image.head.revision {
                continue;
            }
            let differences = held.diff(&image);
            if !differences.is_empty() {
                self.metrics.snapshot_mismatches.inc_by(u64::try_from(differences.len()).unwrap_or(u64::MAX));
                let shown: Vec<_> = differences.iter().take(SHOWN).collect();
                tracing::error!(
                    revision = image.head.revision.0,
                    count = differences.len(),
                    differences = ?shown,
                    "memory and database differ; loading the configuration anew"
                );
                self.tail.reload().await;
            }
            return Ok(differences.len());
        }
        Ok(0)
    }
}
