//! Connections on their way in: at most so many at a time, and counted. Whoever comes later waits in the kernel's
//! queue until one of them ends.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::Connected;

/// After a failed accept, when the process has no descriptors left, say: trying at once would only burn the processor.
const PAUSE: Duration = Duration::from_millis(100);

/// Where connections come in, on all listeners together. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    free: Arc<Semaphore>,
    open: Gauge,
}

impl Door {
    #[must_use]
    pub fn new(limit: usize, open: Gauge) -> Self {
        Self { free: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))), open }
    }

    /// Lets the connections of one listener in.
    pub fn admit<S>(
        self,
        incoming: impl Stream<Item = io::Result<S>>,
    ) -> impl Stream<Item = io::Result<Connection<S>>> {
        let incoming = Box::pin(incoming);
        stream::unfold((incoming, self), |(mut incoming, door)| async {
            let permit = Arc::clone(&door.free).acquire_owned().await.ok()?;
            let admitted = match incoming.next().await? {
                Ok(stream) => {
                    door.open.inc();
                    Ok(Connection { stream, open: door.open.clone(), _permit: permit })
                }
                Err(error) => {
                    tracing::debug!(error = %error, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                    Err(error)
                }
            };
            Some((admitted, (incoming, door)))
        })
    }
}

/// A connection that counts as long as it lives.
pub struct Connection<S> {
    stream: S,
    open: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl<S: Connected> Connected for Connection<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        pin!(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        pin!(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_further_connection_waits_until_one_ends() {
        let open = Gauge::default();
        let door = Door::new(2, open.clone());
        let mut incoming = pin!(door.admit(stream::iter([1, 2, 3].map(Ok))));
        let first = incoming.next().await.unwrap().unwrap();
        let _second = incoming.next().await.unwrap().unwrap();
        assert_eq!(open.get(), 2);
        assert!(incoming.next().now_or_never().is_none());
        drop(first);
        assert_eq!(open.get(), 1);
        assert!(incoming.next().await.is_some());
    }

    #[tokio::test]
    async fn a_failed_accept_is_passed_on_and_costs_no_place() {
        let door = Door::new(1, Gauge::default());
        let failures = [Err(io::ErrorKind::ConnectionAborted.into()), Ok(1)];
        let mut incoming = pin!(door.admit(stream::iter(failures)));
        assert!(incoming.next().await.unwrap().is_err());
        assert!(incoming.next().await.unwrap().is_ok());
    }
}
