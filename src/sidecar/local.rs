//! Which calls a sidecar answers by itself, and what becomes of the others.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tokio::sync::watch;
use tonic::body::Body;
use tonic::service::{AxumBody, Routes};
use tower::{Layer, Service};

use super::forward::Forward;
use crate::auth::Access;
use crate::auth::table;
use crate::changes::Contact;
use crate::domain::{CallContext, Error};
use crate::service::status::status;

/// The layer between the gate and the services.
#[derive(Clone)]
pub struct Local {
    contact: watch::Receiver<Contact>,
    forward: Forward,
}

/// What becomes of a call.
enum Way {
    /// It is answered from memory.
    Here,
    /// There is nothing in memory yet.
    TooEarly,
    Forward,
}

impl Local {
    #[must_use]
    pub const fn new(contact: watch::Receiver<Contact>, forward: Forward) -> Self {
        Self { contact, forward }
    }

    /// The services behind this layer.
    #[must_use]
    pub fn around(self, routes: Routes) -> Routes {
        Routes::from(routes.into_axum_router().layer(self))
    }

    fn way(&self, path: &str) -> Way {
        match table::find(path, None) {
            Some(rpc) if rpc.is_local() && !self.contact.borrow().loaded => Way::TooEarly,
            Some(rpc) if !rpc.is_local() && rpc.access != Access::Open => Way::Forward,
            // Reflection too, which this does not know; an unknown method did not pass the gate.
            _ => Way::Here,
        }
    }
}

impl<S> Layer<S> for Local {
    type Service = LocalService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LocalService { local: self.clone(), inner }
    }
}

/// Services behind the layer.
#[derive(Clone)]
pub struct LocalService<S> {
    local: Local,
    inner: S,
}

impl<S> Service<Request<AxumBody>> for LocalService<S>
where
    S: Service<Request<AxumBody>, Response = Response<AxumBody>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<AxumBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<AxumBody>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<AxumBody>) -> Self::Future {
        let way = self.local.way(request.uri().path());
        if let Way::Here = way {
            return Box::pin(self.inner.call(request));
        }
        let forward = self.local.forward.clone();
        Box::pin(async move {
            let trace_id = request.extensions().get::<CallContext>().map(|call| call.trace_id.clone());
            let trace_id = trace_id.unwrap_or_default();
            let answer = match way {
                Way::Forward => forward.pass(request.map(Body::new), &trace_id).await,
                Way::Here | Way::TooEarly => status(Error::UpstreamUnavailable, &trace_id).into_http(),
            };
            Ok(answer.map(AxumBody::new))
        })
    }
}
