//! The frame of every handler: who calls, and how an error becomes a status.

use std::future::Future;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::status::status;
use crate::domain::{CallContext, Error, Result};

/// Runs a handler on the call's context and message, and turns its error into a status.
pub async fn serve<M, R, F>(
    request: Request<M>,
    handler: impl FnOnce(CallContext, M) -> F,
) -> Result<Response<R>, Status>
where
    F: Future<Output = Result<R>>,
{
    let (_, mut extensions, message) = request.into_parts();
    // Without a context the gate was not passed, which no caller can bring about.
    let Some(call) = extensions.remove::<CallContext>() else {
        return Err(status(Error::internal(), ""));
    };
    let trace_id = Arc::clone(&call.trace_id);
    match handler(call, message).await {
        Ok(answer) => Ok(Response::new(answer)),
        Err(error) => Err(status(error, &trace_id)),
    }
}
