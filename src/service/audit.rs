//! `AuditService`.

use tonic::{Request, Response, Status, async_trait};

use super::Services;
use super::call::serve;
use crate::domain::Error;
use crate::proto::server::audit_service_server::AuditService;
use crate::proto::v1;

#[async_trait]
impl AuditService for Services {
    async fn list_changes(
        &self,
        request: Request<v1::ListChangesRequest>,
    ) -> Result<Response<v1::ListChangesResponse>, Status> {
        serve(request, async |call, _| Err(Error::NotImplemented { rpc: call.rpc })).await
    }

    async fn get_resource_at(
        &self,
        request: Request<v1::GetResourceAtRequest>,
    ) -> Result<Response<v1::GetResourceAtResponse>, Status> {
        serve(request, async |call, _| Err(Error::NotImplemented { rpc: call.rpc })).await
    }

    async fn rollback_resource(
        &self,
        request: Request<v1::RollbackResourceRequest>,
    ) -> Result<Response<v1::RollbackResourceResponse>, Status> {
        serve(request, async |call, _| Err(Error::NotImplemented { rpc: call.rpc })).await
    }

    async fn list_secret_use(
        &self,
        request: Request<v1::ListSecretUseRequest>,
    ) -> Result<Response<v1::ListSecretUseResponse>, Status> {
        serve(request, async |call, message| self.list_uses_of_secrets(&call, message).await).await
    }
}
