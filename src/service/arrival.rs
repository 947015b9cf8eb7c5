//! A request on its way in: its message has to arrive in time, and takes room of its peer's allowance until it has.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;

use super::in_flight::Passage;
use super::peer::Room;
use super::status::status;
use crate::domain::Error;

/// The body of a request, bounded.
pub struct Arrival {
    body: Body,
    room: Room,
    /// Made when the body is first waited for: most are there with their headers.
    limit: Option<Pin<Box<Sleep>>>,
    until: Instant,
    trace_id: Arc<str>,
    passage: Passage,
}

impl Arrival {
    /// The same body, which fails when it is not complete in time or finds no room.
    #[must_use]
    pub fn bounded(body: Body, room: Room, limit: Duration, trace_id: Arc<str>, passage: Passage) -> Body {
        if http_body::Body::is_end_stream(&body) {
            passage.arrived();
            return body;
        }
        let now = Instant::now();
        let until = now.checked_add(limit).unwrap_or(now);
        Body::new(Self { body, room, limit: None, until, trace_id, passage })
    }

    fn fail(&self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(Some(Err(status(error, &self.trace_id))))
    }
}

impl http_body::Body for Arrival {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let until = self.until;
            let limit = self.limit.get_or_insert_with(|| Box::pin(sleep_until(until)));
            return if limit.as_mut().poll(context).is_ready() {
                self.fail(Error::DeadlineExceeded)
            } else {
                Poll::Pending
            };
        };
        self.passage.moved();
        if frame.is_none() || self.body.is_end_stream() {
            self.passage.arrived();
        }
        // A body that trickles in may always have something when it is asked.
        if Instant::now() >= self.until {
            return self.fail(Error::DeadlineExceeded);
        }
        let size = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        match self.room.take(size) {
            Ok(()) => Poll::Ready(frame),
            Err(error) => self.fail(error),
        }
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
    use std::net::IpAddr;

    use http_body_util::{BodyExt as _, Full, StreamBody};
    use tokio_stream::{StreamExt as _, pending, wrappers::IntervalStream};
    use tonic::Code;

    use super::super::in_flight::InFlight;
    use super::super::peer::{Allowance, Peers};
    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);

    fn trickling() -> Body {
        let ticks = IntervalStream::new(tokio::time::interval(Duration::from_millis(10)));
        Body::new(StreamBody::new(ticks.map(|_| Ok::<_, Status>(Frame::data(Bytes::from_static(b"x"))))))
    }

    async fn outcome(body: Body, room: Room) -> Code {
        let outcome =
            Arrival::bounded(body, room, LIMIT, "t".into(), InFlight::default().enter().passage()).collect().await;
        outcome.map_or_else(|status| status.code(), |_| Code::Ok)
    }

    #[tokio::test]
    async fn a_message_that_does_not_arrive_in_time_is_given_up() {
        let silent = Body::new(StreamBody::new(pending::<Result<Frame<Bytes>, Status>>()));
        assert_eq!(outcome(silent, Room::default()).await, Code::DeadlineExceeded);
        assert_eq!(outcome(trickling(), Room::default()).await, Code::DeadlineExceeded);
        assert_eq!(outcome(Body::new(Full::new(Bytes::from_static(b"x"))), Room::default()).await, Code::Ok);
    }

    #[tokio::test]
    async fn a_message_beyond_its_peers_allowance_is_given_up() {
        let peers = Peers::new(Allowance { connections: 9, calls: 9, bytes: 5 });
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let _seat = peers.connect(address).unwrap();
        let call = peers.call(Some(address)).unwrap();
        assert_eq!(outcome(trickling(), call.room()).await, Code::ResourceExhausted);
        assert_eq!(outcome(Body::new(Full::new(Bytes::from_static(b"four"))), call.room()).await, Code::Ok);
    }

    #[tokio::test]
    async fn a_call_runs_once_its_message_is_there_and_not_while_it_arrives() {
        let calls = InFlight::default();
        let guard = calls.enter();
        let arriving = |body| Arrival::bounded(body, Room::default(), LIMIT, "t".into(), guard.passage());
        let mut half = arriving(trickling());
        half.frame().await.unwrap().unwrap();
        assert_eq!((calls.running(), calls.moved()), (0, 1));
        arriving(Body::new(Full::new(Bytes::from_static(b"whole")))).collect().await.unwrap();
        assert_eq!(calls.running(), 1);
    }

    #[test]
    fn a_call_without_a_message_runs_at_once() {
        let calls = InFlight::default();
        let guard = calls.enter();
        let _body = Arrival::bounded(Body::empty(), Room::default(), LIMIT, "t".into(), guard.passage());
        assert_eq!(calls.running(), 1);
    }
}
