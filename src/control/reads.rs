//! Reads: what they answer from, and the choices among it. A server and a sidecar read through the same.
//!
//! Nothing here is written, and no database is asked.

use std::sync::Arc;

use uuid::Uuid;

use super::vault::Vault;
use crate::changes::Keys;
use crate::domain::credential::Credential;
use crate::domain::endpoint::Endpoint;
use crate::domain::{Clock, EndpointId, IdSource, ProviderId, Result, Timestamp};
use crate::routing::{self, Router};
use crate::snapshot::query::Present;
use crate::snapshot::{Board, Entry, SnapshotHandle, StatusBoard};
use crate::telemetry::Metrics;

/// What reads answer from.
pub struct ReadParts {
    pub snapshot: SnapshotHandle,
    pub board: StatusBoard,
    pub router: Arc<Router>,
    pub vault: Vault,
    pub metrics: Metrics,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
}

/// All reads. Cheap to clone.
#[derive(Clone)]
pub struct Reads {
    pub(super) parts: Arc<ReadParts>,
    /// What tells which secrets open.
    pub(super) keys: Keys,
}

impl Reads {
    #[must_use]
    pub fn new(parts: ReadParts) -> Self {
        Self { keys: parts.vault.keys(), parts: Arc::new(parts) }
    }

    #[must_use]
    pub fn snapshot(&self) -> &SnapshotHandle {
        &self.parts.snapshot
    }

    #[must_use]
    pub fn board(&self) -> &StatusBoard {
        &self.parts.board
    }

    /// What lists may depend on besides the configuration.
    #[must_use]
    pub fn present<'a>(&self, board: &'a Board) -> Present<'a> {
        Present { now: self.now(), board }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    #[must_use]
    pub fn new_id(&self) -> Uuid {
        self.parts.ids.next()
    }

    /// Whether the current secret of a credential opens.
    #[must_use]
    pub fn is_decryptable(&self, credential: &Credential, board: &Board) -> bool {
        self.keys.opens(credential, &self.snapshot().load(), board)
    }

    /// The endpoint that should be used now.
    ///
    /// # Errors
    /// As [`routing::pick`].
    pub fn pick_endpoint(&self, provider: ProviderId, exclude: &[EndpointId]) -> Result<Arc<Entry<Endpoint>>> {
        let snapshot = self.snapshot().load();
        let picked = routing::pick(&snapshot, &self.board().load(), &self.parts.router.picker, provider, exclude)?;
        Ok(Arc::clone(picked))
    }
}
