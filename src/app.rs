//! The composition root: settings → parts → servers and tasks → drain. It wires and decides nothing else.
//!
//! Start: settings → store (migrated under a lock) → key ring → snapshot → tail → workers → listeners → SERVING.
//! Stop: NOT_SERVING → lame-duck delay → finish calls → stop workers → close; a hard limit ends it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::domain::Revision;
use crate::task::Tasks;
use crate::telemetry::Metrics;

mod bootstrap;
mod grpc;
mod offline;
mod ops;
mod parts;
mod readiness;
mod signal;

pub use offline::Offline;
pub use parts::{Parts, open_store};

/// A server that runs.
pub struct App {
    /// Where the gRPC API is served; the port is the real one when 0 was asked for.
    pub address: SocketAddr,
    pub ops_address: Option<SocketAddr>,
    parts: Parts,
    tasks: Tasks,
    /// Ends the listeners: no new calls, running ones are finished.
    closing: CancellationToken,
    /// Ends when the last call is finished.
    done: oneshot::Receiver<()>,
    settings: Settings,
    readiness: readiness::Readiness,
}

impl App {
    /// Starts everything; returns when the server is SERVING.
    ///
    /// # Errors
    /// One line that says what is wrong and what to do about it.
    pub async fn start(settings: Settings, metrics: Metrics) -> anyhow::Result<Self> {
        let tasks = Tasks::new();
        let started = Self::start_in(&tasks, settings, metrics).await;
        if started.is_err() {
            tasks.shutdown(Duration::from_secs(1)).await;
        }
        started
    }

    async fn start_in(tasks: &Tasks, settings: Settings, metrics: Metrics) -> anyhow::Result<Self> {
        // Ports first: a taken one should cost nothing else.
        let listener = grpc::bind(settings.server.listen)?;
        let ops_listener = settings.server.ops_listen.map(grpc::bind).transpose()?;
        let parts = Parts::build(&settings, tasks, &metrics).await?;
        bootstrap::admin_token(&parts, &settings).await?;
        let closing = CancellationToken::new();
        let readiness = readiness::Readiness::build(&parts, &settings, tasks);
        let grpc::Listening { address, done } = grpc::serve(listener, &parts, &readiness, &settings, tasks, &closing)?;
        let ops_address =
            ops_listener.map(|listener| ops::serve(listener, &parts, &readiness, tasks, &closing)).transpose()?;
        readiness.serving().await;
        let app = Self { address, ops_address, parts, tasks: tasks.clone(), closing, done, settings, readiness };
        app.announce();
        Ok(app)
    }

    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    fn revision(&self) -> Revision {
        self.parts.snapshot.load().head().revision
    }

    fn announce(&self) {
        tracing::info!(
            address = %self.address,
            ops_address = %self.ops_address.map(|address| address.to_string()).unwrap_or_default(),
            tls = self.settings.tls.files().is_some(),
            database = %self.parts.store.engine(),
            revision = self.revision().0,
            "modelward {} is ready", env!("CARGO_PKG_VERSION")
        );
    }

    /// Stops: health turns first, calls are finished, workers stop; what is left at the hard limit is cut off.
    pub async fn stop(self) {
        let limit = self.settings.shutdown.hard_limit;
        let revision = self.revision();
        let begun = tokio::time::Instant::now();
        self.readiness.not_serving().await;
        tokio::time::sleep(self.settings.shutdown.lame_duck).await;
        self.closing.cancel();
        // Workers stop once nobody can ask them for anything any more, or when two thirds of the time are gone.
        let for_calls = limit.saturating_sub(begun.elapsed()).mul_f64(0.66);
        drop(timeout(for_calls, self.done).await);
        self.tasks.shutdown(limit.saturating_sub(begun.elapsed())).await;
        tracing::info!(revision = revision.0, "modelward has stopped");
    }
}

/// Runs a server until it is told to stop (SIGTERM, SIGINT).
///
/// # Errors
/// When it cannot start.
pub async fn serve(settings: Settings, metrics: Metrics) -> anyhow::Result<()> {
    let mut signals = signal::Signals::listen().context("cannot listen for signals")?;
    let app = App::start(settings, metrics).await?;
    let crippled = app.tasks.crippled();
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                signal::Signal::Stop => break,
                signal::Signal::Reload => app.parts.reload_keys(),
            },
            () = crippled.cancelled() => break,
        }
    }
    app.stop().await;
    anyhow::ensure!(!crippled.is_cancelled(), "stopped because of a bug; the log tells where, start it again");
    Ok(())
}
