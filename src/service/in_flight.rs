//! The calls that are not finished: from their arrival to the end of their answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// How many calls are not finished. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Counts a call for as long as the guard lives.
    #[must_use]
    pub fn enter(&self) -> Guard {
        self.0.fetch_add(1, Ordering::AcqRel);
        Guard(Self::clone(self))
    }
}

/// One call that is not finished.
#[derive(Debug)]
pub struct Guard(InFlight);

impl Guard {
    /// The call stays in flight until its answer has been taken from `body`, or nobody wants it any more.
    #[must_use]
    pub fn until_the_end_of(self, body: Body) -> Body {
        Body::new(Answer { body, _call: self })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Answer {
    body: Body,
    _call: Guard,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
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
    use http_body_util::Full;

    use super::*;

    #[test]
    fn a_call_is_in_flight_until_its_answer_is_gone() {
        let calls = InFlight::default();
        let (first, second) = (calls.enter(), calls.enter());
        assert_eq!(calls.count(), 2);
        drop(first);
        let body = second.until_the_end_of(Body::new(Full::new(Bytes::from_static(b"answer"))));
        assert_eq!(calls.count(), 1);
        drop(body);
        assert_eq!(calls.count(), 0);
    }
}
