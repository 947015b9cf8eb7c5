//! Three replicas are exchanged one by one under load, as a Deployment does it: the next one is ready before the last
//! one is told to stop. No call fails for good, nothing is lost and nothing happens twice.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use modelward::proto::v1::{self, ProviderKind};
use modelward::store::Store;
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Request, Status};

use crate::promises::{effort, report};
use crate::support::database::Database;
use crate::support::ledger::Ledger;
use crate::support::process::{Process, on_postgres};
use crate::support::resources::provider;
use crate::support::server::Caller;
use crate::support::watching::{Checker, logged};
use crate::support::{Engine, Refusal, Server};

const REPLICAS: usize = 3;
const CALLERS: usize = 8;
const WATCHERS: usize = 6;
/// How long a call is repeated before it has failed for good.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the servers are now. A client asks when a call fails, as it would ask a name server, and until then goes by what
/// it knows.
type Addresses = watch::Receiver<Vec<Caller>>;

/// What became of the calls of a client.
#[derive(Debug, Default)]
struct Tally {
    calls: usize,
    /// Refused with UNAVAILABLE, and repeated.
    refused: usize,
    /// Broken off on the way, each with what the client's end of the connection said: a call that was sent while the
    /// server said good-bye, or a connection that it never took. Repeated too.
    raced: BTreeMap<String, usize>,
    /// Everything else: a call that failed.
    failed: Vec<String>,
    /// What was created, by name; one resource each, however often it was asked for.
    made: BTreeMap<String, String>,
}

impl Tally {
    /// Whether a call that failed is to be repeated.
    fn note(&mut self, status: &Status) -> bool {
        // A status without details was made by the client's own end of the connection.
        let is_ours = status.details().is_empty();
        match status.code() {
            Code::Unavailable => self.refused += 1,
            Code::Cancelled | Code::Internal | Code::Unknown if is_ours => {
                *self.raced.entry(format!("{:?}: {}", status.code(), status.message())).or_default() += 1;
            }
            _ => {
                self.failed.push(status.to_string());
                return false;
            }
        }
        true
    }

    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.refused += other.refused;
        for (how, times) in other.raced {
            *self.raced.entry(how).or_default() += times;
        }
        self.failed.extend(other.failed);
        for (name, id) in other.made {
            if let Some(before) = self.made.insert(name.clone(), id) {
                self.failed.push(format!("{name} was made twice, {before} before"));
            }
        }
    }
}

/// A client that knows several servers: each call goes to the next one.
struct Client {
    addresses: Addresses,
    known: Vec<Caller>,
    turn: usize,
    tally: Tally,
}

impl Client {
    fn new(addresses: Addresses, turn: usize) -> Self {
        Self { addresses, known: Vec::new(), turn, tally: Tally::default() }
    }

    /// Calls until there is an answer. None: it failed for good.
    async fn call<T, F>(&mut self, call: impl Fn(Caller) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Status>>,
    {
        self.tally.calls += 1;
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if self.known.is_empty() {
                self.known.clone_from(&self.addresses.borrow());
            }
            self.turn += 1;
            match call(self.known[self.turn % self.known.len()].clone()).await {
                Ok(answer) => return Some(answer),
                Err(status) if self.tally.note(&status) => self.known.clear(),
                Err(_) => return None,
            }
            sleep(Duration::from_millis(5)).await;
        }
        self.tally.failed.push(format!("no answer within {PATIENCE:?}"));
        None
    }

    async fn create(&mut self, name: String) {
        let create = v1::CreateProviderRequest {
            provider: Some(provider(&name, ProviderKind::Ollama)),
            request_id: name.clone(),
            ..Default::default()
        };
        let made = self.call(|caller| {
            let create = create.clone();
            async move { Ok(caller.providers().create_provider(create).await?.into_inner().provider.unwrap()) }
        });
        let Some(made) = made.await else { return };
        // Whichever server is asked shows it, if it is asked to show this revision.
        let read = self.call(|caller| {
            let mut get = Request::new(v1::GetProviderRequest { id: made.id.clone() });
            get.metadata_mut().insert("modelward-min-revision", made.revision.into());
            async move { Ok(caller.providers().get_provider(get).await?.into_inner().provider.unwrap()) }
        });
        if let Some(read) = read.await.filter(|read| *read != made) {
            self.tally.failed.push(format!("{name} was made as {made:?} and is shown as {read:?}"));
        }
        self.tally.made.insert(name, made.id);
    }

    async fn work(mut self, label: usize, end: watch::Receiver<bool>) -> Tally {
        for number in 0.. {
            if *end.borrow() {
                break;
            }
            self.create(format!("c{label}-{number}")).await;
        }
        self.tally
    }
}

/// A watcher that goes to the next server whenever its stream ends, until it has seen the last revision.
async fn watch(addresses: Addresses, turn: usize, mut last: watch::Receiver<Option<i64>>) -> (Checker, Vec<String>) {
    let (mut checker, mut failed, mut turn) = (Checker::after(0), Vec::new(), turn);
    loop {
        turn += 1;
        checker.reconnect();
        let caller = {
            let known = addresses.borrow();
            known[turn % known.len()].clone()
        };
        let Ok(answer) = caller.watches().watch(checker.request()).await else {
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        let mut stream = answer.into_inner();
        loop {
            if last.borrow().is_some_and(|last| checker.revision() >= last) {
                return (checker, failed);
            }
            tokio::select! {
                message = stream.message() => match message {
                    Ok(Some(message)) => checker.take(&message),
                    Ok(None) => {
                        failed.push("a stream ended without a word".to_owned());
                        break;
                    }
                    Err(status) => {
                        if !Refusal::read(&status).is_ok_and(|refusal| refusal.reason == "STOPPING") {
                            failed.push(format!("a stream ended with {status}"));
                        }
                        break;
                    }
                },
                _ = last.changed() => {}
            }
        }
    }
}

/// The servers of a Deployment, each in a directory of its own.
struct Deployment {
    database: Database,
    token: String,
    servers: Vec<(TempDir, Process)>,
    addresses: watch::Sender<Vec<Caller>>,
}

impl Deployment {
    async fn start() -> Self {
        let database = Database::new(Engine::Postgres).await;
        let first = block_in_place(|| launch(database.url()));
        let token = first.1.token();
        let (addresses, _) = watch::channel(Vec::new());
        let mut deployment = Self { database, token, servers: vec![first], addresses };
        while deployment.servers.len() < REPLICAS {
            let next = block_in_place(|| launch(deployment.database.url()));
            deployment.servers.push(next);
        }
        deployment.tell();
        deployment
    }

    /// The servers that clients find from now on.
    fn tell(&self) {
        let callers = self.servers.iter().map(|(_, server)| Caller::at(server.address(), Some(self.token.clone())));
        self.addresses.send_replace(callers.collect());
    }

    /// A pod goes only when its successor is ready. Its name goes when it is told to stop, as its clients may learn late.
    fn exchange_one(&mut self) {
        let next = launch(self.database.url());
        self.servers.push(next);
        self.tell();
        let (_directory, mut old) = self.servers.remove(0);
        old.signal(Signal::SIGTERM);
        self.tell();
        assert!(old.wait().success(), "{}", old.log());
    }
}

fn launch(url: &str) -> (TempDir, Process) {
    let directory = TempDir::new().unwrap();
    let mut variables = vec![("MODELWARD_HEALTH__ENABLED", "false"), ("MODELWARD_SHUTDOWN__LAME_DUCK", "300ms")];
    variables.extend(on_postgres(url));
    let process = Process::start(directory.path(), &variables);
    (directory, process)
}

/// What is wrong in the end: beside what clients found, what the tables and the log tell of what they were answered.
async fn verdict(store: &Store, tally: &Tally) -> Vec<String> {
    let ledger = Ledger::read(store).await;
    let mut complaints = [tally.failed.clone(), ledger.complaints()].concat();
    let mut there: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in &ledger.image.providers {
        there.entry(row.name.as_str().to_owned()).or_default().push(row.id.to_string());
    }
    for (name, id) in &tally.made {
        match there.remove(name).as_deref() {
            Some([one]) if one == id => {}
            other => complaints.push(format!("{name} was acknowledged as {id} and is {other:?}")),
        }
    }
    complaints.extend(there.keys().map(|name| format!("{name} is there and nobody was told")));
    complaints
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_for_good_while_all_replicas_are_exchanged() {
    let mut deployment = Deployment::start().await;
    let addresses = || deployment.addresses.subscribe();
    let (end, ended) = watch::channel(false);
    let (last_revision, last) = watch::channel(None);
    let callers: Vec<JoinHandle<Tally>> =
        (0..CALLERS).map(|label| tokio::spawn(Client::new(addresses(), label).work(label, ended.clone()))).collect();
    let watchers: Vec<_> = (0..WATCHERS).map(|turn| tokio::spawn(watch(addresses(), turn, last.clone()))).collect();
    let began = Instant::now();
    for _ in 0..effort(2, 20) * REPLICAS {
        block_in_place(|| deployment.exchange_one());
    }
    let took = began.elapsed();
    end.send_replace(true);
    let mut tally = Tally::default();
    for caller in join_all(callers).await {
        tally.add(caller.unwrap());
    }
    let store = deployment.database.open().await;
    let head = store.head().await.unwrap().revision.0;
    last_revision.send_replace(Some(head));
    let log = logged(&store, 0).await;
    let mut complaints = verdict(&store, &tally).await;
    for watcher in timeout(PATIENCE, join_all(watchers)).await.expect("everything is shown in the end") {
        let (checker, failed) = watcher.unwrap();
        complaints.extend(failed.into_iter().chain(checker.verdict(&log)));
    }
    report(&format!(
        "{REPLICAS} replicas exchanged again and again within {took:?}: {} calls, {} refused and repeated, broken off and repeated {:?}, {} made",
        tally.calls,
        tally.refused,
        tally.raced,
        tally.made.len()
    ));
    assert_eq!(complaints, Vec::<String>::new());
    assert!(tally.made.len() > CALLERS * REPLICAS, "too little was asked to say anything");
    assert!(tally.refused + tally.raced.len() > 0, "no client noticed that a server was gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_write_that_is_lost_and_one_that_happened_twice_are_found() {
    let server = Server::start(Engine::Sqlite).await;
    let store = &server.parts().store;
    let kept = server.admin().add_provider("kept", ProviderKind::Ollama).await;
    let good = || Tally { made: [("kept".to_owned(), kept.id.clone())].into(), ..Tally::default() };
    assert_eq!(verdict(store, &good()).await, Vec::<String>::new());
    let mut lost = good();
    lost.made.insert("lost".to_owned(), kept.id.clone());
    assert_eq!(verdict(store, &lost).await.len(), 1);
    assert_eq!(verdict(store, &Tally::default()).await.len(), 1, "it happened and nobody was told");
    let mut twice = good();
    twice.add(Tally { made: [("kept".to_owned(), "another".to_owned())].into(), ..Tally::default() });
    assert_eq!(verdict(store, &twice).await.len(), 2, "told once, and again beside what is there");
    let mut failed = good();
    assert!(failed.note(&Status::unavailable("")) && failed.note(&Status::cancelled("")));
    assert!(!failed.note(&Status::with_details(Code::Internal, "", vec![0].into())), "the server's own");
    assert_eq!((failed.refused, failed.raced.len(), verdict(store, &failed).await.len()), (1, 1, 1));
}
