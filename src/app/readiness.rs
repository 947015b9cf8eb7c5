//! What health means, told in one place to gRPC health, `/readyz` and `/health`.
//!
//! Ready: the snapshot is loaded and the server is not stopping; it stays so while the database is away, unless
//! `reads.max_staleness` bounds that. Only `modelward.writes` and `/health` follow the database; `modelward.live` and
//! `/livez` follow nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::changes::Contact;
use crate::config::Settings;
use crate::service::SERVICE_NAMES;
use crate::task::Tasks;

/// The health name for which it is enough that the process answers: who restarts processes asks it.
pub const LIVE: &str = "modelward.live";
/// The health name that follows the database.
pub const WRITES: &str = "modelward.writes";
/// How often ages are looked at.
const TICK: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub struct Readiness {
    reporter: HealthReporter,
    contact: watch::Receiver<Contact>,
    stopping: Arc<AtomicBool>,
    max_staleness: Option<Duration>,
}

impl Readiness {
    /// Builds it, NOT_SERVING at first, and follows the database from then on.
    #[must_use]
    pub fn build(contact: watch::Receiver<Contact>, settings: &Settings, tasks: &Tasks) -> Self {
        let readiness = Self {
            reporter: HealthReporter::new(),
            contact,
            stopping: Arc::new(AtomicBool::new(false)),
            max_staleness: settings.reads.max_staleness,
        };
        tasks.spawn("readiness", readiness.clone().follow(tasks.stopping()));
        readiness
    }

    #[must_use]
    pub fn health_service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    /// Whether calls are welcome.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let contact = *self.contact.borrow();
        let stale = self.max_staleness.is_some_and(|most| contact.fresh.elapsed() > most);
        contact.loaded && !stale && !self.stopping.load(Ordering::Relaxed)
    }

    /// Whether the database answers.
    #[must_use]
    pub fn database_connected(&self) -> bool {
        self.contact.borrow().connected
    }

    pub async fn serving(&self) {
        self.report().await;
    }

    pub async fn not_serving(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.report().await;
    }

    async fn report(&self) {
        let ready = status_of(self.is_ready());
        for name in SERVICE_NAMES.iter().copied().chain([""]) {
            self.reporter.set_service_status(name, ready).await;
        }
        self.reporter.set_service_status(LIVE, ServingStatus::Serving).await;
        let writes = status_of(self.is_ready() && self.database_connected());
        self.reporter.set_service_status(WRITES, writes).await;
    }

    async fn follow(mut self, stop: CancellationToken) {
        let mut tick = interval(TICK);
        let mut last = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
                changed = self.contact.changed() => if changed.is_err() { return },
            }
            let contact = *self.contact.borrow_and_update();
            let state = (self.is_ready(), contact.connected);
            if last.replace(state) != Some(state) {
                self.report().await;
            }
        }
    }
}

fn status_of(good: bool) -> ServingStatus {
    if good { ServingStatus::Serving } else { ServingStatus::NotServing }
}
