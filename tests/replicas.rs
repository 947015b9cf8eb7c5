//! Several servers on one PostgreSQL: they agree.

use std::time::Duration;

use futures_util::future::join_all;
use modelward::proto::v1::{self, ProviderKind, Role};
use tonic::{Code, Request};

use crate::support::resources::{credential, provider};
use crate::support::server::revision_of;
use crate::support::{Engine, Refusal, Refused as _, Server, within};

async fn pair() -> (Server, Server) {
    let one = Server::start(Engine::Postgres).await;
    let two = one.replica().await;
    (one, two)
}

fn rename(id: &str, name: &str) -> v1::UpdateProviderRequest {
    let provider = Some(v1::Provider { id: id.to_owned(), name: Some(name.to_owned()), ..Default::default() });
    v1::UpdateProviderRequest { provider, ..Default::default() }
}

fn at_least<T>(message: T, revision: i64) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("modelward-min-revision", revision.to_string().parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_writes_the_other_shows_within_a_second() {
    let (one, two) = pair().await;
    for round in 0..5 {
        let created = one.admin().add_provider(&format!("p{round}"), ProviderKind::Ollama).await;
        within(Duration::from_secs(1), "the other replica shows it", || async {
            let get = v1::GetProviderRequest { id: created.id.clone() };
            two.providers()
                .get_provider(get)
                .await
                .ok()
                .filter(|answer| answer.get_ref().provider == Some(created.clone()))
        })
        .await;
        let renamed = two.providers().update_provider(rename(&created.id, &format!("q{round}"))).await.unwrap();
        let renamed = renamed.into_inner().provider;
        within(Duration::from_secs(1), "and the other way round", || async {
            (Some(one.admin().get_provider(&created.id).await) == renamed).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_a_revision_reads_what_was_written_elsewhere() {
    let (one, two) = pair().await;
    for round in 0..50 {
        let request = v1::CreateProviderRequest {
            provider: Some(provider(&format!("p{round}"), ProviderKind::Ollama)),
            ..Default::default()
        };
        let answer = one.providers().create_provider(request).await.unwrap();
        let revision = revision_of(answer.metadata());
        let created = answer.into_inner().provider.unwrap();
        let get = v1::GetProviderRequest { id: created.id.clone() };
        let read = two.providers().get_provider(at_least(get, revision)).await.unwrap();
        assert!(revision_of(read.metadata()) >= revision);
        assert_eq!(read.into_inner().provider.unwrap(), created);
    }
    let mut ahead = at_least(v1::ListProvidersRequest::default(), 1_000_000);
    ahead.set_timeout(Duration::from_secs(1));
    let refusal = two.providers().list_providers(ahead).await.refused(Code::Unavailable, "REPLICA_BEHIND");
    refusal.says_when_to_retry();
    assert!(refusal.metadata.contains_key("current"), "{refusal}");
    let mut garbage = Request::new(v1::ListProvidersRequest::default());
    garbage.metadata_mut().insert("modelward-min-revision", "soon".parse().unwrap());
    two.providers().list_providers(garbage).await.refused(Code::InvalidArgument, "INVALID_FIELD");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_revoked_here_is_refused_there() {
    let (one, two) = pair().await;
    let request =
        v1::CreateTokenRequest { name: Some("t".into()), roles: vec![Role::Viewer.into()], ..Default::default() };
    let made = one.tokens().create_token(request).await.unwrap().into_inner();
    let there = two.bearer(&made.secret);
    let asks = async || there.providers().list_providers(v1::ListProvidersRequest::default()).await;
    within(Duration::from_secs(1), "the token is known", || async { asks().await.ok() }).await;
    let revoke = v1::RevokeTokenRequest { id: made.token.unwrap().id, ..Default::default() };
    one.tokens().revoke_token(revoke).await.unwrap();
    let refused = within(Duration::from_secs(1), "the token is refused", || async { asks().await.err() }).await;
    Refusal::of(&refused).is(Code::Unauthenticated, "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_stored_here_opens_there() {
    let (one, two) = pair().await;
    let there = one.admin().add_provider("p", ProviderKind::Openai).await;
    let stored = one.admin().add_credential(credential(&there.id, "c", "sk-0123456789")).await;
    let access = || v1::AccessCredentialRequest { id: stored.id.clone(), ..Default::default() };
    let answer = two.credentials().access_credential(at_least(access(), stored.revision)).await.unwrap().into_inner();
    assert_eq!(answer.secret.unwrap().api_key(), "sk-0123456789");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_both_want_goes_to_one() {
    let (one, two) = pair().await;
    for round in 0..10 {
        let attempts = (0..8).map(|attempt| {
            let caller = if attempt % 2 == 0 { one.admin().clone() } else { two.admin().clone() };
            async move { caller.try_provider(provider(&format!("n{round}"), ProviderKind::Ollama)).await }
        });
        let answers = join_all(attempts).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            Refusal::of(refused).is(Code::AlreadyExists, "ALREADY_EXISTS");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_id_holds_on_every_replica() {
    let (one, two) = pair().await;
    let request = || v1::CreateProviderRequest {
        provider: Some(provider("once", ProviderKind::Ollama)),
        request_id: "both".into(),
        ..Default::default()
    };
    let attempts = (0..10).map(|attempt| {
        let caller = if attempt % 2 == 0 { one.admin().clone() } else { two.admin().clone() };
        async move { caller.providers().create_provider(request()).await.unwrap().into_inner().provider.unwrap() }
    });
    let answers = join_all(attempts).await;
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}
