//! The composition root: settings → parts → servers and tasks → drain. It wires and decides nothing else.
//!
//! Start: settings → store (migrated under a lock) → key ring → snapshot → tail → workers → listeners → SERVING.
//! Stop: NOT_SERVING → lame-duck delay → finish calls → stop workers → close; a hard limit ends it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use crate::config::Settings;
use crate::domain::Revision;
use crate::task::Tasks;
use crate::telemetry::traces::{Exporter, Tracer};
use crate::telemetry::{LogFilterControl, Metrics};

mod bootstrap;
mod connection;
mod descriptors;
mod gauges;
mod grpc;
mod handshake;
mod identities;
mod keys;
mod offline;
mod ops;
mod parts;
mod readiness;
mod reload;
mod serving;
mod sidecar;
mod signal;
mod socket;
mod tls;
mod verify;

pub use grpc::Api;
pub use offline::Offline;
pub use parts::{Parts, open_store};
pub use sidecar::sidecar;
pub use verify::verify_log;

use serving::{Ports, Serving};

/// How long the last traces may take to be told.
const LAST_TRACES: Duration = Duration::from_secs(3);

/// A server that runs.
pub struct App {
    /// Where the gRPC API is served; the port is the real one when 0 was asked for.
    pub address: SocketAddr,
    pub ops_address: Option<SocketAddr>,
    parts: Parts,
    serving: Serving,
    tasks: Tasks,
    settings: Settings,
    /// What tells traces; it stops after everything that makes them.
    telling: Tasks,
}

impl App {
    /// Starts everything; returns when the server is SERVING.
    ///
    /// # Errors
    /// One line that says what is wrong and what to do about it.
    pub async fn start(settings: Settings, metrics: Metrics) -> anyhow::Result<Self> {
        Self::start_logging(settings, metrics, None).await
    }

    /// The same in a process whose log can be filtered otherwise.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_logging(
        settings: Settings,
        metrics: Metrics,
        log: Option<LogFilterControl>,
    ) -> anyhow::Result<Self> {
        let tasks = Tasks::new();
        // On the heap: what it holds across its waits is large.
        let started = Box::pin(Self::start_in(&tasks, settings, metrics, log)).await;
        if started.is_err() {
            tasks.shutdown(Duration::from_secs(1)).await;
        }
        started
    }

    async fn start_in(
        tasks: &Tasks,
        settings: Settings,
        metrics: Metrics,
        log: Option<LogFilterControl>,
    ) -> anyhow::Result<Self> {
        let ports = Ports::open(&settings, true)?;
        let mut parts = Parts::build(&settings, tasks, &metrics).await?;
        let (tracer, telling) = tracing_to(&settings, &metrics)?;
        parts.tracer = tracer;
        if let Some(log) = log {
            tasks.spawn("log filter", log.clone().follow(tasks.stopping().cancelled_owned()));
            parts.log = log;
        }
        bootstrap::admin_token(&parts, &settings).await?;
        let serving = Serving::start(ports, parts.served(), &settings, tasks).await?;
        gauges::follow(&parts, &serving.in_flight, settings.usage.expiry_warning, tasks);
        let (address, ops_address) = (serving.address.context("the API has no address")?, serving.ops_address);
        let app = Self { address, ops_address, parts, serving, tasks: tasks.clone(), settings, telling };
        app.announce();
        Ok(app)
    }

    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The API behind its gate, to be called without a connection.
    #[must_use]
    pub fn api(&self) -> Api {
        self.serving.api.clone()
    }

    /// Looks at once at all files that may have been replaced: identities, keys of issuers, certificates.
    pub fn look_at_files(&self) {
        self.serving.look_at_files();
    }

    fn revision(&self) -> Revision {
        self.parts.snapshot.load().head().revision
    }

    fn announce(&self) {
        tracing::info!(
            address = %self.address,
            ops_address = %self.ops_address.map(|address| address.to_string()).unwrap_or_default(),
            unix_socket = %self.settings.server.unix_socket.as_deref().unwrap_or(Path::new("")).display(),
            tls = self.settings.tls.files().is_some(),
            database = %self.parts.store.engine(),
            revision = self.revision().0,
            "modelward {} is ready", env!("CARGO_PKG_VERSION")
        );
    }

    /// Stops: health turns first, calls are finished, workers stop; what is left at the hard limit is cut off.
    pub async fn stop(self) {
        let (revision, limit, begun) = (self.revision(), self.settings.shutdown.hard_limit, Instant::now());
        self.serving.stop().await;
        self.telling.shutdown(limit.saturating_sub(begun.elapsed()).min(LAST_TRACES)).await;
        tracing::info!(revision = revision.0, "modelward has stopped");
    }
}

/// Begins to trace, where an endpoint for traces is given.
fn tracing_to(settings: &Settings, metrics: &Metrics) -> anyhow::Result<(Option<Tracer>, Tasks)> {
    let telling = Tasks::new();
    let Some(config) = &settings.traces else { return Ok((None, telling)) };
    let (tracer, exporter) = Exporter::build(config, metrics)?;
    telling.spawn("traces", exporter.run(telling.stopping().cancelled_owned()));
    tracing::info!(endpoint = config.endpoint, "calls are traced");
    Ok((Some(tracer), telling))
}

/// Runs a server until it is told to stop (SIGTERM, SIGINT).
///
/// # Errors
/// When it cannot start.
pub async fn serve(mut settings: Settings, metrics: Metrics, log: LogFilterControl) -> anyhow::Result<()> {
    descriptors::provide(&mut settings.limits.max_connections);
    let mut signals = signal::Signals::listen().context("cannot listen for signals")?;
    let app = tokio::select! {
        app = App::start_logging(settings, metrics, Some(log)) => app?,
        () = signals.stop() => return Ok(()),
    };
    let crippled = app.tasks.crippled();
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                signal::Signal::Stop => break,
                signal::Signal::Reload => {
                    app.parts.reload_keys();
                    app.parts.reload_catalogue();
                    app.look_at_files();
                }
            },
            () = crippled.cancelled() => break,
        }
    }
    tokio::select! {
        () = app.stop() => {}
        () = signals.stop() => tracing::warn!("told to stop a second time; modelward has stopped at once"),
    }
    anyhow::ensure!(!crippled.is_cancelled(), "stopped because of a bug; the log tells where, start it again");
    Ok(())
}
