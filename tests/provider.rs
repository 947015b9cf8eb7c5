//! Providers, as a client of the API meets them.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use modelward::proto::v1::{self, ProviderKind, Role};
use tonic::Code;
use tonic_types::ErrorDetail;

use crate::support::resources::{credential, endpoint, in_seconds, mask, model, provider, seconds};
use crate::support::server::revision_of;
use crate::support::{Refused as _, Server, for_each_engine};

fn update(id: &str, change: v1::Provider, paths: &[&str]) -> v1::UpdateProviderRequest {
    let provider = Some(v1::Provider { id: id.to_owned(), ..change });
    let update_mask = if paths.is_empty() { None } else { mask(paths) };
    v1::UpdateProviderRequest { provider, update_mask, ..Default::default() }
}

fn named(name: &str) -> v1::Provider {
    v1::Provider { name: Some(name.to_owned()), ..Default::default() }
}

fn delete(id: &str) -> v1::DeleteProviderRequest {
    v1::DeleteProviderRequest { id: id.to_owned(), ..Default::default() }
}

fn undelete(id: &str) -> v1::UndeleteProviderRequest {
    v1::UndeleteProviderRequest { id: id.to_owned(), ..Default::default() }
}

fn names(answer: &v1::ListProvidersResponse) -> Vec<&str> {
    answer.providers.iter().map(v1::Provider::name).collect()
}

for_each_engine! {
    async fn a_provider_is_created_listed_renamed_disabled_and_deleted(server: &Server) {
        let request = v1::CreateProviderRequest {
            provider: Some(v1::Provider {
                description: Some("the main account".into()),
                labels: [("team".to_owned(), "core".to_owned())].into(),
                ..provider("Main", ProviderKind::Openai)
            }),
            ..Default::default()
        };
        let answer = server.providers().create_provider(request).await.unwrap();
        let revision = revision_of(answer.metadata());
        let created = answer.into_inner().provider.unwrap();
        assert_eq!((created.name(), created.kind(), created.is_active()), ("Main", ProviderKind::Openai, true));
        assert_eq!(created.revision, revision);
        assert_eq!(created.create_time, created.update_time);
        assert!(!created.created_by.is_empty() && created.created_by == created.updated_by);
        let policy = created.sync_policy.unwrap();
        assert_eq!((policy.enabled(), policy.interval), (false, seconds(24 * 3600)));
        assert_eq!(server.admin().get_provider(&created.id).await, v1::Provider { sync_policy: Some(policy), ..created.clone() });

        let listed = server.providers().list_providers(v1::ListProvidersRequest::default()).await.unwrap().into_inner();
        assert_eq!((names(&listed), listed.total_size, listed.revision), (vec!["Main"], 1, revision));

        let renamed = server.providers().update_provider(update(&created.id, named("Other"), &[])).await.unwrap();
        let renamed = renamed.into_inner().provider.unwrap();
        assert_eq!((renamed.name(), renamed.description()), ("Other", "the main account"));
        assert_eq!(renamed.revision, revision + 1);
        assert_eq!(renamed.create_time, created.create_time);

        let off = v1::UpdateProviderStatusRequest { id: created.id.clone(), is_active: Some(false), ..Default::default() };
        let off = server.providers().update_provider_status(off).await.unwrap().into_inner().provider.unwrap();
        assert!(!off.is_active());

        server.providers().delete_provider(delete(&created.id)).await.unwrap();
        let gone = server.admin().get_provider(&created.id).await;
        assert!(gone.delete_time.is_some() && gone.purge_time.is_some());
        let listed = server.providers().list_providers(v1::ListProvidersRequest::default()).await.unwrap().into_inner();
        assert_eq!((listed.providers.len(), listed.total_size), (0, 0));
        let all = v1::ListProvidersRequest { show_deleted: true, ..Default::default() };
        assert_eq!(names(&server.providers().list_providers(all).await.unwrap().into_inner()), ["Other"]);
    }

    async fn names_are_unique_in_unicode_lower_case_among_live_providers(server: &Server) {
        let first = server.admin().add_provider("ÄRGER", ProviderKind::Vllm).await;
        let second = v1::CreateProviderRequest { provider: Some(provider("ärger", ProviderKind::Vllm)), ..Default::default() };
        let refusal = server.providers().create_provider(second.clone()).await.refused(Code::AlreadyExists, "ALREADY_EXISTS");
        let info = refusal.details.iter().find_map(|detail| match detail {
            ErrorDetail::ResourceInfo(info) => Some(info.resource_name.clone()),
            _ => None,
        });
        assert_eq!(info, Some(first.id.clone()), "who has the name");

        let other = server.admin().add_provider("other", ProviderKind::Vllm).await;
        server.providers().update_provider(update(&other.id, named("Ärger"), &[])).await
            .refused(Code::AlreadyExists, "ALREADY_EXISTS");
        // Its own name in other letters is free for it.
        server.providers().update_provider(update(&first.id, named("Ärger"), &[])).await.unwrap();

        server.providers().delete_provider(delete(&first.id)).await.unwrap();
        server.providers().create_provider(second).await.unwrap();
        server.providers().undelete_provider(undelete(&first.id)).await.refused(Code::AlreadyExists, "ALREADY_EXISTS");
    }

    async fn without_a_mask_what_is_carried_is_changed_and_nothing_else(server: &Server) {
        let created = server.admin().try_provider(v1::Provider {
            description: Some("d".into()),
            sync_policy: Some(v1::SyncPolicy { enabled: Some(true), interval: seconds(3600) }),
            labels: [("k".to_owned(), "v".to_owned())].into(),
            ..provider("p", ProviderKind::Ollama)
        }).await.unwrap();
        let change = v1::Provider {
            description: Some(String::new()),
            sync_policy: Some(v1::SyncPolicy { enabled: None, interval: seconds(7200) }),
            ..Default::default()
        };
        let changed = server.providers().update_provider(update(&created.id, change, &[])).await.unwrap();
        let changed = changed.into_inner().provider.unwrap();
        assert_eq!((changed.name(), changed.description(), changed.labels.len()), ("p", "", 1));
        let policy = changed.sync_policy.unwrap();
        assert_eq!((policy.enabled(), policy.interval), (true, seconds(7200)));
    }

    async fn a_named_path_is_replaced_or_returns_to_its_default(server: &Server) {
        let created = server.admin().try_provider(v1::Provider {
            description: Some("d".into()),
            is_active: Some(false),
            sync_policy: Some(v1::SyncPolicy { enabled: Some(true), interval: seconds(3600) }),
            labels: [("k".to_owned(), "v".to_owned())].into(),
            ..provider("p", ProviderKind::Ollama)
        }).await.unwrap();
        let send = async |change: v1::Provider, paths: &[&str]| {
            server.providers().update_provider(update(&created.id, change, paths)).await
        };
        // The name is carried but not named.
        let changed = send(named("q"), &["description", "sync_policy.interval"]).await.unwrap().into_inner().provider.unwrap();
        assert_eq!((changed.name(), changed.description(), changed.is_active()), ("p", "", false));
        let policy = changed.sync_policy.unwrap();
        assert_eq!((policy.enabled(), policy.interval), (true, seconds(24 * 3600)));
        assert_eq!(changed.labels.len(), 1);

        let changed = send(v1::Provider::default(), &["labels", "sync_policy", "is_active"]).await.unwrap();
        let changed = changed.into_inner().provider.unwrap();
        assert_eq!((changed.labels.len(), changed.is_active(), changed.sync_policy.unwrap().enabled()), (0, true, false));

        send(v1::Provider::default(), &["name"]).await.refused(Code::InvalidArgument, "INVALID_FIELD").names(&["provider.name"]);
        for bad in ["nmae", "id", "kind", "revision", "delete_time", "sync", "sync.result", "sync_policy.interval.seconds", ""] {
            send(named("q"), &["name", bad]).await.refused(Code::InvalidArgument, "INVALID_MASK").names(&["update_mask"]);
        }
        send(named("q"), &["*", "name"]).await.refused(Code::InvalidArgument, "INVALID_MASK");
        assert_eq!(server.admin().get_provider(&created.id).await.name(), "p");
    }

    async fn a_star_replaces_everything_that_is_settable(server: &Server) {
        let created = server.admin().try_provider(v1::Provider {
            description: Some("d".into()),
            labels: [("k".to_owned(), "v".to_owned())].into(),
            ..provider("p", ProviderKind::Ollama)
        }).await.unwrap();
        // Immutable and output-only fields are ignored, whatever they hold.
        let change = v1::Provider {
            kind: Some(ProviderKind::Vllm.into()),
            revision: 4711,
            created_by: "me".into(),
            delete_time: in_seconds(0),
            ..named("q")
        };
        let changed = server.providers().update_provider(update(&created.id, change, &["*"])).await.unwrap();
        let changed = changed.into_inner().provider.unwrap();
        assert_eq!((changed.name(), changed.description(), changed.kind()), ("q", "", ProviderKind::Ollama));
        assert!(changed.labels.is_empty() && changed.delete_time.is_none() && changed.created_by == created.created_by);
        server.providers().update_provider(update(&created.id, v1::Provider::default(), &["*"])).await
            .refused(Code::InvalidArgument, "INVALID_FIELD").names(&["provider.name"]);
    }

    async fn what_was_read_can_be_written_back_and_changes_nothing(server: &Server) {
        let created = server.admin().add_provider("p", ProviderKind::Ollama).await;
        for paths in [&[][..], &["*"]] {
            let answer = server.providers().update_provider(update(&created.id, created.clone(), paths)).await.unwrap();
            assert_eq!(revision_of(answer.metadata()), created.revision);
            assert_eq!(answer.into_inner().provider.unwrap(), created);
        }
    }

    async fn a_write_that_expects_another_revision_is_refused(server: &Server) {
        let created = server.admin().add_provider("p", ProviderKind::Ollama).await;
        let mut request = update(&created.id, named("q"), &[]);
        request.expected_revision = Some(created.revision);
        let changed = server.providers().update_provider(request.clone()).await.unwrap().into_inner().provider.unwrap();
        request.provider = Some(v1::Provider { id: created.id.clone(), ..named("r") });
        server.providers().update_provider(request).await.refused(Code::Aborted, "REVISION_MISMATCH")
            .has("current", &changed.revision.to_string());
        let stale = v1::DeleteProviderRequest { expected_revision: Some(created.revision), ..delete(&created.id) };
        server.providers().delete_provider(stale).await.refused(Code::Aborted, "REVISION_MISMATCH");
        assert_eq!(server.admin().get_provider(&created.id).await.name(), "q");
    }

    async fn a_request_id_makes_a_creation_happen_once(server: &Server) {
        let request = v1::CreateProviderRequest {
            provider: Some(provider("once", ProviderKind::Ollama)),
            request_id: "create-1".into(),
            ..Default::default()
        };
        let created = server.providers().create_provider(request.clone()).await.unwrap().into_inner().provider.unwrap();
        // A later change does not show in the repetition: it tells what the first answer told.
        server.providers().update_provider(update(&created.id, named("renamed"), &[])).await.unwrap();
        let again = server.providers().create_provider(request.clone()).await.unwrap();
        let head = revision_of(again.metadata());
        assert_eq!(again.into_inner().provider.unwrap(), created);
        assert_eq!(head, created.revision + 1, "a repetition changes nothing");

        let other = v1::CreateProviderRequest { provider: Some(provider("two", ProviderKind::Ollama)), ..request.clone() };
        server.providers().create_provider(other).await.refused(Code::InvalidArgument, "REQUEST_ID_REUSED").names(&["request_id"]);

        // Somebody else's ids are their own.
        let editor = server.as_role(Role::Editor).await;
        let other = v1::CreateProviderRequest { provider: Some(provider("three", ProviderKind::Ollama)), ..request };
        editor.providers().create_provider(other).await.unwrap();
    }

    async fn repeated_at_the_same_time_a_creation_makes_one_provider(server: &Server) {
        let rounds = (0..6).map(|round| {
            let request = v1::CreateProviderRequest {
                provider: Some(provider(&format!("p{round}"), ProviderKind::Ollama)),
                request_id: format!("round-{round}"),
                ..Default::default()
            };
            let attempts = (0..8).map(|_| {
                let (mut client, request) = (server.admin().providers(), request.clone());
                async move { client.create_provider(request).await.unwrap().into_inner().provider.unwrap() }
            });
            join_all(attempts.collect::<Vec<_>>())
        });
        for answers in join_all(rounds).await {
            assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "the same answer to all");
        }
        let listed = server.providers().list_providers(v1::ListProvidersRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.total_size, 6);
    }

    async fn a_request_id_also_covers_updates_deletions_and_what_changes_nothing(server: &Server) {
        let created = server.admin().add_provider("p", ProviderKind::Ollama).await;
        let same = v1::UpdateProviderRequest { request_id: "same".into(), ..update(&created.id, named("p"), &[]) };
        let answer = server.providers().update_provider(same.clone()).await.unwrap().into_inner();
        server.providers().update_provider(update(&created.id, named("q"), &[])).await.unwrap();
        assert_eq!(server.providers().update_provider(same.clone()).await.unwrap().into_inner(), answer);
        let other = v1::UpdateProviderRequest { provider: Some(v1::Provider { id: created.id.clone(), ..named("r") }), ..same };
        server.providers().update_provider(other).await.refused(Code::InvalidArgument, "REQUEST_ID_REUSED");

        let once = v1::DeleteProviderRequest { request_id: "delete".into(), ..delete(&created.id) };
        server.providers().delete_provider(once.clone()).await.unwrap();
        server.providers().undelete_provider(undelete(&created.id)).await.unwrap();
        server.providers().delete_provider(once).await.unwrap();
        assert!(server.admin().get_provider(&created.id).await.delete_time.is_none(), "a repetition deletes nothing");
    }

    async fn a_failed_request_leaves_its_id_free(server: &Server) {
        server.admin().add_provider("taken", ProviderKind::Ollama).await;
        let request = |name: &str| v1::CreateProviderRequest {
            provider: Some(provider(name, ProviderKind::Ollama)),
            request_id: "again".into(),
            ..Default::default()
        };
        server.providers().create_provider(request("taken")).await.refused(Code::AlreadyExists, "ALREADY_EXISTS");
        let rehearsal = v1::CreateProviderRequest { validate_only: true, ..request("other") };
        server.providers().create_provider(rehearsal).await.unwrap();
        server.providers().create_provider(request("free")).await.unwrap();
    }

    async fn validate_only_answers_what_would_be_and_writes_nothing(server: &Server) {
        let request = v1::CreateProviderRequest {
            provider: Some(provider("p", ProviderKind::Ollama)),
            validate_only: true,
            ..Default::default()
        };
        let before = server.tokens().get_server_info(v1::GetServerInfoRequest {}).await.unwrap().into_inner();
        let would = server.providers().create_provider(request.clone()).await.unwrap().into_inner().provider.unwrap();
        assert_eq!((would.name(), would.is_active()), ("p", true));
        assert_eq!((would.id.as_str(), would.revision, would.create_time, would.update_time), ("", 0, None, None));
        let after = server.tokens().get_server_info(v1::GetServerInfoRequest {}).await.unwrap().into_inner();
        assert_eq!(before.server_info.unwrap().revision, after.server_info.unwrap().revision);

        let there = server.admin().add_provider("p", ProviderKind::Ollama).await;
        server.providers().create_provider(request).await.refused(Code::AlreadyExists, "ALREADY_EXISTS");
        let rehearsal = v1::DeleteProviderRequest { validate_only: true, ..delete(&there.id) };
        server.providers().delete_provider(rehearsal).await.unwrap();
        assert!(server.admin().get_provider(&there.id).await.delete_time.is_none());
        let stale = v1::DeleteProviderRequest { validate_only: true, expected_revision: Some(1), ..delete(&there.id) };
        server.providers().delete_provider(stale).await.refused(Code::Aborted, "REVISION_MISMATCH");
    }

    async fn a_deleted_provider_takes_everything_with_it_and_brings_it_back(server: &Server) {
        let admin = server.admin();
        let there = admin.add_provider("p", ProviderKind::Openai).await;
        let its_endpoint = admin.add_endpoint(endpoint(&there.id, "e", "https://api.example.com/v1")).await;
        let its_credential = admin.add_credential(credential(&there.id, "c", "sk-0123456789")).await;
        let its_model = admin.add_model(model(&there.id, "m")).await;
        let answer = server.providers().delete_provider(delete(&there.id)).await.unwrap();
        assert_eq!(revision_of(answer.metadata()), its_model.revision + 1, "one revision for all");

        let get = v1::GetEndpointRequest { id: its_endpoint.id.clone() };
        server.endpoints().get_endpoint(get).await.refused(Code::NotFound, "NOT_FOUND");
        let get = v1::GetCredentialRequest { id: its_credential.id.clone() };
        server.credentials().get_credential(get).await.refused(Code::NotFound, "NOT_FOUND");
        let get = v1::GetModelRequest { id: its_model.id.clone() };
        server.models().get_model(get).await.refused(Code::NotFound, "NOT_FOUND");
        let all = server.models().list_models(v1::ListModelsRequest::default()).await.unwrap().into_inner();
        assert_eq!(all.total_size, 0);
        let list = v1::ListEndpointsRequest { provider_id: there.id.clone(), ..Default::default() };
        server.endpoints().list_endpoints(list).await.refused(Code::NotFound, "NOT_FOUND");
        let pick = v1::PickEndpointRequest { provider_id: there.id.clone(), ..Default::default() };
        server.endpoints().pick_endpoint(pick).await.refused(Code::NotFound, "NOT_FOUND");
        server.providers().update_provider(update(&there.id, named("q"), &[])).await.refused(Code::NotFound, "NOT_FOUND");
        server.providers().delete_provider(delete(&there.id)).await.refused(Code::NotFound, "NOT_FOUND");
        let create = v1::CreateModelRequest { model: Some(model(&there.id, "n")), ..Default::default() };
        server.models().create_model(create).await.refused(Code::NotFound, "NOT_FOUND");

        let back = server.providers().undelete_provider(undelete(&there.id)).await.unwrap().into_inner().provider.unwrap();
        assert!(back.delete_time.is_none() && back.purge_time.is_none());
        assert_eq!(admin.get_endpoint(&its_endpoint.id).await, its_endpoint, "its row and its revision stayed");
        assert_eq!(admin.get_credential(&its_credential.id).await, its_credential);
        assert_eq!(admin.get_model(&its_model.id).await, its_model);
    }

    async fn only_an_admin_purges_and_nothing_comes_back(server: &Server) {
        let there = server.admin().add_provider("p", ProviderKind::Openai).await;
        let its = server.admin().add_credential(credential(&there.id, "c", "sk-0123456789")).await;
        let purge = v1::DeleteProviderRequest { purge: true, ..delete(&there.id) };
        let editor = server.as_role(Role::Editor).await;
        editor.providers().delete_provider(purge.clone()).await.refused(Code::PermissionDenied, "FORBIDDEN").has("role", "admin");
        server.providers().delete_provider(delete(&there.id)).await.unwrap();
        server.providers().delete_provider(purge).await.unwrap();
        let get = v1::GetProviderRequest { id: there.id.clone() };
        server.providers().get_provider(get).await.refused(Code::NotFound, "NOT_FOUND");
        server.providers().undelete_provider(undelete(&there.id)).await.refused(Code::NotFound, "NOT_FOUND");
        let revoke = v1::RevokeCredentialRequest { id: its.id, ..Default::default() };
        server.credentials().revoke_credential(revoke).await.refused(Code::NotFound, "NOT_FOUND");
    }

    async fn lists_are_filtered_ordered_and_paged(server: &Server) {
        for (name, kind, team) in [
            ("delta", ProviderKind::Ollama, "a"), ("alpha", ProviderKind::Vllm, "a"),
            ("charlie", ProviderKind::Ollama, "b"), ("bravo", ProviderKind::Ollama, "a"),
        ] {
            let labels = [("team".to_owned(), team.to_owned())].into();
            server.admin().try_provider(v1::Provider { labels, ..provider(name, kind) }).await.unwrap();
        }
        let list = async |request: v1::ListProvidersRequest| {
            server.providers().list_providers(request).await.map(tonic::Response::into_inner)
        };
        let all = v1::ListProvidersRequest::default;
        assert_eq!(names(&list(all()).await.unwrap()), ["delta", "alpha", "charlie", "bravo"], "by id: by age");
        let kind = v1::ListProvidersRequest { kind: Some(ProviderKind::Vllm.into()), ..all() };
        assert_eq!(names(&list(kind).await.unwrap()), ["alpha"]);
        let team = v1::ListProvidersRequest { labels: [("team".to_owned(), "b".to_owned())].into(), ..all() };
        assert_eq!(names(&list(team).await.unwrap()), ["charlie"]);
        let exact = v1::ListProvidersRequest { name: "alpha".into(), ..all() };
        assert_eq!(names(&list(exact).await.unwrap()), ["alpha"]);
        let partly = v1::ListProvidersRequest { name: "alph".into(), ..all() };
        assert_eq!(names(&list(partly).await.unwrap()), [""; 0]);
        let query = v1::ListProvidersRequest { query: "A".into(), order_by: "name desc".into(), ..all() };
        let found = list(query).await.unwrap();
        assert_eq!(names(&found), ["delta", "charlie", "bravo", "alpha"]);
        let inactive = v1::ListProvidersRequest { is_active: Some(false), ..all() };
        assert_eq!(list(inactive).await.unwrap().total_size, 0);

        let first = v1::ListProvidersRequest { page_size: 3, kind: None, order_by: "create_time desc".into(), ..all() };
        let page = list(first.clone()).await.unwrap();
        assert_eq!((names(&page), page.total_size), (vec!["bravo", "charlie", "alpha"], 4));
        server.admin().add_provider("later", ProviderKind::Ollama).await;
        let second = v1::ListProvidersRequest { page_token: page.next_page_token.clone(), ..first.clone() };
        let rest = list(second.clone()).await.unwrap();
        assert_eq!((names(&rest), rest.next_page_token.as_str()), (vec!["delta"], ""));
        assert_eq!((rest.total_size, rest.revision), (page.total_size, page.revision), "of the first page");
        let other_filters = v1::ListProvidersRequest { is_active: Some(true), ..second.clone() };
        list(other_filters).await.map(tonic::Response::new).refused(Code::InvalidArgument, "INVALID_PAGE_TOKEN").names(&["page_token"]);
        let garbage = v1::ListProvidersRequest { page_token: "nonsense".into(), ..first };
        list(garbage).await.map(tonic::Response::new).refused(Code::InvalidArgument, "INVALID_PAGE_TOKEN");
        for (bad, field) in [
            (v1::ListProvidersRequest { page_size: -1, ..all() }, "page_size"),
            (v1::ListProvidersRequest { order_by: "colour".into(), ..all() }, "order_by"),
            (v1::ListProvidersRequest { order_by: "name up".into(), ..all() }, "order_by"),
            (v1::ListProvidersRequest { kind: Some(9999), ..all() }, "kind"),
        ] {
            list(bad).await.map(tonic::Response::new).refused(Code::InvalidArgument, "INVALID_FIELD").names(&[field]);
        }
    }

    async fn text_is_stored_as_given(server: &Server) {
        for name in ["'; DROP TABLE providers; --", "日本語 🚀", "%_\\", "\u{202e}abc", "e\u{301}"] {
            let created = server.admin().add_provider(name, ProviderKind::Ollama).await;
            assert_eq!(server.admin().get_provider(&created.id).await.name(), name);
            let exact = v1::ListProvidersRequest { name: name.into(), ..Default::default() };
            assert_eq!(names(&server.providers().list_providers(exact).await.unwrap().into_inner()), [name]);
        }
    }

    async fn every_kind_is_described(server: &Server) {
        let kinds = server.providers().list_provider_kinds(v1::ListProviderKindsRequest {}).await.unwrap().into_inner().kinds;
        let listed: BTreeSet<_> = kinds.iter().map(|info| info.kind).collect();
        assert_eq!((listed.len(), kinds.len()), (15, 15));
        for info in &kinds {
            let free = matches!(info.kind(), ProviderKind::Ollama | ProviderKind::Vllm | ProviderKind::OpenaiCompatible);
            assert_eq!(info.requires_credential, !free, "{:?}", info.kind());
            assert!(!info.display_name.is_empty() && !info.secret_fields.is_empty(), "{:?}", info.kind());
            assert!(info.supports_model_sync && info.supports_validation && info.supports_model_test);
        }
    }
}
