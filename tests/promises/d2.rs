//! An acknowledged write survives the loss of the database's primary where a standby has every commit; where it may have
//! lost some, the loss is noticed.

use modelward::proto::v1::{self, ProviderKind, WatchEvent};
use tokio::task::block_in_place;
use tonic::Code;

use super::d8::WORKS;
use super::d8::load;
use super::d9::{Stand, fail_over, switch_over};
use super::{effort, report};
use crate::support::pair::Pair;
use crate::support::patroni::Patroni;
use crate::support::primary::Primary;
use crate::support::resources::provider;
use crate::support::watching::{Watching, resume};
use crate::support::{Refusal, Server, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d2_what_was_acknowledged_survives_the_loss_of_the_primary() {
    let mut stand = Stand::new(block_in_place(Pair::start_synchronous)).await;
    let mut stored = 0;
    for round in 0..effort(2, 10) {
        stored += stand.move_primary(round, fail_over).await.stored();
    }
    report(&format!("{stored} acknowledged writes, none lost"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Patroni and etcd, and minutes: just chaos"]
async fn d2_what_was_acknowledged_survives_what_patroni_does() {
    let mut stand = Stand::new(block_in_place(Patroni::start_synchronous)).await;
    let mut stored = 0;
    for round in 0..effort(2, 10) {
        let is_failover = round % 2 == 0;
        let (what, go) = if is_failover {
            ("failover", fail_over as fn(&mut dyn Primary))
        } else {
            ("switchover", switch_over as _)
        };
        let moved = stand.move_primary(round, go).await;
        stored += moved.stored();
        report(&format!("{what}: {}", moved.figures()));
    }
    report(&format!("{stored} acknowledged writes, none lost"));
}

/// A primary dies with a change that it had acknowledged, and that its standbys do not have.
async fn a_loss_is_noticed(mut database: impl Primary) {
    let name = database.create_database();
    let server = Server::start_on(&database.url(&name), |_| {}).await;
    server.admin().add_provider("kept", ProviderKind::Ollama).await;
    block_in_place(|| database.rejoin());
    block_in_place(|| database.cut());
    let mut watching = Watching::from_now(server.admin()).await;
    let lost = server.admin().add_provider("lost", ProviderKind::Ollama).await;
    let shown = watching.next_of(WatchEvent::Changes).await;
    assert_eq!(shown.revision, lost.revision);
    let loads = server.parts().comparison.tail.contact().borrow().loads;
    block_in_place(|| database.fail_over());
    let get = v1::GetProviderRequest { id: lost.id.clone() };
    let gone = within(WORKS, "what is lost is not shown", || async {
        server.providers().get_provider(get.clone()).await.err()
    });
    assert_eq!(gone.await.code(), Code::NotFound);
    assert!(server.parts().comparison.tail.contact().borrow().loads > loads, "everything was loaded anew");
    // Who saw it learns it, on the open stream and on the next one.
    let told = |status| {
        Refusal::of(&status).is(Code::OutOfRange, "HISTORY_CHANGED");
    };
    told(watching.end().await);
    told(Watching::try_open(server.admin(), resume(&shown.resume_token)).await.err().unwrap());
    // The same revision means something else now, and the log of it is whole.
    let add = || server.admin().try_provider(provider("next", ProviderKind::Ollama));
    let next = within(WORKS, "writes work again", || async { add().await.ok() }).await;
    assert_eq!(next.revision, lost.revision);
    let names = block_in_place(|| load::names_by(|sql| database.sql(&name, sql)));
    assert_eq!(names, ["kept", "next"].map(ToOwned::to_owned).into());
    told(Watching::try_open(server.admin(), resume(&shown.resume_token)).await.err().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d2_what_an_asynchronous_standby_lost_is_noticed() {
    Box::pin(a_loss_is_noticed(block_in_place(Pair::start))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Patroni and etcd, and minutes: just chaos"]
async fn d2_what_an_asynchronous_failover_of_patroni_lost_is_noticed() {
    Box::pin(a_loss_is_noticed(block_in_place(Patroni::start))).await;
}
