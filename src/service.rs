//! The gRPC services: thin. A handler converts in, calls, converts out; the gate has authorized the call before.

use std::sync::Arc;

use uuid::Uuid;

use crate::changes::Roster;
use crate::control::Control;
use crate::domain::Timestamp;
use crate::health::HealthChecks;
use crate::store::Engine;
use crate::telemetry::LogFilterControl;

mod admin;
mod arrival;
mod audit;
mod binding;
mod call;
mod credential;
mod departure;
mod endpoint;
pub mod gate;
pub mod in_flight;
mod list;
mod log;
pub mod metadata;
mod model;
mod mutation;
mod outcome;
pub mod peer;
mod provider;
pub mod refused;
mod routing;
mod secret_use;
pub mod status;
mod watch;

/// The services of the API, as health checks name them.
pub const SERVICE_NAMES: [&str; 9] = [
    "modelward.v1.ProviderService",
    "modelward.v1.EndpointService",
    "modelward.v1.CredentialService",
    "modelward.v1.ModelService",
    "modelward.v1.BindingService",
    "modelward.v1.RoutingService",
    "modelward.v1.WatchService",
    "modelward.v1.AuditService",
    "modelward.v1.AdminService",
];

/// What does not change while the process runs.
#[derive(Debug, Clone)]
pub struct Facts {
    pub replica_id: String,
    pub cluster_id: Uuid,
    pub engine: Engine,
    pub start_time: Timestamp,
}

/// All services of the API: one type, a file per service.
#[derive(Clone)]
pub struct Services {
    control: Control,
    health: HealthChecks,
    roster: Roster,
    facts: Arc<Facts>,
    log: LogFilterControl,
}

impl Services {
    /// Its log is that of another process until [`Services::with_log`] says whose it is.
    #[must_use]
    pub fn new(control: Control, health: HealthChecks, roster: Roster, facts: Arc<Facts>) -> Self {
        Self { control, health, roster, facts, log: LogFilterControl::detached("info") }
    }

    #[must_use]
    pub fn with_log(self, log: LogFilterControl) -> Self {
        Self { log, ..self }
    }
}
