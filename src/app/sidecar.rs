//! The composition root of a sidecar: settings → what follows the control plane → listeners → drain.
//!
//! Health can be asked from the start; calls are answered once a first state is in memory, the control plane's or that of
//! the copy on disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::Request;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::transport::server::UdsConnectInfo;

use super::grpc::Served;
use super::serving::{Ports, Serving};
use super::signal::Signals;
use super::{descriptors, gauges};
use crate::changes::{self, Contact, Fanout, Past, Roster, WatchConfig, WatchParts, Watches};
use crate::config::{Settings, Writes};
use crate::control::{Held, ReadParts, Reads, Vault};
use crate::domain::{Clock, IdSource, RandomIds, SystemClock};
use crate::routing::Router;
use crate::service::gate::Callers;
use crate::service::{Facts, Services};
use crate::sidecar::address::Address;
use crate::sidecar::cache::{Cache, CacheWriter};
use crate::sidecar::copy::Memory;
use crate::sidecar::door::{Came, Door, DoorConfig};
use crate::sidecar::fetch::Fetch;
use crate::sidecar::forward::Forward;
use crate::sidecar::local::Local;
use crate::sidecar::mirror::Mirror;
use crate::sidecar::outcomes::Outcomes;
use crate::sidecar::plane::ControlPlane;
use crate::sidecar::replica::{Cluster, Replica};
use crate::sidecar::trust::Trust;
use crate::sidecar::upstream::{Upstream, UpstreamConfig};
use crate::snapshot::{SnapshotHandle, StatusBoard};
use crate::task::Tasks;
use crate::telemetry::Metrics;

/// A sidecar that runs.
struct Sidecar {
    serving: Serving,
    snapshot: SnapshotHandle,
    contact: watch::Receiver<Contact>,
    tasks: Tasks,
    settings: Settings,
}

/// What is in memory, and what follows the control plane into it.
struct Followed {
    upstream: Upstream,
    replica: Replica,
    snapshot: SnapshotHandle,
    board: StatusBoard,
    held: Held,
    watches: Watches,
    contact: watch::Sender<Contact>,
    cache: Option<Arc<Cache>>,
    clock: Arc<dyn Clock>,
}

impl Sidecar {
    fn start(settings: Settings, metrics: &Metrics, tasks: &Tasks) -> anyhow::Result<Starting> {
        anyhow::ensure!(
            !settings.sidecar.upstream.0.is_empty(),
            "no control plane is named; give --upstream, as in --upstream https://modelward:50051"
        );
        let door = Door::build(&door(&settings))?;
        let ports = Ports::open(&settings, door.serves_tcp())?;
        let config = upstream(&settings)?;
        for address in config.addresses.iter().filter(|address| !address.is_tls() && !address.is_loopback()) {
            tracing::warn!(upstream = %address, "no TLS to the control plane: whoever sees the network between sees secrets");
        }
        let followed = follow(&settings, Upstream::open(config.clone())?, tasks)?;
        let (snapshot, contact) = (followed.snapshot.clone(), followed.contact.subscribe());
        let forward = match settings.sidecar.writes {
            Writes::Refuse => Forward::refusing(),
            Writes::Forward => Forward::to(&config)?,
        };
        let (replica_id, served) = serve(&followed, metrics, door, forward, tasks);
        gauges::follow_sidecar(&followed.watches, &followed.held, &contact, &snapshot, metrics, tasks);
        run(followed, replica_id, &settings, metrics, tasks);
        Ok(Starting { ports, served, snapshot, contact, settings })
    }
}

/// A sidecar before it serves.
struct Starting {
    ports: Ports,
    served: Served,
    snapshot: SnapshotHandle,
    contact: watch::Receiver<Contact>,
    settings: Settings,
}

impl Starting {
    /// Serves; ends with the first state.
    async fn serve(self, tasks: &Tasks) -> anyhow::Result<Sidecar> {
        let Self { ports, served, snapshot, contact, settings } = self;
        let serving = Serving::start(ports, served, &settings, tasks).await?;
        let mut loaded = contact.clone();
        loaded.wait_for(|contact| contact.loaded).await.context("the mirror has ended")?;
        let sidecar = Sidecar { serving, snapshot, contact, tasks: tasks.clone(), settings };
        sidecar.announce();
        Ok(sidecar)
    }
}

impl Sidecar {
    fn announce(&self) {
        let text =
            |address: Option<std::net::SocketAddr>| address.map(|address| address.to_string()).unwrap_or_default();
        let stale = self.contact.borrow().stale().map_or(0, |age| age.as_secs());
        tracing::info!(
            address = text(self.serving.address),
            ops_address = text(self.serving.ops_address),
            unix_socket = %self.settings.server.unix_socket.as_deref().unwrap_or(Path::new("")).display(),
            upstream = self.settings.sidecar.upstream.0.join(","),
            revision = self.snapshot.head().revision.0,
            stale_seconds = stale,
            "modelward {} is ready", env!("CARGO_PKG_VERSION")
        );
    }

    async fn stop(self) {
        let revision = self.snapshot.head().revision;
        self.serving.stop().await;
        tracing::info!(revision = revision.0, "modelward has stopped");
    }
}

fn door(settings: &Settings) -> DoorConfig {
    let sidecar = &settings.sidecar;
    DoorConfig {
        listen: settings.server.listen,
        has_socket: settings.server.unix_socket.is_some(),
        local_token_file: sidecar.local_token_file.clone(),
        open: sidecar.open_loopback,
        any_address: sidecar.any_address,
        roles: Door::roles(sidecar.serve_secrets),
    }
}

fn upstream(settings: &Settings) -> anyhow::Result<UpstreamConfig> {
    let sidecar = &settings.sidecar;
    let address =
        |text: &String| Address::parse(text).with_context(|| format!("no address of a control plane: {text}"));
    Ok(UpstreamConfig {
        addresses: sidecar.upstream.0.iter().map(address).collect::<anyhow::Result<_>>()?,
        trust: Trust {
            ca_file: sidecar.ca_file.clone(),
            client: sidecar.cert_file.clone().zip(sidecar.key_file.clone()),
        },
        identity_file: sidecar.identity_file.clone(),
        connect_timeout: Duration::from_secs(5).min(sidecar.deadline),
        call_timeout: sidecar.deadline,
        keepalive_interval: settings.http2.keepalive_interval,
        keepalive_timeout: settings.http2.keepalive_timeout,
    })
}

/// Makes the memory, with the copy on disk in it if there is one.
fn follow(settings: &Settings, upstream: Upstream, tasks: &Tasks) -> anyhow::Result<Followed> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (board, cluster, held) = (StatusBoard::default(), Cluster::default(), Held::default());
    let (feed, fed) = changes::feed();
    let (mut replica, snapshot) = Replica::new(board.clone(), feed, cluster.clone());
    let vault = Vault::Held(held.clone());
    let parts = WatchParts {
        snapshot: snapshot.clone(),
        board: board.clone(),
        keys: vault.keys(),
        past: Past::Elsewhere(Arc::new(ControlPlane { cluster, upstream: upstream.clone() })),
        clock: Arc::clone(&clock),
    };
    let crate::config::Watch { max_streams, history, patience } = settings.watch;
    let watches = Watches::new(parts, WatchConfig { streams: max_streams, history: history.0, patience });
    tasks.spawn_vital("fan-out", Fanout::new(fed, watches.clone()).run(tasks.stopping()));
    let cache = open_cache(settings)?;
    let now = Instant::now();
    let mut contact = Contact { connected: false, fresh: now, loads: 0, loaded: false };
    if let Some(copy) = cache.as_ref().and_then(|cache| cache.load()) {
        match replica.restore(&copy) {
            Ok(()) => {
                let age = clock.now().since(copy.confirmed);
                contact = Contact { fresh: now.checked_sub(age).unwrap_or(now), loaded: true, ..contact };
                for secret in copy.secrets {
                    held.put(secret.credential_id, secret.secret_version, secret.secret);
                }
                tracing::info!(revision = copy.revision, age_seconds = age.as_secs(), "begins with the copy on disk");
            }
            Err(error) => tracing::warn!(problem = %error, "the copy on disk is not used"),
        }
    }
    let (contact, _) = watch::channel(contact);
    Ok(Followed { upstream, replica, snapshot, board, held, watches, contact, cache, clock })
}

fn open_cache(settings: &Settings) -> anyhow::Result<Option<Arc<Cache>>> {
    let Some(key_file) = &settings.sidecar.cache_key_file else { return Ok(None) };
    let cache = Cache::open(settings.sidecar_cache_file(), key_file, settings.sidecar.serve_secrets);
    let cannot = || format!("cannot use the key of the copy on disk, {}", key_file.display());
    cache.map(Arc::new).map(Some).with_context(cannot)
}

/// What is served, and this sidecar's id.
fn serve(followed: &Followed, metrics: &Metrics, door: Door, forward: Forward, tasks: &Tasks) -> (String, Served) {
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds);
    let replica_id = ids.next().to_string();
    let clock = Arc::clone(&followed.clock);
    let facts = Facts { replica_id: replica_id.clone(), engine: None, catalogue: None, start_time: clock.now() };
    let reads = Reads::new(ReadParts {
        snapshot: followed.snapshot.clone(),
        board: followed.board.clone(),
        router: Arc::new(Router::default()),
        vault: Vault::Held(followed.held.clone()),
        metrics: metrics.clone(),
        clock: Arc::clone(&clock),
        ids,
    });
    let roster = Roster::alone(followed.watches.clone(), &replica_id);
    let outcomes = Outcomes::new(clock, metrics.clone());
    tasks.spawn("outcomes", outcomes.clone().forward(followed.upstream.clone(), tasks.stopping()));
    let report = Arc::new(move |message| outcomes.report(message));
    let contact = followed.contact.subscribe();
    let local = Local::new(contact.clone(), forward);
    let served = Served {
        services: Services::reading(reads, roster, Arc::new(facts), report),
        callers: Callers::Local(Arc::new(move |request: &mut Request<Body>| {
            let by_socket = request.extensions().get::<UdsConnectInfo>().is_some();
            door.admit(if by_socket { Came::Socket } else { Came::Tcp }, request.headers_mut())
        })),
        snapshot: followed.snapshot.clone(),
        contact,
        watches: followed.watches.clone(),
        metrics: metrics.clone(),
        tracer: None,
        before: Some(Box::new(move |routes| local.around(routes))),
    };
    (replica_id, served)
}

/// Starts what follows the control plane.
fn run(followed: Followed, replica_id: String, settings: &Settings, metrics: &Metrics, tasks: &Tasks) {
    let Followed { upstream, replica, snapshot, board, held, watches, contact, cache, clock } = followed;
    if let Some(cache) = cache {
        let contact = contact.subscribe();
        let (held, clock) = (held.clone(), Arc::clone(&clock));
        let memory = Memory { watches, snapshot: snapshot.clone(), board: board.clone(), held, contact, clock };
        let counted = metrics.sidecar.clone();
        let observer = Box::new(move |written| {
            let counter = if written { &counted.copies_written } else { &counted.copies_failed };
            counter.inc();
        });
        tasks.spawn("copy", CacheWriter::new(cache, Arc::new(memory), observer).run(tasks.stopping()));
    }
    if settings.sidecar.serve_secrets {
        let fetch = Fetch::new(upstream.clone(), snapshot, board, held, clock);
        tasks.spawn_vital("secrets", fetch.run(tasks.stopping()));
    }
    let mirror = Mirror::new(upstream, replica, format!("sidecar {replica_id}"), contact);
    tasks.spawn("acks", mirror.acks().run(tasks.stopping()));
    tasks.spawn_vital("mirror", mirror.run(tasks.stopping()));
}

/// Runs a sidecar until it is told to stop (SIGTERM, SIGINT).
///
/// # Errors
/// When it cannot start.
pub async fn sidecar(mut settings: Settings, metrics: Metrics) -> anyhow::Result<()> {
    descriptors::provide(&mut settings.limits.max_connections);
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let tasks = Tasks::new();
    let starting = match Sidecar::start(settings, &metrics, &tasks) {
        Ok(starting) => starting,
        Err(error) => {
            tasks.shutdown(Duration::from_secs(1)).await;
            return Err(error);
        }
    };
    let sidecar = tokio::select! {
        sidecar = Box::pin(starting.serve(&tasks)) => sidecar?,
        () = signals.stop() => return Ok(()),
    };
    let crippled = sidecar.tasks.crippled();
    tokio::select! {
        () = signals.stop() => {}
        () = crippled.cancelled() => {}
    }
    tokio::select! {
        () = sidecar.stop() => {}
        () = signals.stop() => tracing::warn!("told to stop a second time; modelward has stopped at once"),
    }
    anyhow::ensure!(!crippled.is_cancelled(), "stopped because of a bug; the log tells where, start it again");
    Ok(())
}
