//! Read-your-writes on any replica on request.
//!
//! What was written at one replica is read at another, which hears of it late, at once and with the revision that the
//! answer to the write carried.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use modelward::proto::v1::{self, ProviderKind};
use tonic::{Code, Request};

use super::{effort, report};
use crate::support::database::Database;
use crate::support::postgres::Cluster;
use crate::support::proxy::{Fault, Proxy};
use crate::support::server::{Caller, revision_of};
use crate::support::{Engine, Refusal, Server};

const CALLERS: usize = 16;
/// How late the second replica hears of what the first one wrote.
const LATE: Duration = Duration::from_millis(40);

/// Writes at one and reads at the other; how often that was stale, and how often it would have been without asking.
async fn write_and_read(one: Caller, two: Caller, id: String, rounds: usize) -> (usize, usize) {
    let (mut stale, mut otherwise) = (0, 0);
    for round in 0..rounds {
        let description = Some(format!("round {round}"));
        let provider = v1::Provider { id: id.clone(), description: description.clone(), ..Default::default() };
        let request = v1::UpdateProviderRequest { provider: Some(provider), ..Default::default() };
        let revision = revision_of(one.providers().update_provider(request).await.unwrap().metadata());
        otherwise += usize::from(two.get_provider(&id).await.description != description);
        let mut request = Request::new(v1::GetProviderRequest { id: id.clone() });
        request.metadata_mut().insert("modelward-min-revision", revision.to_string().parse().unwrap());
        let answer = two.providers().get_provider(request).await.unwrap();
        let is_new = revision_of(answer.metadata()) >= revision;
        stale += usize::from(!is_new || answer.into_inner().provider.unwrap().description != description);
    }
    (stale, otherwise)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d7_what_was_written_is_read_at_a_replica_that_hears_of_it_late() {
    let database = Database::new(Engine::Postgres).await;
    let one = Server::start_on(database.url(), |_| {}).await;
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], Cluster::shared().port())));
    let name = database.url().rsplit('/').next().unwrap();
    let two = Server::start_on(&format!("postgres://modelward@{}/{name}", proxy.address()), |_| {}).await;
    let two = two.with_token_of(&one);
    let names: Vec<_> = (0..CALLERS).map(|number| format!("p{number}")).collect();
    let added = join_all(names.iter().map(|name| one.admin().add_provider(name, ProviderKind::Ollama))).await;
    // It has them before it hears of things late.
    let head = one.parts().store.head().await.unwrap().revision;
    two.parts().snapshot.wait_for(head, Duration::from_secs(20)).await.unwrap();
    proxy.set(Fault::Delay(LATE));
    let (began, rounds) = (Instant::now(), effort(600, 2000).div_ceil(CALLERS));
    let work = added
        .into_iter()
        .map(|provider| tokio::spawn(write_and_read(one.admin().clone(), two.admin().clone(), provider.id, rounds)));
    let counts: Vec<_> = join_all(work).await.into_iter().map(Result::unwrap).collect();
    let stale: usize = counts.iter().map(|(stale, _)| stale).sum();
    let otherwise: usize = counts.iter().map(|(_, otherwise)| otherwise).sum();
    let reads = rounds * CALLERS;
    report(&format!("{reads} reads, {stale} stale; {otherwise} without asking; in {:?}", began.elapsed()));
    assert_eq!(stale, 0);
    // Who does not ask is told what is old: so the check finds it.
    assert!(otherwise > reads / 4, "{otherwise} of {reads}");
    // A replica that hears nothing any more says so.
    proxy.set(Fault::Stall);
    let revision = one.parts().store.head().await.unwrap().revision.0 + 1;
    one.admin().add_provider("unheard", ProviderKind::Ollama).await;
    let mut request = Request::new(v1::ListProvidersRequest::default());
    request.metadata_mut().insert("modelward-min-revision", revision.to_string().parse().unwrap());
    request.set_timeout(Duration::from_secs(2));
    let refused = two.providers().list_providers(request).await.unwrap_err();
    Refusal::of(&refused).is(Code::Unavailable, "REPLICA_BEHIND").says_when_to_retry();
    proxy.set(Fault::Pass);
}
