//! Traces: a span for each call, with children for what the call waits for, told to a collector over OTLP.
//!
//! Where they are off nothing of this runs: a call has no [`Span`], so nothing below it finds a [`Place`]. A span
//! carries names, numbers and ids only, as a line of the log does. Exporting happens beside the calls: a queue of a fixed
//! length, and what finds no room in it is counted and forgotten.

use std::fmt;
use std::sync::Arc;

use futures_util::future::Either;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub use self::config::{Sampling, TracesConfig};
pub use self::exporter::{Exporter, TracesError};

mod config;
mod exporter;

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");
/// Longer lists of other vendors are not taken over.
const MAX_STATE: usize = 512;

/// Begins spans. Cheap to clone.
#[derive(Clone)]
pub struct Tracer(Arc<Inner>);

struct Inner {
    tracer: SdkTracer,
    /// Keeps what the tracer sends its spans to.
    _provider: SdkTracerProvider,
    /// Whether `traceparent` is taken from callers and given to vendors.
    propagate: bool,
}

impl Tracer {
    fn new(provider: SdkTracerProvider, propagate: bool) -> Self {
        let tracer = provider.tracer("modelward");
        Self(Arc::new(Inner { tracer, _provider: provider, propagate }))
    }

    /// The span of a call that has arrived, below its caller's where that one told of it. `rpc` is a path,
    /// `package.Service/Method`.
    #[must_use]
    pub fn call(&self, rpc: &'static str, headers: &HeaderMap) -> Span {
        let parent = if self.0.propagate { parent(headers) } else { None };
        let context = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let mut span = self.begin(rpc, SpanKind::Server, &context);
        let (service, method) = rpc.split_once('/').unwrap_or((rpc, ""));
        span.set("rpc.system", "grpc");
        span.set("rpc.service", service);
        span.set("rpc.method", method);
        span
    }

    fn begin(&self, name: &'static str, kind: SpanKind, context: &Context) -> Span {
        let builder = self.0.tracer.span_builder(name).with_kind(kind);
        Span { span: self.0.tracer.build_with_context(builder, context), tracer: self.clone() }
    }
}

/// A piece of work of a call. It ends when it is dropped.
pub struct Span {
    span: opentelemetry_sdk::trace::Span,
    tracer: Tracer,
}

impl Span {
    /// Tells a fact: a name, a number, an id; nothing that a caller wrote as text.
    pub fn set(&mut self, name: &'static str, value: impl Into<opentelemetry::Value>) {
        if self.span.is_recording() {
            self.span.set_attribute(KeyValue::new(name, value));
        }
    }

    /// The work failed by a fault of this side.
    pub fn fail(&mut self, why: &'static str) {
        self.span.set_status(Status::error(why));
    }

    /// For what it waits for.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { tracer: self.tracer.clone(), context: self.span.span_context().clone() }
    }

    /// As log lines have it.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        self.span.span_context().trace_id()
    }
}

/// Where in a trace something happens. Cheap to clone.
#[derive(Clone)]
pub struct Place {
    tracer: Tracer,
    context: SpanContext,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.context.trace_id())
    }
}

impl Place {
    /// Work inside of this process.
    #[must_use]
    pub fn child(&self, name: &'static str) -> Span {
        self.below(name, SpanKind::Internal)
    }

    /// A question to somebody else.
    #[must_use]
    pub fn question(&self, name: &'static str) -> Span {
        self.below(name, SpanKind::Client)
    }

    fn below(&self, name: &'static str, kind: SpanKind) -> Span {
        let context = Context::new().with_remote_span_context(self.context.clone());
        self.tracer.begin(name, kind, &context)
    }

    /// What whoever is asked is told of it, by the W3C's rule; nothing where that is switched off.
    #[must_use]
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        if !self.tracer.0.propagate {
            return Vec::new();
        }
        let (trace, span, flags) = (self.context.trace_id(), self.context.span_id(), self.context.trace_flags());
        let parent = format!("00-{trace}-{span}-{:02x}", flags.to_u8());
        let state = self.context.trace_state().header();
        let told = [(PARENT, parent), (STATE, state)].into_iter().filter(|(_, value)| !value.is_empty());
        told.filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?))).collect()
    }
}

tokio::task_local! {
    static HERE: Place;
}

/// Where the current task is; `None` where nothing is traced.
#[must_use]
pub fn here() -> Option<Place> {
    HERE.try_with(Place::clone).ok()
}

/// Runs work at a place, if there is one. No `async fn`: that would hold the work, which is large, several times.
pub fn at<T>(place: Option<Place>, work: impl Future<Output = T>) -> impl Future<Output = T> {
    match place {
        Some(place) => Either::Left(HERE.scope(place, work)),
        None => Either::Right(work),
    }
}

/// What a caller tells of its own trace. What is malformed is as if it were not there.
fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parts = headers.get(PARENT)?.to_str().ok()?.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let known = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !known || !is_hex(trace, 32) || !is_hex(span, 16) || !is_hex(flags, 2) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let state = headers.get(STATE).and_then(|value| value.to_str().ok()).filter(|state| state.len() <= MAX_STATE);
    let state = state.and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default();
    Some(SpanContext::new(trace, span, flags, true, state)).filter(SpanContext::is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parent_text: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(PARENT, HeaderValue::from_str(parent_text).unwrap());
        headers.insert(STATE, HeaderValue::from_static("vendor=value"));
        let found = parent(&headers)?;
        assert_eq!(found.trace_state().header(), "vendor=value");
        Some(format!("{}/{}/{}", found.trace_id(), found.span_id(), found.is_sampled()))
    }

    #[test]
    fn a_callers_trace_is_read_as_the_standard_says() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        assert_eq!(read(&format!("00-{trace}-{span}-01")), Some(format!("{trace}/{span}/true")));
        assert_eq!(read(&format!("00-{trace}-{span}-00")), Some(format!("{trace}/{span}/false")));
        assert_eq!(read(&format!("01-{trace}-{span}-01-more")), Some(format!("{trace}/{span}/true")));
        for bad in [
            String::new(),
            "x".to_owned(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{trace}-{span}-1"),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn nothing_is_found_where_nothing_is_traced() {
        assert!(here().is_none());
        at(None, async { assert!(here().is_none()) }).await;
    }
}
