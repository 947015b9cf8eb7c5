//! A check of the promise that memory and database agree: compares them, and loads everything anew where they differ.
//!
//! One loop, every [`PERIOD`]. It reads all tables, page by page in one transaction, so it is a check for the long run,
//! not one that notices a difference at once.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::load::in_time;
use super::tail::{READ_LIMIT, Tail};
use crate::domain::secret::SealedSecret;
use crate::domain::{CredentialId, Head};
use crate::snapshot::{Check, Differences, SnapshotHandle};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

pub const PERIOD: Duration = Duration::from_hours(1);
/// How often a round tries to meet the snapshot at the revision that it read; writes may come in between. An attempt
/// that fails has read next to nothing.
const ATTEMPTS: usize = 100;
/// How long the snapshot may take to reach what was read.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at secrets that are being wrapped anew.
const AGAIN: Duration = Duration::from_millis(250);

#[derive(Clone)]
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
                () = sleep(PERIOD) => {}
            }
            if let Err(error) = self.round().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "memory could not be compared with the database; the next round will try"
                );
            }
        }
    }

    /// One comparison; how many differences it found, or nothing when the snapshot never met what was read.
    ///
    /// # Errors
    /// What the database says.
    pub async fn round(&self) -> Result<Option<usize>, StoreError> {
        let Some((head, mut differences)) = self.compare().await? else {
            tracing::warn!("memory changed too fast to be compared with the database; the next round will try");
            return Ok(None);
        };
        for (credential, version) in self.unsettled(std::mem::take(&mut differences.rewrapped)).await? {
            differences.add(|| format!("secret of credential {credential} v{version}: wrapped differently"));
        }
        if differences.count > 0 {
            self.metrics.snapshot_mismatches.inc_by(u64::try_from(differences.count).unwrap_or(u64::MAX));
            tracing::error!(
                revision = head.revision.0,
                count = differences.count,
                differences = ?differences.lines,
                "memory and database differ; loading the configuration anew"
            );
            self.tail.reload().await;
        }
        Ok(Some(differences.count))
    }

    /// Compares, once the snapshot stands where the database was read.
    async fn compare(&self) -> Result<Option<(Head, Differences)>, StoreError> {
        for _ in 0..ATTEMPTS {
            let mut reader = self.store.read_image().await?;
            let head = reader.head();
            // The tail may be a moment behind the transaction that is read.
            drop(self.snapshot.wait_for(head.revision, PATIENCE).await);
            let held = self.snapshot.load();
            if held.head().revision != head.revision {
                reader.close().await?;
                continue;
            }
            let mut check = Check::begin(held, head, reader.keyring());
            while let Some(page) = in_time(READ_LIMIT, reader.next()).await? {
                check.page(&page);
            }
            reader.close().await?;
            return Ok(Some((head, check.finish())));
        }
        Ok(None)
    }

    /// Which of these secrets stay wrapped in another way than in the database. The snapshot follows a re-wrapping
    /// within a second or two, and a secret is wrapped anew but once.
    async fn unsettled(&self, mut versions: Vec<(CredentialId, i64)>) -> Result<Vec<(CredentialId, i64)>, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stored = self.store.secrets_of(&versions).await?;
            let held = self.snapshot.load();
            let differs = |stored: &SealedSecret| {
                let held = held.sealed(stored.credential_id, stored.version);
                held.is_some_and(|held| held.wrapped_key != stored.wrapped_key)
            };
            versions = stored.iter().filter(|one| differs(one)).map(|one| (one.credential_id, one.version)).collect();
            if versions.is_empty() || Instant::now() >= deadline {
                return Ok(versions);
            }
            sleep(AGAIN).await;
        }
    }
}
