//! Which lines are written, changed while the process runs: for a while, then it is again as the settings say, so that
//! nobody has to think of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;

use super::{LogError, QUIET};

/// How often it is looked whether the time is over.
const LOOK: Duration = Duration::from_millis(500);

/// Puts a filter in force.
type Apply = Box<dyn Fn(EnvFilter) -> Result<(), LogError> + Send + Sync>;

/// The filter of the log of this process. Cheap to clone.
#[derive(Clone)]
pub struct LogFilterControl(Arc<Shared>);

struct Shared {
    configured: String,
    /// When the filter in force ends; `None`: it is the one of the settings.
    until: Mutex<Option<Instant>>,
    apply: Apply,
}

impl LogFilterControl {
    pub(super) fn new(configured: &str, apply: Apply) -> Self {
        Self(Arc::new(Shared { configured: configured.to_owned(), until: Mutex::new(None), apply }))
    }

    /// For a process that writes no log of its own: what is asked is checked, and nothing comes of it.
    #[must_use]
    pub fn detached(configured: &str) -> Self {
        Self::new(configured, Box::new(|_| Ok(())))
    }

    /// The filter of the settings.
    #[must_use]
    pub fn configured(&self) -> &str {
        &self.0.configured
    }

    /// Puts another filter in force, for so long.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn set(&self, filter: &str, time: Duration) -> Result<(), LogError> {
        let filter = parse(filter)?;
        let mut until = self.until();
        (self.0.apply)(filter)?;
        *until = Some(Instant::now() + time);
        Ok(())
    }

    /// Goes back to the one of the settings.
    ///
    /// # Errors
    /// When there is no log any more.
    pub fn reset(&self) -> Result<(), LogError> {
        let mut until = self.until();
        (self.0.apply)(parse(&self.0.configured)?)?;
        *until = None;
        Ok(())
    }

    /// Goes back when the time is over, until `stop`.
    pub async fn follow(self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let over = self.until().is_some_and(|until| until <= Instant::now());
            if over && self.reset().is_ok() {
                tracing::info!(filter = self.configured(), "the log is filtered again as the settings say");
            }
        }
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(format!("{QUIET},{filter}"))
        .map_err(|_| LogError("the log filter is malformed; give one such as info or info,modelward=debug".to_owned()))
}
