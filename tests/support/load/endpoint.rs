//! Writes to the home's endpoints.

use modelward::proto::v1;
use tonic::Status;

use super::{Writer, any, forget, send};
use crate::support::resources::endpoint;

fn byte() -> u8 {
    fastrand::u8(1..=254)
}

impl Writer {
    /// A host that nobody else has. Beside a vendor it is one that refuses at once, so that a sync loses no time there.
    fn new_url(&self) -> String {
        match &self.vendor {
            Some(vendor) => vendor.replace("127.0.0.1", &format!("127.{}.{}.{}", byte(), byte(), byte())),
            None => format!("https://{}.example.com/v1", self.reason),
        }
    }

    /// The first one is the vendor's, from which models are synced.
    pub(super) async fn create_endpoint(&mut self) -> Option<Result<i64, Status>> {
        let url = match &self.vendor {
            Some(vendor) if self.endpoints.is_empty() => vendor.clone(),
            _ => self.new_url(),
        };
        let retry = Some(v1::RetryPolicy { max_attempts: Some(1), ..Default::default() });
        let wanted = v1::Endpoint { retry, ..endpoint(&self.home()?, &self.reason, &url) };
        let set_default = fastrand::bool();
        let told = send!(
            self,
            endpoints.create_endpoint,
            CreateEndpointRequest { endpoint: Some(wanted), set_default: set_default }
        );
        Some(told.map(|(revision, answer)| {
            self.endpoints.push(answer.endpoint.unwrap().id);
            revision
        }))
    }

    /// Moves it to another host, which the credentials of its provider are then bound to as well.
    pub(super) async fn update_endpoint(&mut self) -> Option<Result<i64, Status>> {
        let id = any(self.endpoints.get(1..)?)?;
        let base_url = Some(self.new_url());
        let change = v1::Endpoint { id, base_url, name: Some(self.reason.clone()), ..Default::default() };
        let told = send!(self, endpoints.update_endpoint, UpdateEndpointRequest { endpoint: Some(change) });
        Some(told.map(|(revision, _)| revision))
    }

    pub(super) async fn delete_endpoint(&mut self) -> Option<Result<i64, Status>> {
        let id = any(self.endpoints.get(1..)?)?;
        let told = send!(self, endpoints.delete_endpoint, DeleteEndpointRequest { id: id.clone() });
        Some(told.map(|(revision, _)| {
            forget(&mut self.endpoints, &id);
            revision
        }))
    }

    pub(super) async fn set_default_endpoint(&mut self) -> Option<Result<i64, Status>> {
        let id = any(&self.endpoints)?;
        let told = send!(self, endpoints.set_default_endpoint, SetDefaultEndpointRequest { id: id });
        Some(told.map(|(revision, _)| revision))
    }
}
