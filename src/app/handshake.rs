//! TLS on connections that have their place: many shake hands at a time, each for so long, and none holds up another.
//! Each is served with the certificates that are in force when it begins.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::{self, FuturesUnordered, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls::LiveTls;

/// How long a handshake may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The connections of a listener, each as soon as it is encrypted. Those that do not get so far are closed.
pub fn encrypted<IO>(
    incoming: impl Stream<Item = io::Result<IO>> + Send,
    tls: Arc<LiveTls>,
) -> impl Stream<Item = io::Result<TlsStream<IO>>>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let state = (Box::pin(incoming.fuse()), FuturesUnordered::new(), tls);
    stream::unfold(state, |(mut incoming, mut shaking, tls)| async move {
        loop {
            tokio::select! {
                accepted = incoming.next(), if !incoming.is_done() => match accepted {
                    Some(Ok(io)) => shaking.push(timeout(LIMIT, TlsAcceptor::from(tls.current()).accept(io))),
                    Some(Err(error)) => return Some((Err(error), (incoming, shaking, tls))),
                    None => {}
                },
                Some(done) = shaking.next() => match done {
                    Ok(Ok(stream)) => return Some((Ok(stream), (incoming, shaking, tls))),
                    Ok(Err(error)) => tracing::debug!(error = %error, "a client's TLS handshake failed"),
                    Err(_) => tracing::debug!("a client's TLS handshake took too long"),
                },
                else => return None,
            }
        }
    })
}
