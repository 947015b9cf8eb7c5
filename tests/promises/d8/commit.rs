//! COMMIT was sent and its answer does not come.

use std::net::SocketAddr;
use std::time::Instant;

use modelward::failpoint::VARIABLE;
use modelward::proto::v1::{self, ProviderKind};
use tempfile::TempDir;
use tokio::task::{JoinHandle, block_in_place};
use tonic::Status;

use super::load::names;
use super::load::{Outcome, outcome};
use super::{FAILS, NOISE, WORKS, listed};
use crate::support::database::Database;
use crate::support::postgres::Cluster;
use crate::support::process::{Process, on_postgres};
use crate::support::proxy::{Direction, Fault, Proxy};
use crate::support::resources::provider;
use crate::support::server::Caller;
use crate::support::{Engine, Server, eventually, within};

/// A server behind a proxy that is about to send the COMMIT of a write.
struct Stand {
    proxy: Proxy,
    other: Server,
    admin: Caller,
    writing: JoinHandle<Result<v1::Provider, Status>>,
    name: String,
    _process: Process,
    _directory: TempDir,
}

fn create() -> v1::CreateProviderRequest {
    v1::CreateProviderRequest {
        provider: Some(provider("wanted", ProviderKind::Ollama)),
        request_id: "wanted".into(),
        ..Default::default()
    }
}

impl Stand {
    /// What was sent to the database, or came from it, is lost from the COMMIT on.
    async fn with(lost: Direction) -> Self {
        let database = Database::new(Engine::Postgres).await;
        let other = Server::start_on(database.url(), |_| {}).await;
        let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], Cluster::shared().port())));
        let name = database.url().rsplit('/').next().unwrap().to_owned();
        let url = format!("postgres://modelward@{}/{name}", proxy.address());
        let directory = TempDir::new().unwrap();
        let variables: Vec<_> = on_postgres(&url).into_iter().chain([(VARIABLE, "writer.written=stop@1")]).collect();
        let mut process = Process::start(directory.path(), &variables);
        let admin = process.caller(other.admin().token());
        let caller = admin.clone();
        let writing = tokio::spawn(async move {
            let answer = caller.providers().create_provider(create()).await?;
            Ok(answer.into_inner().provider.unwrap())
        });
        process.wait_until_stopped();
        proxy.set(Fault::Drop(lost));
        process.cont();
        Self { proxy, other, admin, writing, name, _process: process, _directory: directory }
    }

    fn is_stored(&self) -> bool {
        block_in_place(|| names(Cluster::shared(), &self.name)).contains("wanted")
    }

    /// The connection ends, and new ones work.
    fn cut(&self) {
        self.proxy.cut();
        self.proxy.set(Fault::Pass);
    }

    /// Writes work again, and the same request makes one provider.
    async fn is_healed(&self) -> v1::Provider {
        let made = within(WORKS, "writes work again", || async {
            Some(self.admin.providers().create_provider(create()).await.ok()?.into_inner().provider.unwrap())
        })
        .await;
        assert_eq!(listed(&self.admin).await, ["wanted"]);
        assert_eq!(self.admin.get_provider(&made.id).await, made);
        eventually("the other one shows it", || async {
            (listed(self.other.admin()).await == ["wanted"]).then_some(())
        })
        .await;
        made
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_a_commit_whose_answer_was_cut_is_found_and_answered() {
    let mut stand = Stand::with(Direction::ToClient).await;
    eventually("it is committed", || async { stand.is_stored().then_some(()) }).await;
    stand.cut();
    let began = Instant::now();
    let answered = (&mut stand.writing).await.unwrap().unwrap();
    assert!(began.elapsed() < FAILS + NOISE, "{:?}", began.elapsed());
    assert_eq!(stand.is_healed().await, answered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_a_commit_that_did_not_arrive_is_refused_and_never_found() {
    let mut stand = Stand::with(Direction::ToTarget).await;
    eventually("COMMIT is lost", || async { (stand.proxy.lost() > 0).then_some(()) }).await;
    stand.cut();
    assert_eq!(outcome((&mut stand.writing).await.unwrap()), Outcome::Refused);
    assert!(!stand.is_stored());
    stand.is_healed().await;
}

/// The answer does not come and the connection does not end: the caller learns in time that the outcome is open.
async fn stays_open(lost: Direction, committed: bool) {
    let mut stand = Stand::with(lost).await;
    let began = Instant::now();
    assert_eq!(outcome((&mut stand.writing).await.unwrap()), Outcome::Open);
    assert!(began.elapsed() < FAILS + NOISE, "{:?}", began.elapsed());
    assert_eq!(stand.is_stored(), committed);
    stand.proxy.set(Fault::Pass);
    stand.is_healed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_a_commit_without_an_answer_is_called_open_and_was_done() {
    stays_open(Direction::ToClient, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_a_commit_without_an_answer_is_called_open_and_was_not_done() {
    stays_open(Direction::ToTarget, false).await;
}
