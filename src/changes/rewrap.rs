//! Wrapping stored data keys under the active master key: in the background, restartable, never touching a ciphertext.
//!
//! One loop, woken by a change of the active key and every minute ([`PERIOD`]): a replica that is late may have wrapped
//! something under a key that is not the active one any more. Every replica runs it: a key that another one has wrapped
//! in the meantime is simply not found any more.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::statuses::Statuses;
use crate::domain::View as _;
use crate::domain::image::StatusValue;
use crate::failpoint;
use crate::secrets::Secrets;
use crate::snapshot::SnapshotHandle;
use crate::store::{Store, StoreError};

/// How often it looks without being asked.
pub const PERIOD: Duration = Duration::from_mins(1);
/// A round that takes longer begins anew where it is: a database that is lost may never say so.
const ROUND: Duration = Duration::from_mins(10);
/// How soon it goes on after the database has failed.
const RETRY: Duration = Duration::from_secs(1);
/// How many data keys are wrapped in one transaction.
const BATCH: i64 = 100;

pub struct Rewrapper {
    pub store: Store,
    pub secrets: Secrets,
    pub snapshot: SnapshotHandle,
    pub statuses: Statuses,
}

impl Rewrapper {
    /// Keeps everything under the active key, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut heads = self.snapshot.subscribe();
        let mut period = tokio::time::interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        period.reset();
        let mut done_for = None;
        loop {
            let active = self.snapshot.load().keyring().active_key_id.clone();
            if done_for.as_ref() != Some(&active) {
                match timeout(ROUND, self.round(&active, &stop)).await {
                    Ok(Ok(true)) => done_for = Some(active),
                    Ok(Ok(false)) => {}
                    Err(_) => tracing::warn!("wrapping keys anew took too long; it goes on"),
                    Ok(Err(error)) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "wrapping keys anew was interrupted; it goes on"
                        );
                        period.reset_after(RETRY);
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = heads.changed() => {}
                _ = period.tick() => done_for = None,
            }
        }
    }

    /// Wraps all that is left; whether nothing is left under another key.
    async fn round(&self, active: &str, stop: &CancellationToken) -> Result<bool, StoreError> {
        if !self.secrets.ring().contains(active) {
            tracing::error!(key.id = active, "this server does not hold the active master key; give it that key");
            return Ok(false);
        }
        let mut unreadable = 0;
        let mut wrapped = 0;
        while !stop.is_cancelled() {
            // Those that cannot be opened are found again each time: the batch has room for them.
            let found = self.store.secrets_under_other_keys(active, BATCH.saturating_add(unreadable)).await?;
            let mut anew = Vec::with_capacity(found.len());
            for sealed in &found {
                anew.extend(self.secrets.rewrap(sealed, active).ok());
                failpoint::reach("rewrap.row").await;
            }
            unreadable = i64::try_from(found.len() - anew.len()).unwrap_or(i64::MAX);
            if anew.is_empty() {
                break;
            }
            wrapped += anew.len();
            self.statuses.store(&anew.into_iter().map(StatusValue::Rewrapped).collect::<Vec<_>>()).await?;
        }
        self.wrap_cluster_keys(active).await?;
        if wrapped > 0 || unreadable > 0 {
            tracing::info!(key.id = active, wrapped, unreadable, "secrets were wrapped under the active master key");
        }
        Ok(unreadable == 0 && !stop.is_cancelled())
    }

    async fn wrap_cluster_keys(&self, active: &str) -> Result<(), StoreError> {
        let Some(cluster) = self.store.cluster().await? else { return Ok(()) };
        if cluster.keys.iter().all(|key| key.master_key_id == active) {
            return Ok(());
        }
        match self.secrets.rewrap_keys(&cluster.keys, active) {
            Ok(keys) => self.store.replace_wrapped_keys(&keys).await,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the cluster's own keys cannot be wrapped anew"
                );
                Ok(())
            }
        }
    }
}
