//! The parts without listeners: for command-line verbs that work on the database while no server runs.

use std::time::Duration;

use super::parts::Parts;
use crate::config::Settings;
use crate::task::Tasks;
use crate::telemetry::Metrics;

/// A process that can write, through the same writer as the server, and serves nobody.
pub struct Offline {
    parts: Parts,
    tasks: Tasks,
}

impl Offline {
    /// Opens the database.
    ///
    /// # Errors
    /// As when a server starts.
    pub async fn open(mut settings: Settings) -> anyhow::Result<Self> {
        settings.health.enabled = false;
        let tasks = Tasks::new();
        let parts = Parts::build(&settings, &tasks, &Metrics::new()).await;
        match parts {
            Ok(parts) => Ok(Self { parts, tasks }),
            Err(error) => {
                tasks.shutdown(Duration::from_secs(1)).await;
                Err(error)
            }
        }
    }

    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    pub async fn close(self) {
        drop(self.parts);
        self.tasks.shutdown(Duration::from_secs(5)).await;
    }
}
