//! The master key rotates online.
//!
//! 1,000 credentials are opened and rotated all the time, on one server over SQLite and on two over PostgreSQL, while
//! the master key changes and the server that wraps data keys anew is killed ten times within that. Every secret that
//! is opened is the one of its version; in the end the old key is taken away, and everything still opens.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use modelward::proto::v1::{self, ProviderKind};
use modelward::secrets::generate_key_line;
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tonic::Status;

use crate::support::database::Database;
use crate::support::postgres::Cluster;
use crate::support::process::Process;
use crate::support::resources::{credential, secret};
use crate::support::server::Caller;
use crate::support::{Engine, Server, eventually, within};

const CREDENTIALS: usize = 1000;
const PER_PROVIDER: usize = 20;
const KILLS: usize = 10;
/// Longer than a replica that was killed counts as alive.
const SETTLED: Duration = Duration::from_mins(1);

/// The secret that a version of a credential has.
fn text(number: usize, version: i64) -> String {
    format!("sk-{number:05}-{version:05}-{}", "x".repeat(20))
}

/// Servers on one database, each in a slot of which the caller changes when it is started anew.
struct Stand {
    directory: TempDir,
    variables: Vec<(&'static str, String)>,
    callers: Vec<Arc<Mutex<Option<Caller>>>>,
    processes: Vec<Process>,
}

impl Stand {
    fn start(engine: Engine, keys: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        write_keys(&directory, keys);
        let mut variables = vec![("MODELWARD_MASTER_KEY_FILE", "keys".to_owned())];
        if engine == Engine::Postgres {
            let cluster = Cluster::shared();
            variables.push(("MODELWARD_DATABASE_URL", cluster.url(&cluster.create_database(None))));
        }
        let mut stand = Self { directory, variables, callers: Vec::new(), processes: Vec::new() };
        for _ in 0..if engine == Engine::Postgres { 2 } else { 1 } {
            let mut process = stand.spawn("");
            process.wait_until_ready();
            stand.callers.push(Arc::new(Mutex::new(Some(process.admin()))));
            stand.processes.push(process);
        }
        stand
    }

    fn spawn(&self, fail_points: &str) -> Process {
        let mut variables: Vec<_> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        variables.push(("MODELWARD_FAIL_POINTS", fail_points));
        Process::spawn(self.directory.path(), &variables)
    }

    fn admin(&self, slot: usize) -> Caller {
        self.callers[slot].lock().unwrap().clone().unwrap()
    }

    /// Stops a server and starts it with fail points.
    fn restart(&mut self, slot: usize, fail_points: &str) {
        *self.callers[slot].lock().unwrap() = None;
        assert!(self.processes[slot].terminate().success());
        self.replace(slot, fail_points);
    }

    /// Starts a server where one has ended; whether it lived to serve.
    fn replace(&mut self, slot: usize, fail_points: &str) {
        let mut process = self.spawn(fail_points);
        if process.wait_until_ready_or_ended() {
            *self.callers[slot].lock().unwrap() = Some(process.admin());
        }
        self.processes[slot] = process;
    }
}

fn write_keys(directory: &TempDir, keys: &[&str]) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = directory.path().join("keys");
    fs::write(&path, keys.join("\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// What the load did, and what went wrong.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    opened: AtomicUsize,
    rotated: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

impl Load {
    /// A server that is killed, or whose database is behind, says nothing about a secret.
    fn refused(&self, number: usize, status: &Status) {
        let passing = [tonic::Code::Unavailable, tonic::Code::DeadlineExceeded];
        if !status.details().is_empty() && !passing.contains(&status.code()) {
            self.failed.lock().unwrap().push(format!("{number}: {status}"));
        }
    }

    async fn open(&self, caller: &Caller, number: usize, id: &str) {
        let access = v1::AccessCredentialRequest { id: id.to_owned(), ..Default::default() };
        match caller.credentials().access_credential(access).await {
            Err(status) => self.refused(number, &status),
            Ok(answer) => {
                let answer = answer.into_inner();
                self.opened.fetch_add(1, Ordering::Relaxed);
                if answer.secret.unwrap().api_key() != text(number, answer.secret_version) {
                    self.failed.lock().unwrap().push(format!("{number}: version {} is another", answer.secret_version));
                }
            }
        }
    }

    async fn open_some(self: Arc<Self>, slots: Vec<Arc<Mutex<Option<Caller>>>>, ids: Arc<Vec<String>>) {
        while !self.stop.load(Ordering::Relaxed) {
            let number = fastrand::usize(0..ids.len());
            let slot = &slots[fastrand::usize(0..slots.len())];
            let caller = slot.lock().unwrap().clone();
            match caller {
                Some(caller) => self.open(&caller, number, &ids[number]).await,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Rotates the credentials from `first` on in turn, a quarter of them, so that enough is left to be wrapped anew; an
    /// attempt without an answer is repeated until it has one.
    async fn rotate_some(self: Arc<Self>, slots: Vec<Arc<Mutex<Option<Caller>>>>, ids: Arc<Vec<String>>, first: usize) {
        let mut version = 1;
        let mut number = first;
        while !self.stop.load(Ordering::Relaxed) {
            let request = v1::RotateCredentialRequest {
                id: ids[number].clone(),
                secret: Some(secret(&text(number, version + 1))),
                request_id: format!("{number}-{version}"),
                ..Default::default()
            };
            let caller = slots[fastrand::usize(0..slots.len())].lock().unwrap().clone();
            let Some(caller) = caller else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            if let Err(status) = caller.credentials().rotate_credential(request).await {
                self.refused(number, &status);
                continue;
            }
            self.rotated.fetch_add(1, Ordering::Relaxed);
            number += 2;
            if number >= ids.len() / 4 {
                (number, version) = (first, version + 1);
            }
        }
    }

    /// Opens every credential at one server.
    async fn open_all(&self, caller: &Caller, ids: &[String]) {
        for part in ids.chunks(50).enumerate() {
            let (at, part) = part;
            join_all(part.iter().enumerate().map(|(number, id)| self.open(caller, at * 50 + number, id))).await;
        }
    }
}

async fn create_all(admin: &Caller) -> Vec<String> {
    let mut ids = Vec::with_capacity(CREDENTIALS);
    for number in (0..CREDENTIALS).step_by(PER_PROVIDER) {
        let provider = admin.add_provider(&format!("p{number}"), ProviderKind::Openai).await.id;
        let created = (number..number + PER_PROVIDER).map(|number| {
            let wanted = credential(&provider, &format!("c{number}"), &text(number, 1));
            async move { admin.add_credential(wanted).await.id }
        });
        ids.extend(join_all(created).await);
    }
    ids
}

async fn key(admin: &Caller, id: &str) -> Option<v1::MasterKey> {
    let keyring = admin.tokens().get_keyring(v1::GetKeyringRequest {}).await.ok()?.into_inner().keyring?;
    keyring.keys.into_iter().find(|key| key.id == id)
}

async fn rotates_online(engine: Engine) {
    let (old, new) = ["k1", "k2"].map(|id| generate_key_line(Some(id)).unwrap().to_string()).into();
    let mut stand = Stand::start(engine, &[&old, &new]);
    let ids = Arc::new(create_all(&stand.admin(0)).await);
    assert_eq!(key(&stand.admin(0), "k1").await.unwrap().secret_count, 1000);
    // The other replica is slow, so that there is something left for the one that is killed.
    let last = stand.processes.len() - 1;
    if last > 0 {
        tokio::task::block_in_place(|| stand.restart(last, "rewrap.row=delay(400)"));
    }
    let load = Arc::new(Load::default());
    let mut tasks = Vec::new();
    for first in 0..2 {
        tasks.push(tokio::spawn(load.clone().open_some(stand.callers.clone(), ids.clone())));
        tasks.push(tokio::spawn(load.clone().rotate_some(stand.callers.clone(), ids.clone(), first)));
    }
    tokio::task::block_in_place(|| stand.restart(0, &dying(0)));
    let rotate = || v1::RotateMasterKeyRequest { key_id: "k2".into(), request_id: "k2".into(), ..Default::default() };
    let admin = stand.admin(0);
    // Another replica tells which keys it reads in its next sign of life.
    within(SETTLED, "the key is changed", || async { admin.tokens().rotate_master_key(rotate()).await.ok() }).await;
    for kill in 1..=KILLS {
        use std::os::unix::process::ExitStatusExt as _;
        let ended = tokio::task::block_in_place(|| stand.processes[0].wait());
        assert_eq!(ended.signal(), Some(9), "kill {kill}: {}", stand.processes[0].log());
        *stand.callers[0].lock().unwrap() = None;
        tokio::task::block_in_place(|| stand.replace(0, &if kill < KILLS { dying(kill) } else { String::new() }));
    }
    let admin = stand.admin(0);
    within(SETTLED, "nothing needs the old key", || async { key(&admin, "k1").await?.retirable.then_some(()) }).await;
    assert_eq!(key(&admin, "k1").await.unwrap().secret_count, 0, "rows on the old key");

    write_keys(&stand.directory, &[&new]);
    for process in &stand.processes {
        process.signal(Signal::SIGHUP);
        eventually("the old key is gone", || async { process.log().contains("were read again").then_some(()) }).await;
    }
    for slot in 0..stand.callers.len() {
        load.open_all(&stand.admin(slot), &ids).await;
    }
    load.stop.store(true, Ordering::Relaxed);
    for task in join_all(tasks).await {
        task.unwrap();
    }
    tokio::task::block_in_place(|| stand.restart(0, ""));
    let before = load.opened.load(Ordering::Relaxed);
    load.open_all(&stand.admin(0), &ids).await;
    let (opened, rotated) = (load.opened.load(Ordering::Relaxed), load.rotated.load(Ordering::Relaxed));
    let failed = load.failed.lock().unwrap();
    assert!(failed.is_empty(), "{} of {opened} opens failed: {:?}", failed.len(), &failed[..failed.len().min(5)]);
    assert_eq!(opened - before, CREDENTIALS, "all open after a restart with the new key alone");
    assert!(rotated > 50 && before > CREDENTIALS * stand.callers.len() + 50, "{opened} opened, {rotated} rotated");
}

/// Rows take their time, so that the server serves before it dies; every other run gets a batch of 100 done.
fn dying(run: usize) -> String {
    format!("rewrap.row=delay(16);rewrap.row=kill@{}", if run.is_multiple_of(2) { 70 } else { 140 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_the_master_key_rotates_under_load_and_kills_on_sqlite() {
    rotates_online(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_the_master_key_rotates_under_load_and_kills_on_two_replicas() {
    rotates_online(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_a_key_can_be_removed_only_when_no_live_replica_needs_it() {
    let database = Database::new(Engine::Postgres).await;
    let line = generate_key_line(Some("later")).unwrap();
    let server = Server::start_on(database.url(), |settings| {
        let both = format!("{},{}", crate::support::server::MASTER_KEYS, *line);
        settings.secrets.master_keys = Some(modelward::domain::secret::SecretText::new(both));
    })
    .await;
    let rotate = v1::RotateMasterKeyRequest { key_id: "later".into(), ..Default::default() };
    server.tokens().rotate_master_key(rotate).await.unwrap();
    let retirable = async || key(server.admin(), "test").await.unwrap().retirable;
    eventually("nothing needs it", || async { retirable().await.then_some(()) }).await;
    for (used, revision, expected) in [
        ("'[\"later\", \"test\"]'", 1_000_000, false),
        // It may seal under the key before, until it has applied the change of the key.
        ("'[\"later\"]'", 1, false),
        // A version that does not tell.
        ("NULL", 1_000_000, false),
        ("'[\"later\"]'", 1_000_000, true),
    ] {
        database.sql(&format!(
            "INSERT INTO replicas (replica_id, readable_key_ids, used_key_ids, applied_revision, heartbeat_time) \
             VALUES ('other', '[\"later\", \"test\"]', {used}, {revision}, now()) ON CONFLICT (replica_id) DO UPDATE \
             SET used_key_ids = excluded.used_key_ids, applied_revision = excluded.applied_revision"
        ));
        assert_eq!(retirable().await, expected, "{used} at {revision}");
    }
}
