//! Status churn is not configuration churn.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use modelward::domain::Head;
use modelward::proto::v1::{self, HealthStatus, ProviderKind, SyncResult, ValidationCause};

use super::effort;
use crate::support::resources::endpoint;
use crate::support::vendor::{Mode, Vendor};
use crate::support::{Engine, Server, eventually, within};

const ENDPOINTS: usize = 2000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_two_thousand_flapping_endpoints_make_no_revision_on_sqlite() {
    Box::pin(flap(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_two_thousand_flapping_endpoints_make_no_revision_on_postgres() {
    Box::pin(flap(Engine::Postgres)).await;
}

async fn flap(engine: Engine) {
    let vendor = Vendor::start().await;
    vendor.list(&["m"]);
    let server = Server::start_with(engine, |settings| {
        settings.health.enabled = true;
        settings.egress.call_budget = Duration::from_secs(2);
        settings.limits.endpoints_per_provider = ENDPOINTS + 1;
    })
    .await;
    let account = server.admin().add_account("vendor", ProviderKind::OpenaiCompatible, &vendor).await;
    let ids = add_endpoints(&server, &account.provider.id, &vendor).await;
    sync(&server, &account.provider.id).await.unwrap();
    let before = stored(&server).await;
    let resource = server.admin().get_endpoint(&ids[0]).await;
    let statuses = server.parts().store.load_statuses().await.unwrap().revision;

    for round in 0..effort(1, 20) {
        vendor.set_mode(Mode::Failing(500));
        wait_for_all(&server, HealthStatus::Unhealthy).await;
        ask_about_everything(&server, &account.provider.id, &account.credential.id, false).await;
        vendor.set_mode(Mode::Ok);
        wait_for_all(&server, HealthStatus::Healthy).await;
        ask_about_everything(&server, &account.provider.id, &account.credential.id, true).await;
        vendor.forget();
        assert_eq!(stored(&server).await, before, "round {round}");
    }
    eventually("when the token was last used is shown", || async {
        let listed = server.tokens().list_tokens(v1::ListTokensRequest::default()).await.unwrap().into_inner();
        listed.tokens.iter().any(|token| token.last_use_time.is_some()).then_some(())
    })
    .await;

    assert!(server.parts().store.load_statuses().await.unwrap().revision > statuses, "status has an order of its own");
    let shown = server.admin().get_endpoint(&ids[0]).await;
    assert!(shown.health.as_ref().unwrap().last_check_time.is_some());
    assert_eq!(v1::Endpoint { health: None, ..shown }, v1::Endpoint { health: None, ..resource });
    let parts = server.parts();
    assert_eq!(stored(&server).await, before);
    assert_eq!(parts.snapshot.load().head(), before.0, "in memory neither");
    // What is configuration is seen by the same look.
    server.admin().add_provider("a change", ProviderKind::Ollama).await;
    assert_ne!(stored(&server).await, before);
}

/// The head of the log, and how many lines it has.
async fn stored(server: &Server) -> (Head, usize) {
    let store = &server.parts().store;
    let lines = store.log_after(modelward::domain::Revision(0), i64::MAX).await.unwrap().len();
    (store.head().await.unwrap(), lines)
}

async fn add_endpoints(server: &Server, provider_id: &str, vendor: &Vendor) -> Vec<String> {
    let url = vendor.url();
    let policy = v1::HealthCheckPolicy {
        interval: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        unhealthy_threshold: Some(1),
        ..Default::default()
    };
    let made = (1..ENDPOINTS).map(|number| {
        let wanted = endpoint(provider_id, &format!("endpoint-{number}"), &url);
        let wanted = v1::Endpoint { health_check: Some(policy.clone()), ..wanted };
        async move { server.admin().add_endpoint(wanted).await.id }
    });
    let ids = stream::iter(made).buffer_unordered(64).collect().await;
    // The account's own endpoint is one of them.
    let list = v1::ListEndpointsRequest { name: "main".into(), ..Default::default() };
    let mut main = server.endpoints().list_endpoints(list).await.unwrap().into_inner().endpoints.remove(0);
    main = v1::Endpoint { id: main.id, health_check: Some(policy), ..Default::default() };
    let update = v1::UpdateEndpointRequest { endpoint: Some(main), ..Default::default() };
    server.endpoints().update_endpoint(update).await.unwrap();
    ids
}

/// Until all are shown with this status.
async fn wait_for_all(server: &Server, status: HealthStatus) {
    let such = || async {
        let list = v1::ListEndpointsRequest { health_status: Some(status.into()), page_size: 1, ..Default::default() };
        let found = server.endpoints().list_endpoints(list).await.unwrap().into_inner().total_size;
        (usize::try_from(found).unwrap() == ENDPOINTS).then_some(())
    };
    within(Duration::from_mins(1), &format!("all endpoints are {status:?}"), such).await;
}

async fn sync(server: &Server, provider_id: &str) -> Result<v1::SyncModelsResponse, tonic::Status> {
    let request = v1::SyncModelsRequest { provider_id: provider_id.to_owned(), ..Default::default() };
    server.models().sync_models(request).await.map(tonic::Response::into_inner)
}

/// Every other status: the provider's, the credential's, the model's.
async fn ask_about_everything(server: &Server, provider_id: &str, credential_id: &str, good: bool) {
    assert_eq!(sync(server, provider_id).await.is_ok(), good);
    let told = server.admin().get_provider(provider_id).await.sync.unwrap();
    assert_eq!(told.result() == SyncResult::Succeeded, good, "{told:?}");
    let request = v1::ValidateCredentialRequest { id: credential_id.to_owned() };
    server.credentials().validate_credential(request).await.unwrap();
    let told = server.admin().get_credential(credential_id).await.validation.unwrap();
    // A vendor that fails says nothing of the key: the verdict stays, with what came in between.
    assert_eq!(told.cause() == ValidationCause::Unspecified, good, "{told:?}");
    let list = v1::ListModelsRequest { provider_id: provider_id.to_owned(), ..Default::default() };
    let model = server.models().list_models(list).await.unwrap().into_inner().models.remove(0);
    let request = v1::TestModelRequest { id: model.id.clone() };
    server.models().test_model(request).await.unwrap();
    let told = server.admin().get_model(&model.id).await.availability.unwrap();
    assert_eq!(told.status() == v1::AvailabilityStatus::Available, good, "{told:?}");
}
