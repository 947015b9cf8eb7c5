//! Services that are declared and not built yet. Their roles are checked all the same.

use futures_util::stream::Empty;
use tonic::{Request, Response, Status, async_trait};

use super::Services;
use super::call::serve;
use crate::domain::{Error, Result};
use crate::proto::server::watch_service_server::WatchService;
use crate::proto::v1;

macro_rules! not_built {
    ($service:ident $([$stream:ident = $type:ty])? { $(fn $method:ident($request:ident) -> $answer:ty;)+ }) => {
        #[async_trait]
        impl $service for Services {
            $(type $stream = $type;)?
            $(async fn $method(&self, request: Request<v1::$request>) -> Result<Response<$answer>, Status> {
                serve(request, async |call, _| Err(Error::NotImplemented { rpc: call.rpc })).await
            })+
        }
    };
}

not_built!(WatchService [WatchStream = Empty<Result<v1::WatchResponse, Status>>] {
    fn watch(WatchRequest) -> Self::WatchStream;
    fn ack(AckRequest) -> v1::AckResponse;
    fn list_watchers(ListWatchersRequest) -> v1::ListWatchersResponse;
});
