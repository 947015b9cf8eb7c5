//! A server with something in it, for requests that are about what is there.

use std::time::Duration;

use modelward::app::Api;
use modelward::proto::server as rpc;
use modelward::proto::v1::{self, ProviderKind, Role};
use modelward::proto::watch;
use modelward::service::Services;
use modelward::snapshot::{Check, Differences};
use tonic::service::Routes;

use super::attack::{Attack, Ways};
use super::generator::Known;
use super::shape::Shapes;
use crate::support::resources::{binding, credential, endpoint, model, provider, to_model, to_provider};
use crate::support::{Engine, Server};

const PROVIDERS: usize = 10;
const KINDS: [ProviderKind; 4] =
    [ProviderKind::Openai, ProviderKind::Ollama, ProviderKind::OpenaiCompatible, ProviderKind::Anthropic];

pub async fn server(engine: Engine) -> Server {
    Server::start_with(engine, |settings| {
        settings.egress.call_budget = Duration::from_secs(1);
        settings.limits.endpoints_per_provider = 10_000;
        settings.limits.credentials_per_provider = 10_000;
    })
    .await
}

/// Fills the server.
pub async fn attack(server: &Server, seed: u64, rehearse: u8) -> Attack {
    let mut known = Known::default();
    let admin = server.admin();
    for number in 0..PROVIDERS {
        let name = format!("provider-{number}");
        let there = admin.try_provider(provider(&name, KINDS[number % KINDS.len()])).await.unwrap();
        for part in 0..3 {
            // Nobody listens there, and nobody tries twice.
            let retry = Some(v1::RetryPolicy { max_attempts: Some(1), ..Default::default() });
            let url = if part == 0 { "https://h.invalid" } else { "http://127.0.0.1:1/v1" };
            let made = v1::Endpoint { retry, ..endpoint(&there.id, &format!("endpoint-{part}"), url) };
            known.ids.push(admin.add_endpoint(made).await.id);
            let made = credential(&there.id, &format!("credential-{part}"), "sk-0123456789abcd");
            known.ids.push(admin.add_credential(made).await.id);
            let model = admin.add_model(model(&there.id, &format!("model-{number}-{part}"))).await.id;
            let target = if part == 0 { to_provider(&there.id) } else { to_model(&model) };
            // Some are not bound, so that something can be deleted.
            if number % 2 == 0 {
                known.ids.push(admin.add_binding(binding(&format!("team/{number}-{part}"), target)).await.id);
            }
            known.ids.push(model);
        }
        known.names.push(name);
        known.ids.push(there.id);
    }
    for number in 0..3 {
        let request = v1::CreateTokenRequest {
            name: Some(format!("token-{number}")),
            roles: vec![Role::Viewer.into()],
            ..Default::default()
        };
        known.ids.push(admin.tokens().create_token(request).await.unwrap().into_inner().token.unwrap().id);
    }
    let list = v1::ListProvidersRequest { page_size: 2, ..Default::default() };
    known.page_tokens.push(server.providers().list_providers(list).await.unwrap().into_inner().next_page_token);
    let list = v1::ListModelsRequest { page_size: 2, order_by: "name desc".into(), ..Default::default() };
    known.page_tokens.push(server.models().list_models(list).await.unwrap().into_inner().next_page_token);
    Attack { shapes: Shapes::load(), known, token: admin.token().unwrap().to_owned(), seed, rehearse }
}

/// The ways into the server: as its listeners have it, and its handlers alone.
pub fn ways(server: &Server) -> Ways<Api, Routes> {
    let parts = server.parts();
    let services =
        Services::new(parts.control.clone(), parts.health.clone(), parts.roster.clone(), parts.facts.clone());
    let mut handlers = Routes::builder();
    handlers
        .add_service(rpc::provider_service_server::ProviderServiceServer::new(services.clone()))
        .add_service(rpc::endpoint_service_server::EndpointServiceServer::new(services.clone()))
        .add_service(rpc::credential_service_server::CredentialServiceServer::new(services.clone()))
        .add_service(rpc::model_service_server::ModelServiceServer::new(services.clone()))
        .add_service(rpc::binding_service_server::BindingServiceServer::new(services.clone()))
        .add_service(rpc::routing_service_server::RoutingServiceServer::new(services.clone()))
        .add_service(watch::watch_service_server::WatchServiceServer::new(services.clone()))
        .add_service(rpc::audit_service_server::AuditServiceServer::new(services.clone()))
        .add_service(rpc::admin_service_server::AdminServiceServer::new(services));
    Ways { gate: server.api(), handlers: handlers.routes().prepare() }
}

/// Memory is what the database is.
pub async fn assert_snapshot_is_database(server: &Server) {
    let parts = server.parts();
    let mut image = parts.store.read_image().await.unwrap();
    drop(parts.snapshot.wait_for(image.head().revision, Duration::from_secs(5)).await);
    let mut check = Check::begin(parts.snapshot.load(), image.head(), image.keyring());
    while let Some(page) = image.next().await.unwrap() {
        check.page(&page);
    }
    assert_eq!(check.finish(), Differences::default());
}
