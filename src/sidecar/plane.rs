//! The control plane as those see it who watch the sidecar: whose configuration it is, and which places are in its log.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::replica::Cluster;
use super::upstream::Upstream;
use crate::changes::Origin;
use crate::domain::{Error, Result};
use crate::proto::v1;
use crate::proto::v1::watch_service_client::WatchServiceClient;
use crate::wire::watch::ResumeToken;

/// The control plane.
pub struct ControlPlane {
    pub cluster: Cluster,
    pub upstream: Upstream,
}

impl Origin for ControlPlane {
    fn cluster_id(&self) -> Uuid {
        self.cluster.id()
    }

    /// A stream that is not let begin there tells why; one that is, is left at once.
    fn check(&self, token: ResumeToken) -> BoxFuture<'_, Result<()>> {
        async move {
            let message = v1::WatchRequest { resume_token: token.write(), ..v1::WatchRequest::default() };
            let request = self.upstream.request(message);
            let refused = WatchServiceClient::new(self.upstream.clone()).watch(request).await.err();
            let reason = refused.and_then(|status| status.get_details_error_info()).map(|info| info.reason);
            if reason.as_deref() == Some("HISTORY_CHANGED") { Err(Error::HistoryChanged) } else { Ok(()) }
        }
        .boxed()
    }
}
