//! Writes to the home's credentials.

use modelward::proto::v1;
use tonic::Status;

use super::{Writer, any, forget, send, told};
use crate::support::resources::{credential, seconds, secret};
use crate::support::vendor::KEY;

impl Writer {
    /// The one that the vendor takes, where there is a vendor.
    fn new_secret(&self) -> String {
        if self.vendor.is_some() { KEY.to_owned() } else { format!("sk-of-{}-0123456789", self.reason) }
    }

    pub(super) async fn create_credential(&mut self) -> Option<Result<i64, Status>> {
        let wanted = credential(&self.home()?, &self.reason, &self.new_secret());
        let told = send!(self, credentials.create_credential, CreateCredentialRequest { credential: Some(wanted) });
        Some(told.map(|(revision, answer)| {
            self.credentials.push(answer.credential.unwrap().id);
            revision
        }))
    }

    pub(super) async fn update_credential(&mut self) -> Option<Result<i64, Status>> {
        let id = any(&self.credentials)?;
        let change = v1::Credential { id, description: Some(self.reason.clone()), ..Default::default() };
        let told = send!(self, credentials.update_credential, UpdateCredentialRequest { credential: Some(change) });
        Some(told.map(|(revision, _)| revision))
    }

    pub(super) async fn rotate_credential(&mut self) -> Option<Result<i64, Status>> {
        let id = any(&self.credentials)?;
        let next = Some(secret(&self.new_secret()));
        let grace_period = if fastrand::bool() { seconds(3600) } else { None };
        let told = send!(
            self,
            credentials.rotate_credential,
            RotateCredentialRequest { id: id, secret: next, grace_period: grace_period }
        );
        Some(told.map(|(revision, _)| revision))
    }

    pub(super) async fn revoke_credential(&mut self) -> Option<Result<i64, Status>> {
        let id = any(&self.credentials)?;
        let told = send!(self, credentials.revoke_credential, RevokeCredentialRequest { id: id });
        Some(told.map(|(revision, _)| revision))
    }

    pub(super) async fn delete_credential(&mut self) -> Option<Result<i64, Status>> {
        let id = any(&self.credentials)?;
        let told = send!(self, credentials.delete_credential, DeleteCredentialRequest { id: id.clone() });
        Some(told.map(|(revision, _)| {
            forget(&mut self.credentials, &id);
            revision
        }))
    }

    /// Each call is recorded, so it takes no request id.
    pub(super) async fn access_credential(&mut self) -> Option<Result<i64, Status>> {
        let id = any(&self.credentials)?;
        let request = v1::AccessCredentialRequest { id, reason: self.reason.clone(), ..Default::default() };
        let told = told(self.caller.credentials().access_credential(request).await);
        Some(told.map(|(revision, _)| revision))
    }
}
