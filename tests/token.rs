//! Tokens: who may call.

use modelward::domain::Id;
use modelward::proto::v1::{self, Role};
use modelward::secrets::TokenSecret;
use tonic::Code;

use crate::support::resources::in_seconds;
use crate::support::{Refused as _, Server, eventually, for_each_engine};

fn create(name: &str, role: Role) -> v1::CreateTokenRequest {
    v1::CreateTokenRequest { name: Some(name.to_owned()), roles: vec![role.into()], ..Default::default() }
}

async fn info(
    caller: &crate::support::server::Caller,
) -> Result<tonic::Response<v1::GetServerInfoResponse>, tonic::Status> {
    caller.tokens().get_server_info(v1::GetServerInfoRequest {}).await
}

for_each_engine! {
    async fn a_token_works_until_it_is_revoked(server: &Server) {
        let made = server.tokens().create_token(create("ci", Role::Viewer)).await.unwrap().into_inner();
        let token = made.token.unwrap();
        assert!(made.secret.starts_with("mw_"));
        assert_eq!((token.name.as_str(), token.roles().collect::<Vec<_>>()), ("ci", vec![Role::Viewer]));
        let caller = server.bearer(&made.secret);
        info(&caller).await.unwrap();
        let revoke = v1::RevokeTokenRequest { id: token.id.clone(), ..Default::default() };
        let revoked = server.tokens().revoke_token(revoke.clone()).await.unwrap().into_inner().token.unwrap();
        assert!(revoked.revoke_time.is_some());
        info(&caller).await.refused(Code::Unauthenticated, "UNAUTHENTICATED");
        let again = server.tokens().revoke_token(revoke).await.unwrap().into_inner().token.unwrap();
        assert_eq!(again.revoke_time, revoked.revoke_time, "once and for all");
        let unknown = v1::RevokeTokenRequest { id: "0199aaaa-0000-7000-8000-000000000000".into(), ..Default::default() };
        server.tokens().revoke_token(unknown).await.refused(Code::NotFound, "NOT_FOUND");
    }

    async fn a_token_ends_when_it_says(server: &Server) {
        let mut request = create("brief", Role::Viewer);
        request.expire_time = in_seconds(-1);
        server.tokens().create_token(request.clone()).await.refused(Code::InvalidArgument, "INVALID_FIELD").names(&["expire_time"]);
        request.expire_time = in_seconds(2);
        let made = server.tokens().create_token(request).await.unwrap().into_inner();
        let caller = server.bearer(&made.secret);
        info(&caller).await.unwrap();
        eventually("the token ends", || async { info(&caller).await.err() }).await;
        info(&caller).await.refused(Code::Unauthenticated, "UNAUTHENTICATED");
    }

    async fn a_repeated_creation_shows_no_secret(server: &Server) {
        let request = v1::CreateTokenRequest { request_id: "t1".into(), ..create("once", Role::Editor) };
        let first = server.tokens().create_token(request.clone()).await.unwrap().into_inner();
        let again = server.tokens().create_token(request).await.unwrap().into_inner();
        assert!(!first.secret.is_empty() && again.secret.is_empty());
        assert_eq!(first.token.as_ref().unwrap().id, again.token.unwrap().id);
        info(&server.bearer(&first.secret)).await.unwrap();
    }

    async fn tokens_are_listed_without_their_text_and_name_the_actor(server: &Server) {
        let made = server.tokens().create_token(create("robot", Role::Editor)).await.unwrap().into_inner();
        let robot = server.bearer(&made.secret);
        let created = robot.add_provider("p", v1::ProviderKind::Ollama).await;
        assert_eq!((created.created_by.as_str(), created.updated_by.as_str()), ("robot", "robot"));
        let listed = server.tokens().list_tokens(v1::ListTokensRequest::default()).await.unwrap().into_inner();
        let names: Vec<_> = listed.tokens.iter().map(|token| token.name.clone()).collect();
        assert_eq!(listed.total_size, 2, "{names:?}");
        assert!(names.contains(&"robot".to_owned()));
        let secret = made.secret.rsplit('_').next().unwrap();
        assert!(!format!("{listed:?}").contains(secret));
        let page = v1::ListTokensRequest { page_size: 1, ..Default::default() };
        let page = server.tokens().list_tokens(page).await.unwrap().into_inner();
        assert_eq!((page.tokens.len(), page.total_size, page.next_page_token.is_empty()), (1, 2, false));
    }

    async fn a_token_needs_a_name_and_a_role(server: &Server) {
        let nothing = v1::CreateTokenRequest::default();
        let refusal = server.tokens().create_token(nothing).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        refusal.names(&["name", "roles"]);
        let unknown = v1::CreateTokenRequest { name: Some("x".into()), roles: vec![9999], ..Default::default() };
        let refusal = server.tokens().create_token(unknown).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        assert!(refusal.fields.iter().all(|field| field.starts_with("roles")), "{refusal}");
    }

    async fn a_well_formed_token_that_nobody_made_is_refused(server: &Server) {
        let listed = server.tokens().list_tokens(v1::ListTokensRequest::default()).await.unwrap().into_inner();
        let known: Id<_> = Id::parse(&listed.tokens[0].id).unwrap();
        // Once for an id that does not exist, once for the admin's own.
        for id in [Id::parse("0199aaaa-0000-7000-8000-000000000000").unwrap(), known] {
            let (text, _) = TokenSecret::generate(id).unwrap();
            info(&server.bearer(&text)).await.refused(Code::Unauthenticated, "UNAUTHENTICATED");
        }
    }

    async fn validate_only_makes_no_token(server: &Server) {
        let request = v1::CreateTokenRequest { validate_only: true, ..create("never", Role::Viewer) };
        let would = server.tokens().create_token(request).await.unwrap().into_inner();
        assert_eq!(would.secret, "");
        let listed = server.tokens().list_tokens(v1::ListTokensRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.total_size, 1);
    }

    async fn the_key_ring_names_keys_and_shows_none(server: &Server) {
        let ring = server.tokens().get_keyring(v1::GetKeyringRequest {}).await.unwrap().into_inner().keyring.unwrap();
        assert_eq!(ring.keys.iter().filter(|key| key.active).count(), 1);
        assert!(ring.keys.iter().any(|key| key.id == ring.active_key_id));
        let unknown = v1::RotateMasterKeyRequest { key_id: "nowhere".into(), ..Default::default() };
        let status = server.tokens().rotate_master_key(unknown).await.unwrap_err();
        let refusal = crate::support::Refusal::of(&status);
        assert!(matches!(refusal.code, Code::FailedPrecondition | Code::InvalidArgument | Code::NotFound), "{refusal}");
    }

    async fn the_server_tells_about_itself(server: &Server) {
        let info = info(server.admin()).await.unwrap().into_inner().server_info.unwrap();
        assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
        assert!(!info.cluster_id.is_empty() && !info.replica_id.is_empty() && info.catalogue_model_count > 100);
        assert!(info.revision >= 1 && info.start_time.is_some());
    }
}
