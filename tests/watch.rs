//! Watch streams: what they show, to whom, and how they end.

use std::time::{Duration, Instant};

use modelward::proto::v1::{self, HealthStatus, ProviderKind, ResourceKind, Role, WatchEvent};
use tonic::Code;

use crate::support::listing::Listing;
use crate::support::resources::{credential, endpoint, model};
use crate::support::vendor::Vendor;
use crate::support::watching::{Checker, Watching, changes, logged, resume};
use crate::support::{Engine, Refusal, Server, for_each_engine, within};

async fn head(server: &Server) -> i64 {
    server.parts().store.head().await.unwrap().revision.0
}

/// What a stream that begins with the state shows before it goes on.
async fn state(watching: &mut Watching) -> (Vec<v1::WatchResponse>, v1::WatchResponse) {
    let mut parts = Vec::new();
    loop {
        let message = watching.next().await;
        match message.event() {
            WatchEvent::State => parts.push(message),
            WatchEvent::StateComplete => return (parts, message),
            other => panic!("{other:?} within the state"),
        }
    }
}

async fn refusal(server: &Server, request: v1::WatchRequest) -> Refusal {
    let status = Watching::try_open(server.admin(), request).await.err().expect("a refusal");
    Refusal::of(&status)
}

/// A provider with many models, as one revision deletes them.
async fn large(server: &Server, models: usize) -> String {
    let provider = server.admin().add_provider("large", ProviderKind::Ollama).await;
    let added = (0..models).map(|number| {
        let wanted = v1::Model { description: Some("x".repeat(1000)), ..model(&provider.id, &format!("m{number}")) };
        server.admin().add_model(wanted)
    });
    futures_util::future::join_all(added).await;
    provider.id
}

async fn delete(server: &Server, id: &str) {
    let request = v1::DeleteProviderRequest { id: id.to_owned(), ..Default::default() };
    server.providers().delete_provider(request).await.unwrap();
}

for_each_engine! {
    async fn what_is_written_is_shown_in_order_without_its_author(server: &Server) {
        let before = head(server).await;
        let mut watching = Watching::from_now(server.admin()).await;
        let provider = server.admin().add_provider("one", ProviderKind::Ollama).await;
        server.admin().add_endpoint(endpoint(&provider.id, "e", "http://127.0.0.1:1/v1")).await;
        server.admin().add_credential(credential(&provider.id, "c", "sk-0123456789")).await;
        server.admin().add_model(model(&provider.id, "m")).await;
        let messages = watching.up_to(head(server).await).await;
        let mut checker = Checker::after(before);
        for message in &messages {
            checker.take(message);
        }
        let logged = logged(&server.parts().store, before).await;
        assert_eq!(checker.verdict(&logged), Vec::<String>::new());
        let shown = changes(&messages);
        assert_eq!(shown.len(), 4);
        for change in shown {
            assert!(change.before.is_none() && change.after.is_some());
            let hidden = [change.actor, change.request_id, change.reason, change.peer_address, change.user_agent];
            assert_eq!(hidden.concat(), "");
        }
    }

    async fn the_state_is_what_is_listed_and_changes_follow_it(server: &Server) {
        let vendor = Vendor::start().await;
        let account = server.admin().add_account("account", ProviderKind::OpenaiCompatible, &vendor).await;
        let hidden = server.admin().add_provider("hidden", ProviderKind::Ollama).await;
        for number in 0..300 {
            let wanted = v1::Model { description: Some("x".repeat(1000)), ..model(&account.provider.id, &format!("m{number}")) };
            server.admin().add_model(wanted).await;
        }
        server.admin().add_model(model(&hidden.id, "m")).await;
        delete(server, &hidden.id).await;
        let request = v1::WatchRequest { include_state: true, ..Default::default() };
        let mut watching = Watching::open(server.admin(), request).await;
        let (parts, complete) = state(&mut watching).await;
        let at = head(server).await;
        assert_eq!((complete.revision, complete.last_of_revision), (at, true));
        assert!(parts.len() > 1 && parts.iter().all(|part| part.resume_token.is_empty() && !part.last_of_revision));
        let listing = Listing::read(server.admin(), at).await;
        let shown = changes(&parts);
        let ids: Vec<_> = shown.iter().map(|change| (change.resource_id.as_str(), change.revision)).collect();
        let listed = listing.providers.iter().map(|found| (found.id.as_str(), found.revision));
        let listed = listed.chain(listing.endpoints.iter().map(|found| (found.id.as_str(), found.revision)));
        let listed = listed.chain(listing.credentials.iter().map(|found| (found.id.as_str(), found.revision)));
        let listed = listed.chain(listing.models.iter().map(|found| (found.id.as_str(), found.revision)));
        assert_eq!(ids, listed.collect::<Vec<_>>());
        assert!(shown.iter().all(|change| change.operation() == v1::Operation::Create));
        let statuses: Vec<_> = parts.iter().flat_map(|part| &part.statuses).map(v1::ResourceStatus::resource_kind).collect();
        assert_eq!(statuses, [ResourceKind::Endpoint, ResourceKind::Credential]);
        let added = server.admin().add_model(model(&account.provider.id, "later")).await;
        let next = watching.next_of(WatchEvent::Changes).await;
        assert_eq!(next.changes[0].resource_id, added.id);
    }

    async fn only_what_passes_the_filter_is_shown_and_the_rest_is_a_bookmark(server: &Server) {
        let [one, two] = ["one", "two"].map(|name| server.admin().add_provider(name, ProviderKind::Ollama));
        let (one, two) = (one.await, two.await);
        let request = v1::WatchRequest {
            provider_id: one.id.clone(),
            resource_kinds: vec![ResourceKind::Model.into()],
            include_state: true,
            ..Default::default()
        };
        let mut watching = Watching::open(server.admin(), request).await;
        assert_eq!(state(&mut watching).await.0, []);
        for provider in [&two, &one, &two] {
            server.admin().add_model(model(&provider.id, &format!("m{}", head(server).await))).await;
            server.admin().add_endpoint(endpoint(&provider.id, &format!("e{}", head(server).await), "http://h/v1")).await;
        }
        server.as_role(Role::Viewer).await;
        let end = head(server).await;
        let began = Instant::now();
        let messages = watching.up_to(end).await;
        assert!(began.elapsed() < Duration::from_secs(5), "not only with the regular bookmark");
        let shown = changes(&messages);
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert_eq!(messages.last().unwrap().event(), WatchEvent::Bookmark);
        assert_eq!(messages.last().unwrap().revision, end);
    }

    async fn who_comes_back_with_a_token_misses_nothing(server: &Server) {
        let mut checker = Checker::after(0);
        for round in 0..4 {
            let mut watching = Watching::open(server.admin(), checker.request()).await;
            checker.reconnect();
            server.admin().add_provider(&format!("seen {round}"), ProviderKind::Ollama).await;
            let end = head(server).await;
            while checker.revision() < end {
                checker.take(&watching.next().await);
            }
            drop(watching);
            server.admin().add_provider(&format!("missed {round}"), ProviderKind::Ollama).await;
        }
        assert_eq!(checker.taken.len(), 7);
        let logged = logged(&server.parts().store, 0).await;
        assert_eq!(checker.verdict(&logged), Vec::<String>::new());
    }

    async fn what_a_stream_cannot_begin_with_is_refused(server: &Server) {
        let mut watching = Watching::open(server.admin(), v1::WatchRequest::default()).await;
        let token = watching.next().await.resume_token;
        let both = v1::WatchRequest { from_revision: Some(1), ..resume(&token) };
        refusal(server, both).await.names(&["from_revision"]);
        refusal(server, resume("nonsense")).await.names(&["resume_token"]);
        let negative = v1::WatchRequest { from_revision: Some(-1), ..Default::default() };
        refusal(server, negative).await.names(&["from_revision"]);
        for kind in [ResourceKind::Token, ResourceKind::Keyring] {
            let kinds = v1::WatchRequest { resource_kinds: vec![kind.into()], ..Default::default() };
            refusal(server, kinds).await.names(&["resource_kinds"]);
        }
        let long = v1::WatchRequest { client_name: "x".repeat(201), ..Default::default() };
        refusal(server, long).await.names(&["client_name"]);
        let provider = v1::WatchRequest { provider_id: uuid::Uuid::max().to_string(), ..Default::default() };
        refusal(server, provider).await.is(Code::NotFound, "NOT_FOUND");
        let ahead = v1::WatchRequest { from_revision: Some(1_000_000), ..Default::default() };
        refusal(server, ahead).await.is(Code::OutOfRange, "HISTORY_CHANGED");
    }

    async fn a_stream_ends_soon_after_its_token_is_revoked(server: &Server) {
        let viewer = server.as_role(Role::Viewer).await;
        let mut watching = Watching::from_now(&viewer).await;
        let listed = server.tokens().list_tokens(v1::ListTokensRequest::default()).await.unwrap().into_inner();
        let token = listed.tokens.into_iter().find(|token| token.name.contains("VIEWER")).unwrap();
        let request = v1::RevokeTokenRequest { id: token.id, ..Default::default() };
        server.tokens().revoke_token(request).await.unwrap();
        let began = Instant::now();
        Refusal::of(&watching.end().await).is(Code::Unauthenticated, "UNAUTHENTICATED");
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }

    async fn the_latest_status_is_told_gathered(server: &Server) {
        let vendor = Vendor::start().await;
        let account = server.admin().add_account("account", ProviderKind::OpenaiCompatible, &vendor).await;
        let list = v1::ListEndpointsRequest { provider_id: account.provider.id.clone(), ..Default::default() };
        let id = server.endpoints().list_endpoints(list).await.unwrap().into_inner().endpoints.remove(0).id;
        let mut watching = Watching::from_now(server.admin()).await;
        for _ in 0..20 {
            let request = v1::CheckEndpointHealthRequest { id: id.clone() };
            server.endpoints().check_endpoint_health(request).await.unwrap();
        }
        let shown = server.admin().get_endpoint(&id).await.health;
        let mut told = 0;
        loop {
            let message = watching.next_of(WatchEvent::Status).await;
            told += 1;
            let Some(status) = message.statuses.iter().find(|status| status.resource_id == id) else { continue };
            let Some(v1::resource_status::Status::Endpoint(found)) = &status.status else { panic!("{status:?}") };
            assert_eq!(found.health.as_ref().unwrap().status(), HealthStatus::Healthy);
            if found.health == shown {
                break;
            }
        }
        assert!(told < 20, "{told} messages");
    }
}

/// The watchers that are listed, of one client.
async fn listed(server: &Server, client: &str) -> Vec<v1::Watcher> {
    let request = v1::ListWatchersRequest { client: client.to_owned(), ..Default::default() };
    server.watches().list_watchers(request).await.unwrap().into_inner().watchers
}

fn named(client: &str) -> v1::WatchRequest {
    v1::WatchRequest { client_name: client.to_owned(), ..Default::default() }
}

async fn acknowledge(server: &Server, message: &v1::WatchResponse) {
    let request = v1::AckRequest { watch_id: message.watch_id.clone(), resume_token: message.resume_token.clone() };
    server.watches().ack(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_replica_lists_all_watchers_and_takes_their_acknowledgements() {
    let one = with(Engine::Postgres, |_| {}).await;
    let two = one.replica().await;
    let mut watching = Watching::open(one.admin(), named("app")).await;
    let _other = Watching::open(two.admin(), named("other")).await;
    let first = watching.next().await;
    acknowledge(&two, &first).await;
    for server in [&one, &two] {
        within(Duration::from_secs(5), "it is listed as acknowledged", || async {
            let found = listed(server, "app").await;
            let [watcher] = found.as_slice() else { return None };
            assert_eq!((watcher.watch_id.as_str(), watcher.client.as_str()), (first.watch_id.as_str(), "app"));
            (watcher.acknowledged_revision == first.revision && watcher.lag == 0).then_some(())
        })
        .await;
    }
    one.admin().add_provider("p", ProviderKind::Ollama).await;
    let change = watching.next_of(WatchEvent::Changes).await;
    assert_eq!(listed(&one, "app").await[0].lag, 1);
    acknowledge(&one, &change).await;
    // An older one changes nothing.
    acknowledge(&one, &first).await;
    assert_eq!(listed(&one, "app").await[0].acknowledged_revision, change.revision);
    let request = v1::ListWatchersRequest { order_by: "name desc".into(), ..Default::default() };
    let all = two.watches().list_watchers(request).await.unwrap().into_inner();
    assert_eq!(all.watchers.iter().map(|watcher| watcher.client.as_str()).collect::<Vec<_>>(), ["other", "app"]);
    assert_ne!(all.watchers[0].replica, all.watchers[1].replica);
    drop(watching);
    for server in [&one, &two] {
        within(Duration::from_secs(5), "it is gone", || async { listed(server, "app").await.is_empty().then_some(()) })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_for_nobody_is_refused() {
    let server = with(Engine::Sqlite, |_| {}).await;
    let mut watching = Watching::open(server.admin(), named("app")).await;
    let first = watching.next().await;
    let ack = |watch_id: &str, token: &str| {
        let request = v1::AckRequest { watch_id: watch_id.to_owned(), resume_token: token.to_owned() };
        let mut client = server.watches();
        async move { Refusal::of(&client.ack(request).await.unwrap_err()) }
    };
    ack(&uuid::Uuid::max().to_string(), &first.resume_token).await.is(Code::NotFound, "NOT_FOUND");
    ack("x", "").await.names(&["watch_id", "resume_token"]);
    ack(&first.watch_id, "nonsense").await.names(&["resume_token"]);
    let viewer = server.as_role(Role::Viewer).await;
    let refused = viewer.watches().list_watchers(v1::ListWatchersRequest::default()).await.unwrap_err();
    Refusal::of(&refused).is(Code::PermissionDenied, "FORBIDDEN");
}

async fn with(engine: Engine, change: impl FnOnce(&mut modelward::config::Settings)) -> Server {
    Server::start_with(engine, change).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_streams_are_served_than_may_be() {
    let server = with(Engine::Sqlite, |settings| settings.watch.max_streams = 2).await;
    let first = Watching::from_now(server.admin()).await;
    let _second = Watching::from_now(server.admin()).await;
    refusal(&server, v1::WatchRequest::default())
        .await
        .is(Code::ResourceExhausted, "TOO_MANY_STREAMS")
        .has("limit", "2");
    drop(first);
    within(Duration::from_secs(5), "there is a place again", || async {
        Watching::try_open(server.admin(), v1::WatchRequest::default()).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_ends_its_streams_with_a_token() {
    let server = with(Engine::Sqlite, |_| {}).await;
    let mut watching = Watching::from_now(server.admin()).await;
    server.admin().add_provider("one", ProviderKind::Ollama).await;
    let read = async {
        let mut last = v1::WatchResponse::default();
        loop {
            match watching.step().await {
                Ok(message) => last = message,
                Err(status) => return (last, status),
            }
        }
    };
    let began = Instant::now();
    let ((last, status), ()) = tokio::join!(read, server.stop());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    Refusal::of(&status).is(Code::Unavailable, "STOPPING").says_when_to_retry();
    assert!(!last.resume_token.is_empty());
}

/// One revision that is more than a message, and more than what is kept in memory.
async fn one_large_revision(engine: Engine) {
    const MODELS: usize = 1000;
    let small = with(engine, |settings| settings.watch.history = modelward::config::Bytes(64 << 10)).await;
    let roomy = with(engine, |_| {}).await;
    for server in [&small, &roomy] {
        let id = large(server, MODELS).await;
        let before = head(server).await;
        let mut watching = Watching::from_now(server.admin()).await;
        delete(server, &id).await;
        let end = head(server).await;
        let messages = watching.up_to(end).await;
        let mut checker = Checker::after(before);
        for message in &messages {
            checker.take(message);
        }
        let logged = logged(&server.parts().store, before).await;
        assert_eq!(checker.verdict(&logged), Vec::<String>::new());
        assert_eq!((logged.len(), messages.iter().filter(|message| message.last_of_revision).count()), (MODELS + 1, 1));
        assert!(messages.len() > 1, "{} messages", messages.len());
        // All of it once more, from the log.
        let mut checker = Checker::after(0);
        let mut watching = Watching::open(server.admin(), checker.request()).await;
        while checker.revision() < end {
            checker.take(&watching.next().await);
        }
        assert_eq!(checker.verdict(&self::logged(&server.parts().store, 0).await), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_revision_comes_in_parts_of_which_the_last_has_the_token_on_sqlite() {
    one_large_revision(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_revision_comes_in_parts_of_which_the_last_has_the_token_on_postgres() {
    one_large_revision(Engine::Postgres).await;
}
