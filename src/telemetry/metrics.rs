//! The metrics of one process. Made once and handed around; there is no global registry.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use self::process::Process;
use super::sidecar_metrics::SidecarMetrics;

mod process;

/// Which call it was and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RpcLabels {
    /// The path of the method: `modelward.v1.ProviderService/GetProvider`, or `unknown`; never what a client made up.
    pub rpc: &'static str,
    /// The gRPC code: `OK`, `NOT_FOUND`, ….
    pub code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RpcName {
    rpc: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: &'static str,
}

/// The values that labels have, so that all of them are there from the start: what is 0 can be told from what is
/// missing, and the first failure shows as a rise.
const STORE_ERRORS: [&str; 6] = ["unavailable", "full", "constraint", "conflict", "unknown", "refused"];
const REFUSALS: [&str; 4] = ["UNAUTHENTICATED", "FORBIDDEN", "TOO_MANY_STREAMS", "UNKNOWN_METHOD"];
const PROBES: [&str; 4] = ["healthy", "degraded", "unhealthy", "impossible"];
const LOST_SPANS: [&str; 2] = ["queue_full", "not_taken"];
const SYNCS: [&str; 2] = ["succeeded", "failed"];

/// Handles to all metrics; cheap to clone. The name of a metric is `modelward_` and the field's.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    rpcs: Family<RpcLabels, Counter>,
    rpc_duration: Family<RpcName, Histogram, fn() -> Histogram>,
    store_errors: Family<Kind, Counter>,
    refused_calls: Family<Reason, Counter>,
    reload_failures: Family<Kind, Counter>,
    certificate_expiry: Family<Kind, Gauge>,
    probes: Family<Outcome, Counter>,
    scheduled_syncs: Family<Outcome, Counter>,
    endpoints: Family<Status, Gauge>,
    resources: Family<Kind, Gauge>,
    store_connections: Family<State, Gauge>,
    scheduled_sync_duration: Histogram,
    process: Arc<Registry>,
    /// Calls that run now; streams count until their answer has begun.
    pub rpcs_in_flight: Gauge,
    /// Connections to the gRPC listeners that are open.
    pub connections: Gauge,
    /// The revision that this process has applied.
    pub revision: Gauge,
    /// Seconds since the database last confirmed what this process has in memory.
    pub snapshot_age_seconds: Gauge<f64, AtomicU64>,
    /// Differences that the periodic comparison with the database has found.
    pub snapshot_mismatches: Counter,
    /// Writes per transaction.
    pub writer_batch_size: Histogram,
    /// Time of the transactions of the writer, from the lock to the answer of COMMIT.
    pub writer_transaction_duration: Histogram,
    /// Writes that wait for a transaction.
    pub writer_queue: Gauge,
    /// Whether the database answers: 1 or 0.
    pub store_up: Gauge,
    /// How many connections the pool may open.
    pub store_connections_max: Gauge,
    /// Who waits for a connection of the pool.
    pub store_connections_waiting: Gauge,
    /// Probes in flight.
    pub probes_in_flight: Gauge,
    /// Whether this process holds the lease for background probes: 1 or 0.
    pub probe_leader: Gauge,
    /// Whether this process holds the lease for scheduled synchronisation: 1 or 0.
    pub sync_leader: Gauge,
    /// Watch streams that are open.
    pub watchers: Gauge,
    /// How many revisions the stream that is furthest behind has not been sent yet.
    pub watcher_lag_revisions: Gauge,
    /// Streams that were ended because nobody read them.
    pub watchers_cut: Counter,
    /// Stored secrets that no master key of this process opens.
    pub undecryptable_secrets: Gauge,
    /// Active credentials that expire within the time of the setting `usage.expiry_warning`.
    pub credentials_expiring: Gauge,
    /// Credentials that routing passed over because no master key of this process opens them.
    pub unreadable_passed_over: Counter,
    spans_dropped: Family<Reason, Counter>,
    /// Spans that a collector took.
    pub spans_exported: Counter,
    /// What only a sidecar counts.
    pub sidecar: SidecarMetrics,
    /// Panics: bugs.
    pub panics: Counter,
}

impl Metrics {
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table of all metrics")]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("modelward");
        let about = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What runs here", about);
        let sidecar = SidecarMetrics::registered(&mut registry);
        let mut add = Adding(&mut registry);
        let rpcs = add.family("rpcs", "Calls by method and gRPC code");
        let rpc_duration = Family::new_with_constructor(duration_buckets as fn() -> Histogram);
        let help = "Time of calls; of streams, until they begin";
        add.0.register_with_unit("rpc_duration", help, Unit::Seconds, rpc_duration.clone());
        let help = "Time of scheduled synchronisations, the vendor's included";
        let scheduled_sync_duration = add.seconds("scheduled_sync_duration", help);
        let help = "Time of the writer's transactions, from the lock to the answer of COMMIT";
        let writer_transaction_duration = add.seconds("writer_transaction_duration", help);
        let writer_batch_size = Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
        add.0.register("writer_batch_size", "Writes per transaction", writer_batch_size.clone());
        let snapshot_age_seconds = Gauge::<f64, AtomicU64>::default();
        let help = "Time since the database last confirmed what is in memory";
        add.0.register("snapshot_age_seconds", help, snapshot_age_seconds.clone());
        let reload_failures: Family<Kind, Counter> =
            add.family("reload_failures", "Files and keys that could not be read again, by kind");
        for kind in ["identities", "issuer_keys", "tls"] {
            // There from the beginning: what rises from nothing is not seen to rise.
            drop(reload_failures.get_or_create(&Kind { kind }));
        }
        let metrics = Self {
            rpcs,
            rpc_duration,
            scheduled_sync_duration,
            writer_batch_size,
            writer_transaction_duration,
            snapshot_age_seconds,
            store_errors: add.family("store_errors", "Transactions of the writer that failed, by kind"),
            reload_failures,
            certificate_expiry: add.gauges("certificate_expiry_timestamp_seconds", "When certificates end, by kind"),
            refused_calls: add.family("refused_calls", "Calls that were not let in, by reason"),
            probes: add.family("probes", "Background and asked-for probes by result"),
            endpoints: add.gauges("endpoints", "Active endpoints by what is known of their health"),
            resources: add.gauges("resources", "Resources by kind, those of deleted providers among them"),
            store_connections: add.gauges("store_connections", "Connections of the pool by state"),
            store_connections_max: add.gauge("store_connections_max", "How many connections the pool may open"),
            store_connections_waiting: add.gauge("store_connections_waiting", "Who waits for a connection of the pool"),
            rpcs_in_flight: add.gauge("rpcs_in_flight", "Calls that run now"),
            connections: add.gauge("connections", "Open gRPC connections"),
            revision: add.gauge("revision", "The revision that is applied"),
            snapshot_mismatches: add.counter("snapshot_mismatches", "Differences found between memory and database"),
            writer_queue: add.gauge("writer_queue", "Writes that wait for a transaction"),
            store_up: add.gauge("store_up", "Whether the database answers"),
            probes_in_flight: add.gauge("probes_in_flight", "Probes in flight"),
            probe_leader: add.gauge("probe_leader", "Whether background probes run here"),
            sync_leader: add.gauge("sync_leader", "Whether scheduled synchronisation runs here"),
            scheduled_syncs: add.family("scheduled_syncs", "Scheduled synchronisations of models by result"),
            watchers: add.gauge("watchers", "Open Watch streams"),
            watcher_lag_revisions: add.gauge("watcher_lag_revisions", "Revisions that the slowest stream has to come"),
            watchers_cut: add.counter("watchers_cut", "Streams that were ended because nobody read them"),
            undecryptable_secrets: add.gauge("undecryptable_secrets", "Stored secrets that no key here opens"),
            credentials_expiring: add.gauge("credentials_expiring", "Active credentials that expire soon"),
            unreadable_passed_over: add.counter(
                "unreadable_passed_over",
                "Credentials that routing passed over because no key here opens them",
            ),
            spans_exported: add.counter("spans_exported", "Spans of traces that the collector took"),
            spans_dropped: add.family("spans_dropped", "Spans of traces that were lost, by reason"),
            sidecar,
            panics: add.counter("panics", "Bugs"),
            registry: Arc::new(registry),
            process: Process::registry(),
        };
        metrics.begin()
    }

    /// Makes all values of labels, each 0.
    fn begin(self) -> Self {
        for kind in STORE_ERRORS {
            drop(self.store_errors.get_or_create(&Kind { kind }));
        }
        for reason in REFUSALS {
            drop(self.refused_calls.get_or_create(&Reason { reason }));
        }
        for result in PROBES {
            drop(self.probes.get_or_create(&Outcome { result }));
        }
        for reason in LOST_SPANS {
            drop(self.spans_dropped.get_or_create(&Reason { reason }));
        }
        for result in SYNCS {
            drop(self.scheduled_syncs.get_or_create(&Outcome { result }));
        }
        self
    }

    /// Counts a call that has ended.
    pub fn rpc(&self, rpc: &'static str, code: &'static str, duration: Duration) {
        self.rpcs.get_or_create(&RpcLabels { rpc, code }).inc();
        self.rpc_duration.get_or_create(&RpcName { rpc }).observe(duration.as_secs_f64());
    }

    /// Counts a call that was refused before its handler, or for want of a role.
    pub fn refused(&self, reason: &'static str) {
        self.refused_calls.get_or_create(&Reason { reason }).inc();
    }

    /// Counts what could not be read again, so that the former one stays: `issuer_keys`, `identities`, `tls`.
    pub fn reload_failed(&self, kind: &'static str) {
        self.reload_failures.get_or_create(&Kind { kind }).inc();
    }

    /// Tells when a certificate ends, in seconds since 1970: `server`, `client_ca`.
    pub fn certificate_ends(&self, kind: &'static str, seconds: i64) {
        self.certificate_expiry.get_or_create(&Kind { kind }).set(seconds);
    }

    /// Counts a transaction that failed: `unavailable`, `conflict`, `full`, ….
    pub fn store_error(&self, kind: &'static str) {
        self.store_errors.get_or_create(&Kind { kind }).inc();
    }

    /// Counts a probe by its result: `healthy`, `degraded`, `unhealthy`, `impossible`.
    pub fn probe(&self, result: &'static str) {
        self.probes.get_or_create(&Outcome { result }).inc();
    }

    /// Counts a scheduled synchronisation by its result: `succeeded`, `failed`.
    pub fn scheduled_sync(&self, result: &'static str, duration: Duration) {
        self.scheduled_syncs.get_or_create(&Outcome { result }).inc();
        self.scheduled_sync_duration.observe(duration.as_secs_f64());
    }

    /// Counts spans that no collector will see: `queue_full`, `not_taken`.
    pub fn spans_dropped(&self, reason: &'static str, count: usize) {
        self.spans_dropped.get_or_create(&Reason { reason }).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Tells how many active endpoints have a status: `healthy`, `degraded`, `unhealthy`, `unknown`.
    pub fn set_endpoints(&self, status: &'static str, count: usize) {
        self.endpoints.get_or_create(&Status { status }).set(whole(count));
    }

    /// Tells how many resources of a kind there are: `provider`, `endpoint`, ….
    pub fn set_resources(&self, kind: &'static str, count: usize) {
        self.resources.get_or_create(&Kind { kind }).set(whole(count));
    }

    /// Tells how many connections of the pool are in a state: `idle`, `used`.
    pub fn set_store_connections(&self, state: &'static str, count: usize) {
        self.store_connections.get_or_create(&State { state }).set(whole(count));
    }

    /// All of them in the text form of `OpenMetrics`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &self.process))
            .and_then(|()| encode_eof(&mut text));
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A count as gauges have it.
pub fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// From half a millisecond, in which reads answer, to a minute.
fn duration_buckets() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}

struct Adding<'a>(&'a mut Registry);

impl Adding<'_> {
    fn counter(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.0.register(name, help, counter.clone());
        counter
    }

    fn seconds(&mut self, name: &str, help: &str) -> Histogram {
        let histogram = duration_buckets();
        self.0.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        histogram
    }

    fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.0.register(name, help, gauge.clone());
        gauge
    }

    fn gauges<L>(&mut self, name: &str, help: &str) -> Family<L, Gauge>
    where
        L: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
    {
        let family = Family::<L, Gauge>::default();
        self.0.register(name, help, family.clone());
        family
    }

    fn family<L>(&mut self, name: &str, help: &str) -> Family<L, Counter>
    where
        L: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
    {
        let family = Family::<L, Counter>::default();
        self.0.register(name, help, family.clone());
        family
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = Metrics::new();
        metrics.rpc("modelward.v1.ProviderService/GetProvider", "OK", Duration::from_millis(2));
        metrics.revision.set(7);
        metrics.clone().store_error("unavailable");
        let text = metrics.render();
        let expected = [
            "modelward_rpcs_total{rpc=\"modelward.v1.ProviderService/GetProvider\",code=\"OK\"} 1",
            "modelward_rpc_duration_seconds_bucket{le=\"0.0025\",rpc=\"modelward.v1.ProviderService/GetProvider\"} 1",
            "modelward_revision 7",
            "modelward_store_errors_total{kind=\"unavailable\"} 1",
            "modelward_build_info{version=",
        ];
        for line in expected {
            assert!(text.contains(line), "no {line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn two_processes_in_one_test_do_not_share_metrics() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.panics.inc();
        assert_eq!(one.panics.get(), 1);
        assert_eq!(other.panics.get(), 0);
    }
}
