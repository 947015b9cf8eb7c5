//! A database switchover needs no restart: connections to what is no longer the primary are given up, and the new one is
//! found by itself.

use std::time::{Duration, Instant};

use modelward::proto::v1::{self, ProviderKind};
use tokio::task::block_in_place;

use super::d8::load::{self, Attempt, Load, Outcome};
use super::d8::{WORKS, check_answers};
use super::{effort, report};
use crate::support::pair::Pair;
use crate::support::resources::{endpoint, provider};
use crate::support::{Server, eventually, within};

/// Two servers on a database whose primary goes to its standby.
pub struct Stand {
    pub pair: Pair,
    database: String,
    server: Server,
    beside: Server,
    endpoint: v1::Endpoint,
}

/// What was written and read meanwhile.
pub struct Moved {
    pub attempts: Vec<Attempt>,
    reads: usize,
    /// When all wrote again after the promotion.
    back: Duration,
}

impl Stand {
    pub async fn new() -> Self {
        let pair = block_in_place(Pair::start);
        let database = pair.primary().create_database(None);
        let server = Server::start_on(&pair.url(&database), |_| {}).await;
        let beside = server.replica().await;
        let there = server.admin().add_provider("there", ProviderKind::Ollama).await;
        let endpoint = server.admin().add_endpoint(endpoint(&there.id, "e", "http://127.0.0.1:1/v1")).await;
        Self { pair, database, server, beside, endpoint }
    }

    /// Lets the primary go away under load, and checks each answer against what its successor has.
    pub async fn move_primary(&mut self, round: usize, go: impl FnOnce(&mut Pair)) -> Moved {
        let load = Load::start(&self.server, &self.beside, &format!("r{round}"), &self.endpoint);
        eventually("all write", || async { load.all(|attempt| attempt.outcome == Outcome::Stored).then_some(()) })
            .await;
        block_in_place(|| go(&mut self.pair));
        let promoted = Instant::now();
        let works = |attempt: &Attempt| attempt.ended > promoted && attempt.outcome == Outcome::Stored;
        within(WORKS, "all write to the new primary", || async { load.all(works).then_some(()) }).await;
        let back = promoted.elapsed();
        let (attempts, reads) = load.stop().await;
        check_answers(&attempts, &block_in_place(|| load::names(self.pair.primary(), &self.database)));
        block_in_place(|| self.pair.rejoin());
        Moved { attempts, reads, back }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d9_servers_follow_the_primary_wherever_it_goes() {
    let mut stand = Stand::new().await;
    for round in 0..effort(2, 10) {
        let Moved { attempts, reads, back } = stand.move_primary(round, Pair::switch_over).await;
        report(&format!("{} writes, {reads} reads; all write again after {back:?}", attempts.len()));
    }
}

/// So a managed database does it that runs out of space, or is about to be moved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d9_sessions_that_turn_read_only_are_given_up() {
    let pair = block_in_place(Pair::start);
    let database = pair.primary().create_database(None);
    let server = Server::start_on(&pair.url(&database), |_| {}).await;
    let add = |name: &'static str| server.admin().try_provider(provider(name, ProviderKind::Ollama));
    add("before").await.unwrap();
    block_in_place(|| pair.primary().set("default_transaction_read_only", "on"));
    within(WORKS, "writes are refused", || async {
        (load::outcome(add("meanwhile").await) == Outcome::Refused).then_some(())
    })
    .await;
    server.admin().try_provider(provider("before", ProviderKind::Ollama)).await.unwrap_err();
    block_in_place(|| pair.primary().set("default_transaction_read_only", "off"));
    within(WORKS, "writes work again", || async { add("after").await.ok() }).await;
}
