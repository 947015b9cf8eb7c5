//! Writes to providers.

use modelward::proto::v1::{self, ProviderKind};
use tonic::Status;

use super::{Writer, any, forget, send};
use crate::support::resources::provider;

type Attempted = Option<Result<i64, Status>>;

impl Writer {
    pub(super) async fn create_provider(&mut self) -> Attempted {
        let wanted = provider(&self.reason, ProviderKind::OpenaiCompatible);
        let told = send!(self, providers.create_provider, CreateProviderRequest { provider: Some(wanted) });
        Some(told.map(|(revision, answer)| {
            let id = answer.provider.unwrap().id;
            if self.home.is_none() {
                self.home = Some(id);
            } else {
                self.providers.push(id);
            }
            revision
        }))
    }

    pub(super) async fn update_provider(&mut self) -> Attempted {
        let id = any(&self.providers).or(self.home())?;
        let labels = [("reason".to_owned(), self.reason.clone())].into();
        let change = v1::Provider { id, description: Some(self.reason.clone()), labels, ..Default::default() };
        let told = send!(self, providers.update_provider, UpdateProviderRequest { provider: Some(change) });
        Some(told.map(|(revision, _)| revision))
    }

    pub(super) async fn update_provider_status(&mut self) -> Attempted {
        let id = any(&self.providers)?;
        let is_active = Some(fastrand::bool());
        let told =
            send!(self, providers.update_provider_status, UpdateProviderStatusRequest { id: id, is_active: is_active });
        Some(told.map(|(revision, _)| revision))
    }

    /// Now and then the home with all that belongs to it: many records in one revision.
    pub(super) async fn delete_provider(&mut self) -> Attempted {
        let at_home = self.providers.is_empty() || fastrand::u8(0..3) == 0;
        let id = if at_home { self.home()? } else { any(&self.providers)? };
        let told = send!(self, providers.delete_provider, DeleteProviderRequest { id: id.clone() });
        Some(told.map(|(revision, _)| {
            if at_home {
                self.hidden = true;
            } else {
                forget(&mut self.providers, &id);
                self.deleted.push(id);
            }
            revision
        }))
    }

    pub(super) async fn undelete_provider(&mut self) -> Attempted {
        let id = if self.hidden { self.home()? } else { any(&self.deleted)? };
        let told = send!(self, providers.undelete_provider, UndeleteProviderRequest { id: id.clone() });
        Some(told.map(|(revision, _)| {
            if self.hidden {
                self.hidden = false;
            } else {
                forget(&mut self.deleted, &id);
                self.providers.push(id);
            }
            revision
        }))
    }

    /// Now and then the home: the next step makes another one.
    pub(super) async fn purge_provider(&mut self) -> Attempted {
        let at_home = self.deleted.is_empty() || fastrand::u8(0..4) == 0;
        let id = if at_home { self.home()? } else { any(&self.deleted)? };
        let told = send!(self, providers.delete_provider, DeleteProviderRequest { id: id.clone(), purge: true });
        Some(told.map(|(revision, _)| {
            if at_home {
                self.home = None;
                self.endpoints.clear();
                self.credentials.clear();
                self.models.clear();
                self.former.clear();
            } else {
                forget(&mut self.deleted, &id);
            }
            revision
        }))
    }
}
