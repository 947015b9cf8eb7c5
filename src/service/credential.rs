//! `CredentialService`.

use tonic::{Request, Response, Status, async_trait};

use super::Services;
use super::call::serve;
use super::list::{self, List};
use super::mutation::expected;
use crate::control::Mutation;
use crate::control::credential::RotationRequest;
use crate::domain::credential::input::{FIXED, SETTABLE, check_grace_period, check_hosts, check_secret, refuse_masked};
use crate::domain::credential::{Credential, Validation};
use crate::domain::mask::Presence;
use crate::domain::{CredentialId, Result, View as _, Violations, limits};
use crate::proto::server::credential_service_server::CredentialService;
use crate::proto::v1;
use crate::snapshot::Board;
use crate::snapshot::query::CredentialFilter;
use crate::wire;
use crate::wire::page::{RawItem, RawPage};

impl Services {
    /// The credential with its status; `validation` where a newer one than the board's is known.
    pub(super) fn show_credential(&self, credential: &Credential, validation: Option<&Validation>) -> v1::Credential {
        let board = self.reads.board().load();
        let status = self.credential_status(credential, &board);
        wire::credential::full(
            credential,
            wire::credential::Status { validation: validation.or(status.validation), ..status },
        )
    }

    fn credential_status<'a>(&self, credential: &Credential, board: &'a Board) -> wire::credential::Status<'a> {
        wire::credential::Status {
            state: self.reads.present(board).state(credential),
            decryptable: self.reads.is_decryptable(credential, board),
            validation: board.validation(credential.id).map(|entry| &***entry),
            usage: board.credential_usage(credential.id).map(|entry| &***entry),
            quota: credential.quota,
            now: self.reads.now(),
        }
    }
}

#[async_trait]
impl CredentialService for Services {
    async fn create_credential(
        &self,
        request: Request<v1::CreateCredentialRequest>,
    ) -> Result<Response<v1::CreateCredentialResponse>, Status> {
        serve(request, async |call, message: v1::CreateCredentialRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let mut input =
                wire::credential::input(message.credential.unwrap_or_default(), "credential", &mut violations);
            input.deny_all_hosts = message.deny_all_hosts;
            input.check("credential", Presence::Create, &[], &mut violations);
            violations.into_result()?;
            if let Some(secret) = &input.secret {
                refuse_masked("credential.secret", secret)?;
            }
            let credential = self.control()?.create_credential(mutation, input).await?;
            Ok(v1::CreateCredentialResponse { credential: Some(self.show_credential(&credential, None)) })
        })
        .await
    }

    async fn get_credential(
        &self,
        request: Request<v1::GetCredentialRequest>,
    ) -> Result<Response<v1::GetCredentialResponse>, Status> {
        serve(request, async |_, message: v1::GetCredentialRequest| {
            let id: CredentialId = list::id("id", &message.id)?;
            let credential = self.reads.snapshot().load().live_credential(id)?;
            Ok(v1::GetCredentialResponse { credential: Some(self.show_credential(&credential, None)) })
        })
        .await
    }

    async fn list_credentials(
        &self,
        request: Request<v1::ListCredentialsRequest>,
    ) -> Result<Response<RawPage>, Status> {
        serve(request, async |call, message: v1::ListCredentialsRequest| {
            let mut violations = Violations::default();
            let list = List::read::<Credential>(call.rpc, &message, &mut violations)?;
            let filter = CredentialFilter {
                provider_id: wire::id::parse_filter("provider_id", &message.provider_id, &mut violations),
                alias: list::text(message.alias),
                state: wire::enums::filter("state", message.state, &mut violations),
                query: list::query(&message.query, &mut violations),
                labels: message.labels,
            };
            violations.into_result()?;
            let (snapshot, board) = (self.reads.snapshot().load(), self.reads.board().load());
            let present = self.reads.present(&board);
            list.answer(
                |request, fits| snapshot.list_credentials(&filter, present, request, fits),
                |entry| RawItem {
                    config: entry.wire_or(wire::credential::config_bytes).clone(),
                    status: wire::credential::status_bytes(self.credential_status(entry, &board)),
                },
            )
        })
        .await
    }

    async fn update_credential(
        &self,
        request: Request<v1::UpdateCredentialRequest>,
    ) -> Result<Response<v1::UpdateCredentialResponse>, Status> {
        serve(request, async |call, message: v1::UpdateCredentialRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let mask = wire::mask::read(message.update_mask, SETTABLE, FIXED)?;
            let credential = message.credential.unwrap_or_default();
            let id = wire::id::parse("credential.id", &credential.id, &mut violations);
            let input = wire::credential::input(credential, "credential", &mut violations);
            input.check("credential", Presence::Update(&mask), &[], &mut violations);
            violations.into_result()?;
            if let Some(secret) = &input.secret {
                refuse_masked("credential.secret", secret)?;
            }
            let credential = self.control()?.update_credential(mutation, id, input, mask, expected).await?;
            Ok(v1::UpdateCredentialResponse { credential: Some(self.show_credential(&credential, None)) })
        })
        .await
    }

    async fn rotate_credential(
        &self,
        request: Request<v1::RotateCredentialRequest>,
    ) -> Result<Response<v1::RotateCredentialResponse>, Status> {
        serve(request, async |call, message: v1::RotateCredentialRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let id = wire::id::parse("id", &message.id, &mut violations);
            let grace_period = wire::duration::input("grace_period", message.grace_period, &mut violations);
            let grace_period = grace_period.unwrap_or_default();
            check_grace_period("grace_period", grace_period, &mut violations);
            let secret = message.secret.map(wire::credential::read_secret);
            check_secret("secret", secret.as_ref(), &[], &mut violations);
            check_hosts("allowed_hosts", &message.allowed_hosts, &mut violations);
            violations.into_result()?;
            let secret = secret.unwrap_or_default();
            refuse_masked("secret", &secret)?;
            let rotation = RotationRequest {
                secret,
                grace_period,
                validate_first: message.validate_first,
                allowed_hosts: message.allowed_hosts,
            };
            let credential = self.control()?.rotate_credential(mutation, id, rotation, expected).await?;
            Ok(v1::RotateCredentialResponse { credential: Some(self.show_credential(&credential, None)) })
        })
        .await
    }

    async fn revoke_credential(
        &self,
        request: Request<v1::RevokeCredentialRequest>,
    ) -> Result<Response<v1::RevokeCredentialResponse>, Status> {
        serve(request, async |call, message: v1::RevokeCredentialRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let id = wire::id::parse("id", &message.id, &mut violations);
            violations.into_result()?;
            let credential = self.control()?.revoke_credential(mutation, id, expected).await?;
            Ok(v1::RevokeCredentialResponse { credential: Some(self.show_credential(&credential, None)) })
        })
        .await
    }

    async fn delete_credential(
        &self,
        request: Request<v1::DeleteCredentialRequest>,
    ) -> Result<Response<v1::DeleteCredentialResponse>, Status> {
        serve(request, async |call, message: v1::DeleteCredentialRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let id = wire::id::parse("id", &message.id, &mut violations);
            violations.into_result()?;
            self.control()?.delete_credential(mutation, id, expected).await?;
            Ok(v1::DeleteCredentialResponse {})
        })
        .await
    }

    async fn validate_credential(
        &self,
        request: Request<v1::ValidateCredentialRequest>,
    ) -> Result<Response<v1::ValidateCredentialResponse>, Status> {
        serve(request, async |call, message: v1::ValidateCredentialRequest| {
            let id: CredentialId = list::id("id", &message.id)?;
            let (credential, validation) = self.control()?.validate_credential(&call, id).await?;
            let credential = self.show_credential(&credential, Some(&validation));
            Ok(v1::ValidateCredentialResponse { credential: Some(credential) })
        })
        .await
    }

    async fn access_credential(
        &self,
        request: Request<v1::AccessCredentialRequest>,
    ) -> Result<Response<v1::AccessCredentialResponse>, Status> {
        serve(request, async |call, message: v1::AccessCredentialRequest| {
            let mut violations = Violations::default();
            let id = wire::id::parse("id", &message.id, &mut violations);
            limits::REASON.check("reason", &message.reason, &mut violations);
            if message.secret_version < 0 {
                violations.add("secret_version", "must be 0 (the current one) or more");
            }
            violations.into_result()?;
            // Each call is recorded, so there is no request id.
            let mutation = Mutation { call, request: None, validate_only: false, reason: message.reason, claim: None };
            let (secret, secret_version) =
                self.control()?.access_credential(mutation, id, message.secret_version).await?;
            let secret = Some(wire::credential::secret(&secret));
            Ok(v1::AccessCredentialResponse { secret, secret_version })
        })
        .await
    }
}
