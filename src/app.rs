//! The composition root: settings → parts → servers and tasks → drain. It wires and decides nothing else.
//!
//! Start: settings → store (migrated under a lock) → key ring → snapshot → tail → workers → listeners → SERVING.
//! Stop: NOT_SERVING → lame-duck delay → finish calls → stop workers → close; a hard limit ends it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::domain::Revision;
use crate::service::in_flight::InFlight;
use crate::task::Tasks;
use crate::telemetry::traces::{Exporter, Tracer};
use crate::telemetry::{LogFilterControl, Metrics};

mod bootstrap;
mod connection;
mod descriptors;
mod gauges;
mod grpc;
mod keys;
mod offline;
mod ops;
mod parts;
mod readiness;
mod sidecar;
mod signal;
mod socket;
mod verify;

pub use grpc::Api;
pub use offline::Offline;
pub use parts::{Parts, open_store};
pub use sidecar::sidecar;
pub use verify::verify_log;

/// How long no call must have run and nothing must have moved before connections are cut that do not close by
/// themselves.
const QUIET: Duration = Duration::from_secs(3);

/// How long the last traces may take to be told.
const LAST_TRACES: Duration = Duration::from_secs(3);

/// A server that runs.
pub struct App {
    /// Where the gRPC API is served; the port is the real one when 0 was asked for.
    pub address: SocketAddr,
    pub ops_address: Option<SocketAddr>,
    parts: Parts,
    api: Api,
    tasks: Tasks,
    /// Ends the listeners: no new calls, running ones are finished.
    closing: CancellationToken,
    in_flight: InFlight,
    /// Ends the connections that are left when no call runs any more.
    cut: CancellationToken,
    /// Ends when the last call is finished and the last connection closed.
    done: oneshot::Receiver<()>,
    settings: Settings,
    readiness: readiness::Readiness,
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
        let started = Self::start_in(&tasks, settings, metrics, log).await;
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
        // Ports first: a taken one should cost nothing else.
        let tcp = grpc::bind(settings.server.listen)?;
        let ops_listener = settings.server.ops_listen.map(grpc::bind).transpose()?;
        let unix = settings.server.unix_socket.as_deref().map(socket::Socket::bind).transpose()?;
        let mut parts = Parts::build(&settings, tasks, &metrics).await?;
        let (tracer, telling) = tracing_to(&settings, &metrics)?;
        parts.tracer = tracer;
        if let Some(log) = log {
            tasks.spawn("log filter", log.clone().follow(tasks.stopping().cancelled_owned()));
            parts.log = log;
        }
        bootstrap::admin_token(&parts, &settings).await?;
        let closing = CancellationToken::new();
        let readiness = readiness::Readiness::build(&parts, &settings, tasks);
        let listeners = grpc::Listeners { tcp, unix };
        let grpc::Listening { address, api, in_flight, cut, done } =
            grpc::serve(listeners, &parts, &readiness, &settings, tasks, &closing)?;
        gauges::follow(&parts, &in_flight, settings.usage.expiry_warning, tasks);
        let ops_address =
            ops_listener.map(|listener| ops::serve(listener, &parts, &readiness, tasks, &closing)).transpose()?;
        readiness.serving().await;
        let tasks = tasks.clone();
        let app = Self {
            address,
            ops_address,
            parts,
            api,
            tasks,
            closing,
            in_flight,
            cut,
            done,
            settings,
            readiness,
            telling,
        };
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
        self.api.clone()
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
    pub async fn stop(mut self) {
        let limit = self.settings.shutdown.hard_limit;
        let revision = self.revision();
        let begun = Instant::now();
        self.readiness.not_serving().await;
        sleep(self.settings.shutdown.lame_duck).await;
        self.closing.cancel();
        self.parts.roster.watches().close();
        // Workers stop once nobody can ask them for anything any more, or when two thirds of the time are gone.
        let for_calls = limit.saturating_sub(begun.elapsed()).mul_f64(0.66);
        let finished = async {
            tokio::select! {
                _ = &mut self.done => {}
                () = quiet(&self.in_flight) => {}
            }
        };
        drop(timeout(for_calls, finished).await);
        // What is left is connections of clients that do not answer: no call runs, or for too long.
        self.cut.cancel();
        self.tasks.shutdown(limit.saturating_sub(begun.elapsed())).await;
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

/// Ends when no call has run for a while and no client has sent or taken anything: long enough for the last answers to
/// reach their clients. Calls that only wait for a client hold nothing up.
async fn quiet(in_flight: &InFlight) {
    let (mut since, mut moved) = (Instant::now(), in_flight.moved());
    while since.elapsed() < QUIET {
        sleep(Duration::from_millis(50)).await;
        let now = in_flight.moved();
        if in_flight.running() > 0 || now != moved {
            (since, moved) = (Instant::now(), now);
        }
    }
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
