//! Three servers on one PostgreSQL, and a holder of the lease that is frozen and resumed.
//!
//! A trigger of the test notes which server wrote each row of health. Servers are told apart by the name that they give
//! to PostgreSQL.

use std::collections::HashMap;
use std::time::Duration;

use modelward::proto::v1::{self, HealthStatus, ProviderKind};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::promises::{effort, report};
use crate::support::postgres::Cluster;
use crate::support::process::{Process, on_postgres};
use crate::support::recorder::Recorder;
use crate::support::resources::endpoint;
use crate::support::within;

const ENDPOINTS: usize = 60;
const INTERVAL: Duration = Duration::from_secs(1);
/// The lease is held for 15 s.
const TAKES_OVER: Duration = Duration::from_secs(40);

const NOTE: &str = "CREATE TABLE written (id bigserial, app text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO written (app) VALUES (current_setting('application_name')); RETURN NEW; END $$;
    CREATE TRIGGER note BEFORE INSERT OR UPDATE ON endpoint_status FOR EACH ROW EXECUTE FUNCTION note();";

struct Replicas {
    cluster: &'static Cluster,
    database: String,
    processes: Vec<Process>,
    vendor: Recorder,
    _directory: TempDir,
}

impl Replicas {
    async fn start(count: usize) -> Self {
        let directory = TempDir::new().unwrap();
        let (cluster, database) = tokio::task::block_in_place(|| {
            let cluster = Cluster::shared();
            (cluster, cluster.create_database(None))
        });
        let process = |number| {
            let url = format!("{}?application_name=replica-{number}", cluster.url(&database));
            Process::start(directory.path(), &on_postgres(&url))
        };
        let processes: Vec<_> = tokio::task::block_in_place(|| (0..count).map(process).collect());
        let vendor = Recorder::start().await;
        let admin = processes[0].admin();
        let provider = admin.add_provider("vendor", ProviderKind::OpenaiCompatible).await;
        for number in 0..ENDPOINTS / 10 {
            let provider = match number {
                0 => provider.clone(),
                _ => admin.add_provider(&format!("vendor {number}"), ProviderKind::OpenaiCompatible).await,
            };
            for index in 0..10 {
                let url = format!("http://{}/e{}/v1", vendor.address, number * 10 + index);
                let health_check = super::policy(INTERVAL);
                let wanted = v1::Endpoint { health_check, ..endpoint(&provider.id, &format!("e{index}"), &url) };
                admin.add_endpoint(wanted).await;
            }
        }
        let replicas = Self { cluster, database, processes, vendor, _directory: directory };
        replicas.sql(NOTE);
        replicas
    }

    fn sql(&self, sql: &str) -> String {
        tokio::task::block_in_place(|| self.cluster.sql(&self.database, sql))
    }

    /// How many rows of health each server has written.
    fn written(&self, replica: usize) -> usize {
        let count = self.sql(&format!("SELECT count(*) FROM written WHERE app = 'replica-{replica}'"));
        count.trim().parse().unwrap()
    }

    /// The servers that say of themselves that they hold the lease. One that is frozen says nothing.
    fn holders(&self, except: Option<usize>) -> Vec<usize> {
        let others = (0..self.processes.len()).filter(|number| Some(*number) != except);
        tokio::task::block_in_place(|| {
            others.filter(|number| self.processes[*number].metric("probe_leader") == 1).collect()
        })
    }

    async fn holder(&self, except: Option<usize>) -> usize {
        within(TAKES_OVER, "one server holds the lease", || async {
            <[usize; 1]>::try_from(self.holders(except)).ok().map(|[holder]| holder)
        })
        .await
    }

    /// Until the server shows all endpoints with this status.
    async fn wait_for_all(&self, replica: usize, status: HealthStatus) {
        let admin = self.processes[replica].admin();
        within(TAKES_OVER, &format!("all are {status:?}"), || async {
            (shown(&admin, status).await == ENDPOINTS).then_some(())
        })
        .await;
    }

    /// Pairs of probes of one endpoint that lie closer than its interval.
    fn too_close(&self) -> Vec<(String, Duration)> {
        let mut last: HashMap<String, Instant> = HashMap::new();
        let mut found = Vec::new();
        for (time, path) in self.vendor.asked() {
            if let Some(before) = last.insert(path.clone(), time)
                && time - before < INTERVAL.mul_f64(0.9)
            {
                found.push((path, time - before));
            }
        }
        found
    }
}

async fn shown(admin: &crate::support::server::Caller, status: HealthStatus) -> usize {
    let list = v1::ListEndpointsRequest { health_status: Some(status.into()), page_size: 1, ..Default::default() };
    usize::try_from(admin.endpoints().list_endpoints(list).await.unwrap().into_inner().total_size).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h3_of_three_servers_one_probes_and_a_resumed_holder_writes_nothing() {
    let mut replicas = Replicas::start(3).await;
    replicas.wait_for_all(1, HealthStatus::Healthy).await;
    let asked = replicas.vendor.connections();
    within(TAKES_OVER, "each endpoint is probed some times", || async {
        (replicas.vendor.connections() >= asked + 6 * ENDPOINTS).then_some(())
    })
    .await;
    for round in 0..effort(1, 10) {
        let old = replicas.holder(None).await;
        // Findings are on their way when it is frozen: the vendor has just begun to fail.
        replicas.vendor.answer(500, &[], "");
        let asked = replicas.vendor.connections();
        within(TAKES_OVER, "some have failed", || async { (replicas.vendor.connections() >= asked + 5).then_some(()) })
            .await;
        tokio::task::block_in_place(|| replicas.processes[old].stop());
        replicas.vendor.answer(200, &[], crate::support::recorder::EMPTY_LIST);
        let new = replicas.holder(Some(old)).await;
        replicas.wait_for_all(new, HealthStatus::Healthy).await;
        let (before, by_new) = (replicas.written(old), replicas.written(new));
        replicas.processes[old].cont();
        within(TAKES_OVER, "the old one knows", || async { (!replicas.holders(None).contains(&old)).then_some(()) })
            .await;
        // What it had to say it would have said before the new one has written once more about everything.
        within(TAKES_OVER, "the new one goes on", || async {
            (replicas.written(new) >= by_new + ENDPOINTS).then_some(())
        })
        .await;
        assert_eq!(replicas.written(old), before, "round {round}: the old holder wrote");
        assert_eq!(replicas.holders(None), [new]);
        assert_eq!(shown(&replicas.processes[old].admin(), HealthStatus::Healthy).await, ENDPOINTS);
    }
    assert_eq!(replicas.too_close(), [], "{} probes", replicas.vendor.connections());
    let probes = replicas.vendor.connections();
    report(&format!("h3: three servers, {ENDPOINTS} endpoints, {probes} probes, none closer than an interval"));
}

/// The lease is given back to the one that was frozen, by hand: then it does write, and the notes tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h3_the_notes_tell_of_a_holder_that_writes_again() {
    let mut replicas = Replicas::start(2).await;
    let old = replicas.holder(None).await;
    replicas.wait_for_all(1 - old, HealthStatus::Healthy).await;
    tokio::task::block_in_place(|| replicas.processes[old].stop());
    let lease = replicas.sql("SELECT owner || ' ' || epoch FROM leases WHERE name = 'health'");
    let (owner, epoch) = lease.trim().split_once(' ').unwrap();
    let new = replicas.holder(Some(old)).await;
    let before = replicas.written(old);
    tokio::task::block_in_place(|| replicas.processes[new].stop());
    replicas.sql(&format!(
        "UPDATE leases SET owner = '{owner}', epoch = {epoch}, expire_time = now() + interval '1 hour' WHERE name = 'health'"
    ));
    replicas.processes[old].cont();
    within(TAKES_OVER, "it writes", || async { (replicas.written(old) > before).then_some(()) }).await;
}
