//! A disk that runs full: writes fail and say so, reads go on, and all is well when there is space again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use modelward::proto::v1::{self, ProviderKind};
use modelward::secrets::{KeyRing, KeySource};
use modelward::store::{Store, StoreConfig};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::sleep;
use tonic::Code;
use zeroize::Zeroizing;

use crate::promises::{effort, report};
use crate::support::disk::Disk;
use crate::support::follower::check_chain;
use crate::support::keeper::unprivileged;
use crate::support::ledger::Ledger;
use crate::support::postgres::Cluster;
use crate::support::process::{Process, on_postgres};
use crate::support::resources::provider;
use crate::support::server::{Caller, MASTER_KEYS};
use crate::support::watching::{Checker, Watching, logged};
use crate::support::{Engine, Refusal, Server, eventually};

const WRITERS: usize = 4;
/// How soon writes work when there is space again.
const RECOVERY: Duration = Duration::from_secs(10);

/// What writers were told.
#[derive(Debug, Default)]
struct Told {
    acknowledged: BTreeSet<String>,
    /// With STORE_FULL: nothing was written.
    refused: BTreeSet<String>,
    /// What no writer may be told.
    wrong: Vec<String>,
}

impl Told {
    fn counts(&self) -> (usize, usize) {
        (self.acknowledged.len(), self.refused.len())
    }
}

/// Creates one thing after the other. None is small, so that the space that is left in pages is soon used up.
async fn write(caller: Caller, label: usize, told: Arc<Mutex<Told>>, end: watch::Receiver<bool>) {
    for number in 0.. {
        if *end.borrow() {
            return;
        }
        let name = format!("w{label}-{number}");
        let mut large = provider(&name, ProviderKind::Ollama);
        large.description = Some("x".repeat(1000));
        match caller.try_provider(large).await {
            Ok(_) => drop(told.lock().unwrap().acknowledged.insert(name)),
            Err(status) => {
                let is_full = |refusal: &Refusal| {
                    (refusal.code, refusal.reason.as_str()) == (Code::ResourceExhausted, "STORE_FULL")
                };
                let mut told = told.lock().unwrap();
                if Refusal::read(&status).is_ok_and(|refusal| is_full(&refusal)) {
                    told.refused.insert(name);
                } else {
                    told.wrong.push(status.to_string());
                }
            }
        }
        // What is refused is refused at once; asking is not to keep the machine busy.
        sleep(Duration::from_millis(2)).await;
    }
}

/// Fills the disk under load and gives the space back, again and again; what the writers were told.
async fn run_full(disk: &mut Disk, server: &Process) -> Told {
    let admin = server.admin();
    let kept = admin.add_provider("kept", ProviderKind::Ollama).await;
    let mut watching = Watching::from_now(&admin).await;
    let told = Arc::new(Mutex::new(Told::default()));
    told.lock().unwrap().acknowledged.insert("kept".to_owned());
    let (end, ended) = watch::channel(false);
    let writers: Vec<JoinHandle<()>> =
        (0..WRITERS).map(|label| tokio::spawn(write(server.admin(), label, told.clone(), ended.clone()))).collect();
    for round in 0..effort(3, 30) {
        let before = told.lock().unwrap().counts();
        let went_on = async || (told.lock().unwrap().counts().0 > before.0 + 20).then_some(());
        eventually("writes work", went_on).await;
        block_in_place(|| disk.fill());
        let before = told.lock().unwrap().counts();
        let refused = async || (told.lock().unwrap().counts().1 > before.1 + 50).then_some(());
        eventually("writes are refused", refused).await;
        assert_eq!(admin.get_provider(&kept.id).await, kept, "reads go on");
        let listed = admin.providers().list_providers(v1::ListProvidersRequest::default()).await.unwrap().into_inner();
        assert!(listed.total_size >= i32::try_from(before.0).unwrap());
        let acknowledged = told.lock().unwrap().counts().0;
        block_in_place(|| disk.free());
        let freed = Instant::now();
        eventually("writes work again", async || (told.lock().unwrap().counts().0 > acknowledged).then_some(())).await;
        assert!(freed.elapsed() < RECOVERY, "{:?}", freed.elapsed());
        report(&format!("round {round}: writes work {:?} after there was space", freed.elapsed()));
    }
    end.send_replace(true);
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    let last = admin.add_provider("last", ProviderKind::Ollama).await.revision;
    told.lock().unwrap().acknowledged.insert("last".to_owned());
    // Who watched all the time has missed nothing, and was shown nothing that did not happen.
    let mut checker = Checker::after(kept.revision);
    watching.up_to(last).await.iter().for_each(|message| checker.take(message));
    let mut told = std::mem::take(&mut *told.lock().unwrap());
    told.wrong.extend(checker.complaints);
    told
}

/// What is wrong in the end, beside what the database holds.
async fn verdict(store: &Store, ring: KeyRing, told: &Told) -> Vec<String> {
    let ledger = Ledger::read(store).await;
    let mut complaints = [told.wrong.clone(), ledger.complaints(), check_chain(store, ring).await].concat();
    let there: BTreeSet<_> = ledger.image.providers.iter().map(|row| row.name.as_str().to_owned()).collect();
    complaints.extend(told.acknowledged.difference(&there).map(|name| format!("{name} was acknowledged and is lost")));
    complaints.extend(told.refused.intersection(&there).map(|name| format!("{name} was refused and is there")));
    let shown = logged(store, 0).await.len();
    if shown != told.acknowledged.len() {
        complaints.push(format!("{shown} changes for {} acknowledged writes", told.acknowledged.len()));
    }
    complaints
}

/// A server that was killed and started on a full disk shows what it had, and refuses what has no room.
async fn started_full(server: &Process, told: &mut Told) {
    let admin = server.admin();
    let shown = admin.providers().list_providers(v1::ListProvidersRequest::default()).await.unwrap().into_inner();
    assert_eq!(shown.total_size, i32::try_from(told.acknowledged.len()).unwrap());
    // What was freed within the files may hold a write or two.
    for number in 0.. {
        let name = format!("full {number}");
        match admin.try_provider(provider(&name, ProviderKind::Ollama)).await {
            Ok(_) => told.acknowledged.insert(name),
            Err(status) => {
                Refusal::of(&status).is(Code::ResourceExhausted, "STORE_FULL");
                told.refused.insert(name);
                return;
            }
        };
    }
}

/// So many megabytes, and more where more is written.
fn size(megabytes: usize) -> String {
    format!("{}m", effort(megabytes, 8 * megabytes))
}

fn ring(source: KeySource) -> KeyRing {
    KeyRing::load(source).unwrap()
}

fn summary(engine: Engine, told: &Told) {
    let (acknowledged, refused) = told.counts();
    report(&format!("{engine}: {acknowledged} writes acknowledged, {refused} refused with STORE_FULL"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_fails_writes_and_nothing_else_on_sqlite() {
    let directory = TempDir::new().unwrap();
    let point = directory.path().join("small");
    let mut disk = block_in_place(|| Disk::start(&point, &size(12), None));
    let url = format!("sqlite://{}", point.join("modelward.db").display());
    let variables = [("MODELWARD_HEALTH__ENABLED", "false"), ("MODELWARD_DATABASE_URL", &url)];
    let start = |disk: &Disk| block_in_place(|| Process::start_with(disk, directory.path(), &variables));
    let server = start(&disk);
    let mut told = run_full(&mut disk, &server).await;
    block_in_place(|| disk.fill());
    server.kill();
    let mut server = start(&disk);
    started_full(&server, &mut told).await;
    block_in_place(|| disk.free());
    server.admin().add_provider("after", ProviderKind::Ollama).await;
    told.acknowledged.insert("after".to_owned());
    summary(Engine::Sqlite, &told);
    assert!(block_in_place(|| server.terminate()).success());
    // SQLite follows links to where only the server sees the file.
    let copy = TempDir::new().unwrap();
    copy_file(&disk.path(), copy.path());
    let store = Store::connect(&StoreConfig::new(format!("sqlite://{}/modelward.db", copy.path().display()))).await;
    let keys = KeySource::File(directory.path().join("data/master.key"));
    assert_eq!(verdict(&store.unwrap(), ring(keys), &told).await, Vec::<String>::new());
}

fn copy_file(from: &Path, to: &Path) {
    for name in ["modelward.db", "modelward.db-wal"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_fails_writes_and_nothing_else_on_postgres() {
    let directory = TempDir::with_prefix("modelward-small-").unwrap();
    let user = unprivileged();
    let point = std::env::temp_dir().join(format!("modelward-small-{}", std::process::id()));
    let mut disk = block_in_place(|| Disk::start(&point, &size(24), user.as_ref()));
    let cluster = block_in_place(|| Cluster::start(""));
    cluster.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", disk.path().display()));
    cluster.sql("postgres", "CREATE DATABASE small TABLESPACE small");
    let url = cluster.url("small");
    let mut variables = vec![("MODELWARD_HEALTH__ENABLED", "false")];
    variables.extend(on_postgres(&url));
    let mut server = block_in_place(|| Process::start(directory.path(), &variables));
    let told = run_full(&mut disk, &server).await;
    summary(Engine::Postgres, &told);
    assert!(block_in_place(|| server.terminate()).success());
    let store = Store::connect(&StoreConfig::new(&url)).await.unwrap();
    let keys = KeySource::Text(Zeroizing::new(MASTER_KEYS.to_owned()));
    assert_eq!(verdict(&store, ring(keys), &told).await, Vec::<String>::new());
    drop((store, cluster, disk));
    std::fs::remove_dir(point).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_write_that_was_made_and_an_acknowledged_one_that_is_lost_are_found() {
    let server = Server::start(Engine::Sqlite).await;
    let key = server.directory().join("master.key");
    let complaints = async |told: &Told| verdict(&server.parts().store, ring(KeySource::File(key.clone())), told).await;
    server.admin().add_provider("there", ProviderKind::Ollama).await;
    let mut told = Told { acknowledged: ["there".to_owned()].into(), ..Told::default() };
    assert_eq!(complaints(&told).await, Vec::<String>::new());
    told.refused.insert("there".to_owned());
    assert_eq!(complaints(&told).await.len(), 1);
    told.acknowledged.insert("lost".to_owned());
    assert_eq!(complaints(&told).await.len(), 3, "and the log has one change too few");
    server.sql("UPDATE providers SET description = 'half'");
    assert_eq!(complaints(&told).await.len(), 4, "and a row is not as its change says");
}
