//! Bindings: what consumers declare to use, and that this protects it.

use modelward::proto::v1::{self, ProviderKind};
use tonic::Code;
use tonic_types::ErrorDetail;

use crate::support::resources::{binding, mask, model, to_model, to_provider};
use crate::support::vendor::Vendor;
use crate::support::{Engine, Refusal, Refused as _, Server, for_each_engine};

fn create(binding: v1::Binding) -> v1::CreateBindingRequest {
    v1::CreateBindingRequest { binding: Some(binding), ..Default::default() }
}

fn update(id: &str, change: v1::Binding, paths: &[&str]) -> v1::UpdateBindingRequest {
    let binding = Some(v1::Binding { id: id.to_owned(), ..change });
    let update_mask = if paths.is_empty() { None } else { mask(paths) };
    v1::UpdateBindingRequest { binding, update_mask, ..Default::default() }
}

async fn change(server: &Server, id: &str, change: v1::Binding, paths: &[&str]) -> v1::Binding {
    server.bindings().update_binding(update(id, change, paths)).await.unwrap().into_inner().binding.unwrap()
}

fn delete(id: &str) -> v1::DeleteBindingRequest {
    v1::DeleteBindingRequest { id: id.to_owned(), ..Default::default() }
}

fn warm(temperature: f64) -> Option<v1::ModelParameters> {
    Some(v1::ModelParameters { temperature: Some(temperature), ..Default::default() })
}

/// A provider with two models.
async fn offer(server: &Server, name: &str) -> (v1::Provider, [v1::Model; 2]) {
    let provider = server.admin().add_provider(name, ProviderKind::Ollama).await;
    let models = [
        server.admin().add_model(model(&provider.id, "a")).await,
        server.admin().add_model(model(&provider.id, "b")).await,
    ];
    (provider, models)
}

async fn consumers(server: &Server, request: v1::ListBindingsRequest) -> Vec<String> {
    let answer = server.bindings().list_bindings(request).await.unwrap().into_inner();
    assert_eq!(usize::try_from(answer.total_size).unwrap(), answer.bindings.len());
    answer.bindings.iter().map(|binding| binding.consumer().to_owned()).collect()
}

/// The bindings that a refused deletion names.
fn named(refusal: &Refusal) -> Vec<String> {
    let violations = refusal.details.iter().filter_map(|detail| match detail {
        ErrorDetail::PreconditionFailure(failure) => Some(&failure.violations),
        _ => None,
    });
    let subjects = violations.flatten().map(|violation| {
        assert_eq!(violation.r#type, "IN_USE");
        violation.subject.strip_prefix("binding/").unwrap().to_owned()
    });
    subjects.collect()
}

for_each_engine! {
    async fn a_binding_is_what_was_said_and_the_defaults(server: &Server) {
        let (provider, [a, _]) = offer(server, "p").await;
        let bare = server.admin().add_binding(binding("team/oncall", to_provider(&provider.id))).await;
        assert_eq!((bare.consumer(), bare.purpose(), &bare.parameters), ("team/oncall", "default", &None));
        assert_eq!(bare.created_by, "admin");
        assert!(bare.revision > provider.revision && bare.create_time == bare.update_time);
        let full = v1::Binding {
            purpose: Some("embed".into()),
            parameters: warm(0.5),
            labels: [("k".to_owned(), "v".to_owned())].into(),
            ..binding("team/oncall", to_model(&a.id))
        };
        let made = server.admin().add_binding(full.clone()).await;
        assert_eq!((&made.target, &made.parameters, &made.labels), (&full.target, &full.parameters, &full.labels));
        for one in [&bare, &made] {
            assert_eq!(server.admin().get_binding(&one.id).await, *one);
        }
        server.bindings().delete_binding(delete(&made.id)).await.unwrap();
        let get = v1::GetBindingRequest { id: made.id.clone() };
        server.bindings().get_binding(get).await.refused(Code::NotFound, "NOT_FOUND");
        server.bindings().delete_binding(delete(&made.id)).await.refused(Code::NotFound, "NOT_FOUND");
    }

    async fn a_consumer_has_one_binding_for_each_purpose(server: &Server) {
        let (provider, [a, _]) = offer(server, "p").await;
        let first = server.admin().add_binding(binding("c", to_provider(&provider.id))).await;
        let again = server.bindings().create_binding(create(binding("c", to_model(&a.id)))).await;
        let refusal = again.refused(Code::AlreadyExists, "ALREADY_EXISTS");
        let holder = |detail: &ErrorDetail| match detail {
            ErrorDetail::ResourceInfo(info) => Some(info.resource_name.clone()),
            _ => None,
        };
        assert_eq!(refusal.details.iter().find_map(holder), Some(first.id.clone()));
        server.bindings().delete_binding(delete(&first.id)).await.unwrap();
        server.admin().add_binding(binding("c", to_model(&a.id))).await;
    }

    async fn a_target_must_exist_and_be_live(server: &Server) {
        let (provider, [a, _]) = offer(server, "p").await;
        let bound = server.admin().add_binding(binding("c", to_model(&a.id))).await;
        let (gone, [of_gone, _]) = offer(server, "gone").await;
        let request = v1::DeleteProviderRequest { id: gone.id.clone(), ..Default::default() };
        server.providers().delete_provider(request).await.unwrap();
        for target in [to_model(&provider.id), to_provider(&a.id), to_model(&of_gone.id), to_provider(&gone.id)] {
            let made = server.bindings().create_binding(create(binding("x", target.clone()))).await;
            made.refused(Code::NotFound, "NOT_FOUND");
            let turned = update(&bound.id, v1::Binding { target, ..Default::default() }, &[]);
            server.bindings().update_binding(turned).await.refused(Code::NotFound, "NOT_FOUND");
        }
        let none = server.bindings().create_binding(create(binding("x", None))).await;
        none.refused(Code::InvalidArgument, "INVALID_FIELD").names(&["binding.model_id"]);
    }

    async fn what_is_bound_cannot_be_deleted(server: &Server) {
        let (provider, [a, b]) = offer(server, "p").await;
        let to_a = server.admin().add_binding(binding("a", to_model(&a.id))).await;
        let to_p = server.admin().add_binding(binding("p", to_provider(&provider.id))).await;
        let delete_model = |id: &str| v1::DeleteModelRequest { id: id.to_owned(), ..Default::default() };
        let refusal = server.models().delete_model(delete_model(&a.id)).await.refused(Code::FailedPrecondition, "IN_USE");
        assert_eq!(named(&refusal), std::slice::from_ref(&to_a.id));
        for purge in [false, true] {
            let request = v1::DeleteProviderRequest { id: provider.id.clone(), purge, ..Default::default() };
            let refusal = server.providers().delete_provider(request).await.refused(Code::FailedPrecondition, "IN_USE");
            assert_eq!(named(&refusal), [to_p.id.clone(), to_a.id.clone()]);
        }
        // The expected revision is checked before the state.
        let stale = v1::DeleteModelRequest { expected_revision: Some(1), ..delete_model(&a.id) };
        server.models().delete_model(stale).await.refused(Code::Aborted, "REVISION_MISMATCH");
        server.models().delete_model(delete_model(&b.id)).await.unwrap();
        server.bindings().delete_binding(delete(&to_p.id)).await.unwrap();
        server.bindings().delete_binding(delete(&to_a.id)).await.unwrap();
        server.models().delete_model(delete_model(&a.id)).await.unwrap();
        let request = v1::DeleteProviderRequest { id: provider.id, ..Default::default() };
        server.providers().delete_provider(request).await.unwrap();
    }

    async fn an_update_turns_the_target_and_merges_parameters(server: &Server) {
        let (provider, [a, b]) = offer(server, "p").await;
        let first = server.admin().add_binding(v1::Binding { parameters: warm(1.0), ..binding("c", to_model(&a.id)) }).await;
        let turned = change(server, &first.id, v1::Binding { target: to_model(&b.id), ..Default::default() }, &[]).await;
        assert_eq!((&turned.target, &turned.parameters), (&to_model(&b.id), &warm(1.0)));
        server.models().delete_model(v1::DeleteModelRequest { id: a.id, ..Default::default() }).await.unwrap();
        let more = v1::ModelParameters { max_tokens: Some(9), ..Default::default() };
        let more = v1::Binding { parameters: Some(more), ..Default::default() };
        let merged = change(server, &first.id, more.clone(), &[]).await.parameters.unwrap();
        assert_eq!((merged.temperature, merged.max_tokens), (Some(1.0), Some(9)));
        let one = change(server, &first.id, v1::Binding::default(), &["parameters.temperature"]).await;
        assert_eq!(one.parameters, more.parameters);
        let same = change(server, &first.id, more, &["parameters"]).await;
        assert_eq!(same.revision, one.revision, "nothing changed");
        let full = change(server, &first.id, binding("ignored", to_provider(&provider.id)), &["*"]).await;
        assert_eq!((full.consumer(), &full.target, &full.parameters), ("c", &to_provider(&provider.id), &None));
        let refused = async |change: v1::Binding, paths: &[&str], reason: &str| {
            let answer = server.bindings().update_binding(update(&first.id, change, paths)).await;
            answer.refused(Code::InvalidArgument, reason)
        };
        refused(binding("other", None), &[], "INVALID_FIELD").await.names(&["binding.consumer"]);
        refused(v1::Binding { purpose: Some("x".into()), ..Default::default() }, &["purpose"], "INVALID_MASK").await;
        refused(v1::Binding { target: to_provider(&provider.id), ..Default::default() }, &["model_id"], "INVALID_FIELD")
            .await
            .names(&["binding.model_id"]);
        refused(v1::Binding::default(), &["*"], "INVALID_FIELD").await.names(&["binding.model_id"]);
        let stale = v1::UpdateBindingRequest { expected_revision: Some(1), ..update(&first.id, v1::Binding::default(), &[]) };
        server.bindings().update_binding(stale).await.refused(Code::Aborted, "REVISION_MISMATCH");
    }

    async fn a_rehearsal_answers_what_would_be_and_a_repetition_what_was(server: &Server) {
        let (provider, _) = offer(server, "p").await;
        let wanted = create(binding("c", to_provider(&provider.id)));
        let rehearsal = v1::CreateBindingRequest { validate_only: true, ..wanted.clone() };
        let would_be = server.bindings().create_binding(rehearsal).await.unwrap().into_inner().binding.unwrap();
        assert_eq!((would_be.id.as_str(), would_be.revision, would_be.create_time), ("", 0, None));
        assert_eq!(consumers(server, v1::ListBindingsRequest::default()).await, [""; 0]);
        let identified = v1::CreateBindingRequest { request_id: "once".into(), ..wanted };
        let made = server.bindings().create_binding(identified.clone()).await.unwrap().into_inner();
        let again = server.bindings().create_binding(identified.clone()).await.unwrap().into_inner();
        assert_eq!(made, again);
        let other = v1::CreateBindingRequest { reason: "other".into(), ..identified };
        server.bindings().create_binding(other).await.refused(Code::InvalidArgument, "REQUEST_ID_REUSED");
    }

    async fn lists_are_filtered_ordered_and_paged(server: &Server) {
        let (one, [a, b]) = offer(server, "p").await;
        let (two, [c, _]) = offer(server, "q").await;
        let labels = [("team".to_owned(), "x".to_owned())].into();
        let with_purpose = |purpose: &str, one| v1::Binding { purpose: Some(purpose.into()), ..one };
        for binding in [
            v1::Binding { labels, ..binding("z", to_model(&a.id)) },
            binding("y", to_provider(&one.id)),
            with_purpose("embed", binding("y", to_model(&c.id))),
            binding("x", to_provider(&two.id)),
            binding("w", to_model(&b.id)),
        ] {
            server.admin().add_binding(binding).await;
        }
        let list = v1::ListBindingsRequest::default;
        assert_eq!(consumers(server, list()).await, ["z", "y", "y", "x", "w"]);
        let by_name = v1::ListBindingsRequest { order_by: "name, create_time desc".into(), ..list() };
        assert_eq!(consumers(server, by_name).await, ["w", "x", "y", "y", "z"]);
        assert_eq!(consumers(server, v1::ListBindingsRequest { consumer: "y".into(), ..list() }).await, ["y", "y"]);
        assert_eq!(consumers(server, v1::ListBindingsRequest { consumer: "Y".into(), ..list() }).await, [""; 0]);
        assert_eq!(consumers(server, v1::ListBindingsRequest { purpose: "embed".into(), ..list() }).await, ["y"]);
        let of_p = v1::ListBindingsRequest { provider_id: one.id.clone(), ..list() };
        assert_eq!(consumers(server, of_p.clone()).await, ["z", "y", "w"], "to it or one of its models");
        assert_eq!(consumers(server, v1::ListBindingsRequest { consumer: "y".into(), ..of_p }).await, ["y"]);
        assert_eq!(consumers(server, v1::ListBindingsRequest { model_id: a.id.clone(), ..list() }).await, ["z"]);
        let neither = v1::ListBindingsRequest { model_id: a.id.clone(), provider_id: two.id.clone(), ..list() };
        assert_eq!(consumers(server, neither).await, [""; 0]);
        let labels = [("team".to_owned(), "x".to_owned())].into();
        assert_eq!(consumers(server, v1::ListBindingsRequest { labels, ..list() }).await, ["z"]);
        let unknown = v1::ListBindingsRequest { provider_id: a.id, ..list() };
        server.bindings().list_bindings(unknown).await.refused(Code::NotFound, "NOT_FOUND");
        let (mut seen, mut request) = (Vec::new(), v1::ListBindingsRequest { page_size: 2, order_by: "name desc".into(), ..list() });
        loop {
            let page = server.bindings().list_bindings(request.clone()).await.unwrap().into_inner();
            assert_eq!(page.total_size, 5);
            seen.extend(page.bindings.iter().map(|found| found.consumer().to_owned()));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(seen, ["z", "y", "y", "x", "w"]);
        let other = v1::ListBindingsRequest { purpose: "embed".into(), ..request };
        server.bindings().list_bindings(other).await.refused(Code::InvalidArgument, "INVALID_PAGE_TOKEN");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_deletion_names_twenty_bindings_at_most() {
    let server = Server::start(Engine::Sqlite).await;
    let (_, [a, _]) = offer(&server, "p").await;
    for number in 0..21 {
        server.admin().add_binding(binding(&format!("c{number}"), to_model(&a.id))).await;
    }
    let request = v1::DeleteModelRequest { id: a.id, ..Default::default() };
    let refusal = server.models().delete_model(request).await.refused(Code::FailedPrecondition, "IN_USE");
    assert_eq!(named(&refusal).len(), 20);
    assert!(refusal.message.contains("21 binding"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_model_that_the_vendor_gives_up_stays_bound() {
    let (server, vendor) = (Server::start(Engine::Sqlite).await, Vendor::start().await);
    let account = server.admin().add_account("p", ProviderKind::OpenaiCompatible, &vendor).await;
    let sync = || v1::SyncModelsRequest { provider_id: account.provider.id.clone(), force: true, ..Default::default() };
    vendor.list(&["one", "two"]);
    let models = server.models().sync_models(sync()).await.unwrap().into_inner().models;
    let one = models.iter().find(|model| model.model_id() == "one").unwrap();
    let bound = server.admin().add_binding(binding("c", to_model(&one.id))).await;
    vendor.list(&["two"]);
    assert_eq!(server.models().sync_models(sync()).await.unwrap().into_inner().deprecated, 1);
    assert_eq!(server.admin().get_model(&one.id).await.status(), v1::ModelStatus::Deprecated);
    assert_eq!(server.admin().get_binding(&bound.id).await, bound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bindings_are_there_after_a_restart_and_on_another_replica() {
    let server = Server::start(Engine::Postgres).await;
    let (provider, [a, _]) = offer(&server, "p").await;
    let bound = server.admin().add_binding(binding("c", to_model(&a.id))).await;
    let server = server.restart().await;
    assert_eq!(server.admin().get_binding(&bound.id).await, bound);
    let other = server.replica().await;
    assert_eq!(other.admin().get_binding(&bound.id).await, bound);
    let request = v1::DeleteProviderRequest { id: provider.id, ..Default::default() };
    other.providers().delete_provider(request).await.refused(Code::FailedPrecondition, "IN_USE");
}
