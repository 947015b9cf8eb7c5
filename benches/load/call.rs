//! One gRPC call on an HTTP/2 connection, without anything around it: messages are bytes.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The length of what precedes a message: whether it is compressed, and its length.
const FRAME: usize = 5;

/// A connection; clones share it.
#[derive(Clone)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authorization: HeaderValue,
}

impl Connection {
    /// Connects; `tasks` drives the connection.
    pub async fn open(address: SocketAddr, token: &str, tasks: &mut JoinSet<()>) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await?;
        tasks.spawn(async move { drop(connection.await) });
        Ok(Self { sender, authorization: format!("Bearer {token}").parse()? })
    }

    async fn send(&mut self, method: &Uri, framed: Bytes) -> anyhow::Result<Response<Incoming>> {
        let request = Request::post(method.clone())
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .header("authorization", self.authorization.clone())
            .body(Full::new(framed))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        check(answer.headers())?;
        Ok(answer)
    }

    /// Calls and answers the message that came back.
    pub async fn call(&mut self, method: &Uri, framed: Bytes) -> anyhow::Result<Bytes> {
        let answer = self.send(method, framed).await?;
        let body = answer.into_body().collect().await?;
        check(body.trailers().context("an answer without trailers")?)?;
        let mut bytes = body.to_bytes();
        Ok(bytes.split_off(FRAME.min(bytes.len())))
    }
}

impl Connection {
    /// Calls a method that answers with a stream.
    pub async fn stream(&mut self, method: &Uri, framed: Bytes) -> anyhow::Result<Messages> {
        let answer = self.send(method, framed).await?;
        Ok(Messages { body: answer.into_body(), buffer: BytesMut::new() })
    }
}

/// The messages of a stream.
pub struct Messages {
    body: Incoming,
    buffer: BytesMut,
}

impl Messages {
    /// The next one; none at the end of the stream.
    pub async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        loop {
            let length = self.buffer.get(1..FRAME).and_then(|mut bytes| bytes.try_get_u32().ok());
            if let Some(length) = length {
                let end = FRAME + usize::try_from(length)?;
                if self.buffer.len() >= end {
                    return Ok(Some(self.buffer.split_to(end).split_off(FRAME).freeze()));
                }
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            match frame?.into_data() {
                Ok(data) => self.buffer.extend_from_slice(&data),
                Err(frame) => check(frame.trailers_ref().context("a frame of another kind")?)?,
            }
        }
    }
}

/// The method's address, as HTTP/2 wants it.
pub fn method(address: SocketAddr, path: &str) -> anyhow::Result<Uri> {
    Ok(format!("http://{address}{path}").parse()?)
}

/// A message as it travels.
pub fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(FRAME + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

fn check(headers: &HeaderMap) -> anyhow::Result<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text("grpc-status") {
        "" | "0" => Ok(()),
        code => bail!("the call failed with code {code}: {}", text("grpc-message")),
    }
}
