//! Clients that hold connections and calls open and do nothing more.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use http::Request;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use modelward::proto::v1::{self, ProviderKind};
use nix::sys::signal::Signal;
use tokio::net::TcpStream;
use tokio::task::block_in_place;

use super::super::report;
use super::{Home, LIMIT, turns};
use crate::support::Engine;
use crate::support::proxy::{Fault, Proxy};
use crate::support::resources::provider;
use crate::support::server::Caller;

/// Connections on which nothing is ever said.
const SILENT: usize = 200;
/// Requests that begin and never end.
const HALF_OPEN: usize = 1_200;
/// Clients that ask for much and take nothing of it.
const GREEDY: usize = 20;

type Body = BoxBody<Bytes, Infallible>;

async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(address: SocketAddr, path: &str, token: &str, body: Body) -> Request<Body> {
    let request = Request::post(format!("http://{address}/{path}"));
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    request.header("authorization", format!("Bearer {token}")).body(body).unwrap()
}

/// Begins requests on one connection; all of them have reached the server when this returns.
async fn half_open(address: SocketAddr, token: &str, count: usize) -> SendRequest<Body> {
    let mut sender = connect(address).await;
    for _ in 0..count {
        let begun = stream::iter([Ok(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 9, 10])))]);
        let body = BoxBody::new(StreamBody::new(begun.chain(stream::pending())));
        sender.ready().await.unwrap();
        let answer = sender.send_request(request(address, "modelward.v1.ProviderService/CreateProvider", token, body));
        tokio::spawn(answer);
    }
    let nothing = Full::new(Bytes::from_static(&[0; 5])).boxed();
    sender.ready().await.unwrap();
    let answer = sender.send_request(request(address, "grpc.health.v1.Health/Check", token, nothing)).await.unwrap();
    assert!(answer.status().is_success());
    answer.into_body().collect().await.unwrap();
    sender
}

/// More than any window takes.
async fn fill(caller: &Caller) {
    let made = (0..400).map(|number| async move {
        let wanted = provider(&format!("p{number}"), ProviderKind::Ollama);
        caller.try_provider(v1::Provider { description: Some("d".repeat(1000)), ..wanted }).await.unwrap()
    });
    join_all(made).await;
}

/// Asks for a long list, and is frozen before it takes the answer.
fn ask_for_much(caller: Caller) {
    tokio::spawn(async move {
        let list = v1::ListProvidersRequest { page_size: 1000, ..Default::default() };
        let calls = (0..10).map(|_| {
            let (caller, list) = (caller.clone(), list.clone());
            async move { caller.providers().list_providers(list).await }
        });
        join_all(calls).await
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_frozen_clients_do_not_keep_it_from_stopping() {
    let home = Home::on(Engine::Sqlite).await;
    let mut process = home.start(&[]);
    let (address, caller) = (process.address(), process.admin());
    let token = caller.token().unwrap();
    fill(&caller).await;
    let silent = join_all((0..SILENT).map(|_| TcpStream::connect(address))).await;
    let half_open = join_all((0..2).map(|_| half_open(address, token, HALF_OPEN / 2))).await;
    let proxy = Proxy::start(address);
    let greedy: Vec<_> = (0..GREEDY).map(|_| process.admin_at(proxy.address())).collect();
    for caller in &greedy {
        caller
            .providers()
            .list_providers(v1::ListProvidersRequest { page_size: 1, ..Default::default() })
            .await
            .unwrap();
    }
    proxy.set(Fault::Trickle(Duration::from_secs(1)));
    greedy.into_iter().for_each(ask_for_much);
    let turned = turns(&process.admin());
    let honest = home.slow_call(&caller, Duration::from_secs(2)).await;
    proxy.set(Fault::Stall);

    let told = Instant::now();
    process.signal(Signal::SIGTERM);
    honest.await.unwrap().expect("who is not frozen is served to the end");
    let status = block_in_place(|| process.wait());
    let took = told.elapsed();
    report(&format!(
        "{SILENT} silent connections, {HALF_OPEN} half-open requests, {GREEDY} frozen clients: stopped after {took:?}"
    ));
    assert!(took < LIMIT, "{took:?}");
    assert!(status.success(), "{status}\n{}", process.log());
    assert!(turned.borrow().is_some());
    drop((silent, half_open));
}
