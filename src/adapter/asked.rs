//! What traces show of a question to a vendor, and what the vendor is told of the trace: which it is, nothing else.
//!
//! Invariant: no part of a URL but its host, no header and no body gets into a span.

use http::{Method, Request, StatusCode};

use crate::domain::endpoint::Host;
use crate::telemetry::traces::{self, Span};

/// One request on its way, if its call is traced; it ends when this is dropped.
pub(super) struct Asked {
    span: Option<Span>,
    answered: bool,
}

impl Asked {
    pub(super) fn begin(method: &Method, host: &Host) -> Self {
        let span = traces::here().map(|place| {
            let name = if *method == Method::POST { "POST" } else { "GET" };
            let mut span = place.question(name);
            span.set("http.request.method", name);
            span.set("server.address", host.name.clone());
            span.set("server.port", i64::from(host.port));
            span
        });
        Self { span, answered: false }
    }

    /// Tells the vendor where in the trace it is asked.
    pub(super) fn tell<B>(&self, mut request: Request<B>) -> Request<B> {
        if let Some(span) = &self.span {
            request.headers_mut().extend(span.place().headers());
        }
        request
    }

    pub(super) fn answered(&mut self, status: StatusCode) {
        self.answered = true;
        let Some(span) = &mut self.span else { return };
        span.set("http.response.status_code", i64::from(status.as_u16()));
        if status.is_client_error() || status.is_server_error() {
            span.fail("the vendor refused");
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(span) = self.span.as_mut().filter(|_| !self.answered) {
            span.fail("the vendor did not answer");
        }
    }
}
