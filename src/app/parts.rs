//! The parts of a process, built bottom up, and the tasks that keep them going.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use super::grpc::Served;
use super::{identities, keys};
use crate::adapter::{CatalogueError, Client, ClientConfig, CurrentCatalogue};
use crate::auth::{Authenticator, LiveIdentities, TokenUses};
use crate::changes::batch::Planner;
use crate::changes::cluster;
use crate::changes::compare::Comparison;
use crate::changes::writer::WriterTask;
use crate::changes::{
    self, Contact, Fanout, Keys, Past, Roster, SecretUses, Statuses, Tail, UsageCounts, WatchConfig, WatchParts,
    Watches,
};
use crate::config::{DatabaseUrl, Settings, Watch};
use crate::control::upkeep::REPLICA_LIFETIME;
use crate::control::{self, Control};
use crate::domain::{Clock, EndpointId, IdSource, RandomIds, SystemClock, View as _};
use crate::health::{HealthChecks, HealthConfig, HealthParts, by_adapters};
use crate::secrets::Secrets;
use crate::service::gate::Callers;
use crate::service::{Facts, Services};
use crate::snapshot::{SnapshotHandle, StatusBoard, publish};
use crate::store::{Store, StoreConfig, StoreError};
use crate::sync::{ScheduledSync, SyncConfig};
use crate::task::Tasks;
use crate::telemetry::traces::Tracer;
use crate::telemetry::{LogFilterControl, Metrics};

/// How many endpoints at which own calls failed may wait to be looked at.
const FAILURES: usize = 1024;

/// What the listeners, the command line and the tests work with.
pub struct Parts {
    pub store: Store,
    pub secrets: Secrets,
    pub snapshot: SnapshotHandle,
    pub statuses: Statuses,
    pub control: Control,
    pub roster: Roster,
    pub comparison: Comparison,
    pub health: HealthChecks,
    pub authenticator: Authenticator,
    pub contact: watch::Receiver<Contact>,
    pub metrics: Metrics,
    pub ids: Arc<dyn IdSource>,
    pub facts: Arc<Facts>,
    /// What begins traces; `None`: nothing is traced.
    pub tracer: Option<Tracer>,
    pub log: LogFilterControl,
}

impl Parts {
    /// Opens the database, loads it and starts the workers.
    ///
    /// # Errors
    /// When the database, the master keys or a file cannot be used.
    pub async fn build(settings: &Settings, tasks: &Tasks, metrics: &Metrics) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn IdSource> = Arc::new(RandomIds);
        let (store, ring) = keys::open(settings).await?;
        store.migrate(None).await?;
        let secrets = cluster::open(&store, ring, clock.as_ref(), ids.as_ref()).await.map_err(keys::with_remedy)?;
        let catalogue = Arc::new(open_catalogue(settings.catalogue.file.as_deref())?);
        let facts = Arc::new(facts(&store, &catalogue, ids.as_ref(), clock.as_ref()));
        let Followed { snapshot, statuses, tail, roster } =
            follow(&store, &secrets, &facts.replica_id, settings, tasks).await?;
        let contact = tail.contact();
        let comparison = compare(&store, &snapshot, &tail, tasks, metrics);
        let planner = planner(settings, &secrets, &clock, &ids);
        let (writer, task) =
            WriterTask::build(store.clone(), snapshot.clone(), tail, Arc::clone(&planner), metrics.clone());
        tasks.spawn_vital("writer", task.run(tasks.stopping()));
        let (usage, secret_uses) = count_uses(&store, &statuses, settings, tasks);
        let (failed, failures) = mpsc::channel(FAILURES);
        let control = Control::new(control::Parts {
            writer,
            planner,
            snapshot: snapshot.clone(),
            statuses: statuses.clone(),
            store: store.clone(),
            secrets: secrets.clone(),
            client: Arc::new(open_client(settings, &clock)?),
            catalogue,
            usage,
            secret_uses,
            secret_use_retention: settings.usage.secret_use_retention,
            metrics: metrics.clone(),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
            log_retention: settings.audit.retention,
            call_budget: settings.egress.call_budget,
            failures: failed,
            replica_id: facts.replica_id.clone(),
        });
        control.start_upkeep(tasks);
        control.warn_of_expiry(tasks, settings.usage.expiry_warning);
        synchronise(&control, settings, tasks, metrics);
        let identities = Box::pin(identities::open(settings, &clock, &roster, metrics)).await?;
        Ok(Self {
            authenticator: authenticate(snapshot.clone(), &statuses, clock, identities, tasks),
            health: check_health(&control, failures, settings, tasks, metrics),
            store,
            secrets,
            snapshot,
            statuses,
            control,
            roster,
            comparison,
            contact,
            metrics: metrics.clone(),
            ids,
            facts,
            tracer: None,
            log: LogFilterControl::detached(&settings.log.level.0),
        })
    }

    /// What is served.
    #[must_use]
    pub fn served(&self) -> Served {
        let (control, health, roster) = (self.control.clone(), self.health.clone(), self.roster.clone());
        Served {
            services: Services::new(control, health, roster, Arc::clone(&self.facts)).with_log(self.log.clone()),
            callers: Callers::Known(self.authenticator.clone()),
            snapshot: self.snapshot.clone(),
            contact: self.contact.clone(),
            watches: self.roster.watches().clone(),
            metrics: self.metrics.clone(),
            tracer: self.tracer.clone(),
            before: None,
        }
    }

    /// Reads the file of the catalogue again; one that is older or of no use leaves what is in force.
    pub fn reload_catalogue(&self) {
        let catalogue = &self.control.parts().catalogue;
        if !catalogue.has_file() {
            return;
        }
        match catalogue.reload() {
            Ok(catalogue) => {
                tracing::info!(
                    catalogue.date = catalogue.date(),
                    catalogue.models = catalogue.len(),
                    "the catalogue was read again"
                );
            }
            Err(error) => tracing::error!(error = %error, "the catalogue was not read again; the former one stays"),
        }
    }

    /// Reads the master keys again; a bad file leaves the ring as it was.
    pub fn reload_keys(&self) {
        match self.secrets.ring().reload() {
            Ok(ids) => {
                tracing::info!(key.ids = ?ids, "the master keys were read again");
                let active = self.snapshot.load().keyring().active_key_id.clone();
                if !ids.contains(&active) {
                    tracing::error!(key.id = active, "the active master key is gone; put it back, no secret opens");
                }
            }
            Err(error) => tracing::error!(error = %error, "the master keys were not read again"),
        }
    }
}

fn facts(store: &Store, catalogue: &Arc<CurrentCatalogue>, ids: &dyn IdSource, clock: &dyn Clock) -> Facts {
    Facts {
        replica_id: ids.next().to_string(),
        engine: Some(store.engine()),
        catalogue: Some(Arc::clone(catalogue)),
        start_time: clock.now(),
    }
}

/// The only way out to vendors.
fn open_client(settings: &Settings, clock: &Arc<dyn Clock>) -> anyhow::Result<Client> {
    let config =
        ClientConfig { allow_private: settings.egress.allow_private, extra_ca_file: settings.egress.ca_file.clone() };
    Ok(Client::new(&config, Arc::clone(clock))?)
}

/// Starts to compare memory with the database now and then.
fn compare(store: &Store, snapshot: &SnapshotHandle, tail: &Tail, tasks: &Tasks, metrics: &Metrics) -> Comparison {
    let comparison =
        Comparison { store: store.clone(), snapshot: snapshot.clone(), tail: tail.clone(), metrics: metrics.clone() };
    tasks.spawn("comparison", comparison.clone().run(tasks.stopping()));
    comparison
}

/// Starts the background health checks, and hears what own calls learn of endpoints.
fn check_health(
    control: &Control,
    failures: mpsc::Receiver<EndpointId>,
    settings: &Settings,
    tasks: &Tasks,
    metrics: &Metrics,
) -> HealthChecks {
    let config =
        HealthConfig { enabled: settings.health.enabled, max_in_flight: settings.health.max_in_flight, jitter: true };
    let control = control.parts();
    let parts = HealthParts {
        snapshot: control.snapshot.clone(),
        board: control.statuses.board().clone(),
        probe: by_adapters(Arc::clone(&control.client)),
        clock: Arc::clone(&control.clock),
        metrics: metrics.clone(),
        tasks: tasks.clone(),
    };
    let (health, background) = HealthChecks::build(config, parts, control.store.clone(), control.replica_id.clone());
    tasks.spawn("health", background.run(tasks.stopping()));
    tasks.spawn("own failures", health.clone().hear(failures, tasks.stopping()));
    health
}

/// Starts to synchronise models as the providers' policies say.
fn synchronise(control: &Control, settings: &Settings, tasks: &Tasks, metrics: &Metrics) {
    let config = SyncConfig { enabled: settings.sync.enabled, max_in_flight: settings.sync.max_in_flight };
    let scheduled = ScheduledSync::build(config, control.clone(), metrics.clone());
    tasks.spawn("sync", scheduled.run(tasks.stopping()));
}

fn planner(settings: &Settings, secrets: &Secrets, clock: &Arc<dyn Clock>, ids: &Arc<dyn IdSource>) -> Arc<Planner> {
    Arc::new(Planner {
        secrets: secrets.clone(),
        limits: settings.limits.domain(),
        clock: Arc::clone(clock),
        ids: Arc::clone(ids),
    })
}

/// Counts uses, and writes them now and then.
fn count_uses(store: &Store, statuses: &Statuses, settings: &Settings, tasks: &Tasks) -> (UsageCounts, SecretUses) {
    let flush = settings.usage.flush_interval;
    let usage = UsageCounts::new(store.clone(), statuses.board().clone(), flush);
    tasks.spawn("usage", usage.clone().write(tasks.stopping()));
    let secret_uses = SecretUses::new(store.clone(), flush, settings.usage.strict_secret_use);
    tasks.spawn("secret uses", secret_uses.clone().write(tasks.stopping()));
    (usage, secret_uses)
}

/// Recognises callers, and writes now and then when their tokens were last used.
fn authenticate(
    snapshot: SnapshotHandle,
    statuses: &Statuses,
    clock: Arc<dyn Clock>,
    identities: LiveIdentities,
    tasks: &Tasks,
) -> Authenticator {
    let uses = Arc::new(TokenUses::default());
    let (noted, statuses, stop) = (Arc::clone(&uses), statuses.clone(), tasks.stopping());
    tasks.spawn("token uses", async move { noted.write(statuses, stop).await });
    Authenticator::new(snapshot, clock, uses, identities)
}

/// What follows the database.
struct Followed {
    snapshot: SnapshotHandle,
    statuses: Statuses,
    tail: Tail,
    roster: Roster,
}

/// Loads the configuration and the status, follows both from there, and shows them to watchers.
async fn follow(
    store: &Store,
    secrets: &Secrets,
    replica_id: &str,
    settings: &Settings,
    tasks: &Tasks,
) -> anyhow::Result<Followed> {
    // Status first: a data key that is wrapped anew in between is in the configuration then. The other way round it would
    // be read as status that is already seen, and the snapshot would keep what the old master key wraps.
    let board = StatusBoard::default();
    board.apply(&store.load_statuses().await?);
    let (publisher, snapshot) = publish(changes::load(store).await?);
    let (feed, fed) = changes::feed();
    let (tail, follower) = Tail::build(store.clone(), secrets.clone(), publisher, snapshot.clone(), feed);
    let statuses = Statuses::new(store.clone(), board.clone(), tail.clone());
    let parts = WatchParts {
        snapshot: snapshot.clone(),
        board,
        keys: Keys::Ring(secrets.clone()),
        past: Past::Database { store: store.clone(), secrets: secrets.clone(), tail: tail.clone() },
        clock: Arc::new(SystemClock),
    };
    let Watch { max_streams, history, patience } = settings.watch;
    let watches = Watches::new(parts, WatchConfig { streams: max_streams, history: history.0, patience });
    let roster = Roster::new(store.clone(), watches.clone(), replica_id, REPLICA_LIFETIME);
    tasks.spawn_vital("fan-out", Fanout::new(fed, watches).run(tasks.stopping()));
    tasks.spawn_vital("tail", follower.run(tasks.stopping()));
    tasks.spawn_vital("statuses", statuses.clone().follow(tasks.stopping()));
    tasks.spawn("roster", roster.clone().run(tasks.stopping()));
    Ok(Followed { snapshot, statuses, tail, roster })
}

/// Connects to the database that the settings name.
///
/// # Errors
/// When it does not answer, or another process holds it.
pub async fn open_store(settings: &Settings) -> anyhow::Result<Store> {
    let url = match (&settings.database.url, settings.sqlite_file()) {
        (DatabaseUrl::Postgres(url), _) => Zeroizing::new(url.expose().to_owned()),
        (_, Some(path)) => Zeroizing::new(format!("sqlite://{}", path.display())),
        (_, None) => anyhow::bail!("no database is configured"),
    };
    let config = StoreConfig {
        pool_size: settings.database.pool_size,
        allow_async_commit: settings.database.allow_async_commit,
        ..StoreConfig::new(url.as_str())
    };
    Store::connect(&config).await.map_err(|error| match error {
        StoreError::Unavailable(cause) => {
            anyhow!("the database does not answer ({cause}); start it, or correct the URL in MODELWARD_DATABASE_URL")
        }
        other => other.into(),
    })
}

/// The built-in catalogue, or the file that the settings name. One that is older than the built-in one, as after an
/// upgrade, is told and not used.
fn open_catalogue(file: Option<&Path>) -> anyhow::Result<CurrentCatalogue> {
    let current = CurrentCatalogue::builtin(file.map(Path::to_owned))?;
    match (current.reload(), file) {
        (Err(error @ CatalogueError::Older { .. }), _) => {
            tracing::warn!(error = %error, "the built-in catalogue is used instead of the file");
        }
        (Err(error), Some(path)) => {
            return Err(error).with_context(|| format!("cannot use the catalogue {}", path.display()));
        }
        _ => {}
    }
    Ok(current)
}
