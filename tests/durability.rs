//! What was acknowledged stays when clients go away and servers start anew. Kills are the matter of `promises/d1.rs`.

use std::time::Duration;

use modelward::proto::v1::{self, ProviderKind};
use tonic::Code;

use crate::support::ledger::Ledger;
use crate::support::resources::{credential, endpoint, model, provider};
use crate::support::server::Caller;
use crate::support::{Engine, Refusal, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_nothing_half_done() {
    let server = Server::start(Engine::Sqlite).await;
    let gone = server.admin().add_provider("gone", ProviderKind::Openai).await;
    for number in 0..5 {
        let url = format!("https://h{number}.example.com/v1");
        server.admin().add_endpoint(endpoint(&gone.id, &format!("e{number}"), &url)).await;
        server.admin().add_credential(credential(&gone.id, &format!("c{number}"), "sk-0123456789")).await;
        server.admin().add_model(model(&gone.id, &format!("m{number}"))).await;
    }
    for round in 0..30 {
        let caller = Caller::new(server.new_channel(), server.admin().token().map(ToOwned::to_owned));
        let name = format!("p{round}");
        let create = v1::CreateProviderRequest {
            provider: Some(provider(&name, ProviderKind::Ollama)),
            request_id: name.clone(),
            ..Default::default()
        };
        let delete = v1::DeleteProviderRequest { id: gone.id.clone(), ..Default::default() };
        let undelete = v1::UndeleteProviderRequest { id: gone.id.clone(), ..Default::default() };
        let patience = Duration::from_micros(fastrand::u64(0..6000));
        let _ = tokio::time::timeout(patience, async {
            let (mut one, mut two) = (caller.providers(), caller.providers());
            if round % 2 == 0 {
                tokio::join!(one.create_provider(create.clone()), two.delete_provider(delete)).0
            } else {
                let both = tokio::join!(one.create_provider(create.clone()), two.undelete_provider(undelete));
                both.0
            }
        })
        .await;
        drop(caller);
        // Whatever has become of it: asked again, it is there, once.
        let created = server.providers().create_provider(create).await.unwrap().into_inner().provider.unwrap();
        assert_eq!(server.admin().get_provider(&created.id).await.name(), name);
    }
    // All of the other provider's children are there, or none.
    let back = v1::UndeleteProviderRequest { id: gone.id.clone(), ..Default::default() };
    // Refused when the last client had brought it back.
    if let Err(status) = server.providers().undelete_provider(back).await {
        Refusal::of(&status).is(Code::NotFound, "NOT_FOUND");
    }
    let list = v1::ListModelsRequest { provider_id: gone.id.clone(), ..Default::default() };
    assert_eq!(server.models().list_models(list).await.unwrap().into_inner().total_size, 5);
    let list = v1::ListCredentialsRequest { provider_id: gone.id.clone(), ..Default::default() };
    assert_eq!(server.credentials().list_credentials(list).await.unwrap().into_inner().total_size, 5);
    assert_eq!(Ledger::read(&server.parts().store).await.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_there_after_a_restart() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let server = Server::start(engine).await;
        let admin = server.admin().clone();
        let there = admin.add_provider("p", ProviderKind::Openai).await;
        let its_endpoint = admin.add_endpoint(endpoint(&there.id, "e", "https://h.example.com/v1")).await;
        let its_credential = admin.add_credential(credential(&there.id, "c", "sk-0123456789")).await;
        let its_model = admin.add_model(model(&there.id, "m")).await;
        let once = v1::CreateProviderRequest {
            provider: Some(provider("once", ProviderKind::Ollama)),
            request_id: "once".into(),
            ..Default::default()
        };
        let created = server.providers().create_provider(once.clone()).await.unwrap().into_inner();
        let check = v1::CheckEndpointHealthRequest { id: its_endpoint.id.clone() };
        let checked = server.endpoints().check_endpoint_health(check).await.unwrap().into_inner().endpoint.unwrap();

        let server = server.restart().await;
        let admin = server.admin();
        assert_eq!(admin.get_provider(&there.id).await, there);
        assert_eq!(admin.get_endpoint(&its_endpoint.id).await, checked, "its health, too");
        assert_eq!(admin.get_credential(&its_credential.id).await, its_credential);
        assert_eq!(admin.get_model(&its_model.id).await, its_model);
        let again = server.providers().create_provider(once).await.unwrap().into_inner();
        assert_eq!(again, created, "request ids are remembered");
        let access = v1::AccessCredentialRequest { id: its_credential.id, ..Default::default() };
        let secret = server.credentials().access_credential(access).await.unwrap().into_inner().secret.unwrap();
        assert_eq!(secret.api_key(), "sk-0123456789");
    }
}
