//! Synchronisation by itself: when, by whom, and what stops it.

use std::time::Duration;

use modelward::control::Mutation;
use modelward::domain::image::StatusValue;
use modelward::domain::provider::{SyncResult, SyncStatus};
use modelward::domain::{Clock as _, Error, Id, Revision, SystemClock};
use modelward::proto::v1::{self, ProviderKind};
use modelward::store::Claim;
use uuid::Uuid;

use crate::support::resources::{endpoint, mask, seconds};
use crate::support::vendor::{Mode, Vendor};
use crate::support::{Engine, Server, eventually};

/// A server that synchronises by itself, so many providers at once.
async fn server(engine: Engine, at_once: usize) -> Server {
    Server::start_with(engine, |settings| {
        settings.sync.enabled = true;
        settings.sync.max_in_flight = at_once;
    })
    .await
}

/// Whether a provider's models are to be synchronised by themselves, every hour.
async fn set_policy(server: &Server, provider_id: &str, enabled: bool) {
    let sync_policy = Some(v1::SyncPolicy { enabled: Some(enabled), interval: seconds(3600) });
    let provider = Some(v1::Provider { id: provider_id.to_owned(), sync_policy, ..Default::default() });
    let update_mask = mask(&["sync_policy"]);
    let request = v1::UpdateProviderRequest { provider, update_mask, ..Default::default() };
    server.providers().update_provider(request).await.unwrap();
}

/// A provider that works, with the policy to be synchronised by itself.
async fn synced_account(server: &Server, name: &str, vendor: &Vendor) -> String {
    let account = server.admin().add_account(name, ProviderKind::OpenaiCompatible, vendor).await;
    set_policy(server, &account.provider.id, true).await;
    account.provider.id
}

async fn models(server: &Server, provider_id: &str) -> Vec<v1::Model> {
    let request = v1::ListModelsRequest { provider_id: provider_id.to_owned(), page_size: 1000, ..Default::default() };
    server.models().list_models(request).await.unwrap().into_inner().models
}

/// The status of a provider's synchronisation once `holds` of it.
async fn status(server: &Server, id: &str, what: &str, holds: impl Fn(&v1::SyncStatus) -> bool) -> v1::SyncStatus {
    eventually(what, || async { server.admin().get_provider(id).await.sync.filter(&holds) }).await
}

fn has_succeeded(status: &v1::SyncStatus) -> bool {
    status.result() == v1::SyncResult::Succeeded
}

/// How often the vendor was asked for its list with a key.
fn lists(vendor: &Vendor) -> usize {
    let is_list = |seen: &&crate::support::vendor::Seen| seen.path == "/v1/models" && seen.authorization().is_some();
    vendor.seen().iter().filter(is_list).count()
}

/// Makes the last synchronisation one of two hours ago.
async fn outdate(server: &Server, id: &str) {
    let long_ago = SystemClock.now().before(Duration::from_hours(2));
    let status = SyncStatus {
        last_time: long_ago,
        result: SyncResult::Succeeded,
        message: String::new(),
        added: 0,
        updated: 0,
        deprecated: 0,
        restored: 0,
        unchanged: 0,
    };
    let id = Id::new(Uuid::parse_str(id).unwrap());
    server.parts().statuses.record(vec![StatusValue::Sync(id, status)]).await;
}

async fn runs_by_itself(engine: Engine) {
    let (server, vendor) = (server(engine, 4).await, Vendor::start().await);
    vendor.list(&["a", "b"]);
    let id = synced_account(&server, "p", &vendor).await;
    let first = status(&server, &id, "a first synchronisation", has_succeeded).await;
    assert_eq!((first.added, first.unchanged), (2, 0));
    let synced = models(&server, &id).await;
    assert_eq!(synced.iter().map(v1::Model::model_id).collect::<Vec<_>>(), ["a", "b"]);
    assert!(synced.iter().all(|model| model.created_by == "system"), "{synced:?}");
    let log = server.parts().store.log_after(Revision(synced[0].revision - 1), 1).await.unwrap();
    for line in log {
        let change = modelward::wire::log::decode(&line.payload).unwrap();
        assert_eq!((change.rpc.as_str(), change.actor.as_str()), ("modelward.v1.ModelService/SyncModels", "system"));
    }
    assert_eq!(server.parts().metrics.sync_leader.get(), 1);
    let counted = "modelward_scheduled_syncs_total{result=\"succeeded\"} 1";
    eventually("it is counted", || async { server.parts().metrics.render().contains(counted).then_some(()) }).await;

    // The next start finds that its turn has passed.
    outdate(&server, &id).await;
    vendor.list(&["b", "c"]);
    let server = server.restart().await;
    let second = status(&server, &id, "another one after the start", |status| status.added == 1).await;
    assert_eq!((second.deprecated, second.unchanged), (1, 1));
    // Once more: this time it is too early.
    let asked = lists(&vendor);
    let server = server.restart().await;
    let late = synced_account(&server, "late", &vendor).await;
    status(&server, &late, "what is due is done", has_succeeded).await;
    assert_eq!(lists(&vendor), asked + 1, "and nothing else");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enabled_provider_is_synchronised_by_itself_on_sqlite() {
    Box::pin(runs_by_itself(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enabled_provider_is_synchronised_by_itself_on_postgres() {
    Box::pin(runs_by_itself(Engine::Postgres)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_told_and_waits_for_its_turn() {
    let (server, vendor) = (server(Engine::Sqlite, 4).await, Vendor::start().await);
    vendor.set_mode(Mode::Failing(403));
    let id = synced_account(&server, "p", &vendor).await;
    let failed = status(&server, &id, "a failure", |status| status.result() == v1::SyncResult::Failed).await;
    assert!(failed.message.contains("403"), "{}", failed.message);
    assert!(models(&server, &id).await.is_empty());
    // It would work now, but it is not its turn.
    vendor.set_mode(Mode::Ok);
    vendor.list(&["a"]);
    let asked = lists(&vendor);
    let other = synced_account(&server, "other", &vendor).await;
    status(&server, &other, "another one is synchronised", has_succeeded).await;
    assert_eq!(lists(&vendor), asked + 1, "the one that failed waits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_hangs_blocks_no_other() {
    let server = server(Engine::Sqlite, 2).await;
    let (hanging, sound) = (Vendor::start().await, Vendor::start().await);
    hanging.set_mode(Mode::Slow(Duration::from_mins(5)));
    sound.list(&["a"]);
    let stuck = synced_account(&server, "stuck", &hanging).await;
    eventually("it hangs", || async { (lists(&hanging) > 0).then_some(()) }).await;
    for round in 0..6 {
        let id = synced_account(&server, &format!("p{round}"), &sound).await;
        status(&server, &id, "the others go on", has_succeeded).await;
    }
    assert_eq!(server.admin().get_provider(&stuck).await.sync, None);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_is_turned_off_stops_it_and_so_do_a_disabled_and_a_deleted_provider() {
    let server = server(Engine::Sqlite, 1).await;
    let sound = Vendor::start().await;
    sound.list(&["a"]);
    for way in ["policy", "disabled", "deleted"] {
        let hanging = Vendor::start().await;
        hanging.set_mode(Mode::Slow(Duration::from_mins(5)));
        let stuck = synced_account(&server, way, &hanging).await;
        eventually("it hangs", || async { (lists(&hanging) > 0).then_some(()) }).await;
        match way {
            "policy" => set_policy(&server, &stuck, false).await,
            "disabled" => {
                let request =
                    v1::UpdateProviderStatusRequest { id: stuck.clone(), is_active: Some(false), ..Default::default() };
                drop(server.providers().update_provider_status(request).await.unwrap());
            }
            _ => {
                let request = v1::DeleteProviderRequest { id: stuck.clone(), ..Default::default() };
                drop(server.providers().delete_provider(request).await.unwrap());
            }
        }
        // There is one slot: it is free only if what hangs was cut off.
        let id = synced_account(&server, &format!("after {way}"), &sound).await;
        status(&server, &id, "the slot is free", has_succeeded).await;
        assert_eq!(server.admin().get_provider(&stuck).await.sync, None, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_cannot_be_asked_yet_is_waited_for() {
    let (server, vendor) = (server(Engine::Sqlite, 4).await, Vendor::start().await);
    vendor.list(&["a"]);
    let id = server.admin().add_provider("early", ProviderKind::Openai).await.id;
    set_policy(&server, &id, true).await;
    let other = synced_account(&server, "other", &vendor).await;
    status(&server, &other, "another one is synchronised", has_succeeded).await;
    assert_eq!(server.admin().get_provider(&id).await.sync, None);
    server.admin().add_endpoint(endpoint(&id, "e", &vendor.url())).await;
    let key = crate::support::resources::credential(&id, "c", crate::support::vendor::KEY);
    server.admin().add_credential(key).await;
    status(&server, &id, "it is complete", has_succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_replicas_one_synchronises_and_the_other_takes_over() {
    let one = server(Engine::Postgres, 4).await;
    let two = one.replica().await;
    let vendor = Vendor::start().await;
    vendor.list(&["a", "b", "c"]);
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.push(synced_account(if number % 2 == 0 { &one } else { &two }, &format!("p{number}"), &vendor).await);
    }
    for id in &ids {
        status(&one, id, "all are synchronised", has_succeeded).await;
    }
    assert_eq!(lists(&vendor), ids.len(), "each once");
    let leads = |server: &Server| server.parts().metrics.sync_leader.get() == 1;
    assert_eq!(usize::from(leads(&one)) + usize::from(leads(&two)), 1);
    let (leader, follower) = if leads(&one) { (one, two) } else { (two, one) };
    leader.stop().await;
    let id = synced_account(&follower, "after", &vendor).await;
    status(&follower, &id, "the other one has taken over", has_succeeded).await;
    assert!(leads(&follower));
    assert_eq!(lists(&vendor), ids.len() + 1, "what was done is not done again");
}

async fn a_lost_lease_writes_nothing(engine: Engine) {
    let (server, vendor) = (Server::start(engine).await, Vendor::start().await);
    vendor.list(&["a"]);
    let id = server.admin().add_account("p", ProviderKind::OpenaiCompatible, &vendor).await.provider.id;
    let store = &server.parts().store;
    let long = Duration::from_mins(5);
    let old = store.lease("sync", "old", long).await.unwrap().unwrap().epoch;
    store.release_lease("sync", "old").await.unwrap();
    let new = store.lease("sync", "new", long).await.unwrap().unwrap().epoch;
    let run = async |owner: &str, epoch| {
        let claim = Some(Claim { name: "sync", owner: owner.to_owned(), epoch });
        let mutation = Mutation { claim, ..Mutation::system("modelward.v1.ModelService/SyncModels", "a test") };
        let provider = Id::new(Uuid::parse_str(&id).unwrap());
        server.parts().control.sync_models(mutation, provider, false, None).await
    };
    assert_eq!(run("old", old).await.unwrap_err(), Error::StoreUnavailable);
    assert!(models(&server, &id).await.is_empty());
    assert_eq!(server.admin().get_provider(&id).await.sync, None, "nor what it says about it");
    assert_eq!(run("new", new).await.unwrap().added, 1);
    assert!(has_succeeded(&server.admin().get_provider(&id).await.sync.unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_lost_the_lease_writes_nothing_on_sqlite() {
    a_lost_lease_writes_nothing(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_lost_the_lease_writes_nothing_on_postgres() {
    a_lost_lease_writes_nothing(Engine::Postgres).await;
}
