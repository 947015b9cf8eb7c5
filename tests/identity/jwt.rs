//! Tokens of an issuer: who they are here, what they may, and until when.

use std::time::{Duration, Instant};

use modelward::proto::v1::{self, ProviderKind};
use serde_json::json;
use tonic::Code;

use super::issuer::{Signer, claims, key_set, now};
use super::place::Place;
use crate::support::resources::provider;
use crate::support::watching::Watching;
use crate::support::{Engine, Refused as _, Server, within};

const GATEWAY: &str = "system:serviceaccount:prod:gateway";
const DEPLOYER: &str = "system:serviceaccount:prod:deployer";

async fn list(server: &Server, token: &str) -> Result<tonic::Response<v1::ListProvidersResponse>, tonic::Status> {
    server.bearer(token).providers().list_providers(v1::ListProvidersRequest::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_every_algorithm_are_believed_and_have_the_roles_of_the_rules() {
    let mut pss = Signer::rsa("pss");
    pss.algorithm = "PS256";
    let signers = [Signer::rsa("rsa"), Signer::ec("ec"), Signer::ed("ed"), pss];
    let place = Place::with_issuer(&signers.iter().collect::<Vec<_>>());
    let server = place.serve(Engine::Sqlite).await;
    for signer in &signers {
        let token = signer.token(&claims(GATEWAY));
        list(&server, &token).await.unwrap();
        list(&server, &token).await.unwrap();
        let create =
            v1::CreateProviderRequest { provider: Some(provider("x", ProviderKind::Ollama)), ..Default::default() };
        server.bearer(&token).providers().create_provider(create).await.refused(Code::PermissionDenied, "FORBIDDEN");
    }
    let mut admin = claims("somebody");
    admin["groups"] = json!(["users", "admins"]);
    let tokens = server.bearer(&signers[0].token(&admin)).tokens().list_tokens(v1::ListTokensRequest::default()).await;
    tokens.unwrap();
    let nobody = signers[0].token(&claims("system:serviceaccount:test:gateway"));
    let refusal = list(&server, &nobody).await.refused(Code::PermissionDenied, "FORBIDDEN");
    refusal.has("role", "viewer");
}

async fn an_identity_is_the_same_for_all_its_tokens(engine: Engine) {
    let signer = Signer::ec("one");
    let place = Place::with_issuer(&[&signer]);
    let server = place.serve(engine).await;
    let request = v1::CreateProviderRequest {
        provider: Some(provider("from a token", ProviderKind::Ollama)),
        request_id: "the same".into(),
        ..Default::default()
    };
    let made_with = async |token: String| {
        let answer = server.bearer(&token).providers().create_provider(request.clone()).await;
        answer.unwrap().into_inner().provider.unwrap()
    };
    let first = made_with(signer.token(&claims(DEPLOYER))).await;
    let mut renewed = claims(DEPLOYER);
    renewed["jti"] = json!("another one");
    let second = made_with(signer.token(&renewed)).await;
    assert_eq!((&first.id, first.revision), (&second.id, second.revision), "a repeated request with a renewed token");
    assert_eq!(first.created_by, format!("k8s/{DEPLOYER}"));
    let by_it = v1::ListChangesRequest { actor: format!("k8s/{DEPLOYER}"), ..Default::default() };
    let changes = server.audit().list_changes(by_it).await.unwrap().into_inner().changes;
    assert_eq!(changes.len(), 1);
    let mut other = claims("another subject");
    other["groups"] = json!("admins");
    let refused = server.bearer(&signer.token(&other)).providers().create_provider(request.clone()).await;
    refused.refused(Code::AlreadyExists, "ALREADY_EXISTS");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_an_identity_is_the_same_for_all_its_tokens() {
    an_identity_is_the_same_for_all_its_tokens(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_an_identity_is_the_same_for_all_its_tokens() {
    an_identity_is_the_same_for_all_its_tokens(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_and_its_calls_end_when_the_token_does() {
    let signer = Signer::ed("one");
    let place = Place::with_issuer(&[&signer]);
    let server = place.serve(Engine::Sqlite).await;
    let mut short = claims(GATEWAY);
    let end = now() + 3;
    short["exp"] = json!(end);
    let token = signer.token(&short);
    let mut stream = Watching::from_now(&server.bearer(&token)).await;
    let status = stream.end().await;
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert!((end..=end + 2).contains(&now()), "it ended at {} and not at {end}", now());
    list(&server, &token).await.refused(Code::Unauthenticated, "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_taken_away_ends_its_calls_and_its_streams_and_no_others() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let place = Place::with_issuer(&[&old, &new]);
    let server = place.serve(Engine::Sqlite).await;
    let (by_old, by_new) = (old.token(&claims(GATEWAY)), new.token(&claims(GATEWAY)));
    for token in [&by_old, &by_new] {
        list(&server, token).await.unwrap();
    }
    let mut ends = Watching::from_now(&server.bearer(&by_old)).await;
    let mut stays = Watching::from_now(&server.bearer(&by_new)).await;
    place.write("jwks.json", key_set(&[&new]));
    let begin = Instant::now();
    assert_eq!(ends.end().await.code(), Code::Unauthenticated);
    // A second from when it is noticed, which is soon here.
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    list(&server, &by_old).await.refused(Code::Unauthenticated, "UNAUTHENTICATED");
    list(&server, &by_new).await.unwrap();
    let create =
        v1::CreateProviderRequest { provider: Some(provider("seen", ProviderKind::Ollama)), ..Default::default() };
    server.providers().create_provider(create).await.unwrap();
    stays.next_of(v1::WatchEvent::Changes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_of_no_use_leaves_the_former_one_in_force_and_is_counted() {
    let signer = Signer::ec("one");
    let place = Place::with_issuer(&[&signer]);
    let server = place.serve(Engine::Sqlite).await;
    let token = signer.token(&claims(GATEWAY));
    for (count, broken) in ["", "{}", "{\"keys\": []}", "not JSON"].into_iter().enumerate() {
        place.write("jwks.json", broken);
        let count = count + 1;
        let failures = || async {
            let text = server.parts().metrics.render();
            let line =
                text.lines().find(|line| line.starts_with("modelward_reload_failures_total{kind=\"issuer_keys\"}"))?;
            line.rsplit(' ').next()?.parse::<usize>().ok().filter(|found| *found >= count)
        };
        within(Duration::from_secs(10), "the failure is counted", failures).await;
        list(&server, &token).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_change_change_what_is_allowed_and_a_broken_file_changes_nothing() {
    let signer = Signer::ec("one");
    let place = Place::with_issuer(&[&signer]);
    let server = place.serve(Engine::Sqlite).await;
    let token = signer.token(&claims(GATEWAY));
    list(&server, &token).await.unwrap();
    place.write("identity.toml", place.issuer("leeway = \"0s\"").replace("prod:gateway", "prod:other"));
    within(Duration::from_secs(10), "the role is gone", || async {
        list(&server, &token).await.err().filter(|status| status.code() == Code::PermissionDenied)
    })
    .await;
    place.write("identity.toml", "[[issuer]]\nname = 7");
    within(Duration::from_secs(10), "the broken file is counted", || async {
        let text = server.parts().metrics.render();
        text.contains("modelward_reload_failures_total{kind=\"identities\"} 1").then_some(())
    })
    .await;
    list(&server, &token).await.refused(Code::PermissionDenied, "FORBIDDEN");
    place.write("identity.toml", place.issuer("leeway = \"0s\""));
    within(Duration::from_secs(10), "the role is back", || async { list(&server, &token).await.ok() }).await;
}
