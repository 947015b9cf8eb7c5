//! Retried creates make one resource.
//!
//! Clients send each create until it is answered, some of them eight times at once; meanwhile connections are cut, and
//! the servers are killed between COMMIT and answer and started again. What falls there is the case that matters: the
//! write is done, and its client does not know.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use modelward::failpoint::VARIABLE;
use modelward::proto::v1::{self, ProviderKind};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tonic::{Request, Status};

use super::{effort, report};
use crate::support::database::Database;
use crate::support::process::{Process, on_postgres};
use crate::support::proxy::Proxy;
use crate::support::resources::{model, provider};
use crate::support::server::{Caller, revision_of};
use crate::support::{Engine, Refusal, eventually};

/// How many creates are on their way at a time.
const AT_ONCE: usize = 32;
/// How often each of ten is sent at once.
const COPIES: [usize; 10] = [8, 1, 1, 8, 1, 1, 8, 1, 1, 1];
/// A client that hears nothing for so long sends again.
const PATIENCE: Duration = Duration::from_secs(10);

/// What happened, to be told at the end.
#[derive(Default)]
struct Counts {
    sent: AtomicUsize,
    lost: AtomicUsize,
    kills: AtomicUsize,
    cuts: AtomicUsize,
}

/// A server that is killed and started again, and whom to call now.
struct Mortal {
    callers: watch::Receiver<Vec<Caller>>,
}

impl Mortal {
    /// It is killed `kills` times, then it stays.
    async fn start(directory: Arc<TempDir>, url: Option<String>, kills: usize, counts: Arc<Counts>) -> Self {
        let (sender, mut callers) = watch::channel(Vec::new());
        tokio::spawn(async move {
            for run in 0.. {
                let points = points(run, kills);
                let (directory, url) = (directory.clone(), url.clone());
                let started = spawn_blocking(move || {
                    let database = url.iter().flat_map(|url| on_postgres(url));
                    let variables: Vec<_> = database.chain([(VARIABLE, points.as_str())]).collect();
                    Process::start(directory.path(), &variables)
                });
                let mut process = started.await.unwrap();
                let proxy = Proxy::start(process.address());
                sender.send_replace((0..4).map(|_| process.admin_at(proxy.address())).collect());
                while !process.has_ended() {
                    sleep(Duration::from_millis(fastrand::u64(20..150))).await;
                    proxy.cut();
                    counts.cuts.fetch_add(1, Ordering::Relaxed);
                }
                counts.kills.fetch_add(1, Ordering::Relaxed);
            }
        });
        callers.wait_for(|callers| !callers.is_empty()).await.unwrap();
        Self { callers }
    }

    fn caller(&self) -> Caller {
        fastrand::choice(&*self.callers.borrow()).unwrap().clone()
    }
}

/// Answers take their time, so that connections are cut before them; some runs end after one of the next commits.
fn points(run: usize, kills: usize) -> String {
    let slow = "writer.answering=delay(20)";
    let number = fastrand::u32(3..15);
    match run {
        run if run >= kills => slow.to_owned(),
        run if run % 2 == 0 => format!("{slow};writer.committed=kill@{number}"),
        _ => format!("{slow};writer.answering=kill@{number}"),
    }
}

/// What was made, as it was answered.
#[derive(Debug, Clone, PartialEq)]
enum Made {
    Provider(Box<v1::Provider>),
    Model(Box<v1::Model>),
}

impl Made {
    fn id(&self) -> &str {
        match self {
            Self::Provider(provider) => &provider.id,
            Self::Model(model) => &model.id,
        }
    }
}

/// Sends a create once.
async fn send(caller: &Caller, number: usize, home: Option<&str>) -> Result<Made, Status> {
    let (name, request_id) = (format!("n{number}"), format!("create-{number}"));
    if let Some(home) = home.filter(|_| number % 2 == 1) {
        let request = v1::CreateModelRequest { model: Some(model(home, &name)), request_id, ..Default::default() };
        return Ok(Made::Model(caller.models().create_model(request).await?.into_inner().model.unwrap().into()));
    }
    let provider = Some(provider(&name, ProviderKind::Ollama));
    let request = v1::CreateProviderRequest { provider, request_id, ..Default::default() };
    Ok(Made::Provider(caller.providers().create_provider(request).await?.into_inner().provider.unwrap().into()))
}

/// Sends a create until it is answered.
async fn make(servers: &[Mortal], number: usize, home: Option<&str>, counts: &Counts) -> Made {
    loop {
        let caller = fastrand::choice(servers).unwrap().caller();
        counts.sent.fetch_add(1, Ordering::Relaxed);
        match timeout(PATIENCE, send(&caller, number, home)).await {
            Ok(Ok(made)) => return made,
            // Without details it is the transport's: the answer was lost, or the call never arrived.
            Ok(Err(status)) if !status.details().is_empty() => {
                let refusal = Refusal::of(&status);
                let may_be = ["STORE_UNAVAILABLE", "DEADLINE_EXCEEDED"].contains(&refusal.reason.as_str());
                assert!(may_be, "create {number} was answered with {refusal}");
            }
            _ => {}
        }
        counts.lost.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(10)).await;
    }
}

/// Sends a create in several copies at once; all are answered the same.
async fn make_once(servers: &[Mortal], number: usize, home: &str, counts: &Counts) -> String {
    let copies = COPIES[number % COPIES.len()];
    let answers = join_all((0..copies).map(|_| make(servers, number, Some(home), counts))).await;
    for answer in &answers {
        assert_eq!(answer, &answers[0], "one create, two answers");
    }
    answers[0].id().to_owned()
}

/// All ids that are listed, and the revision of the last page.
async fn listed(caller: &Caller) -> Result<(HashSet<String>, i64), Status> {
    let (mut ids, mut revision) = (HashSet::new(), 0);
    let mut providers = v1::ListProvidersRequest { page_size: 1000, ..Default::default() };
    let mut models = v1::ListModelsRequest { page_size: 1000, ..Default::default() };
    loop {
        let page = caller.providers().list_providers(providers.clone()).await?.into_inner();
        ids.extend(page.providers.into_iter().map(|provider| provider.id));
        providers.page_token = page.next_page_token;
        if providers.page_token.is_empty() {
            break;
        }
    }
    loop {
        let page = caller.models().list_models(Request::new(models.clone())).await?;
        revision = revision.max(revision_of(page.metadata()));
        let page = page.into_inner();
        ids.extend(page.models.into_iter().map(|model| model.id));
        models.page_token = page.next_page_token;
        if models.page_token.is_empty() {
            return Ok((ids, revision));
        }
    }
}

async fn each_makes_one(engine: Engine) {
    let creates = effort(800, 5_000);
    let kills = effort(3, 20);
    let began = Instant::now();
    let (directory, counts) = (Arc::new(TempDir::new().unwrap()), Arc::new(Counts::default()));
    let database = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(Database::new(engine).await),
    };
    let replicas = if database.is_some() { 2 } else { 1 };
    let mut servers = Vec::new();
    for _ in 0..replicas {
        let url = database.as_ref().map(|database| database.url().to_owned());
        servers.push(Mortal::start(directory.clone(), url, kills / replicas, counts.clone()).await);
    }
    let home = make(&servers, creates, None, &counts).await;
    let (servers, home_id) = (&servers, home.id());
    let ids: Vec<_> = stream::iter(0..creates)
        .map(|number| make_once(servers, number, home_id, &counts))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let made: HashSet<_> = ids.into_iter().chain([home_id.to_owned()]).collect();
    assert_eq!(made.len(), creates + 1, "each has an id of its own");
    let (found, revision) = eventually("the list", || async {
        listed(&servers[0].caller()).await.ok().filter(|(found, _)| found.len() > creates)
    })
    .await;
    assert_eq!(found, made, "what is there is what was answered");
    // And the first admin token.
    assert_eq!(usize::try_from(revision).unwrap(), creates + 2, "nothing was written twice");
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    report(&format!(
        "{engine}: {creates} creates sent {} times, {} answers lost, {} kills, {} cuts, {:?}",
        count(&counts.sent),
        count(&counts.lost),
        count(&counts.kills),
        count(&counts.cuts),
        began.elapsed()
    ));
    assert!(count(&counts.kills) > 0 && count(&counts.lost) > 0, "it was no quiet run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_retried_creates_make_one_resource_each_on_sqlite() {
    each_makes_one(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_retried_creates_make_one_resource_each_on_postgres() {
    each_makes_one(Engine::Postgres).await;
}
