//! Writes to the home's models.

use modelward::proto::v1;
use tonic::Status;

use super::{Writer, any, forget, send};
use crate::support::resources::model;

impl Writer {
    pub(super) async fn create_model(&mut self) -> Option<Result<i64, Status>> {
        let wanted = model(&self.home()?, &self.reason);
        let set_default = fastrand::u8(0..8) == 0;
        let told =
            send!(self, models.create_model, CreateModelRequest { model: Some(wanted), set_default: set_default });
        Some(told.map(|(revision, answer)| {
            let id = answer.model.unwrap().id;
            self.remember_model(&id, revision);
            self.models.push(id);
            revision
        }))
    }

    pub(super) async fn update_model(&mut self) -> Option<Result<i64, Status>> {
        let id = any(&self.models)?;
        let change = v1::Model { id: id.clone(), description: Some(self.reason.clone()), ..Default::default() };
        let told = send!(self, models.update_model, UpdateModelRequest { model: Some(change) });
        Some(told.map(|(revision, _)| {
            self.remember_model(&id, revision);
            revision
        }))
    }

    pub(super) async fn update_model_status(&mut self) -> Option<Result<i64, Status>> {
        let id = any(&self.models)?;
        let is_active = Some(fastrand::bool());
        let told = send!(self, models.update_model_status, UpdateModelStatusRequest { id: id, is_active: is_active });
        Some(told.map(|(revision, _)| revision))
    }

    pub(super) async fn set_default_model(&mut self) -> Option<Result<i64, Status>> {
        let id = any(&self.models)?;
        let told = send!(self, models.set_default_model, SetDefaultModelRequest { id: id });
        Some(told.map(|(revision, _)| revision))
    }

    pub(super) async fn delete_model(&mut self) -> Option<Result<i64, Status>> {
        let id = any(&self.models)?;
        let told = send!(self, models.delete_model, DeleteModelRequest { id: id.clone() });
        Some(told.map(|(revision, _)| {
            forget(&mut self.models, &id);
            revision
        }))
    }

    pub(super) async fn sync_models(&mut self) -> Option<Result<i64, Status>> {
        self.vendor.as_ref()?;
        let provider_id = self.home()?;
        let told = send!(self, models.sync_models, SyncModelsRequest { provider_id: provider_id, force: true });
        Some(told.map(|(revision, _)| revision))
    }
}
