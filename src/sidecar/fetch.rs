//! Fetches the secrets of the credentials that may be used, and lets go of those that may not.
//!
//! One loop, woken by every revision and every [`ROUND`]. What could not be fetched is asked for again, after a wait that
//! grows. Where allowed hosts change nothing is fetched: they are the configuration's.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

use super::backoff::Backoff;
use super::upstream::Upstream;
use crate::control::Held;
use crate::domain::{Clock, CredentialId};
use crate::proto::v1;
use crate::proto::v1::routing_service_client::RoutingServiceClient;
use crate::snapshot::{SnapshotHandle, StatusBoard};
use crate::wire;

/// How often it is looked for credentials that time has ended.
pub const ROUND: Duration = Duration::from_secs(5);
/// A replica that has not come so far would answer an older secret.
const MIN_REVISION: &str = "modelward-min-revision";
/// As many as one call may ask for.
const BATCH: usize = 1000;
const LEAST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(10);
/// How long to wait after it was said that this sidecar may not have secrets: its identity may get the role.
const REFUSED: Duration = Duration::from_mins(1);

/// The loop.
pub struct Fetch {
    upstream: Upstream,
    snapshot: SnapshotHandle,
    board: StatusBoard,
    held: Held,
    clock: Arc<dyn Clock>,
    backoff: Backoff,
    refused: bool,
}

impl Fetch {
    #[must_use]
    pub fn new(
        upstream: Upstream,
        snapshot: SnapshotHandle,
        board: StatusBoard,
        held: Held,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { upstream, snapshot, board, held, clock, backoff: Backoff::new(LEAST, MOST), refused: false }
    }

    /// Fetches until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut heads = self.snapshot.subscribe();
        let mut not_before = Instant::now();
        loop {
            heads.borrow_and_update();
            let missing = self.tidy();
            if !missing.is_empty() && not_before <= Instant::now() {
                let fetched = tokio::select! {
                    () = stop.cancelled() => return,
                    fetched = self.fetch(&missing) => fetched,
                };
                not_before = Instant::now() + self.settle(fetched);
            }
            let round = Instant::now() + ROUND;
            let until = if self.tidy().is_empty() { round } else { not_before.min(round) };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = heads.changed() => if changed.is_err() { return },
                () = sleep_until(until) => {}
            }
        }
    }

    /// Lets go of what may not be used any more; what may be and is not here.
    fn tidy(&self) -> Vec<CredentialId> {
        let (snapshot, board, now) = (self.snapshot.load(), self.board.load(), self.clock.now());
        let usable = snapshot.live_credentials().filter(|found| found.is_usable(now) && !board.is_locked(found.id));
        let wanted: HashMap<_, _> = usable.map(|found| (found.id, found.secret_version)).collect();
        self.held.retain(|id| wanted.contains_key(&id));
        let is_missing =
            |(id, version): (&CredentialId, &i64)| (self.held.version(*id) != Some(*version)).then_some(*id);
        wanted.iter().filter_map(is_missing).collect()
    }

    /// Asks for secrets; whether all came, each in the version that is current here. A newer one is of a revision that
    /// has not come yet.
    async fn fetch(&self, missing: &[CredentialId]) -> Result<bool, Status> {
        let revision = self.snapshot.head().revision;
        for ids in missing.chunks(BATCH) {
            let credential_ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
            let asked = self.upstream.ask(|upstream| {
                let message = v1::FetchSecretsRequest { credential_ids: credential_ids.clone() };
                let mut request: Request<_> = upstream.request(message);
                request.metadata_mut().insert(MIN_REVISION, revision.0.into());
                async move { RoutingServiceClient::new(upstream).fetch_secrets(request).await }
            });
            for found in asked.await?.into_inner().secrets {
                let (Some(id), Some(secret)) = (CredentialId::parse(&found.credential_id), found.secret) else {
                    continue;
                };
                self.held.put(id, found.secret_version, wire::credential::read_secret(secret));
            }
        }
        Ok(self.tidy().is_empty())
    }

    /// Notes how it went; how long to wait before the next time.
    fn settle(&mut self, fetched: Result<bool, Status>) -> Duration {
        match fetched {
            Ok(true) => {
                self.backoff.succeeded();
                self.refused = false;
                tracing::info!(held = self.held.count(), "fetched secrets");
                Duration::ZERO
            }
            Ok(false) => self.backoff.failed(),
            Err(status) if matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated) => {
                if !std::mem::replace(&mut self.refused, true) {
                    tracing::error!(
                        problem = status.message(),
                        "the control plane gives this sidecar no secrets; give its identity the role consumer"
                    );
                }
                // A new token may come any moment; a role is given by a person, and whoever took it away meant it.
                if status.code() == Code::Unauthenticated {
                    self.backoff.failed()
                } else {
                    self.held.retain(|_| false);
                    REFUSED
                }
            }
            Err(status) => {
                tracing::debug!(code = ?status.code(), "secrets could not be fetched");
                self.backoff.failed()
            }
        }
    }
}
