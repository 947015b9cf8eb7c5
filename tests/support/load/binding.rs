//! Writes to bindings: of the home and its models.

use modelward::proto::v1;
use tonic::Status;

use super::{Writer, any, forget, send};
use crate::support::resources::{binding, to_model, to_provider};

impl Writer {
    fn target(&self) -> Option<v1::binding::Target> {
        match any(&self.models).filter(|_| fastrand::bool()) {
            Some(model) => to_model(&model),
            None => to_provider(&self.home()?),
        }
    }

    pub(super) async fn create_binding(&mut self) -> Option<Result<i64, Status>> {
        let wanted = binding(&self.reason, Some(self.target()?));
        let told = send!(self, bindings.create_binding, CreateBindingRequest { binding: Some(wanted) });
        Some(told.map(|(revision, answer)| {
            self.bindings.push(answer.binding.unwrap().id);
            revision
        }))
    }

    pub(super) async fn update_binding(&mut self) -> Option<Result<i64, Status>> {
        let id = any(&self.bindings)?;
        let labels = [("reason".to_owned(), self.reason.clone())].into();
        let change = v1::Binding { id, target: self.target(), labels, ..Default::default() };
        let told = send!(self, bindings.update_binding, UpdateBindingRequest { binding: Some(change) });
        Some(told.map(|(revision, _)| revision))
    }

    pub(super) async fn delete_binding(&mut self) -> Option<Result<i64, Status>> {
        let id = any(&self.bindings)?;
        let told = send!(self, bindings.delete_binding, DeleteBindingRequest { id: id.clone() });
        Some(told.map(|(revision, _)| {
            forget(&mut self.bindings, &id);
            revision
        }))
    }
}
