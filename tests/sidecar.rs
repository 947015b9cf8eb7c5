//! A sidecar beside its control plane: the same answers, changes as they come, and what becomes of it when the control
//! plane goes away. The sidecar is the real program; the control plane runs in the test's process where it may stay.

use std::collections::BTreeSet;

use bytes::Bytes;
use modelward::proto::v1::{self, ProviderKind, Role, WatchEvent};
use prost::Message as _;
use tempfile::TempDir;
use tonic::Code;

use crate::support::dynamic::call;
use crate::support::load::Writer;
use crate::support::process::Process;
use crate::support::refusal::Refusal;
use crate::support::resources::{credential, endpoint, model, secret};
use crate::support::server::{Caller, revision_of};
use crate::support::vendor::Vendor;
use crate::support::watching::{Checker, Watching, logged, resume};
use crate::support::{Server, eventually, for_each_engine};

mod copy;
mod door;
mod outage;
mod outcomes;
mod stage;
mod writes;

/// A sidecar, and the directory that it lives in.
struct Beside {
    process: Process,
    caller: Caller,
    directory: TempDir,
}

/// The token of somebody with this role.
async fn token(server: &Server, role: Role) -> String {
    server.as_role(role).await.token().unwrap().to_owned()
}

impl Beside {
    async fn start(server: &Server, role: Role, arguments: &[&str]) -> Self {
        Self::start_as(server, &token(server, role).await, arguments)
    }

    fn start_as(server: &Server, token: &str, arguments: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let upstream = format!("http://{}", server.address());
        let process = tokio::task::block_in_place(|| Process::sidecar(directory.path(), &upstream, token, arguments));
        let caller = Caller::at(process.address(), None);
        Self { process, caller, directory }
    }

    /// Waits until it has all that the server has.
    async fn catches_up(&self, server: &Server) {
        let revision = server.parts().snapshot.head().revision.0;
        eventually("the sidecar catches up", || async { (self.revision().await >= revision).then_some(()) }).await;
    }

    async fn revision(&self) -> i64 {
        let answer = self.caller.providers().list_provider_kinds(v1::ListProviderKindsRequest::default()).await;
        revision_of(answer.unwrap().metadata())
    }
}

/// What is read, as bytes: of every resource, every list and every choice.
async fn reads(caller: &Caller, ids: &Ids) -> Vec<(String, Result<Bytes, (Code, String)>)> {
    let mut found = Vec::new();
    for (rpc, message) in ids.requests() {
        let answer =
            call(&caller.channel(), &format!("modelward.v1.{rpc}"), caller.token(), message.clone().into()).await;
        let answer = answer.map(tonic::Response::into_inner);
        found.push((
            format!("{rpc} {message:?}"),
            answer.map_err(|status| (status.code(), Refusal::of(&status).reason)),
        ));
    }
    found
}

/// The ids of everything.
struct Ids {
    providers: BTreeSet<String>,
    endpoints: Vec<String>,
    credentials: Vec<String>,
    models: Vec<v1::Model>,
    bindings: Vec<v1::Binding>,
}

impl Ids {
    async fn of(server: &Server) -> Self {
        let most = 1000;
        let caller = server.admin();
        let list = v1::ListProvidersRequest { page_size: most, show_deleted: true, ..Default::default() };
        let providers = caller.providers().list_providers(list).await.unwrap().into_inner().providers;
        let list = v1::ListEndpointsRequest { page_size: most, ..Default::default() };
        let endpoints = caller.endpoints().list_endpoints(list).await.unwrap().into_inner().endpoints;
        let list = v1::ListCredentialsRequest { page_size: most, ..Default::default() };
        let credentials = caller.credentials().list_credentials(list).await.unwrap().into_inner().credentials;
        let list = v1::ListModelsRequest { page_size: most, ..Default::default() };
        let models = caller.models().list_models(list).await.unwrap().into_inner().models;
        let list = v1::ListBindingsRequest { page_size: most, ..Default::default() };
        let bindings = caller.bindings().list_bindings(list).await.unwrap().into_inner().bindings;
        Self {
            providers: providers.into_iter().map(|found| found.id).collect(),
            endpoints: endpoints.into_iter().map(|found| found.id).collect(),
            credentials: credentials.into_iter().map(|found| found.id).collect(),
            models,
            bindings,
        }
    }

    /// Every read of what there is. Those that share between several take turns of their own in each process: of these
    /// only one is asked for.
    fn requests(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut all = vec![
            (
                "ProviderService/ListProviders",
                v1::ListProvidersRequest { show_deleted: true, ..Default::default() }.encode_to_vec(),
            ),
            ("ProviderService/ListProviders", v1::ListProvidersRequest::default().encode_to_vec()),
            ("ProviderService/ListProviderKinds", Vec::new()),
            ("EndpointService/ListEndpoints", Vec::new()),
            ("CredentialService/ListCredentials", Vec::new()),
            (
                "ModelService/ListModels",
                v1::ListModelsRequest { order_by: "name desc".into(), page_size: 7, ..Default::default() }
                    .encode_to_vec(),
            ),
            (
                "ModelService/ListModels",
                v1::ListModelsRequest { usable: Some(true), ..Default::default() }.encode_to_vec(),
            ),
            ("BindingService/ListBindings", Vec::new()),
        ];
        for capability in 1..=11 {
            let list = v1::ListModelsByCapabilityRequest { capability: Some(capability), ..Default::default() };
            all.push(("ModelService/ListModelsByCapability", list.encode_to_vec()));
        }
        for r#type in 0..=8 {
            let get = v1::GetDefaultModelRequest { r#type: Some(r#type) };
            all.push(("ModelService/GetDefaultModel", get.encode_to_vec()));
        }
        for id in &self.providers {
            all.push(("ProviderService/GetProvider", v1::GetProviderRequest { id: id.clone() }.encode_to_vec()));
        }
        for id in &self.endpoints {
            all.push(("EndpointService/GetEndpoint", v1::GetEndpointRequest { id: id.clone() }.encode_to_vec()));
        }
        for id in &self.credentials {
            all.push(("CredentialService/GetCredential", v1::GetCredentialRequest { id: id.clone() }.encode_to_vec()));
        }
        for model in &self.models {
            all.push(("ModelService/GetModel", v1::GetModelRequest { id: model.id.clone() }.encode_to_vec()));
        }
        for binding in &self.bindings {
            all.push(("BindingService/GetBinding", v1::GetBindingRequest { id: binding.id.clone() }.encode_to_vec()));
        }
        all
    }
}

/// What both answer is the same, soon: statuses are on their way for a moment.
async fn the_same(server: &Server, beside: &Beside) -> usize {
    beside.catches_up(server).await;
    let ids = Ids::of(server).await;
    let mut difference = None;
    for _ in 0..200 {
        let (there, here) = (reads(server.admin(), &ids).await, reads(&beside.caller, &ids).await);
        difference = there.iter().zip(&here).find(|(there, here)| there != here).map(|pair| format!("{pair:#?}"));
        if difference.is_none() {
            return there.len();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("not the same: {}", difference.unwrap_or_default());
}

/// A provider of one endpoint, one credential and one model: there is no turn to take.
async fn only_way(server: &Server) -> (v1::Provider, v1::Model, v1::Credential) {
    let admin = server.admin();
    let provider = admin.add_provider("only", ProviderKind::Openai).await;
    admin.add_endpoint(endpoint(&provider.id, "e", "https://api.openai.com/v1")).await;
    let credential = admin.add_credential(credential(&provider.id, "c", "sk-only-0123456789")).await;
    let model = admin.add_model(model(&provider.id, "only-model")).await;
    (provider, model, credential)
}

for_each_engine! {
    async fn it_answers_byte_for_byte_what_the_control_plane_answers(server: &Server) {
        let (provider, model, credential) = only_way(server).await;
        let mut writers: Vec<_> = (0..2).map(|n| Writer::new(server.admin().clone(), format!("w{n}"), None)).collect();
        for writer in &mut writers {
            writer.steps(60).await;
        }
        let beside = Beside::start(server, Role::Viewer, &[]).await;
        let first = the_same(server, &beside).await;
        // What came as the state was compared; now what comes as changes, and as status.
        for writer in &mut writers {
            writer.steps(60).await;
        }
        let outcome = v1::Outcome {
            credential_id: credential.id.clone(),
            model_id: model.id.clone(),
            success: Some(true),
            input_tokens: Some(5),
            ..Default::default()
        };
        let report = v1::ReportOutcomeRequest { outcomes: vec![outcome], ..Default::default() };
        server.routing().report_outcome(report).await.unwrap();
        let second = the_same(server, &beside).await;

        let pick = v1::PickEndpointRequest { provider_id: provider.id.clone(), ..Default::default() };
        let resolve = v1::ResolveTargetRequest {
            selector: Some(v1::resolve_target_request::Selector::ModelId(model.id.clone())),
            ..Default::default()
        };
        for (rpc, message) in [
            ("EndpointService/PickEndpoint", pick.encode_to_vec()),
            ("RoutingService/ResolveTarget", resolve.encode_to_vec()),
        ] {
            let rpc = format!("modelward.v1.{rpc}");
            let ask = async |caller: &Caller| {
                call(&caller.channel(), &rpc, caller.token(), message.clone().into()).await.unwrap().into_inner()
            };
            assert_eq!(ask(server.admin()).await, ask(&beside.caller).await, "{rpc}");
        }
        println!("{first} and {second} answers are the same");
    }

    async fn a_stream_of_the_sidecar_shows_what_the_log_has_and_its_tokens_are_good_at_both(server: &Server) {
        let beside = Beside::start(server, Role::Viewer, &[]).await;
        let start = beside.revision().await;
        let mut checker = Checker::after(start);
        let mut watching = Watching::open(&beside.caller, checker.request()).await;
        let mut writer = Writer::new(server.admin().clone(), "w", None);
        for round in 0..6 {
            writer.steps(25).await;
            let head = server.parts().snapshot.head().revision.0;
            while checker.revision() < head {
                checker.take(&watching.next().await);
            }
            checker.reconnect();
            // A token of the sidecar's is good at the control plane, and one of the control plane's at the sidecar.
            let next = if round % 2 == 0 { server.admin() } else { &beside.caller };
            beside.catches_up(server).await;
            watching = Watching::open(next, checker.request()).await;
        }
        let complaints = checker.verdict(&logged(&server.parts().store, start).await);
        assert!(complaints.is_empty(), "{complaints:#?}");
        println!("{} changes", checker.taken.len());
    }

    async fn secrets_are_served_where_that_is_set_and_gone_with_their_revocation(server: &Server) {
        let (_, model, credential) = only_way(server).await;
        let resolve = v1::ResolveTargetRequest {
            selector: Some(v1::resolve_target_request::Selector::ModelId(model.id.clone())),
            include_secret: true,
            ..Default::default()
        };
        let without = Beside::start(server, Role::Viewer, &[]).await;
        let refused = without.caller.routing().resolve_target(resolve.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        drop(without);

        let beside = Beside::start(server, Role::Consumer, &["--serve-secrets"]).await;
        let key = |answer: v1::ResolveTargetResponse| answer.target.unwrap().secret.unwrap().api_key.unwrap();
        let resolved = async || Some(key(beside.caller.routing().resolve_target(resolve.clone()).await.ok()?.into_inner()));
        let is = async |expected: &str| resolved().await.filter(|found| found == expected).map(drop);
        eventually("the secret is here", || is("sk-only-0123456789")).await;
        let fetch = v1::FetchSecretsRequest { credential_ids: vec![credential.id.clone()] };
        let fetched = beside.caller.routing().fetch_secrets(fetch.clone()).await.unwrap().into_inner().secrets;
        let there = server.routing().fetch_secrets(fetch).await.unwrap().into_inner().secrets;
        assert!(fetched == there && fetched.len() == 1);

        let rotate = v1::RotateCredentialRequest {
            id: credential.id.clone(),
            secret: Some(secret("sk-next-9876543210")),
            ..Default::default()
        };
        server.credentials().rotate_credential(rotate).await.unwrap();
        eventually("the next secret is here", || is("sk-next-9876543210")).await;

        let revoke = v1::RevokeCredentialRequest { id: credential.id.clone(), ..Default::default() };
        server.credentials().revoke_credential(revoke).await.unwrap();
        eventually("it is gone", || async { resolved().await.is_none().then_some(()) }).await;
        eventually("it is wiped", || async { (beside.process.metric("sidecar_secrets_held") == 0).then_some(()) }).await;
        assert!(!beside.process.log().contains("sk-"), "a secret is in the log");
        drop(beside.directory);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_role_it_says_so_once_and_serves_without_secrets() {
    let server = Server::start(crate::support::Engine::Sqlite).await;
    let (_, model, _) = only_way(&server).await;
    let beside = Beside::start(&server, Role::Viewer, &["--serve-secrets"]).await;
    let mut resolve = v1::ResolveTargetRequest {
        selector: Some(v1::resolve_target_request::Selector::ModelId(model.id)),
        include_secret: true,
        ..Default::default()
    };
    let refused = beside.caller.routing().resolve_target(resolve.clone()).await.unwrap_err();
    let refusal = Refusal::of(&refused);
    assert_eq!((refused.code(), refusal.reason.as_str()), (Code::Unavailable, "SECRET_NOT_HELD"));
    resolve.include_secret = false;
    beside.caller.routing().resolve_target(resolve).await.unwrap();
    let told = || beside.process.log().matches("gives this sidecar no secrets").count();
    eventually("it says so", || async { (told() > 0).then_some(()) }).await;
    assert_eq!(told(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_memory_does_not_reach_back_to_is_compacted() {
    let server = Server::start(crate::support::Engine::Sqlite).await;
    let mut before = Watching::from_now(server.admin()).await;
    server.admin().add_provider("one", ProviderKind::Ollama).await;
    let old = before.next_of(WatchEvent::Changes).await.resume_token;
    server.admin().add_provider("two", ProviderKind::Ollama).await;
    let beside = Beside::start(&server, Role::Viewer, &[]).await;
    let refused = Watching::try_open(&beside.caller, resume(&old)).await.err().unwrap();
    assert_eq!((refused.code(), Refusal::of(&refused).reason.as_str()), (Code::OutOfRange, "COMPACTED"));
}

/// What the release build may take; a debug build has its symbols and its checks besides.
const MEMORY: usize = if cfg!(debug_assertions) { 60_000_000 } else { 40_000_000 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_models_take_little_memory() {
    let server = Server::start(crate::support::Engine::Sqlite).await;
    let vendor = Vendor::start().await;
    let names: Vec<_> = (0..1000).map(|number| format!("model-{number}")).collect();
    vendor.list(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let account = server.admin().add_account("many", ProviderKind::OpenaiCompatible, &vendor).await;
    let sync = v1::SyncModelsRequest { provider_id: account.provider.id.clone(), ..Default::default() };
    let synced = server.models().sync_models(sync).await.unwrap().into_inner();
    assert_eq!(synced.added, 1000);
    let beside = Beside::start(&server, Role::Consumer, &["--serve-secrets"]).await;
    the_same(&server, &beside).await;
    let memory = beside.process.memory();
    println!("{} KB with 1,000 models", memory / 1000);
    assert!(memory <= MEMORY, "{memory}");
}
