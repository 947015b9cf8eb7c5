//! Models: synced, filled from the catalogue, changed by people, found by what they can do.

use std::collections::BTreeMap;

use modelward::proto::v1::{
    self, AvailabilityCause, AvailabilityStatus, Capability, FieldSource, ModelSource, ModelStatus, ModelType,
    ProviderKind,
};
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use serde_json::json;
use tonic::Code;

use crate::support::resources::{mask, model};
use crate::support::vendor::{Mode, Vendor};
use crate::support::{Refused as _, Server, for_each_engine};

fn update(id: &str, change: v1::Model, paths: &[&str]) -> v1::UpdateModelRequest {
    let model = Some(v1::Model { id: id.to_owned(), ..change });
    let update_mask = if paths.is_empty() { None } else { mask(paths) };
    v1::UpdateModelRequest { model, update_mask, ..Default::default() }
}

async fn change(server: &Server, id: &str, change: v1::Model, paths: &[&str]) -> v1::Model {
    server.models().update_model(update(id, change, paths)).await.unwrap().into_inner().model.unwrap()
}

fn sync(provider_id: &str) -> v1::SyncModelsRequest {
    v1::SyncModelsRequest { provider_id: provider_id.to_owned(), ..Default::default() }
}

/// added, updated, deprecated, restored, unchanged
async fn synced(server: &Server, request: v1::SyncModelsRequest) -> ([i32; 5], Vec<v1::Model>) {
    let answer = server.models().sync_models(request).await.unwrap().into_inner();
    ([answer.added, answer.updated, answer.deprecated, answer.restored, answer.unchanged], answer.models)
}

/// The provider's models by the vendor's identifier.
async fn models(server: &Server, provider_id: &str) -> BTreeMap<String, v1::Model> {
    let request = v1::ListModelsRequest { provider_id: provider_id.to_owned(), ..Default::default() };
    let found = server.models().list_models(request).await.unwrap().into_inner().models;
    found.into_iter().map(|model| (model.model_id().to_owned(), model)).collect()
}

async fn ids(server: &Server, request: v1::ListModelsRequest) -> Vec<String> {
    let found = server.models().list_models(request).await.unwrap().into_inner().models;
    found.iter().map(|model| model.model_id().to_owned()).collect()
}

fn scored(capabilities: &[(Capability, i32)]) -> Vec<v1::ModelCapability> {
    let one = |(capability, score): &(Capability, i32)| v1::ModelCapability {
        capability: Some((*capability).into()),
        score: Some(*score),
    };
    capabilities.iter().map(one).collect()
}

fn priced(input: &str) -> Option<v1::Pricing> {
    Some(v1::Pricing { input_per_1k: Some(input.to_owned()), ..Default::default() })
}

fn set_default(id: &str) -> v1::SetDefaultModelRequest {
    v1::SetDefaultModelRequest { id: id.to_owned(), ..Default::default() }
}

async fn default_of(server: &Server, model_type: Option<ModelType>) -> Option<String> {
    let request = v1::GetDefaultModelRequest { r#type: model_type.map(Into::into) };
    match server.models().get_default_model(request).await {
        Ok(answer) => Some(answer.into_inner().model.unwrap().model_id().to_owned()),
        refused => refused.refused(Code::NotFound, "NOT_FOUND").reason.is_empty().then(String::new),
    }
}

for_each_engine! {
    async fn a_model_added_by_hand_is_kept_as_it_was_given(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Vllm).await;
        let bare = server.admin().add_model(model(&provider.id, "Qwen/Qwen3-8B")).await;
        assert_eq!((bare.name(), bare.r#type(), bare.status()), ("Qwen/Qwen3-8B", ModelType::Chat, ModelStatus::Available));
        assert_eq!((bare.source(), bare.is_active(), bare.is_default), (ModelSource::Manual, true, false));
        assert_eq!((bare.context_window, bare.pricing.as_ref()), (None, None));
        assert_eq!(bare.availability.as_ref().unwrap().status(), AvailabilityStatus::Unknown);

        let extra = Struct { fields: [("reasoning".to_owned(), Value { kind: Some(Kind::StringValue("high".into())) })].into() };
        let full = v1::Model {
            name: Some("Full".into()), description: Some("d".into()), version: Some("v1".into()),
            r#type: Some(ModelType::Embedding.into()), context_window: Some(8192), max_output_tokens: Some(1024),
            pricing: Some(v1::Pricing { input_per_1k: Some("0.000000001".into()), output_per_1k: Some("12.50".into()), currency: Some("EUR".into()) }),
            capabilities: scored(&[(Capability::Embedding, 5), (Capability::Chat, 0)]),
            recommended_uses: vec!["search".into()],
            default_parameters: Some(v1::ModelParameters {
                temperature: Some(0.1 + 0.2), top_p: Some(1.0), stop: vec!["\n".into()], extra: Some(extra), ..Default::default()
            }),
            labels: [("k".to_owned(), "v".to_owned())].into(),
            ..model(&provider.id, "full")
        };
        let created = server.admin().add_model(full.clone()).await;
        let read = server.admin().get_model(&created.id).await;
        assert_eq!(read, created);
        assert_eq!(read.default_parameters, full.default_parameters, "bit for bit");
        assert_eq!((read.recommended_uses, read.labels), (full.recommended_uses, full.labels));
        let pricing = read.pricing.unwrap();
        assert_eq!((pricing.input_per_1k(), pricing.output_per_1k(), pricing.currency()), ("0.000000001", "12.5", "EUR"));
        assert_eq!(read.capabilities.len(), 2);
        assert_eq!(read.field_sources.get("context_window"), Some(&FieldSource::Person.into()));
        assert!(read.pinned_fields.is_empty(), "nothing synchronises it");

        let again = v1::CreateModelRequest { model: Some(model(&provider.id, "full")), ..Default::default() };
        server.models().create_model(again).await.refused(Code::AlreadyExists, "ALREADY_EXISTS");
        let other_case = v1::CreateModelRequest { model: Some(model(&provider.id, "FULL")), ..Default::default() };
        server.models().create_model(other_case).await.unwrap();
    }

    async fn a_synchronisation_adds_and_fills_from_the_catalogue(server: &Server) {
        let vendor = Vendor::start().await;
        vendor.list(&["gpt-4o-mini", "text-embedding-3-small", "nobody-knows-this"]);
        let account = server.admin().add_account("p", ProviderKind::Openai, &vendor).await;
        let id = &account.provider.id;
        let (counts, shown) = synced(server, sync(id)).await;
        assert_eq!(counts, [3, 0, 0, 0, 0]);
        let revisions: Vec<_> = shown.iter().map(|model| model.revision).collect();
        assert!(shown.len() == 3 && revisions.windows(2).all(|pair| pair[0] == pair[1]), "one revision: {revisions:?}");
        let there = models(server, id).await;
        let mini = &there["gpt-4o-mini"];
        assert_eq!((mini.source(), mini.context_window()), (ModelSource::Synced, 128_000));
        assert_eq!(mini.pricing.as_ref().unwrap().input_per_1k(), "0.00015");
        assert_eq!(mini.field_sources.get("context_window"), Some(&FieldSource::Catalogue.into()));
        assert!(mini.capabilities.iter().any(|one| one.capability() == Capability::Vision));
        assert_eq!(there["text-embedding-3-small"].r#type(), ModelType::Embedding);
        assert_eq!(there["nobody-knows-this"].context_window, None);
        let status = server.admin().get_provider(id).await.sync.unwrap();
        assert_eq!((status.result(), status.added, status.unchanged), (v1::SyncResult::Succeeded, 3, 0));

        let (counts, shown) = synced(server, sync(id)).await;
        assert_eq!((counts, shown.len()), ([0, 0, 0, 0, 3], 0));
        assert_eq!(models(server, id).await["gpt-4o-mini"].revision, mini.revision, "the same list changes nothing");
    }

    async fn what_the_vendor_tells_counts_more_than_the_catalogue(server: &Server) {
        let vendor = Vendor::start().await;
        vendor.list_rows(vec![json!({"id": "qwen3", "object": "model", "max_model_len": 40_960})]);
        let account = server.admin().add_account("p", ProviderKind::Vllm, &vendor).await;
        synced(server, sync(&account.provider.id)).await;
        let there = &models(server, &account.provider.id).await["qwen3"];
        assert_eq!(there.context_window(), 40_960);
        assert_eq!(there.field_sources.get("context_window"), Some(&FieldSource::Vendor.into()));
        vendor.list_rows(vec![json!({"id": "qwen3", "object": "model", "max_model_len": 32_768})]);
        assert_eq!(synced(server, sync(&account.provider.id)).await.0, [0, 1, 0, 0, 0]);
        assert_eq!(models(server, &account.provider.id).await["qwen3"].context_window(), 32_768);
    }

    async fn missing_models_are_deprecated_and_returning_ones_restored(server: &Server) {
        let vendor = Vendor::start().await;
        vendor.list(&["a", "b", "c", "d"]);
        let account = server.admin().add_account("p", ProviderKind::OpenaiCompatible, &vendor).await;
        let id = &account.provider.id;
        server.admin().add_model(model(id, "manual")).await;
        synced(server, sync(id)).await;
        let off = models(server, id).await;
        change(server, &off["a"].id, v1::Model { status: Some(ModelStatus::Maintenance.into()), ..Default::default() }, &[]).await;
        let inactive = v1::UpdateModelStatusRequest { id: off["b"].id.clone(), is_active: Some(false), ..Default::default() };
        server.models().update_model_status(inactive).await.unwrap();

        vendor.list(&["b", "c"]);
        assert_eq!(synced(server, sync(id)).await.0, [0, 0, 1, 0, 3]);
        let there = models(server, id).await;
        assert_eq!(there["d"].status(), ModelStatus::Deprecated);
        assert_eq!(there["a"].status(), ModelStatus::Maintenance, "a person's MAINTENANCE is not touched");
        assert!(!there["b"].is_active(), "nor what a person switched off");
        assert_eq!(there["manual"].status(), ModelStatus::Available, "nor what was added by hand");
        vendor.list(&["b", "c", "d"]);
        assert_eq!(synced(server, sync(id)).await.0, [0, 0, 0, 1, 3]);
        assert_eq!(models(server, id).await["d"].status(), ModelStatus::Available);
    }

    async fn a_list_that_shrinks_too_much_needs_force(server: &Server) {
        let vendor = Vendor::start().await;
        vendor.list(&["a", "b", "c", "d", "e"]);
        let account = server.admin().add_account("p", ProviderKind::OpenaiCompatible, &vendor).await;
        let id = &account.provider.id;
        synced(server, sync(id)).await;
        vendor.list(&["a", "b"]);
        server.models().sync_models(sync(id)).await.refused(Code::FailedPrecondition, "SYNC_SHRINKS").has("listed", "2").has("known", "5");
        assert_eq!(server.admin().get_provider(id).await.sync.unwrap().result(), v1::SyncResult::Failed);
        vendor.list(&[]);
        server.models().sync_models(sync(id)).await.refused(Code::FailedPrecondition, "SYNC_SHRINKS").has("listed", "0");
        assert!(models(server, id).await.values().all(|model| model.status() == ModelStatus::Available));
        vendor.list(&["a", "b"]);
        let forced = v1::SyncModelsRequest { force: true, ..sync(id) };
        assert_eq!(synced(server, forced).await.0, [0, 0, 3, 0, 2]);
        vendor.list(&["a"]);
        assert_eq!(synced(server, sync(id)).await.0[2], 1, "half of what is known is enough");
    }

    async fn a_dry_run_answers_the_same_and_writes_nothing(server: &Server) {
        let vendor = Vendor::start().await;
        vendor.list(&["a", "b"]);
        let account = server.admin().add_account("p", ProviderKind::OpenaiCompatible, &vendor).await;
        let id = &account.provider.id;
        let dry = || v1::SyncModelsRequest { dry_run: true, ..sync(id) };
        let (counts, shown) = synced(server, dry()).await;
        assert_eq!((counts, shown.len()), ([2, 0, 0, 0, 0], 2));
        assert!(models(server, id).await.is_empty());
        synced(server, sync(id)).await;
        vendor.list(&["a"]);
        assert_eq!(synced(server, dry()).await.0, [0, 0, 1, 0, 1]);
        assert_eq!(models(server, id).await["b"].status(), ModelStatus::Available);
    }

    async fn what_a_person_changes_is_pinned_until_it_is_released(server: &Server) {
        let vendor = Vendor::start().await;
        vendor.list(&["gpt-4o-mini", "gpt-4o"]);
        let account = server.admin().add_account("p", ProviderKind::Openai, &vendor).await;
        let id = &account.provider.id;
        synced(server, sync(id)).await;
        let mini = models(server, id).await.remove("gpt-4o-mini").unwrap();
        let changed = change(server, &mini.id, v1::Model { pricing: priced("9.99"), ..Default::default() }, &[]).await;
        assert_eq!(changed.pinned_fields, ["pricing"]);
        assert_eq!(changed.field_sources.get("pricing"), Some(&FieldSource::Person.into()));
        assert_eq!(synced(server, sync(id)).await.0, [0, 0, 0, 0, 2]);
        let kept = server.admin().get_model(&mini.id).await;
        assert_eq!(kept.pricing.unwrap().input_per_1k(), "9.99");
        let release = v1::UpdateModelRequest { unpin_fields: vec!["pricing".into()], ..update(&mini.id, v1::Model::default(), &[]) };
        let released = server.models().update_model(release).await.unwrap().into_inner().model.unwrap();
        assert!(released.pinned_fields.is_empty());
        assert_eq!(synced(server, sync(id)).await.0, [0, 1, 0, 0, 1]);
        let back = server.admin().get_model(&mini.id).await;
        assert_eq!(back.pricing.unwrap().input_per_1k(), "0.00015");
        assert_eq!(back.field_sources.get("pricing"), Some(&FieldSource::Catalogue.into()));
        let unknown = v1::UpdateModelRequest { unpin_fields: vec!["colour".into()], ..update(&mini.id, v1::Model::default(), &[]) };
        server.models().update_model(unknown).await.refused(Code::InvalidArgument, "INVALID_FIELD").names(&["unpin_fields[0]"]);
    }

    async fn a_vendor_that_fails_is_told_and_nothing_is_changed(server: &Server) {
        let vendor = Vendor::start().await;
        vendor.list(&["a"]);
        let account = server.admin().add_account("p", ProviderKind::Openai, &vendor).await;
        let id = &account.provider.id;
        synced(server, sync(id)).await;
        vendor.set_mode(Mode::Failing(500));
        server.models().sync_models(sync(id)).await.refused(Code::Unavailable, "PROVIDER_ERROR").has("http_status", "500");
        let status = server.admin().get_provider(id).await.sync.unwrap();
        assert_eq!(status.result(), v1::SyncResult::Failed);
        assert!(!status.message.is_empty());
        vendor.set_mode(Mode::Echoing);
        let refusal = server.models().sync_models(sync(id)).await.refused(Code::Unavailable, "PROVIDER_ERROR");
        assert!(!refusal.message.contains(crate::support::vendor::KEY), "{refusal}");
        vendor.stop().await;
        server.models().sync_models(sync(id)).await.refused(Code::Unavailable, "PROVIDER_ERROR");
        assert_eq!(models(server, id).await.len(), 1);
    }

    async fn what_a_server_cannot_do_is_told(server: &Server) {
        let vendor = Vendor::start().await;
        vendor.set_mode(Mode::Failing(404));
        let account = server.admin().add_account("p", ProviderKind::OpenaiCompatible, &vendor).await;
        server.models().sync_models(sync(&account.provider.id)).await.refused(Code::Unimplemented, "UNSUPPORTED_BY_PROVIDER");
        let empty = server.admin().add_provider("empty", ProviderKind::Vllm).await;
        server.models().sync_models(sync(&empty.id)).await.refused(Code::FailedPrecondition, "NO_ENDPOINT");
        server.models().sync_models(sync("0199aaaa-0000-7000-8000-000000000000")).await.refused(Code::NotFound, "NOT_FOUND");
        let off = v1::UpdateProviderStatusRequest { id: account.provider.id.clone(), is_active: Some(false), ..Default::default() };
        server.providers().update_provider_status(off).await.unwrap();
        let vllm = v1::UpdateProviderStatusRequest { id: empty.id.clone(), is_active: Some(false), ..Default::default() };
        server.providers().update_provider_status(vllm).await.unwrap();
        server.models().sync_models(sync(&empty.id)).await.refused(Code::FailedPrecondition, "PROVIDER_DISABLED");
    }

    async fn an_identifier_beyond_the_limits_is_left_out_and_the_status_says_so(server: &Server) {
        let vendor = Vendor::start().await;
        vendor.list(&["sound", &"x".repeat(201)]);
        let account = server.admin().add_account("p", ProviderKind::OpenaiCompatible, &vendor).await;
        let (counts, _) = synced(server, sync(&account.provider.id)).await;
        assert_eq!(counts, [1, 0, 0, 0, 0]);
        let status = server.admin().get_provider(&account.provider.id).await.sync.unwrap();
        assert!(status.message.starts_with("skipped 1 of the vendor's models"), "{}", status.message);
    }

    async fn a_repeated_synchronisation_is_answered_the_same(server: &Server) {
        let vendor = Vendor::start().await;
        vendor.list(&["a", "b"]);
        let account = server.admin().add_account("p", ProviderKind::OpenaiCompatible, &vendor).await;
        let once = v1::SyncModelsRequest { request_id: "s".into(), ..sync(&account.provider.id) };
        let first = server.models().sync_models(once.clone()).await.unwrap().into_inner();
        let again = server.models().sync_models(once).await.unwrap().into_inner();
        assert_eq!(first.added, 2);
        assert_eq!(again.models.len(), first.models.len());
        assert_eq!((again.added, again.unchanged), (2, 0));
    }

    async fn a_test_tells_whether_the_model_answers(server: &Server) {
        let vendor = Vendor::start().await;
        vendor.list(&["chat", "gone"]);
        let account = server.admin().add_account("p", ProviderKind::OpenaiCompatible, &vendor).await;
        synced(server, sync(&account.provider.id)).await;
        let there = models(server, &account.provider.id).await;
        let test = async |id: &str| {
            let answer = server.models().test_model(v1::TestModelRequest { id: id.to_owned() }).await.unwrap();
            answer.into_inner().model.unwrap().availability.unwrap()
        };
        let good = test(&there["chat"].id).await;
        assert_eq!(good.status(), AvailabilityStatus::Available, "{good:?}");
        assert!(good.latency.is_some() && good.last_test_time.is_some());
        assert_eq!(server.admin().get_model(&there["chat"].id).await.availability.unwrap(), good, "kept");
        vendor.list(&["chat"]);
        let gone = test(&there["gone"].id).await;
        assert_eq!((gone.status(), gone.cause()), (AvailabilityStatus::Unavailable, AvailabilityCause::UnknownModel));
        vendor.set_mode(Mode::Failing(401));
        let refused = test(&there["chat"].id).await;
        assert_eq!((refused.status(), refused.cause()), (AvailabilityStatus::Unavailable, AvailabilityCause::Credential));
    }

    async fn a_changed_price_keeps_what_was_not_named(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Vllm).await;
        let pricing = Some(v1::Pricing { input_per_1k: Some("1".into()), output_per_1k: Some("2".into()), currency: Some("EUR".into()) });
        let created = server.admin().add_model(v1::Model { pricing, ..model(&provider.id, "m") }).await;
        let shown = change(server, &created.id, v1::Model { pricing: priced("3"), ..Default::default() }, &[]).await.pricing.unwrap();
        assert_eq!((shown.input_per_1k(), shown.output_per_1k(), shown.currency()), ("3", "2", "EUR"));
        let leaf = change(server, &created.id, v1::Model { pricing: priced("4"), ..Default::default() }, &["pricing.input_per_1k"]).await;
        assert_eq!(leaf.pricing.unwrap().output_per_1k(), "2");
        let whole = change(server, &created.id, v1::Model { pricing: priced("5"), ..Default::default() }, &["pricing"]).await;
        let whole = whole.pricing.unwrap();
        assert_eq!((whole.input_per_1k(), whole.output_per_1k.as_deref(), whole.currency.as_deref()), ("5", None, Some("USD")));
        assert!(change(server, &created.id, v1::Model::default(), &["pricing"]).await.pricing.is_none());
        let named = change(server, &created.id, v1::Model::default(), &["name"]).await;
        assert_eq!(named.name(), "m", "its default is the identifier");
        for bad in ["model_id", "provider_id", "source", "is_default", "usage", "pinned_fields", "pricing.colour"] {
            server.models().update_model(update(&created.id, v1::Model::default(), &[bad])).await.refused(Code::InvalidArgument, "INVALID_MASK");
        }
    }

    async fn there_is_one_default_per_type(server: &Server) {
        let one = server.admin().add_provider("one", ProviderKind::Vllm).await;
        let two = server.admin().add_provider("two", ProviderKind::Vllm).await;
        assert_eq!(default_of(server, None).await, None);
        let a = server.admin().add_model(model(&one.id, "a")).await;
        let b = server.admin().add_model(model(&two.id, "b")).await;
        let embedding = v1::Model { r#type: Some(ModelType::Embedding.into()), ..model(&two.id, "e") };
        let created = v1::CreateModelRequest { model: Some(embedding), set_default: true, ..Default::default() };
        server.models().create_model(created).await.unwrap();
        let first = server.models().set_default_model(set_default(&a.id)).await.unwrap().into_inner().model.unwrap();
        assert!(first.is_default);
        server.models().set_default_model(set_default(&b.id)).await.unwrap();
        assert!(!server.admin().get_model(&a.id).await.is_default, "over all providers");
        assert_eq!(default_of(server, None).await.as_deref(), Some("b"));
        assert_eq!(default_of(server, Some(ModelType::Embedding)).await.as_deref(), Some("e"));

        let gone = v1::DeleteProviderRequest { id: two.id.clone(), ..Default::default() };
        server.providers().delete_provider(gone).await.unwrap();
        assert_eq!(default_of(server, None).await, None);
        server.models().set_default_model(set_default(&a.id)).await.unwrap();
        let back = v1::UndeleteProviderRequest { id: two.id.clone(), ..Default::default() };
        server.providers().undelete_provider(back).await.unwrap();
        assert_eq!(default_of(server, None).await.as_deref(), Some("a"), "the one that was set since stays");
        assert!(!server.admin().get_model(&b.id).await.is_default);
        assert_eq!(default_of(server, Some(ModelType::Embedding)).await.as_deref(), Some("e"), "and this one comes back");
        let delete = v1::DeleteModelRequest { id: a.id.clone(), ..Default::default() };
        server.models().delete_model(delete).await.unwrap();
        assert_eq!(default_of(server, None).await, None);
    }

    async fn models_are_found_by_what_they_can_do(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Vllm).await;
        let add = async |id: &str, score: i32, price: Option<&str>| {
            let wanted = v1::Model {
                capabilities: scored(&[(Capability::Chat, score)]), pricing: price.and_then(priced), ..model(&provider.id, id)
            };
            server.admin().add_model(wanted).await
        };
        add("dear", 5, Some("2")).await;
        add("unpriced", 5, None).await;
        add("cheap", 5, Some("0.5")).await;
        add("best-b", 3, Some("1")).await;
        add("best-a", 3, Some("1.00")).await;
        add("unrated", 0, Some("0")).await;
        server.admin().add_model(v1::Model { capabilities: scored(&[(Capability::Vision, 5)]), ..model(&provider.id, "other") }).await;
        let ask = async |request: v1::ListModelsByCapabilityRequest| {
            let found = server.models().list_models_by_capability(request).await.unwrap().into_inner();
            found.models.iter().map(|model| model.model_id().to_owned()).collect::<Vec<_>>()
        };
        let chat = || v1::ListModelsByCapabilityRequest { capability: Some(Capability::Chat.into()), ..Default::default() };
        assert_eq!(ask(chat()).await, ["cheap", "dear", "unpriced", "best-a", "best-b", "unrated"]);
        assert_eq!(ask(v1::ListModelsByCapabilityRequest { min_score: Some(4), ..chat() }).await, ["cheap", "dear", "unpriced"]);
        let page = v1::ListModelsByCapabilityRequest { page_size: 2, ..chat() };
        let first = server.models().list_models_by_capability(page.clone()).await.unwrap().into_inner();
        assert_eq!((first.models.len(), first.total_size), (2, 6));
        let next = v1::ListModelsByCapabilityRequest { page_token: first.next_page_token, ..page };
        assert_eq!(ask(next).await, ["unpriced", "best-a"]);
        server.models().list_models_by_capability(v1::ListModelsByCapabilityRequest::default()).await
            .refused(Code::InvalidArgument, "INVALID_FIELD").names(&["capability"]);
        let beyond = v1::ListModelsByCapabilityRequest { min_score: Some(6), ..chat() };
        server.models().list_models_by_capability(beyond).await.refused(Code::InvalidArgument, "INVALID_FIELD").names(&["min_score"]);
        let gone = v1::DeleteProviderRequest { id: provider.id.clone(), ..Default::default() };
        server.providers().delete_provider(gone).await.unwrap();
        assert!(ask(chat()).await.is_empty());
    }

    async fn lists_are_filtered_and_ordered(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Vllm).await;
        let other = server.admin().add_provider("q", ProviderKind::Openai).await;
        for (id, window, price, capabilities) in [
            ("small", 4_096, "3", &[(Capability::Chat, 2)][..]),
            ("large", 128_000, "1", &[(Capability::Chat, 4), (Capability::Vision, 4)]),
            ("middle", 32_000, "2", &[(Capability::Chat, 4), (Capability::Vision, 1)]),
        ] {
            let wanted = v1::Model {
                context_window: Some(window), pricing: priced(price), capabilities: scored(capabilities),
                description: Some(format!("the {id} one")), ..model(&provider.id, id)
            };
            server.admin().add_model(wanted).await;
        }
        server.admin().add_model(v1::Model { r#type: Some(ModelType::Embedding.into()), ..model(&other.id, "elsewhere") }).await;
        let all = v1::ListModelsRequest::default;
        let mine = || v1::ListModelsRequest { provider_id: provider.id.clone(), ..all() };
        assert_eq!(ids(server, all()).await, ["small", "large", "middle", "elsewhere"]);
        assert_eq!(ids(server, mine()).await, ["small", "large", "middle"]);
        assert_eq!(ids(server, v1::ListModelsRequest { order_by: "context_window desc".into(), ..mine() }).await, ["large", "middle", "small"]);
        assert_eq!(ids(server, v1::ListModelsRequest { order_by: "input_price".into(), ..mine() }).await, ["large", "middle", "small"]);
        assert_eq!(ids(server, v1::ListModelsRequest { order_by: "name".into(), ..mine() }).await, ["large", "middle", "small"]);
        assert_eq!(ids(server, v1::ListModelsRequest { min_context_window: Some(32_000), ..all() }).await, ["large", "middle"]);
        let both = vec![Capability::Chat.into(), Capability::Vision.into()];
        assert_eq!(ids(server, v1::ListModelsRequest { capabilities: both.clone(), ..all() }).await, ["large", "middle"]);
        assert_eq!(ids(server, v1::ListModelsRequest { capabilities: both, min_score: Some(3), ..all() }).await, ["large"]);
        assert_eq!(ids(server, v1::ListModelsRequest { r#type: Some(ModelType::Embedding.into()), ..all() }).await, ["elsewhere"]);
        assert_eq!(ids(server, v1::ListModelsRequest { model_id: "large".into(), ..all() }).await, ["large"]);
        assert_eq!(ids(server, v1::ListModelsRequest { query: "THE MIDDLE".into(), ..all() }).await, ["middle"]);
        assert_eq!(ids(server, v1::ListModelsRequest { is_default: Some(true), ..all() }).await, [""; 0]);
        let paged = v1::ListModelsRequest { page_size: 2, order_by: "name desc".into(), ..mine() };
        let first = server.models().list_models(paged.clone()).await.unwrap().into_inner();
        assert_eq!((first.models.len(), first.total_size), (2, 3));
        let next = v1::ListModelsRequest { page_token: first.next_page_token, ..paged };
        assert_eq!(ids(server, next.clone()).await, ["large"]);
        let reordered = v1::ListModelsRequest { order_by: "name".into(), ..next };
        server.models().list_models(reordered).await.refused(Code::InvalidArgument, "INVALID_PAGE_TOKEN");
        let unknown = v1::ListModelsRequest { provider_id: "0199aaaa-0000-7000-8000-000000000000".into(), ..all() };
        server.models().list_models(unknown).await.refused(Code::NotFound, "NOT_FOUND");
    }

    async fn usable_models_have_everything_that_they_need(server: &Server) {
        let vendor = Vendor::start().await;
        let account = server.admin().add_account("p", ProviderKind::Openai, &vendor).await;
        let bare = server.admin().add_provider("bare", ProviderKind::Vllm).await;
        for id in ["ok", "deprecated", "maintenance", "inactive"] {
            server.admin().add_model(model(&account.provider.id, id)).await;
        }
        server.admin().add_model(model(&bare.id, "no-endpoint")).await;
        let there = models(server, &account.provider.id).await;
        for (id, status) in [("deprecated", ModelStatus::Deprecated), ("maintenance", ModelStatus::Maintenance)] {
            change(server, &there[id].id, v1::Model { status: Some(status.into()), ..Default::default() }, &[]).await;
        }
        change(server, &there["inactive"].id, v1::Model { is_active: Some(false), ..Default::default() }, &[]).await;
        let usable = |usable: bool| v1::ListModelsRequest { usable: Some(usable), ..Default::default() };
        assert_eq!(ids(server, usable(true)).await, ["ok", "deprecated"]);
        assert_eq!(ids(server, usable(false)).await, ["maintenance", "inactive", "no-endpoint"]);
        let revoke = v1::RevokeCredentialRequest { id: account.credential.id, ..Default::default() };
        server.credentials().revoke_credential(revoke).await.unwrap();
        assert!(ids(server, usable(true)).await.is_empty());
    }
}
