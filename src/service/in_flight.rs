//! The calls that are not finished, as far as a server that stops waits for them: those that run here, and whether the
//! others move.
//!
//! A call runs from the end of its request to its answer. Before that and after it its client is waited for, who may be
//! gone or mean no good: such a call counts only as long as bytes come or go.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Request;
use http_body::{Body as _, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// The calls of a server. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    running: AtomicUsize,
    moved: AtomicU64,
}

impl InFlight {
    /// How many calls run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::Acquire)
    }

    /// A number that changes whenever a part of a request or of an answer passes.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.0.moved.load(Ordering::Relaxed)
    }

    /// A call whose request begins to arrive.
    #[must_use]
    pub fn enter(&self, request: Request<Body>) -> (Guard, Request<Body>) {
        let call = Arc::new(Call { counts: Arc::clone(&self.0), phase: AtomicU8::new(Call::ARRIVES) });
        let request = request.map(|body| {
            if body.is_end_stream() {
                call.run();
            }
            Body::new(Watched { body, call: Arc::clone(&call), way: Way::Request })
        });
        (Guard(call), request)
    }
}

#[derive(Debug)]
struct Call {
    counts: Arc<Counts>,
    phase: AtomicU8,
}

impl Call {
    const ARRIVES: u8 = 0;
    const RUNS: u8 = 1;
    const ANSWERED: u8 = 2;

    fn run(&self) {
        let began = self.phase.compare_exchange(Self::ARRIVES, Self::RUNS, Ordering::AcqRel, Ordering::Acquire);
        if began.is_ok() {
            self.counts.running.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn answer(&self) {
        if self.phase.swap(Self::ANSWERED, Ordering::AcqRel) == Self::RUNS {
            self.counts.running.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn moved(&self) {
        self.counts.moved.fetch_add(1, Ordering::Relaxed);
    }
}

/// One call; it is answered when this is dropped.
#[derive(Debug)]
pub struct Guard(Arc<Call>);

impl Guard {
    /// The call is answered with `body`, which its client has to take.
    #[must_use]
    pub fn answer(self, body: Body) -> Body {
        self.0.moved();
        Body::new(Watched { body, call: Arc::clone(&self.0), way: Way::Answer })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.answer();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

/// A body whose parts are noticed.
struct Watched {
    body: Body,
    call: Arc<Call>,
    way: Way,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.call.moved();
        if self.way == Way::Request && (frame.is_none() || self.body.is_end_stream()) {
            self.call.run();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, StreamExt as _};
    use http_body_util::{BodyExt as _, Full, StreamBody};

    use super::*;

    fn data(text: &'static str) -> Frame<Bytes> {
        Frame::data(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn a_call_runs_from_the_end_of_its_request_to_its_answer() {
        let calls = InFlight::default();
        let (guard, request) = calls.enter(Request::new(Body::new(Full::new(Bytes::from_static(b"request")))));
        assert_eq!(calls.running(), 0);
        request.into_body().collect().await.unwrap();
        assert_eq!(calls.running(), 1);
        let moved = calls.moved();
        let answer = guard.answer(Body::new(Full::new(Bytes::from_static(b"answer"))));
        assert_eq!(calls.running(), 0);
        answer.collect().await.unwrap();
        assert!(calls.moved() > moved);
    }

    #[tokio::test]
    async fn a_request_that_never_ends_does_not_run_and_moves_while_it_arrives() {
        let calls = InFlight::default();
        let parts = stream::iter([Ok::<_, Status>(data("half"))]).chain(stream::pending());
        let (guard, mut request) = calls.enter(Request::new(Body::new(StreamBody::new(parts))));
        let moved = calls.moved();
        request.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(calls.running(), 0);
        assert!(calls.moved() > moved);
        drop(guard);
        assert_eq!(calls.running(), 0);
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_runs_no_more() {
        let calls = InFlight::default();
        let (guard, _request) = calls.enter(Request::new(Body::empty()));
        assert_eq!(calls.running(), 1, "nothing is to come");
        drop(guard);
        assert_eq!(calls.running(), 0);
    }
}
