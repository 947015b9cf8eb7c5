//! An acknowledged write survives the loss of the database's primary where a standby has every commit; where it may have
//! lost some, the loss is noticed.

use modelward::proto::v1::{self, ProviderKind};
use tokio::task::block_in_place;
use tonic::Code;

use super::d8::WORKS;
use super::d8::load::{self, Outcome};
use super::d9::Stand;
use super::{effort, report};
use crate::support::pair::Pair;
use crate::support::resources::provider;
use crate::support::{Server, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d2_what_was_acknowledged_survives_the_loss_of_the_primary() {
    let mut stand = Stand::new().await;
    let mut stored = 0;
    for round in 0..effort(2, 10) {
        block_in_place(|| stand.pair.wait_for_standby(true));
        let moved = stand.move_primary(round, Pair::fail_over).await;
        stored += moved.attempts.iter().filter(|attempt| attempt.outcome == Outcome::Stored).count();
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
