//! An answer on its way out: what of it waits for its reader takes room of the peer's allowance.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::peer::{Room, Share};
use super::status::status;

/// The body of an answer, with its call's share: that is given back when the body is taken, or nobody wants it any more.
pub struct Departure {
    body: Body,
    room: Room,
    _share: Share,
}

impl Departure {
    /// The same body, which breaks off when it finds no room.
    #[must_use]
    pub fn bounded(body: Body, share: Share) -> Body {
        Body::new(Self { body, room: share.room(), _share: share })
    }
}

impl http_body::Body for Departure {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // Asked for more, the transport has sent what it had.
        self.room.release();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let size = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        if let Err(error) = self.room.take(size) {
            self.body = Body::empty();
            self.room.release();
            return Poll::Ready(Some(Err(status(error, ""))));
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
