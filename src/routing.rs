//! Which endpoint and which credential serve: pure functions over one snapshot and one board.
//!
//! Nothing here touches a database or the network. What is remembered between two calls is whose turn it is, in the
//! [`Router`], and nothing else.

mod candidates;
mod credential;
mod order;
mod outlook;
mod pick;
mod recent;
mod resolve;
mod schedule;
mod turns;

pub use candidates::Selector;
pub use credential::{Missing, credential_for, credentials_for};
pub use order::{Prefer, order};
pub use outlook::{Scene, Target};
pub use pick::{Picker, pick};
pub use resolve::{Wanted, resolve};

use recent::Recent;
use turns::Turns;

use crate::domain::endpoint::Endpoint;
use crate::domain::error::{Error, Result};
use crate::domain::health::HealthStatus;
use crate::domain::id::ProviderId;
use crate::domain::model::Model;
use crate::domain::time::Timestamp;
use crate::domain::view::View as _;
use crate::snapshot::{Board, Snapshot, Unusable};

/// Remembers whose turn it is. One per process; no call takes a lock.
#[derive(Debug, Default)]
pub struct Router {
    /// Of endpoints.
    pub picker: Picker,
    /// Of providers that have the same model.
    turns: Turns,
    /// Of credentials.
    recent: Recent,
}

/// How willingly an endpoint is used, by its health; best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Class {
    /// Healthy, or never probed.
    Serving,
    Degraded,
    Unhealthy,
}

impl Class {
    fn of(endpoint: &Endpoint, board: &Board) -> Self {
        match board.health_status(endpoint.id) {
            HealthStatus::Healthy | HealthStatus::Unknown => Self::Serving,
            HealthStatus::Degraded => Self::Degraded,
            HealthStatus::Unhealthy => Self::Unhealthy,
        }
    }
}

/// Whether a model can be used at `now`.
///
/// # Errors
/// The reason why not; [`Unusable::of`] makes the error for clients.
pub fn usable_model(snapshot: &Snapshot, now: Timestamp, model: &Model) -> Result<(), Unusable> {
    snapshot.usable(model, now)
}

/// Refuses a provider that is unknown, deleted or switched off.
fn check_provider(snapshot: &Snapshot, id: ProviderId) -> Result<()> {
    if snapshot.live_provider(id)?.is_active { Ok(()) } else { Err(Error::ProviderDisabled { provider_id: id.uuid() }) }
}
