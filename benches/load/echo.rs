//! What reads are compared with: the barest tonic server, in a process of its own. It has the transport's settings of
//! Modelward, no authentication, no metrics, no log, and answers one message of fixed bytes to everything.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::raw::RawCodec;

pub const ROLE: &str = "echo";
pub const PATH: &str = "/bench.Echo/Call";

/// The running process; it is killed when dropped.
pub struct Echo {
    child: Child,
    pub address: SocketAddr,
}

impl Echo {
    /// Starts one that answers this message.
    pub fn start(answer: &[u8], directory: &Path) -> anyhow::Result<Self> {
        let file = directory.join("echo.answer");
        std::fs::write(&file, answer)?;
        let mut child = Command::new(std::env::current_exe()?).arg(ROLE).arg(&file).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line)?;
        Ok(Self { child, address: line.trim().parse().context("the echo's address")? })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process itself.
pub fn run(answer: &str) -> anyhow::Result<()> {
    let answer = Bytes::from(std::fs::read(answer)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        Server::builder()
            .max_concurrent_streams(1000)
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_max_header_list_size(16 * 1024)
            .add_service(Service { answer })
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
            .await?;
        Ok(())
    })
}

#[derive(Clone)]
struct Service {
    answer: Bytes,
}

impl NamedService for Service {
    const NAME: &'static str = "bench.Echo";
}

impl tower::Service<http::Request<Body>> for Service {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = Answer(self.answer.clone());
        Box::pin(async move { Ok(Grpc::new(RawCodec).unary(answer, request).await) })
    }
}

struct Answer(Bytes);

impl UnaryService<Bytes> for Answer {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.0.clone())))
    }
}
