//! An answer on its way out: what of it waits for its reader takes room of the peer's allowance.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::in_flight::Passage;
use super::peer::{Room, Share};
use super::status::status;

/// The body of an answer, with its call's share: that is given back when the body is taken, or nobody wants it any more.
pub struct Departure {
    body: Body,
    room: Room,
    _share: Share,
    passage: Passage,
}

impl Departure {
    /// The same body, which breaks off when it finds no room.
    #[must_use]
    pub fn bounded(body: Body, share: Share, passage: Passage) -> Body {
        Body::new(Self { body, room: share.room(), _share: share, passage })
    }
}

/// A refusal in place of a message. An error of the body would only reset the stream, and its client not learn why.
fn trailers(refusal: &Status) -> Result<Frame<Bytes>, Status> {
    let mut headers = HeaderMap::new();
    refusal.add_header(&mut headers)?;
    Ok(Frame::trailers(headers))
}

impl http_body::Body for Departure {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // Asked for more, the transport has sent what it had.
        self.room.release();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.passage.moved();
        let size = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        if let Err(error) = self.room.take(size) {
            self.body = Body::empty();
            self.room.release();
            return Poll::Ready(Some(trailers(&status(error, ""))));
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
    use http_body_util::{BodyExt as _, Full};
    use tonic::Code;

    use super::super::in_flight::InFlight;
    use super::super::peer::{Allowance, Peers};
    use super::*;

    #[tokio::test]
    async fn an_answer_that_finds_no_room_is_refused_in_its_trailers() {
        let peers = Peers::new(Allowance { connections: 9, calls: 9, bytes: 5 });
        let address = "192.0.2.1".parse().unwrap();
        let _seat = peers.connect(address).unwrap();
        let calls = InFlight::default();
        let passage = calls.enter().passage();
        let answer = |text: &'static str| {
            let share = peers.call(Some(address)).unwrap();
            Departure::bounded(Body::new(Full::new(Bytes::from_static(text.as_bytes()))), share, passage.clone())
        };
        let mut waiting = answer("four");
        waiting.frame().await.unwrap().unwrap();
        let refused = answer("four").collect().await.unwrap();
        let status = Status::from_header_map(refused.trailers().unwrap()).unwrap();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(!status.details().is_empty() && refused.to_bytes().is_empty());
        assert!(calls.moved() > 2, "what is taken moves");
        drop(waiting);
        assert_eq!(answer("four").collect().await.unwrap().to_bytes(), "four");
    }
}
