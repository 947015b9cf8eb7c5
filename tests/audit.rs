//! The audit log: who changed what, how things were, and the way back.

use modelward::proto::v1::get_resource_at_response::Resource as Former;
use modelward::proto::v1::resource::Resource as Thing;
use modelward::proto::v1::rollback_resource_response::Resource as RolledBack;
use modelward::proto::v1::{self, Operation, ProviderKind, ResourceKind, Role};
use tonic::Code;

use crate::support::database::Database;
use crate::support::postgres::Cluster;
use crate::support::resources::{binding, credential, endpoint, mask, model, seconds, to_provider};
use crate::support::server::revision_of;
use crate::support::{Engine, Refused as _, Server, for_each_engine};

fn list() -> v1::ListChangesRequest {
    v1::ListChangesRequest::default()
}

async fn changes(server: &Server, request: v1::ListChangesRequest) -> Vec<v1::Change> {
    let answer = server.audit().list_changes(request).await.unwrap().into_inner();
    assert_eq!(usize::try_from(answer.total_size).unwrap(), answer.changes.len(), "one page");
    answer.changes
}

/// Operation and noun of each change.
fn story(changes: &[v1::Change]) -> Vec<String> {
    let word = |change: &v1::Change| {
        let operation = change.operation().as_str_name().trim_start_matches("OPERATION_").to_owned();
        format!("{operation} {}", change.resource_kind().as_str_name().trim_start_matches("RESOURCE_KIND_"))
    };
    changes.iter().map(word).collect()
}

async fn describe(server: &Server, model: &v1::Model, text: &str) -> v1::Model {
    let change = v1::Model { id: model.id.clone(), description: Some(text.into()), ..Default::default() };
    let request = v1::UpdateModelRequest { model: Some(change), ..Default::default() };
    server.models().update_model(request).await.unwrap().into_inner().model.unwrap()
}

fn at(kind: ResourceKind, id: &str, revision: i64) -> v1::GetResourceAtRequest {
    v1::GetResourceAtRequest { resource_kind: Some(kind.into()), resource_id: id.into(), revision }
}

fn back(kind: ResourceKind, id: &str, revision: i64) -> v1::RollbackResourceRequest {
    let (resource_kind, resource_id) = (Some(kind.into()), id.to_owned());
    v1::RollbackResourceRequest { resource_kind, resource_id, revision, ..Default::default() }
}

async fn model_at(server: &Server, id: &str, revision: i64) -> v1::Model {
    let answer = server.audit().get_resource_at(at(ResourceKind::Model, id, revision)).await.unwrap().into_inner();
    match answer.resource {
        Some(Former::Model(model)) => model,
        other => panic!("{other:?}"),
    }
}

async fn head(server: &Server) -> i64 {
    let answer = server.tokens().get_server_info(v1::GetServerInfoRequest {}).await.unwrap();
    revision_of(answer.metadata())
}

for_each_engine! {
    async fn a_change_tells_who_did_what_with_which_fields(server: &Server) {
        let editor = server.as_role(Role::Editor).await;
        let provider = editor.add_provider("p", ProviderKind::Ollama).await;
        let made = editor.add_model(model(&provider.id, "m")).await;
        let change = v1::Model { id: made.id.clone(), description: Some("new".into()), ..Default::default() };
        let request = v1::UpdateModelRequest {
            model: Some(change),
            request_id: "r-1".into(),
            reason: "a better text".into(),
            ..Default::default()
        };
        let after = editor.models().update_model(request).await.unwrap().into_inner().model.unwrap();
        let found = changes(server, v1::ListChangesRequest { request_id: "r-1".into(), ..list() }).await;
        let [change] = &found[..] else { panic!("{found:?}") };
        assert_eq!((change.revision, change.ordinal, change.resource_id.as_str()), (after.revision, 0, made.id.as_str()));
        assert_eq!((change.actor.as_str(), change.reason.as_str()), ("ROLE_EDITOR for tests", "a better text"));
        assert_eq!(change.rpc, "modelward.v1.ModelService/UpdateModel");
        assert!(change.peer_address.starts_with("127.0.0.1") && !change.user_agent.is_empty());
        assert!(change.changed_fields.contains(&"description".to_owned()), "{:?}", change.changed_fields);
        let text = |side: &Option<v1::Resource>| match side.clone().unwrap().resource.unwrap() {
            Thing::Model(model) => model.description().to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!((text(&change.before), text(&change.after)), (String::new(), "new".into()));
    }

    async fn fields_within_messages_are_told_by_their_paths(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Ollama).await;
        let made = server.admin().add_endpoint(endpoint(&provider.id, "e", "http://127.0.0.1:1/v1")).await;
        let health_check = Some(v1::HealthCheckPolicy { interval: seconds(77), ..Default::default() });
        let change = v1::Endpoint { id: made.id.clone(), health_check, ..Default::default() };
        let request = v1::UpdateEndpointRequest { endpoint: Some(change), ..Default::default() };
        server.endpoints().update_endpoint(request).await.unwrap();
        let updates = v1::ListChangesRequest { operations: vec![Operation::Update.into()], ..list() };
        assert_eq!(changes(server, updates).await[0].changed_fields, ["health_check.interval"]);
    }

    async fn filters_meet_and_pages_lead_through(server: &Server) {
        let editor = server.as_role(Role::Editor).await;
        let provider = editor.add_provider("p", ProviderKind::Ollama).await;
        let first = server.admin().add_model(model(&provider.id, "a")).await;
        let second = server.admin().add_model(model(&provider.id, "b")).await;
        for text in ["1", "2", "3"] {
            describe(server, &first, text).await;
        }
        server.models().delete_model(v1::DeleteModelRequest { id: second.id.clone(), ..Default::default() }).await.unwrap();
        let of = |id: &str| v1::ListChangesRequest { resource_id: id.into(), ..list() };
        assert_eq!(story(&changes(server, of(&second.id)).await), ["CREATE MODEL", "DELETE MODEL"]);
        let updates = v1::ListChangesRequest { operations: vec![Operation::Update.into(), Operation::Access.into()], ..of(&first.id) };
        assert_eq!(changes(server, updates).await.len(), 3);
        let by_editor = v1::ListChangesRequest { actor: "ROLE_EDITOR for tests".into(), ..list() };
        assert_eq!(story(&changes(server, by_editor).await), ["CREATE PROVIDER"]);
        let tokens = v1::ListChangesRequest { resource_kind: Some(ResourceKind::Token.into()), ..list() };
        assert_eq!(story(&changes(server, tokens).await), ["CREATE TOKEN", "CREATE TOKEN"]);
        let all = changes(server, list()).await;
        let moment = all[3].time;
        let since = changes(server, v1::ListChangesRequest { start_time: moment, ..list() }).await;
        let before = changes(server, v1::ListChangesRequest { end_time: moment, ..list() }).await;
        assert_eq!((before.len(), since.len()), (3, all.len() - 3), "from then on, and before");
        let (mut request, mut seen) = (v1::ListChangesRequest { page_size: 2, ..list() }, Vec::new());
        loop {
            let page = server.audit().list_changes(request.clone()).await.unwrap().into_inner();
            assert_eq!(usize::try_from(page.total_size).unwrap(), all.len());
            seen.extend(page.changes);
            // What comes meanwhile belongs to no page.
            describe(server, &first, &seen.len().to_string()).await;
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(seen, all);
        let other = v1::ListChangesRequest { actor: "x".into(), ..request };
        server.audit().list_changes(other).await.refused(Code::InvalidArgument, "INVALID_PAGE_TOKEN");
        let refused = async |request: v1::ListChangesRequest, field: &str| {
            server.audit().list_changes(request).await.refused(Code::InvalidArgument, "INVALID_FIELD").names(&[field]);
        };
        refused(v1::ListChangesRequest { order_by: "name".into(), ..list() }, "order_by").await;
        refused(v1::ListChangesRequest { resource_id: "x".into(), ..list() }, "resource_id").await;
        refused(v1::ListChangesRequest { actor: "a\0b".into(), ..list() }, "actor").await;
        refused(v1::ListChangesRequest { operations: vec![99], ..list() }, "operations[0]").await;
        refused(v1::ListChangesRequest { page_size: -1, ..list() }, "page_size").await;
    }

    async fn the_newest_come_first_when_asked(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Ollama).await;
        for name in ["a", "b", "c"] {
            server.admin().add_model(model(&provider.id, name)).await;
        }
        // One revision, many changes.
        let request = v1::DeleteProviderRequest { id: provider.id, ..Default::default() };
        server.providers().delete_provider(request).await.unwrap();
        let mut forth = changes(server, list()).await;
        let mut request = v1::ListChangesRequest { page_size: 3, order_by: "revision desc".into(), ..list() };
        let mut seen = Vec::new();
        loop {
            let page = server.audit().list_changes(request.clone()).await.unwrap().into_inner();
            seen.extend(page.changes);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        forth.reverse();
        assert_eq!(seen, forth);
    }

    async fn no_change_ever_tells_a_secret(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let made = server.admin().add_credential(credential(&provider.id, "k", "sk-verysecret-0123")).await;
        let access = v1::AccessCredentialRequest { id: made.id.clone(), ..Default::default() };
        server.credentials().access_credential(access).await.unwrap();
        let found = changes(server, v1::ListChangesRequest { resource_id: made.id, ..list() }).await;
        assert_eq!(story(&found), ["CREATE CREDENTIAL", "ACCESS CREDENTIAL"]);
        assert!(!format!("{found:?}").contains("verysecret"));
        let tokens = v1::ListChangesRequest { resource_kind: Some(ResourceKind::Token.into()), ..list() };
        let shown = format!("{:?}", changes(server, tokens).await);
        assert!(!shown.contains(&server.admin().token().unwrap()[30..]));
    }

    async fn a_resource_is_found_as_it_was(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Ollama).await;
        let made = server.admin().add_model(model(&provider.id, "m")).await;
        let changed = describe(server, &made, "new").await;
        server.admin().add_provider("between", ProviderKind::Ollama).await;
        let request = v1::DeleteModelRequest { id: made.id.clone(), ..Default::default() };
        server.models().delete_model(request).await.unwrap();
        let bare = |model: v1::Model| v1::Model { availability: None, usage: None, ..model };
        assert_eq!(model_at(server, &made.id, made.revision).await, bare(made.clone()));
        assert_eq!(model_at(server, &made.id, changed.revision).await, bare(changed.clone()));
        assert_eq!(model_at(server, &made.id, changed.revision + 1).await, bare(changed.clone()));
        let read = async |id: &str, revision: i64| server.audit().get_resource_at(at(ResourceKind::Model, id, revision)).await;
        read(&made.id, made.revision - 1).await.refused(Code::NotFound, "NOT_FOUND");
        read(&made.id, changed.revision + 2).await.refused(Code::NotFound, "NOT_FOUND");
        read(&provider.id, changed.revision).await.refused(Code::NotFound, "NOT_FOUND");
        read(&made.id, 0).await.refused(Code::InvalidArgument, "INVALID_FIELD").names(&["revision"]);
        let current = head(server).await;
        read(&made.id, current + 1).await.refused(Code::Unavailable, "REPLICA_BEHIND").has("current", &current.to_string());
    }

    async fn what_a_deleted_provider_hid_was_not_there(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Ollama).await;
        let made = server.admin().add_model(model(&provider.id, "m")).await;
        let request = v1::DeleteProviderRequest { id: provider.id.clone(), ..Default::default() };
        let deleted = revision_of(server.providers().delete_provider(request).await.unwrap().metadata());
        let request = v1::UndeleteProviderRequest { id: provider.id.clone(), ..Default::default() };
        let again = revision_of(server.providers().undelete_provider(request).await.unwrap().metadata());
        let hidden = server.audit().get_resource_at(at(ResourceKind::Model, &made.id, deleted)).await;
        hidden.refused(Code::NotFound, "NOT_FOUND");
        assert_eq!(model_at(server, &made.id, again).await.revision, made.revision);
        let then = server.audit().get_resource_at(at(ResourceKind::Provider, &provider.id, deleted)).await.unwrap();
        let Some(Former::Provider(then)) = then.into_inner().resource else { panic!("no provider") };
        assert!(then.delete_time.is_some());
    }

    async fn a_rollback_is_a_new_change_with_the_old_values(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Ollama).await;
        let made = server.admin().add_model(model(&provider.id, "m")).await;
        let changed = describe(server, &made, "new").await;
        let request = back(ResourceKind::Model, &made.id, made.revision);
        let rehearsal = v1::RollbackResourceRequest { validate_only: true, ..request.clone() };
        server.audit().rollback_resource(rehearsal).await.unwrap();
        assert_eq!(server.admin().get_model(&made.id).await.description(), "new");
        let stale = v1::RollbackResourceRequest { expected_revision: Some(made.revision), ..request.clone() };
        server.audit().rollback_resource(stale).await.refused(Code::Aborted, "REVISION_MISMATCH");
        let request = v1::RollbackResourceRequest {
            expected_revision: Some(changed.revision),
            request_id: "once".into(),
            reason: "it was better".into(),
            ..request
        };
        let answer = server.audit().rollback_resource(request.clone()).await.unwrap().into_inner();
        let Some(RolledBack::Model(after)) = &answer.resource else { panic!("{answer:?}") };
        assert_eq!((after.description(), after.revision), ("", changed.revision + 1));
        assert_eq!(*after, server.admin().get_model(&made.id).await);
        assert_eq!(server.audit().rollback_resource(request).await.unwrap().into_inner(), answer, "once");
        let found = changes(server, v1::ListChangesRequest { request_id: "once".into(), ..list() }).await;
        assert_eq!((story(&found), found[0].reason.as_str()), (vec!["UPDATE MODEL".to_owned()], "it was better"));
        assert_eq!(found[0].rpc, "modelward.v1.AuditService/RollbackResource");
    }

    async fn deleted_ones_come_back_and_secrets_do_not(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Ollama).await;
        let first = server.admin().add_endpoint(endpoint(&provider.id, "a", "http://127.0.0.1:1/v1")).await;
        server.admin().add_endpoint(endpoint(&provider.id, "b", "http://127.0.0.1:1/v1")).await;
        let key = server.admin().add_credential(credential(&provider.id, "k", "sk-0123456789")).await;
        let bound = server.admin().add_binding(binding("c", to_provider(&provider.id))).await;
        let then = head(server).await;
        let id = |id: &str| id.to_owned();
        server.endpoints().delete_endpoint(v1::DeleteEndpointRequest { id: id(&first.id), ..Default::default() }).await.unwrap();
        server.credentials().delete_credential(v1::DeleteCredentialRequest { id: id(&key.id), ..Default::default() }).await.unwrap();
        server.bindings().delete_binding(v1::DeleteBindingRequest { id: id(&bound.id), ..Default::default() }).await.unwrap();
        server.audit().rollback_resource(back(ResourceKind::Endpoint, &first.id, then)).await.unwrap();
        let again = server.admin().get_endpoint(&first.id).await;
        assert_eq!((again.name(), again.is_default, &again.create_time), ("a", false, &first.create_time));
        server.audit().rollback_resource(back(ResourceKind::Binding, &bound.id, then)).await.unwrap();
        assert_eq!(server.admin().get_binding(&bound.id).await.target, bound.target);
        let refused = server.audit().rollback_resource(back(ResourceKind::Credential, &key.id, then)).await;
        refused.refused(Code::FailedPrecondition, "SECRET_DESTROYED").has("credential_id", &key.id);
        for kind in [ResourceKind::Token, ResourceKind::Keyring] {
            let refused = server.audit().rollback_resource(back(kind, &key.id, then)).await;
            refused.refused(Code::InvalidArgument, "INVALID_FIELD").names(&["resource_kind"]);
        }
    }

    async fn a_rollback_never_widens_where_a_secret_goes(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Ollama).await;
        let wide = v1::Credential { allowed_hosts: vec!["a.example".into(), "b.example".into()], ..credential(&provider.id, "k", "sk-0123456789") };
        let made = server.admin().add_credential(wide).await;
        let narrow = v1::Credential { id: made.id.clone(), allowed_hosts: vec!["b.example".into()], ..Default::default() };
        let update_mask = mask(&["allowed_hosts"]);
        let request = v1::UpdateCredentialRequest { credential: Some(narrow), update_mask, ..Default::default() };
        server.credentials().update_credential(request).await.unwrap();
        server.audit().rollback_resource(back(ResourceKind::Credential, &made.id, made.revision)).await.unwrap();
        assert_eq!(server.admin().get_credential(&made.id).await.allowed_hosts, ["b.example"]);
    }

    async fn a_shortened_log_says_where_it_begins(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Ollama).await;
        let untouched = server.admin().add_model(model(&provider.id, "untouched")).await;
        let made = server.admin().add_model(model(&provider.id, "m")).await;
        let changed = describe(server, &made, "new").await;
        let parts = server.parts();
        parts.control.shorten_log(parts.control.now()).await.unwrap();
        let begins = changed.revision - 1;
        let found = changes(server, list()).await;
        assert_eq!(found.iter().map(|change| change.revision).collect::<Vec<_>>(), [changed.revision], "the last stays");
        let read = async |id: &str, revision: i64| server.audit().get_resource_at(at(ResourceKind::Model, id, revision)).await;
        read(&made.id, begins - 1).await.refused(Code::OutOfRange, "COMPACTED").has("oldest", &begins.to_string());
        assert_eq!(model_at(server, &made.id, begins).await.description(), "", "told by the change after it");
        assert_eq!(model_at(server, &untouched.id, begins).await.revision, untouched.revision, "unchanged since");
        let refused = server.audit().rollback_resource(back(ResourceKind::Model, &made.id, begins - 1)).await;
        refused.refused(Code::OutOfRange, "COMPACTED");
        server.audit().rollback_resource(back(ResourceKind::Model, &made.id, begins)).await.unwrap();
        assert_eq!(server.admin().get_model(&made.id).await.description(), "");
    }
}

/// The columns that auditors search by have an index each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_go_through_indexes_on_postgres() {
    let database = Database::new(Engine::Postgres).await;
    drop(database.open().await);
    database.sql(
        "INSERT INTO changes SELECT n, 0, decode(repeat('00', 32), 'hex'), '', 'kind' || n % 7, gen_random_uuid(), 'update', \
         'actor' || n % 100, 'rpc', CASE n % 10 WHEN 0 THEN 'r' || n ELSE '' END, now() + n * interval '1 second' \
         FROM generate_series(1, 20000) AS n; ANALYZE changes",
    );
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    let plan = |filter: &str| {
        let query = format!(
            "EXPLAIN SELECT payload FROM changes WHERE revision <= 20000 AND {filter} ORDER BY revision, ordinal LIMIT 51"
        );
        Cluster::shared().sql(&name, &query)
    };
    for (filter, index) in [
        ("resource_id = '0199aaaa-0000-7000-8000-000000000000'", "changes_resource"),
        ("actor = 'actor7'", "changes_actor"),
        ("request_id = 'r10' AND request_id <> ''", "changes_request"),
        ("resource_kind = 'kind3'", "changes_kind"),
        ("time >= now() + interval '19900 seconds'", "changes_time"),
        ("revision >= 500 AND (revision > 500 OR ordinal > 0)", "changes_pkey"),
    ] {
        let told = plan(filter);
        assert!(told.contains(index) && !told.contains("Seq Scan"), "{filter}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_database_the_log_is_unavailable() {
    let cluster = Cluster::shared();
    let database = Database::new(Engine::Postgres).await;
    let server = Server::start_on(database.url(), |_| {}).await;
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    cluster.sql("postgres", &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
    cluster
        .sql("postgres", &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
    let refusal = server.audit().list_changes(list()).await.refused(Code::Unavailable, "STORE_UNAVAILABLE");
    refusal.says_when_to_retry();
}
