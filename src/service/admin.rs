//! `AdminService`.

use tonic::{Request, Response, Status, async_trait};

use super::Services;
use super::call::serve;
use super::list::{self, List};
use super::mutation::expected;
use crate::control::keyring::{KeyStatus, KeyringStatus};
use crate::domain::token::Token;
use crate::domain::token::input::TokenInput;
use crate::domain::{Result, TokenId, Violations};
use crate::proto::server::admin_service_server::AdminService;
use crate::proto::v1;
use crate::store::Engine;
use crate::wire;

impl Services {
    /// The token with when it was last used.
    fn show_token(&self, token: &Token) -> v1::Token {
        wire::token::full(token, self.reads.board().load().token_use(token.id))
    }
}

#[async_trait]
impl AdminService for Services {
    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        serve(request, async |call, message: v1::CreateTokenRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let input = TokenInput {
                name: message.name,
                roles: wire::token::roles("roles", &message.roles, &mut violations),
                expire_time: wire::time::input("expire_time", message.expire_time, &mut violations),
            };
            input.check(self.reads.now(), &mut violations);
            violations.into_result()?;
            let (token, secret) = self.control()?.create_token(mutation, input).await?;
            let secret = secret.map(|secret| secret.to_string()).unwrap_or_default();
            Ok(v1::CreateTokenResponse { token: Some(self.show_token(&token)), secret })
        })
        .await
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        serve(request, async |call, message: v1::ListTokensRequest| {
            let mut violations = Violations::default();
            let list = List::read::<Token>(call.rpc, &message, &mut violations)?;
            violations.into_result()?;
            let snapshot = self.reads.snapshot().load();
            let page = snapshot.list_tokens(list.request(), |_| true)?;
            Ok(v1::ListTokensResponse {
                tokens: page.items.iter().map(|entry| self.show_token(entry)).collect(),
                next_page_token: list.next_token(page.next.as_ref()),
                total_size: list::total(page.total_size),
                revision: page.revision.0,
            })
        })
        .await
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        serve(request, async |call, message: v1::RevokeTokenRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let id: TokenId = wire::id::parse("id", &message.id, &mut violations);
            violations.into_result()?;
            let token = self.control()?.revoke_token(mutation, id, expected).await?;
            Ok(v1::RevokeTokenResponse { token: Some(self.show_token(&token)) })
        })
        .await
    }

    async fn get_keyring(
        &self,
        request: Request<v1::GetKeyringRequest>,
    ) -> Result<Response<v1::GetKeyringResponse>, Status> {
        serve(request, async |_, _| {
            let status = self.control()?.keyring_status().await?;
            Ok(v1::GetKeyringResponse { keyring: Some(show_keyring(status)) })
        })
        .await
    }

    async fn rotate_master_key(
        &self,
        request: Request<v1::RotateMasterKeyRequest>,
    ) -> Result<Response<v1::RotateMasterKeyResponse>, Status> {
        serve(request, async |call, message: v1::RotateMasterKeyRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            violations.into_result()?;
            let keyring = self.control()?.rotate_master_key(mutation, message.key_id, expected).await?;
            let status = KeyringStatus { keyring, ..self.control()?.keyring_status().await? };
            Ok(v1::RotateMasterKeyResponse { keyring: Some(show_keyring(status)) })
        })
        .await
    }

    async fn set_log_filter(
        &self,
        request: Request<v1::SetLogFilterRequest>,
    ) -> Result<Response<v1::SetLogFilterResponse>, Status> {
        serve(request, async |call, message: v1::SetLogFilterRequest| self.change_log_filter(&call, message)).await
    }

    async fn get_server_info(
        &self,
        request: Request<v1::GetServerInfoRequest>,
    ) -> Result<Response<v1::GetServerInfoResponse>, Status> {
        serve(request, async |_, _| {
            let head = self.reads.snapshot().head();
            let catalogue = self.facts.catalogue.as_ref().map(|catalogue| catalogue.load());
            let kind = match self.facts.engine {
                Some(Engine::Sqlite) => v1::DatabaseKind::Sqlite,
                Some(Engine::Postgres) => v1::DatabaseKind::Postgresql,
                None => v1::DatabaseKind::Unspecified,
            };
            // Who has no database has no log to compare an anchor with, and only half of the hash.
            let anchor = self.facts.engine.map(|_| format!("{}:{}", head.revision, head.hash));
            let now = self.reads.now();
            Ok(v1::GetServerInfoResponse {
                server_info: Some(v1::ServerInfo {
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    cluster_id: self.roster.watches().cluster_id().to_string(),
                    replica_id: self.facts.replica_id.clone(),
                    database_kind: kind.into(),
                    revision: head.revision.0,
                    audit_anchor: anchor.unwrap_or_default(),
                    catalogue_date: catalogue.as_ref().map(|found| found.date().to_owned()).unwrap_or_default(),
                    catalogue_model_count: list::total(catalogue.map_or(0, |found| found.len())),
                    start_time: Some(wire::time::write(self.facts.start_time)),
                    uptime: Some(wire::duration::write(now.since(self.facts.start_time))),
                }),
            })
        })
        .await
    }
}

fn show_keyring(status: KeyringStatus) -> v1::Keyring {
    let KeyringStatus { keyring, keys, total, done } = status;
    let key = |key: KeyStatus| v1::MasterKey {
        id: key.id,
        active: key.active,
        secret_count: key.secret_count,
        readable_by: key.readable_by,
        retirable: key.retirable,
    };
    v1::Keyring {
        keys: keys.into_iter().map(key).collect(),
        rewrap: Some(v1::RewrapProgress { running: done < total, total, done }),
        ..wire::keyring::config(&keyring)
    }
}
