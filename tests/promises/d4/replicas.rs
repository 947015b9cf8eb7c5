//! Three replicas, one of which is in trouble at a time: all who watch see the same, wherever they do.
//!
//! At each replica somebody watches and somebody writes; one more client goes from one to the other with its token. The
//! way of a replica to the database is slow, stands still, loses what is sent or breaks, and the holder of the lease is
//! frozen. Who watches elsewhere is shown what is written meanwhile; who watches there is, once it is over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use modelward::proto::v1::ProviderKind;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{sleep, timeout};

use super::{CATCH_UP, Client, HISTORY, SHORT, Stay, client};
use crate::promises::{effort, report};
use crate::support::database::Database;
use crate::support::listing::Listing;
use crate::support::load::{Writer, books};
use crate::support::postgres::Cluster;
use crate::support::process::{Process, on_postgres};
use crate::support::proxy::{Direction, Fault, Proxy};
use crate::support::resources::provider;
use crate::support::server::Caller;
use crate::support::watching::logged;
use crate::support::{Engine, eventually, within};

const REPLICAS: usize = 3;
/// Such a client never goes by itself.
const STEADY: Stay = 3_600_000..3_600_001;
/// When each replica is whole again after its trouble: a read of the log that was under way may take ten seconds to
/// notice that its connection is dead.
const WHOLE: Duration = Duration::from_secs(25);
/// The lease is held for 15 s.
const TAKES_OVER: Duration = Duration::from_secs(40);

struct Replica {
    process: Process,
    way: Proxy,
    shown: watch::Receiver<i64>,
}

struct Replicas {
    all: Vec<Replica>,
    database: Database,
    clients: Vec<JoinHandle<Client>>,
    last: watch::Sender<Option<i64>>,
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Writer>>,
    fresh: usize,
    _directory: TempDir,
}

impl Replicas {
    async fn start() -> Self {
        let (directory, database) = (TempDir::new().unwrap(), Database::new(Engine::Postgres).await);
        let (last, end) = watch::channel(None);
        let name = database.url().rsplit('/').next().unwrap();
        let (mut all, mut clients) = (Vec::new(), Vec::new());
        for _ in 0..REPLICAS {
            let way = Proxy::start(SocketAddr::from(([127, 0, 0, 1], Cluster::shared().port())));
            let url = format!("postgres://modelward@{}/{name}", way.address());
            let variables: Vec<_> = on_postgres(&url).into_iter().chain([HISTORY]).collect();
            let process = block_in_place(|| Process::start(directory.path(), &variables));
            let (tell, shown) = watch::channel(0);
            let here = watch::channel(process.admin()).1;
            clients.push(tokio::spawn(client(here, end.clone(), STEADY, tell)));
            all.push(Replica { process, way, shown });
        }
        let callers = all.iter().map(|replica: &Replica| replica.process.admin()).collect();
        clients.push(tokio::spawn(everywhere(callers, end)));
        let stop = Arc::new(AtomicBool::new(false));
        let writers = all.iter().enumerate().map(|(number, replica)| {
            let mut writer = Writer::new(replica.process.admin(), format!("r{number}"), None);
            let stop = stop.clone();
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    writer.step().await;
                    sleep(Duration::from_millis(10)).await;
                }
                writer
            })
        });
        let writers = writers.collect();
        Self { all, database, clients, last, stop, writers, fresh: 0, _directory: directory }
    }

    /// Writes at a replica; the revision. What was open or refused is tried again under another name.
    async fn write(&mut self, at: usize) -> i64 {
        let admin = self.all[at].process.admin();
        let fresh = std::cell::Cell::new(self.fresh);
        let made = within(WHOLE, "it writes", || async {
            fresh.set(fresh.get() + 1);
            admin.try_provider(provider(&format!("fresh {}", fresh.get()), ProviderKind::Ollama)).await.ok()
        });
        let revision = made.await.revision;
        self.fresh = fresh.get();
        revision
    }

    /// Waits until who watches at a replica was shown a revision.
    async fn shows(&self, at: usize, revision: i64) {
        let mut shown = self.all[at].shown.clone();
        let reached = timeout(WHOLE, shown.wait_for(|shown| *shown >= revision)).await;
        assert!(reached.is_ok(), "{revision} is not shown at replica {at}: {}", self.all[at].process.log());
    }

    /// The others go on as if nothing were.
    async fn others_go_on(&mut self, victim: usize) {
        let [one, two] = [1, 2].map(|step| (victim + step) % REPLICAS);
        for _ in 0..effort(3, 20) {
            let revision = self.write(one).await;
            self.shows(two, revision).await;
            self.shows(one, revision).await;
        }
        sleep(Duration::from_secs(effort(0, 8) as u64)).await;
    }

    /// It writes, it is written elsewhere, and everybody is shown both.
    async fn all_go_on(&mut self, victim: usize) {
        for at in [victim, (victim + 1) % REPLICAS] {
            let revision = self.write(at).await;
            for replica in 0..REPLICAS {
                self.shows(replica, revision).await;
            }
        }
    }

    async fn on_a_bad_way(&mut self, victim: usize, fault: Fault) {
        self.all[victim].way.set(fault);
        self.others_go_on(victim).await;
        self.all[victim].way.set(Fault::Pass);
        self.all_go_on(victim).await;
    }

    /// Freezes the one that holds the lease; in the long form until another one has it.
    async fn frozen_with_the_lease(&mut self) {
        let old = self.holder(None).await;
        block_in_place(|| self.all[old].process.stop());
        self.others_go_on(old).await;
        if effort(0, 1) == 1 {
            self.holder(Some(old)).await;
        }
        self.all[old].process.cont();
        self.all_go_on(old).await;
    }

    async fn holder(&self, except: Option<usize>) -> usize {
        within(TAKES_OVER, "one holds the lease", || async {
            let others = (0..REPLICAS).filter(|number| Some(*number) != except);
            let holds = |number: &usize| self.all[*number].process.metric("probe_leader") == 1;
            <[usize; 1]>::try_from(block_in_place(|| others.filter(holds).collect::<Vec<_>>())).ok().map(|[one]| one)
        })
        .await
    }

    /// Everybody was shown what the log has, and every replica shows what the tables have.
    async fn agree(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        let writers: Vec<_> = join_all(self.writers).await.into_iter().map(Result::unwrap).collect();
        let store = self.database.open().await;
        let head = store.head().await.unwrap().revision.0;
        self.last.send_replace(Some(head));
        let clients = timeout(CATCH_UP, join_all(self.clients)).await.expect("everything is shown in the end");
        let log = logged(&store, 0).await;
        let mut streams = 0;
        for client in clients {
            let client = client.unwrap();
            assert_eq!(client.checker.verdict(&log), Vec::<String>::new());
            streams += client.streams;
        }
        let image = store.load_image().await.unwrap();
        for replica in &self.all {
            let admin = replica.process.admin();
            let same = eventually("all replicas show the same", || async {
                Listing::read(&admin, head).await.differences(&image).is_empty().then_some(())
            });
            same.await;
        }
        assert!(books(&writers).len() > 3 * 10, "somebody writes at each");
        (log.len(), streams)
    }
}

/// A client that goes from one replica to the other.
async fn everywhere(callers: Vec<Caller>, end: watch::Receiver<Option<i64>>) -> Client {
    let (servers, here) = watch::channel(callers[0].clone());
    let goes = tokio::spawn(async move {
        for caller in callers.iter().cycle() {
            servers.send_replace(caller.clone());
            sleep(Duration::from_millis(300)).await;
        }
    });
    let client = client(here, end, SHORT, watch::channel(0).0).await;
    goes.abort();
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d4_watchers_at_three_replicas_see_the_same_whatever_happens_to_one() {
    let mut replicas = Replicas::start().await;
    let faults = [
        Fault::Stall,
        Fault::Drop(Direction::ToClient),
        Fault::Reset,
        Fault::Delay(Duration::from_millis(300)),
        Fault::Drop(Direction::ToTarget),
    ];
    for (round, fault) in faults.iter().cycle().take(effort(2, 40)).enumerate() {
        replicas.on_a_bad_way(round % REPLICAS, *fault).await;
    }
    for _ in 0..effort(1, 4) {
        replicas.frozen_with_the_lease().await;
    }
    let (changes, streams) = Box::pin(replicas.agree()).await;
    report(&format!("three replicas: {changes} changes over {streams} streams, the same for all"));
}
