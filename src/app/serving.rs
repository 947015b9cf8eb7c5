//! What a server and a sidecar have in common: ports, listeners, and how they stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::grpc::{self, Api, Listeners, Listening, Served};
use super::ops;
use super::readiness::Readiness;
use super::reload::Reload;
use super::socket::{Access, Socket};
use super::tls::LiveTls;
use crate::auth::LiveIdentities;
use crate::changes::Watches;
use crate::config::{Settings, Shutdown};
use crate::service::gate::Callers;
use crate::service::in_flight::InFlight;
use crate::task::Tasks;

/// How long no call must have run and nothing must have moved before connections are cut that do not close by
/// themselves.
const QUIET: Duration = Duration::from_secs(3);

/// Ports that are open: a taken one should cost nothing else.
pub struct Ports {
    tcp: Option<std::net::TcpListener>,
    unix: Option<Socket>,
    ops: Option<std::net::TcpListener>,
}

impl Ports {
    /// Opens what the settings say; `tcp`: the address of the API too, not only its socket.
    ///
    /// # Errors
    /// When one is taken.
    pub fn open(settings: &Settings, tcp: bool) -> anyhow::Result<Self> {
        let server = &settings.server;
        let tcp = tcp.then(|| grpc::bind(server.listen)).transpose()?;
        let ops = server.ops_listen.map(grpc::bind).transpose()?;
        let access = Access::of(server);
        let unix = server.unix_socket.as_deref().map(|path| Socket::bind(path, &access)).transpose()?;
        Ok(Self { tcp, unix, ops })
    }
}

/// Listeners that serve.
pub struct Serving {
    /// The port is the real one when 0 was asked for.
    pub address: Option<SocketAddr>,
    pub ops_address: Option<SocketAddr>,
    /// The API behind its gate, to be called without a connection.
    pub api: Api,
    readiness: Readiness,
    watches: Watches,
    tasks: Tasks,
    /// Ends the listeners: no new calls, running ones are finished.
    closing: CancellationToken,
    /// Calls that are not finished.
    pub in_flight: InFlight,
    /// Ends the connections that are left when no call runs any more.
    cut: CancellationToken,
    /// Ends when the last call is finished and the last connection closed.
    done: oneshot::Receiver<()>,
    shutdown: Shutdown,
    /// Has files that may have been replaced looked at.
    look: Arc<Notify>,
}

impl Serving {
    /// Serves on the ports.
    ///
    /// # Errors
    /// When a listener or a TLS file cannot be used.
    pub async fn start(ports: Ports, served: Served, settings: &Settings, tasks: &Tasks) -> anyhow::Result<Self> {
        let closing = CancellationToken::new();
        let readiness = Readiness::build(served.contact.clone(), settings, tasks);
        let (metrics, watches) = (served.metrics.clone(), served.watches.clone());
        let tls = open_tls(&served, settings)?;
        let look = read_again(&served, tls.clone(), settings, tasks);
        let listeners = Listeners { tcp: ports.tcp, unix: ports.unix, tls };
        let Listening { address, api, in_flight, cut, done } =
            grpc::serve(listeners, served, &readiness, settings, tasks, &closing)?;
        let ops = ports.ops.map(|listener| ops::serve(listener, metrics, &readiness, tasks, &closing));
        let ops_address = ops.transpose()?;
        readiness.serving().await;
        let (tasks, shutdown) = (tasks.clone(), settings.shutdown.clone());
        Ok(Self { address, ops_address, api, readiness, watches, tasks, closing, in_flight, cut, done, shutdown, look })
    }

    /// Looks at once at all files that may have been replaced: identities, keys of issuers, certificates.
    pub fn look_at_files(&self) {
        self.look.notify_one();
    }

    /// Stops: health turns first, calls are finished, workers stop; what is left at the hard limit is cut off.
    pub async fn stop(mut self) {
        let limit = self.shutdown.hard_limit;
        let begun = Instant::now();
        self.readiness.not_serving().await;
        sleep(self.shutdown.lame_duck).await;
        self.closing.cancel();
        self.watches.close();
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
    }
}

/// Who is believed besides own tokens; a sidecar believes nobody else.
fn identities(served: &Served) -> Option<&LiveIdentities> {
    match &served.callers {
        Callers::Known(authenticator) => Some(authenticator.identities()),
        Callers::Local(_) => None,
    }
}

/// TLS, if it is wanted.
fn open_tls(served: &Served, settings: &Settings) -> anyhow::Result<Option<Arc<LiveTls>>> {
    let wanted = settings.tls.files().map(|_| LiveTls::open(&settings.tls, identities(served), &served.metrics));
    Ok(wanted.transpose()?.map(Arc::new))
}

/// Starts to look at files that may be replaced; the handle has it done at once.
fn read_again(served: &Served, tls: Option<Arc<LiveTls>>, settings: &Settings, tasks: &Tasks) -> Arc<Notify> {
    let now = Arc::new(Notify::new());
    let file = settings.identity.file.clone();
    let reload = Reload {
        identities: identities(served).map(|identities| (identities.clone(), file)),
        tls,
        metrics: served.metrics.clone(),
        poll: settings.identity.poll,
        now: Arc::clone(&now),
    };
    tasks.spawn("files", reload.run(tasks.stopping()));
    now
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
