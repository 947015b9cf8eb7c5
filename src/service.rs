//! The gRPC services: thin. A handler converts in, calls, converts out; the gate has authorized the call before.

use std::sync::Arc;

use crate::adapter::CurrentCatalogue;
use crate::changes::Roster;
use crate::control::{Control, Reads};
use crate::domain::{Error, Result, Timestamp};
use crate::health::HealthChecks;
use crate::proto::v1;
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
pub mod outcome;
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
#[derive(Clone)]
pub struct Facts {
    pub replica_id: String,
    /// None: it follows another server.
    pub engine: Option<Engine>,
    pub catalogue: Option<Arc<CurrentCatalogue>>,
    pub start_time: Timestamp,
}

/// All services of the API: one type, a file per service.
#[derive(Clone)]
pub struct Services {
    reads: Reads,
    roster: Roster,
    facts: Arc<Facts>,
    log: LogFilterControl,
    /// None in a process that only reads.
    changes: Option<Changes>,
    /// Takes reports of outcomes, where they are not counted here.
    report: Option<Report>,
}

/// Takes a report of outcomes that is for another process.
pub type Report = Arc<dyn Fn(v1::ReportOutcomeRequest) -> Result<()> + Send + Sync>;

/// What changes are made with.
#[derive(Clone)]
struct Changes {
    control: Control,
    health: HealthChecks,
}

impl Services {
    /// Its log is that of another process until [`Services::with_log`] says whose it is.
    #[must_use]
    pub fn new(control: Control, health: HealthChecks, roster: Roster, facts: Arc<Facts>) -> Self {
        let (reads, log) = (control.reads().clone(), LogFilterControl::detached("info"));
        Self { reads, roster, facts, log, changes: Some(Changes { control, health }), report: None }
    }

    #[must_use]
    pub fn with_log(self, log: LogFilterControl) -> Self {
        Self { log, ..self }
    }

    /// Those that change nothing. What stands before them answers all other calls, or passes them on.
    #[must_use]
    pub fn reading(reads: Reads, roster: Roster, facts: Arc<Facts>, report: Report) -> Self {
        let log = LogFilterControl::detached("info");
        Self { reads, roster, facts, log, changes: None, report: Some(report) }
    }

    /// # Errors
    /// In a process that only reads, where such a call does not get this far.
    fn control(&self) -> Result<&Control> {
        self.changes.as_ref().map(|changes| &changes.control).ok_or_else(Error::internal)
    }

    /// # Errors
    /// As [`control`](Self::control).
    fn health(&self) -> Result<&HealthChecks> {
        self.changes.as_ref().map(|changes| &changes.health).ok_or_else(Error::internal)
    }
}
