//! Which endpoint and which credential serve: pure functions over one snapshot and one board.
//!
//! Nothing here touches a database or the network. What is remembered between two calls is the [`Picker`]'s place in
//! its schedules, and nothing else.

mod credential;
mod order;
mod pick;
mod schedule;

pub use credential::{Missing, credential_for, credentials_for};
pub use order::{Prefer, order};
pub use pick::{Picker, pick};

use crate::domain::endpoint::Endpoint;
use crate::domain::error::{Error, Result};
use crate::domain::health::HealthStatus;
use crate::domain::id::ProviderId;
use crate::domain::model::Model;
use crate::domain::time::Timestamp;
use crate::domain::view::View as _;
use crate::snapshot::{Board, Snapshot, Unusable};

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
