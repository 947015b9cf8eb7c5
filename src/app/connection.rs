//! Connections of the listeners: how many there are at a time, and how the last of them end.
//!
//! Invariant: a connection holds its place from the moment it is served until it is dropped, so no more than the limit
//! are served; the next one is accepted and waits. One that its peer has too many of is closed at once, so that a single
//! peer cannot take all places.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::{self, StreamExt as _};
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use crate::service::peer::{Peers, Seat};

/// A client that connects has to begin to speak within this time, or it holds a place for nothing.
const FIRST_WORDS: Duration = Duration::from_secs(10);
/// What every HTTP/2 client sends first: the preface and the head of its settings.
const HELLO: usize = 24 + 9;

/// The places for connections, shared by all listeners that serve the API.
#[derive(Clone)]
pub struct Connections {
    places: Arc<Semaphore>,
    open: Gauge,
    cut: CancellationToken,
}

impl Connections {
    /// `open` tells how many there are; `cut` ends those that are left.
    #[must_use]
    pub fn new(limit: usize, open: Gauge, cut: CancellationToken) -> Self {
        Self { places: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))), open, cut }
    }

    /// The connections of a listener, each as soon as there is a place for it. `address` tells whose a connection is,
    /// if anybody's.
    pub fn admit<IO>(
        self,
        incoming: impl Stream<Item = io::Result<IO>> + Send,
        peers: Peers,
        address: fn(&IO) -> Option<IpAddr>,
    ) -> impl Stream<Item = io::Result<Connection<IO>>>
    where
        IO: Send,
    {
        stream::unfold((Box::pin(incoming), self, peers), move |(mut incoming, connections, peers)| async move {
            let accepted = loop {
                match incoming.next().await? {
                    Ok(io) => match address(&io).map(|address| peers.connect(address)) {
                        // Closed.
                        Some(None) => {}
                        seat => break connections.place(io).await.map(|place| place.on(seat.flatten())),
                    },
                    Err(error) => {
                        // Out of file descriptors, mostly: trying again at once would only burn time.
                        sleep(Duration::from_millis(50)).await;
                        break Err(error);
                    }
                }
            };
            Some((accepted, (incoming, connections, peers)))
        })
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// When the server stops meanwhile.
    pub async fn place<IO>(&self, io: IO) -> io::Result<Connection<IO>> {
        let place = tokio::select! {
            place = Arc::clone(&self.places).acquire_owned() => place.map_err(io::Error::other)?,
            () = self.cut.cancelled() => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        self.open.inc();
        Ok(Connection {
            io,
            heard: 0,
            first_words: Some(Box::pin(sleep(FIRST_WORDS))),
            cut: Box::pin(self.cut.clone().cancelled_owned()),
            _place: place,
            _seat: None,
            _open: Open(self.open.clone()),
        })
    }
}

/// A connection in its place.
pub struct Connection<IO> {
    io: IO,
    /// Bytes read, as long as they matter.
    heard: usize,
    first_words: Option<Pin<Box<Sleep>>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _place: OwnedSemaphorePermit,
    _seat: Option<Seat>,
    _open: Open,
}

struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl<IO> Connection<IO> {
    fn on(self, seat: Option<Seat>) -> Self {
        Self { _seat: seat, ..self }
    }

    /// Whether the connection has to end now, whatever its client does.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let silent = self.first_words.as_mut().is_some_and(|limit| limit.as_mut().poll(context).is_ready());
        silent || self.cut.as_mut().poll(context).is_ready()
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Connection<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if self.first_words.is_some() {
            self.heard = self.heard.saturating_add(buffer.filled().len().saturating_sub(before));
            if self.heard >= HELLO {
                self.first_words = None;
            }
        }
        read
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Connection<IO> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<IO: Connected> Connected for Connection<IO> {
    type ConnectInfo = IO::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.io.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;
    use crate::service::peer::Allowance;

    fn connections(limit: usize) -> (Connections, Gauge, CancellationToken) {
        let (open, cut) = (Gauge::default(), CancellationToken::new());
        (Connections::new(limit, open.clone(), cut.clone()), open, cut)
    }

    fn peers() -> Peers {
        Peers::new(Allowance { connections: 1, calls: 1, bytes: 1 })
    }

    fn clients(count: usize) -> (Vec<DuplexStream>, impl Stream<Item = io::Result<DuplexStream>>) {
        let (near, far): (Vec<_>, Vec<_>) = (0..count).map(|_| duplex(64)).unzip();
        (near, stream::iter(far.into_iter().map(Ok)))
    }

    #[tokio::test]
    async fn one_more_than_the_limit_waits_for_a_place() {
        let (connections, open, _) = connections(1);
        let (_near, incoming) = clients(2);
        let mut served = Box::pin(connections.admit(incoming, peers(), |_| None));
        let first = served.next().await.unwrap().unwrap();
        assert_eq!(open.get(), 1);
        assert!(served.next().now_or_never().is_none());
        drop(first);
        let second = served.next().await.unwrap().unwrap();
        assert_eq!(open.get(), 1);
        drop(second);
        assert_eq!(open.get(), 0);
    }

    #[tokio::test]
    async fn one_that_its_peer_has_too_many_of_is_closed_at_once() {
        let (connections, open, _) = connections(9);
        let (mut near, incoming) = clients(2);
        let one = |_: &DuplexStream| Some("192.0.2.1".parse().unwrap());
        let mut served = Box::pin(connections.admit(incoming, peers(), one));
        let first = served.next().await.unwrap().unwrap();
        assert!(served.next().await.is_none(), "the second one is not served");
        assert_eq!(near[1].read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(open.get(), 1);
        drop(first);
    }

    #[tokio::test]
    async fn a_connection_that_is_left_is_cut() {
        let (connections, _, cut) = connections(1);
        let (mut near, incoming) = clients(1);
        let mut served = Box::pin(connections.admit(incoming, peers(), |_| None));
        let mut connection = served.next().await.unwrap().unwrap();
        near[0].write_all(b"hello").await.unwrap();
        let mut text = [0; 5];
        connection.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"hello");
        let waiting = async { connection.read(&mut [0; 5]).await.unwrap_err().kind() };
        let (kind, ()) = tokio::join!(waiting, async { cut.cancel() });
        assert_eq!(kind, io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn who_waits_for_a_place_when_the_server_stops_gets_none() {
        let (connections, _, cut) = connections(1);
        let (_near, incoming) = clients(2);
        let mut served = Box::pin(connections.admit(incoming, peers(), |_| None));
        let _first = served.next().await.unwrap().unwrap();
        let (second, ()) = tokio::join!(served.next(), async { cut.cancel() });
        assert!(second.unwrap().is_err());
    }
}
