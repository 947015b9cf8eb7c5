//! What the metrics tell is documented, true, and all that alerts ask for.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use modelward::config::Settings;
use modelward::proto::v1::{self, ProviderKind};
use tonic::Code;

use crate::support::database::Database;
use crate::support::postgres::Cluster;
use crate::support::proxy::{Fault, Proxy};
use crate::support::resources::{credential, endpoint, in_seconds, provider};
use crate::support::scrape::{Described, Scrape};
use crate::support::vendor::Vendor;
use crate::support::watching::Watching;
use crate::support::{Engine, Refused as _, Server, eventually};

mod alerts;

/// What `docs/METRICS.md` promises.
fn documented() -> BTreeSet<Described> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/METRICS.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let row = |row: &str| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 5, "{row}");
        assert!(!cells[3].is_empty(), "{row}");
        let labels = cells[2].split(", ").filter(|label| !label.is_empty());
        let unquoted = |text: &str| text.trim_matches('`').to_owned();
        (unquoted(cells[0]), cells[1].to_owned(), labels.map(unquoted).collect())
    };
    rows.map(row).collect()
}

/// Everything that a server does, once.
async fn busy(engine: Engine) -> (Server, Vendor) {
    let server = Server::start_with(engine, |settings: &mut Settings| {
        settings.health.enabled = true;
        settings.sync.enabled = true;
    })
    .await;
    let admin = server.admin();
    let vendor = Vendor::start().await;
    let there = admin.add_provider("p", ProviderKind::OpenaiCompatible).await;
    admin.add_endpoint(endpoint(&there.id, "e", &vendor.url())).await;
    let soon = v1::Credential { expire_time: in_seconds(24 * 3600), ..credential(&there.id, "soon", "sk-0123456789") };
    admin.add_credential(soon).await;
    admin.add_credential(credential(&there.id, "later", "sk-9876543210")).await;
    let nobody = server.bearer("mw_nobody").providers().list_providers(v1::ListProvidersRequest::default()).await;
    nobody.refused(Code::Unauthenticated, "UNAUTHENTICATED");
    // It has no TLS.
    server.parts().metrics.certificate_ends("server", 4_000_000_000);
    (server, vendor)
}

async fn shows(server: &Server, what: &str, look: impl Fn(&Scrape) -> bool) {
    eventually(what, || async { look(&server.scrape()).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_documented_and_every_documented_one_is_there() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let (server, _vendor) = busy(engine).await;
        shows(&server, "the gauges are set", |scrape| scrape.types.contains_key("modelward_endpoints")).await;
        let (told, promised) = (server.scrape().described(), documented());
        assert!(promised.len() > 30);
        assert_eq!(told.difference(&promised).collect::<Vec<_>>(), Vec::<&Described>::new(), "not documented");
        assert_eq!(promised.difference(&told).collect::<Vec<_>>(), Vec::<&Described>::new(), "not there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_as_prometheus_wants_them() {
    let (server, _vendor) = busy(Engine::Sqlite).await;
    shows(&server, "the gauges are set", |scrape| scrape.types.contains_key("modelward_endpoints")).await;
    let scrape = server.scrape();
    for (name, kind, labels) in scrape.described() {
        assert!(name.starts_with("modelward_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}: {kind}");
        for unit in ["_ms", "_millis", "_micros", "_minutes", "_kb", "_mb", "_percent"] {
            assert!(!name.contains(unit), "{name}: base units only");
        }
        assert!(labels.iter().all(|label| !label.ends_with("_id") && label != "name"), "{name}: {labels:?}");
    }
    let text: Vec<_> = scrape.samples.iter().flat_map(|sample| sample.labels.values()).collect();
    assert!(!text.iter().any(|value| value.contains("127.0.0.1") || value.contains("sk-")), "{text:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_follow_what_happens() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let (server, _vendor) = busy(engine).await;
        shows(&server, "the endpoint is healthy", |scrape| {
            scrape.types.contains_key("modelward_endpoints")
                && scrape.count("modelward_endpoints", &[("status", "healthy")]) == 1
        })
        .await;
        shows(&server, "one of two credentials expires within a week", |scrape| {
            scrape.count("modelward_credentials_expiring", &[]) == 1
                && scrape.count("modelward_resources", &[("kind", "credential")]) == 2
        })
        .await;
        let scrape = server.scrape();
        let created = [("rpc", "modelward.v1.CredentialService/CreateCredential")];
        assert_eq!(scrape.count("modelward_rpcs_total", &[created[0], ("code", "OK")]), 2);
        assert_eq!(scrape.count("modelward_rpc_duration_seconds_count", &created), 2);
        assert!(scrape.value("modelward_rpc_duration_seconds_sum", &created) > 0.0);
        assert_eq!(scrape.count("modelward_refused_calls_total", &[("reason", "UNAUTHENTICATED")]), 1);
        // The admin's token and four resources.
        assert!(scrape.value("modelward_revision", &[]) >= 5.0);
        let batches = scrape.value("modelward_writer_batch_size_count", &[]);
        assert!(batches >= 4.0 && scrape.value("modelward_writer_batch_size_sum", &[]) >= batches);
        assert!(scrape.value("modelward_writer_transaction_duration_seconds_count", &[]) >= 4.0);
        assert!(scrape.value("modelward_probes_total", &[("result", "healthy")]) >= 1.0);
        assert_eq!(scrape.count("modelward_store_up", &[]), 1);
        assert!(scrape.value("modelward_snapshot_age_seconds", &[]) < 10.0);
        assert!(scrape.value("modelward_store_connections_max", &[]) >= 1.0);
        assert!(scrape.value("modelward_connections", &[]) >= 1.0);
        assert!(scrape.value("process_resident_memory_bytes", &[]) > 1e6);
        for never in ["panics_total", "undecryptable_secrets", "snapshot_mismatches_total", "watchers"] {
            assert_eq!(scrape.count(&format!("modelward_{never}"), &[]), 0, "{never}");
        }
        let watching = Watching::from_now(server.admin()).await;
        shows(&server, "one stream", |scrape| scrape.count("modelward_watchers", &[]) == 1).await;
        server.admin().try_provider(provider("more", ProviderKind::Ollama)).await.unwrap();
        shows(&server, "one more", |now| {
            now.count("modelward_revision", &[]) == scrape.count("modelward_revision", &[]) + 1
        })
        .await;
        drop(watching);
        shows(&server, "no stream", |scrape| scrape.count("modelward_watchers", &[]) == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_lease_is_held_by_exactly_one_of_two_replicas() {
    let (one, _vendor) = busy(Engine::Postgres).await;
    let two = one.replica().await;
    for lease in ["modelward_probe_leader", "modelward_sync_leader"] {
        let held = || [&one, &two].map(|server| server.scrape().count(lease, &[])).iter().sum::<i64>();
        eventually(&format!("{lease} is 1 at one of them"), || async { (held() == 1).then_some(()) }).await;
    }
}

/// Its way to the database breaks: what is refused is counted, what waits shows, and all of it passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_shows() {
    let database = Database::new(Engine::Postgres).await;
    let name = database.url().rsplit('/').next().unwrap();
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], Cluster::shared().port())));
    let server = Server::start_on(&format!("postgres://modelward@{}/{name}", proxy.address()), |_| {}).await;
    let failed = |scrape: &Scrape| scrape.count("modelward_store_errors_total", &[("kind", "unavailable")]);
    assert_eq!(failed(&server.scrape()), 0);
    proxy.set(Fault::Stall);
    let provider = Some(provider("p", ProviderKind::Ollama));
    let request = v1::CreateProviderRequest { provider, ..Default::default() };
    server.providers().create_provider(request).await.refused(Code::Unavailable, "STORE_UNAVAILABLE");
    shows(&server, "the database is away", |scrape| {
        scrape.count("modelward_store_up", &[]) == 0
            && failed(scrape) >= 1
            && scrape.value("modelward_snapshot_age_seconds", &[]) > 1.0
    })
    .await;
    proxy.set(Fault::Pass);
    shows(&server, "the database is back", |scrape| {
        scrape.count("modelward_store_up", &[]) == 1 && scrape.value("modelward_snapshot_age_seconds", &[]) < 2.0
    })
    .await;
}

#[test]
fn a_metric_that_nobody_documented_is_noticed() {
    let scrape = Scrape::read(
        "# TYPE modelward_new counter\nmodelward_new_total{kind=\"a\",other=\"b, c\"} 1\n# TYPE modelward_time histogram\nmodelward_time_bucket{le=\"1.0\"} 2\n# EOF\n",
    );
    let labels = ["kind", "other"].map(str::to_owned).into();
    let seeded = BTreeSet::from([
        ("modelward_new_total".to_owned(), "counter".to_owned(), labels),
        ("modelward_time".to_owned(), "histogram".to_owned(), BTreeSet::new()),
    ]);
    assert_eq!(scrape.described(), seeded);
    assert_eq!(documented().intersection(&seeded).count(), 0);
}
