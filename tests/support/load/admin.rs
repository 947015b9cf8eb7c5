//! Writes to tokens and to the key ring.

use modelward::proto::v1::{self, Role};
use tonic::Status;

use super::{Writer, any, forget, send};

impl Writer {
    pub(super) async fn create_token(&mut self) -> Option<Result<i64, Status>> {
        let (name, roles) = (Some(self.reason.clone()), vec![Role::Viewer.into()]);
        let told = send!(self, tokens.create_token, CreateTokenRequest { name: name, roles: roles });
        Some(told.map(|(revision, answer)| {
            self.tokens.push(answer.token.unwrap().id);
            revision
        }))
    }

    pub(super) async fn revoke_token(&mut self) -> Option<Result<i64, Status>> {
        let id = any(&self.tokens)?;
        let told = send!(self, tokens.revoke_token, RevokeTokenRequest { id: id.clone() });
        Some(told.map(|(revision, _)| {
            forget(&mut self.tokens, &id);
            revision
        }))
    }

    /// To the newest key that is not active.
    pub(super) async fn rotate_master_key(&mut self) -> Option<Result<i64, Status>> {
        let told = send!(self, tokens.rotate_master_key, RotateMasterKeyRequest {});
        Some(told.map(|(revision, _)| revision))
    }
}
