//! A database switchover needs no restart: connections to what is no longer the primary are given up, and the new one is
//! found by itself.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use modelward::proto::v1::{self, ProviderKind};
use tokio::task::block_in_place;

use super::d8::load::{self, Attempt, Load, Outcome};
use super::d8::{WORKS, check_answers};
use super::{effort, report};
use crate::support::pair::Pair;
use crate::support::patroni::Patroni;
use crate::support::primary::Primary;
use crate::support::resources::{endpoint, provider};
use crate::support::{Server, eventually, within};

/// Two servers on a database whose primary goes to a standby.
pub struct Stand {
    database: Box<dyn Primary>,
    name: String,
    server: Server,
    beside: Server,
    endpoint: v1::Endpoint,
}

/// What was written and read meanwhile.
pub struct Moved {
    attempts: Vec<Attempt>,
    reads: usize,
    /// When all wrote again after another one took writes.
    back: Duration,
}

pub fn fail_over(database: &mut dyn Primary) {
    database.fail_over();
}

pub fn switch_over(database: &mut dyn Primary) {
    database.switch_over();
}

impl Moved {
    /// How many writes were acknowledged.
    pub fn stored(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.outcome == Outcome::Stored).count()
    }

    /// The longest time without an acknowledged write, of all writers.
    fn gap(&self) -> Duration {
        let mut last = HashMap::new();
        let stored = self.attempts.iter().filter(|attempt| attempt.outcome == Outcome::Stored);
        let gaps = stored.filter_map(|attempt| Some(attempt.ended - last.insert(attempt.writer, attempt.ended)?));
        gaps.max().unwrap_or_default()
    }

    pub fn figures(&self) -> String {
        let Self { attempts, reads, back } = self;
        let (stored, all) = (self.stored(), attempts.len());
        format!(
            "{stored} of {all} writes, {reads} reads; none for {:.1?}, all again {back:.1?} after it could",
            self.gap()
        )
    }
}

impl Stand {
    pub async fn new(database: impl Primary + 'static) -> Self {
        let name = block_in_place(|| database.create_database());
        let server = Server::start_on(&database.url(&name), |_| {}).await;
        let beside = server.replica().await;
        let there = server.admin().add_provider("there", ProviderKind::Ollama).await;
        let endpoint = server.admin().add_endpoint(endpoint(&there.id, "e", "http://127.0.0.1:1/v1")).await;
        Self { database: Box::new(database), name, server, beside, endpoint }
    }

    /// Lets the primary go away under load, and checks each answer against what its successor has.
    pub async fn move_primary(&mut self, round: usize, go: fn(&mut dyn Primary)) -> Moved {
        let load = Load::start(&self.server, &self.beside, &format!("r{round}"), &self.endpoint);
        eventually("all write", || async { load.all(|attempt| attempt.outcome == Outcome::Stored).then_some(()) })
            .await;
        block_in_place(|| go(self.database.as_mut()));
        let promoted = Instant::now();
        let works = |attempt: &Attempt| attempt.ended > promoted && attempt.outcome == Outcome::Stored;
        within(WORKS, "all write to the new primary", || async { load.all(works).then_some(()) }).await;
        let back = promoted.elapsed();
        let (attempts, reads) = load.stop().await;
        let names = block_in_place(|| load::names_by(|sql| self.database.sql(&self.name, sql)));
        check_answers(&attempts, &names);
        block_in_place(|| self.database.rejoin());
        Moved { attempts, reads, back }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d9_servers_follow_the_primary_wherever_it_goes() {
    Box::pin(follow(block_in_place(Pair::start))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Patroni and etcd, and minutes: just chaos"]
async fn d9_servers_follow_the_primary_wherever_patroni_puts_it() {
    Box::pin(follow(block_in_place(Patroni::start))).await;
}

async fn follow(database: impl Primary + 'static) {
    let mut stand = Stand::new(database).await;
    for round in 0..effort(2, 10) {
        report(&stand.move_primary(round, switch_over).await.figures());
    }
}

/// So a managed database does it that runs out of space, or is about to be moved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d9_sessions_that_turn_read_only_are_given_up() {
    let pair = block_in_place(Pair::start);
    let database = pair.create_database();
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
