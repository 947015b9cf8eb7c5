//! An acknowledged write survives the loss of the database's primary where a standby has every commit; where it may have
//! lost some, the loss is noticed.

use std::time::{Duration, Instant};

use modelward::proto::v1::{self, ProviderKind};
use tokio::task::block_in_place;
use tonic::Code;

use super::d8::check_answers;
use super::d8::load::{self, Attempt, Load, Outcome};
use super::{effort, report};
use crate::support::pair::Pair;
use crate::support::resources::{endpoint, provider};
use crate::support::{Server, eventually, within};

/// Failing over is the business of whoever runs the database; this is until writes work after it.
const WORKS: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d2_what_was_acknowledged_survives_the_loss_of_the_primary() {
    let mut pair = block_in_place(Pair::start);
    let database = pair.primary().create_database(None);
    let server = Server::start_on(&pair.url(&database), |_| {}).await;
    let beside = server.replica().await;
    let there = server.admin().add_provider("there", ProviderKind::Ollama).await;
    let its = server.admin().add_endpoint(endpoint(&there.id, "e", "http://127.0.0.1:1/v1")).await;
    let mut stored = 0;
    for round in 0..effort(2, 10) {
        block_in_place(|| pair.wait_for_standby(true));
        let load = Load::start(&server, &beside, &format!("r{round}"), &its);
        eventually("all write", || async { load.all(|attempt| attempt.outcome == Outcome::Stored).then_some(()) })
            .await;
        block_in_place(|| pair.fail_over());
        let promoted = Instant::now();
        let works = |attempt: &Attempt| attempt.ended > promoted && attempt.outcome == Outcome::Stored;
        within(WORKS, "all write to the new primary", || async { load.all(works).then_some(()) }).await;
        let (attempts, _) = load.stop().await;
        check_answers(&attempts, &block_in_place(|| load::names(pair.primary(), &database)));
        stored += attempts.iter().filter(|attempt| attempt.outcome == Outcome::Stored).count();
        block_in_place(|| pair.rejoin());
    }
    report(&format!("{stored} acknowledged writes, none lost"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d2_what_an_asynchronous_standby_lost_is_noticed() {
    let mut pair = block_in_place(Pair::start);
    let database = pair.primary().create_database(None);
    let server = Server::start_on(&pair.url(&database), |_| {}).await;
    server.admin().add_provider("kept", ProviderKind::Ollama).await;
    block_in_place(|| pair.rejoin());
    block_in_place(|| pair.cut());
    let lost = server.admin().add_provider("lost", ProviderKind::Ollama).await;
    let loads = server.parts().comparison.tail.contact().borrow().loads;
    block_in_place(|| pair.fail_over());
    let get = v1::GetProviderRequest { id: lost.id.clone() };
    let gone = within(WORKS, "what is lost is not shown", || async {
        server.providers().get_provider(get.clone()).await.err()
    });
    assert_eq!(gone.await.code(), Code::NotFound);
    assert!(server.parts().comparison.tail.contact().borrow().loads > loads, "everything was loaded anew");
    // The same revision means something else now, and the log of it is whole.
    let add = || server.admin().try_provider(provider("next", ProviderKind::Ollama));
    let next = within(WORKS, "writes work again", || async { add().await.ok() }).await;
    assert_eq!(next.revision, lost.revision);
    let names = block_in_place(|| load::names(pair.primary(), &database));
    assert_eq!(names, ["kept", "next"].map(ToOwned::to_owned).into());
}
