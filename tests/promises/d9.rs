//! A database switchover needs no restart: connections to what is no longer the primary are given up, and the new one is
//! found by itself.

use std::time::Instant;

use modelward::proto::v1::ProviderKind;
use tokio::task::block_in_place;

use super::d8::load::{self, Attempt, Load, Outcome};
use super::d8::{WORKS, check_answers};
use super::{effort, report};
use crate::support::pair::Pair;
use crate::support::resources::{endpoint, provider};
use crate::support::{Server, eventually, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d9_servers_follow_the_primary_wherever_it_goes() {
    let mut pair = block_in_place(Pair::start);
    let database = pair.primary().create_database(None);
    let server = Server::start_on(&pair.url(&database), |_| {}).await;
    let beside = server.replica().await;
    let there = server.admin().add_provider("there", ProviderKind::Ollama).await;
    let its = server.admin().add_endpoint(endpoint(&there.id, "e", "http://127.0.0.1:1/v1")).await;
    for round in 0..effort(2, 10) {
        let load = Load::start(&server, &beside, &format!("r{round}"), &its);
        eventually("all write", || async { load.all(|attempt| attempt.outcome == Outcome::Stored).then_some(()) })
            .await;
        block_in_place(|| pair.switch_over());
        let promoted = Instant::now();
        let works = |attempt: &Attempt| attempt.ended > promoted && attempt.outcome == Outcome::Stored;
        within(WORKS, "all write to the new primary", || async { load.all(works).then_some(()) }).await;
        let back = promoted.elapsed();
        let (attempts, reads) = load.stop().await;
        check_answers(&attempts, &block_in_place(|| load::names(pair.primary(), &database)));
        report(&format!("{} writes, {reads} reads; all write again after {back:?}", attempts.len()));
        block_in_place(|| pair.rejoin());
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
