//! What the server does by itself: destroys what was deleted long ago, forgets old request ids and, where that is
//! set, old changes; tells the other replicas that it is there.
//!
//! Loops: `retention` every ten minutes ([`RETENTION`]), `heartbeat` every five seconds ([`HEARTBEAT`]). Every replica
//! runs both; what one has done the next finds done.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Control, Mutation};
use crate::changes::rewrap::Rewrapper;
use crate::domain::View as _;
use crate::domain::limits::REQUEST_ID_RETENTION;
use crate::domain::provider::plan;
use crate::domain::{Head, Revision, Timestamp};
use crate::store::{LogAnchor, StoreError};
use crate::task::Tasks;

pub const RETENTION: Duration = Duration::from_mins(10);
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Revisions that are removed from the log at a time.
const SHORTEN: i64 = 1000;
/// How long a replica that stops tries to say so.
const FAREWELL: Duration = Duration::from_secs(1);
/// A replica that was not heard of for this long does not count.
pub const REPLICA_LIFETIME: Duration = Duration::from_secs(20);

impl Control {
    /// Starts the loops.
    pub fn start_upkeep(&self, tasks: &Tasks) {
        let (control, stop) = (self.clone(), tasks.stopping());
        tasks.spawn("retention", async move {
            let mut tick = interval(RETENTION);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut swept = control.board().seen();
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = tick.tick() => {}
                }
                match timeout(RETENTION, control.retain()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "old data could not be removed; the next round tries again"
                    ),
                    Err(_) => tracing::warn!("a round of retention took too long; the next one tries again"),
                }
                // What came after the last round may belong to a change that is still to be applied here.
                let seen = control.board().seen();
                control.board().sweep(&control.snapshot().load(), swept);
                swept = seen;
            }
        });
        let (control, stop) = (self.clone(), tasks.stopping());
        tasks.spawn("heartbeat", async move {
            let mut tick = interval(HEARTBEAT);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    _ = tick.tick() => {}
                }
                // The tail tells when the database does not answer.
                drop(timeout(HEARTBEAT, control.heartbeat()).await);
            }
            // A replica that is gone must not hold up a change of the master key.
            drop(timeout(FAREWELL, control.parts.store.farewell(&control.parts.replica_id)).await);
        });
        let rewrapper = Rewrapper {
            store: self.parts.store.clone(),
            secrets: self.parts.secrets.clone(),
            snapshot: self.parts.snapshot.clone(),
            statuses: self.parts.statuses.clone(),
        };
        tasks.spawn("rewrap", rewrapper.run(tasks.stopping()));
    }

    /// One round of retention.
    async fn retain(&self) -> Result<(), StoreError> {
        let now = self.parts.clock.now();
        self.parts.store.forget_requests(now.before(REQUEST_ID_RETENTION)).await?;
        self.parts.store.forget_expired_secrets(now).await?;
        self.parts.store.forget_secret_uses(now.before(self.parts.secret_use_retention)).await?;
        self.parts.store.sweep_statuses().await?;
        if let Some(retention) = self.parts.log_retention {
            self.shorten_log(now.before(retention)).await?;
        }
        let is_due = || {
            let providers = self.parts.snapshot.load().providers();
            providers.iter().any(|provider| provider.purge_time.is_some_and(|time| time <= now))
        };
        while is_due() {
            let mutation = Mutation::system("retention", "the time to bring it back has passed");
            if let Err(error) = self.write(mutation, plan::purge_expired).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a deleted provider could not be destroyed; the next round tries again"
                );
                break;
            }
        }
        Ok(())
    }

    /// Removes what is older than a time from the log, in small steps: each holds up writes for as long as it takes. The
    /// last revision stays, whatever its age.
    ///
    /// # Errors
    /// What the database says.
    pub async fn shorten_log(&self, older_than: Timestamp) -> Result<(), StoreError> {
        let store = &self.parts.store;
        let Some(old) = store.last_revision_before(older_than).await? else { return Ok(()) };
        let last = old.0.min(store.head().await?.revision.0.saturating_sub(1));
        let mut begin = store.log_anchor().await?.map_or(0, |anchor| anchor.head.revision.0);
        while begin < last {
            let revision = Revision(begin.saturating_add(SHORTEN).min(last));
            // Another replica was faster.
            let Some(hash) = store.find_commit(revision).await? else { return Ok(()) };
            let head = Head { revision, hash };
            store.shorten_log(&LogAnchor { head, seal: self.parts.secrets.seal_anchor(&head) }).await?;
            tracing::info!(revision = revision.0, "old changes were removed from the log");
            begin = revision.0;
        }
        Ok(())
    }

    async fn heartbeat(&self) -> Result<(), StoreError> {
        self.parts.store.heartbeat(&self.sign_of_life()).await
    }
}
