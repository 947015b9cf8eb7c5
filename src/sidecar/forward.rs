//! Calls that a sidecar does not answer itself: changes, the audit log, administration. They are refused, or passed on
//! to the control plane, by setting.
//!
//! Invariant: nothing of the sidecar's own authority goes with them. They travel over a connection of their own that
//! carries neither its token nor its certificate, and only with a token that the caller brings: the control plane judges
//! the caller, and whoever can open the socket gains nothing by it. Messages pass as bytes, both ways, with metadata,
//! deadline, trailers and details as they are.

use http::{HeaderValue, Request, Response};
use tokio::time::timeout;
use tonic::body::Body;
use tower::Service as _;

use super::door::{LOCAL_TOKEN, bearer};
use super::trust::TrustError;
use super::upstream::{Upstream, UpstreamConfig};
use crate::domain::Error;
use crate::service::metadata::{REQUEST_ID, deadline};
use crate::service::status::status;

/// The setting that says what becomes of them.
const SETTING: &str = "sidecar.writes";

/// Passes calls on, or refuses them.
#[derive(Clone)]
pub struct Forward {
    upstream: Option<Upstream>,
}

impl Forward {
    /// Refuses every call.
    #[must_use]
    pub const fn refusing() -> Self {
        Self { upstream: None }
    }

    /// Passes calls on to the control plane of `own`, the configuration of the sidecar's own calls.
    ///
    /// # Errors
    /// When the file of authorities cannot be used.
    pub fn to(own: &UpstreamConfig) -> Result<Self, TrustError> {
        Ok(Self { upstream: Some(Upstream::open(own.anonymous())?) })
    }

    /// Answers a call that was let in at the door, which has taken the local token out of its headers. `trace_id` is
    /// the call's id in the log; the control plane's log has it too.
    pub async fn pass(&self, mut request: Request<Body>, trace_id: &str) -> Response<Body> {
        let refuse = |error| status(error, trace_id).into_http();
        let Some(mut upstream) = self.upstream.clone() else {
            return refuse(Error::NotForwarded { setting: SETTING });
        };
        let headers = request.headers_mut();
        headers.remove(LOCAL_TOKEN);
        if bearer(headers).is_none() {
            let problem = "this call is passed on, and needs a token of the caller's own";
            return refuse(Error::Unauthenticated { problem });
        }
        if let Ok(id) = HeaderValue::from_str(trace_id) {
            headers.insert(REQUEST_ID, id);
        }
        // The listener left there whose connection it was; that is no affair of the next one.
        request.extensions_mut().clear();
        // Who brings a deadline is told by the connection when it has passed.
        let unbounded = deadline(request.headers()).is_none();
        let limit = upstream.usual_deadline();
        let call = upstream.call(request);
        let answered = if unbounded { timeout(limit, call).await } else { Ok(call.await) };
        match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(status)) => status.into_http(),
            Err(_) => refuse(Error::DeadlineExceeded),
        }
    }
}

#[cfg(test)]
mod tests;
