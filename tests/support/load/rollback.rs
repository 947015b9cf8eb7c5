//! The way back to what models once were.

use modelward::proto::v1::{self, ResourceKind};
use tonic::Status;

use super::{Writer, send};

impl Writer {
    /// Notes a model as it is at a revision.
    pub(super) fn remember_model(&mut self, id: &str, revision: i64) {
        self.former.push((ResourceKind::Model, id.to_owned(), revision));
    }

    pub(super) async fn rollback_resource(&mut self) -> Option<Result<i64, Status>> {
        let (kind, id, revision) = fastrand::choice(&self.former).cloned()?;
        let told = send!(
            self,
            audit.rollback_resource,
            RollbackResourceRequest { resource_kind: Some(kind.into()), resource_id: id.clone(), revision: revision }
        );
        Some(told.map(|(revision, _)| {
            if !self.models.contains(&id) {
                self.models.push(id);
            }
            revision
        }))
    }
}
