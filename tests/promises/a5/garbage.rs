//! Bytes that are no HTTP/2, HTTP/2 that is no gRPC, and gRPC that holds no message.

use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;
use futures_util::stream::{self, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, call, fields,
    frame, hello, message,
};

const GET: &str = "modelward.v1.ProviderService/GetProvider";
const WINDOW: u32 = 65_535;

/// Sends each on a connection of its own, and takes what comes until nothing does.
pub async fn send_all(address: SocketAddr, garbage: Vec<Vec<u8>>) -> usize {
    let sent = stream::iter(garbage).map(|bytes| async move {
        let Ok(mut stream) = TcpStream::connect(address).await else { return false };
        // Who is refused early cannot write to the end.
        let _ = timeout(Duration::from_secs(2), stream.write_all(&bytes)).await;
        let mut buffer = vec![0; 16 << 10];
        while let Ok(Ok(1..)) = timeout(Duration::from_millis(100), stream.read(&mut buffer)).await {}
        true
    });
    sent.buffer_unordered(32).filter(|sent| std::future::ready(*sent)).count().await
}

/// All that has a name, and `random` pieces that have none.
pub fn all(seed: u64, token: &str, random: usize) -> Vec<Vec<u8>> {
    let mut rng = Rng::with_seed(seed);
    let mut all = no_http2();
    all.extend(bad_frames());
    all.extend(bad_heads(token));
    all.extend(bad_bodies(token));
    all.extend((0..random).map(|_| random_frames(&mut rng, token)));
    all
}

fn no_http2() -> Vec<Vec<u8>> {
    let mut late = PREFACE.to_vec();
    late.truncate(20);
    vec![
        Vec::new(),
        vec![0; 100_000],
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"POST / HTTP/1.1\r\nupgrade: h2c\r\nhttp2-settings: AAAA\r\nconnection: upgrade\r\n\r\n".to_vec(),
        // The beginning of a TLS handshake.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        late,
        [PREFACE, &[0xff; 1000]].concat(),
    ]
}

fn bad_frames() -> Vec<Vec<u8>> {
    let settings = |pairs: &[(u16, u32)]| {
        let bytes: Vec<_> =
            pairs.iter().flat_map(|(key, value)| [&key.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        [PREFACE, &frame(SETTINGS, 0, 0, &bytes)].concat()
    };
    let after = |bytes: Vec<u8>| [hello(WINDOW), bytes].concat();
    vec![
        settings(&[(4, u32::MAX)]),
        settings(&[(5, 0)]),
        settings(&[(5, u32::MAX)]),
        settings(&[(1, u32::MAX), (3, 0), (6, 0)]),
        settings(&[(99, 7)]),
        after(frame(SETTINGS, 0, 0, b"odd")),
        after(frame(SETTINGS, ACK, 0, b"more")),
        after(frame(SETTINGS, 0, 1, b"")),
        after(frame(DATA, 0, 0, b"on no stream")),
        after(frame(DATA, 0, 1, b"on an idle stream")),
        after(frame(HEADERS, END_HEADERS, 2, b"even")),
        after(frame(HEADERS, END_HEADERS, 0, b"zero")),
        after(frame(HEADERS, END_HEADERS, 1, &[0xff; 200])),
        after(frame(CONTINUATION, END_HEADERS, 1, b"alone")),
        after(frame(RST_STREAM, 0, 1, b"four")),
        after(frame(PING, 0, 0, b"short")),
        after(frame(5, 0, 1, b"push")),
        after(frame(8, 0, 0, &0_u32.to_be_bytes())),
        after((0..3).flat_map(|_| frame(8, 0, 0, &(u32::MAX >> 1).to_be_bytes())).collect()),
        after(frame(2, 0, 1, b"\x00\x00\x00\x01\xff")),
        after(frame(7, 0, 0, b"")),
        after(frame(99, 0xff, 1, b"unheard of")),
        after((0..5000).flat_map(|_| frame(PING, 0, 0, b"eight by")).collect()),
        after((0..5000).flat_map(|_| frame(SETTINGS, 0, 0, b"")).collect()),
        // A frame that is longer than it may be.
        after(vec![0xff; 1 << 20]),
    ]
}

fn bad_heads(token: &str) -> Vec<Vec<u8>> {
    let head = |method: &str, path: &str, more: &[(&str, &str)]| {
        let first = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")];
        let block = fields(&[&first, more].concat());
        [hello(WINDOW), frame(HEADERS, END_HEADERS, 1, &block), frame(DATA, END_STREAM, 1, &message(b""))].concat()
    };
    let grpc = ("content-type", "application/grpc");
    let bearer = format!("Bearer {token}");
    let bearer = ("authorization", bearer.as_str());
    let path = format!("/{GET}");
    let long = "x".repeat(12_000);
    let mut huge = [hello(WINDOW), frame(HEADERS, 0, 1, &fields(&[(":method", "POST")]))].concat();
    for number in 0..40 {
        let (name, value) = (format!("x-{number}"), "y".repeat(4000));
        huge.extend(frame(CONTINUATION, if number == 39 { END_HEADERS } else { 0 }, 1, &fields(&[(&name, &value)])));
    }
    vec![
        head("GET", &path, &[grpc, bearer]),
        head("CONNECT", &path, &[grpc, bearer]),
        head("POST", "", &[grpc, bearer]),
        head("POST", "*", &[grpc, bearer]),
        head("POST", "/../../etc/passwd", &[grpc, bearer]),
        head("POST", "//", &[grpc, bearer]),
        head("POST", &format!("/{long}"), &[grpc, bearer]),
        head("POST", &format!("{path}/{long}"), &[grpc, bearer]),
        head("POST", "/%00%ff", &[grpc, bearer]),
        head("POST", "/modelward.v1.ProviderService/get\u{e4}", &[grpc, bearer]),
        head("POST", &path, &[bearer]),
        head("POST", &path, &[("content-type", "text/html"), bearer]),
        head("POST", &path, &[("content-type", "application/grpc+json"), bearer]),
        head("POST", &path, &[("content-type", "application/grpc-web"), bearer]),
        head("POST", &path, &[grpc, bearer, ("x-long", &long)]),
        head("POST", &path, &[grpc, bearer, bearer, bearer]),
        head("POST", &path, &[grpc, bearer, ("connection", "close")]),
        head("POST", &path, &[grpc, bearer, ("Upper", "case")]),
        head("POST", &path, &[grpc, bearer, (":late", "pseudo")]),
        head("POST", &path, &[grpc, bearer, ("x", "a\r\nb")]),
        head("POST", &path, &[grpc, bearer, ("grpc-encoding", "gzip"), ("grpc-timeout", "0n")]),
        huge,
    ]
}

fn bad_bodies(token: &str) -> Vec<Vec<u8>> {
    let send = |encoding: Option<&str>, body: &[u8], flags: u8| {
        let mut block = call(GET, token);
        block.extend(encoding.map(|encoding| fields(&[("grpc-encoding", encoding)])).unwrap_or_default());
        let head = frame(HEADERS, END_HEADERS, 1, &block);
        [hello(WINDOW), head, frame(DATA, flags, 1, body)].concat()
    };
    let flagged = |flag: u8, bytes: &[u8]| {
        let mut body = message(bytes);
        body[0] = flag;
        body
    };
    let encodings = [Some("gzip"), Some("zstd"), Some("deflate"), None];
    let compressed = encodings.into_iter().map(|encoding| send(encoding, &flagged(1, b"no such thing"), END_STREAM));
    let mut all: Vec<_> = compressed.collect();
    all.extend([
        send(None, &flagged(2, b""), END_STREAM),
        send(None, &flagged(255, b"x"), END_STREAM),
        send(None, b"", END_STREAM),
        send(None, b"\x00\x00", END_STREAM),
        send(None, b"\x00\xff\xff\xff\xff", END_STREAM),
        send(None, b"\x00\x00\x00\x00\x10short", END_STREAM),
        send(None, &[message(b""), message(b"")].concat(), END_STREAM),
        // Without an end; the connection is closed instead.
        send(None, &message(b""), 0),
        // Trailers of a client.
        [send(None, &message(b""), 0), frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&[("x", "y")]))].concat(),
    ]);
    all
}

/// Frames of any kind in any order, some of them plausible.
fn random_frames(random: &mut Rng, token: &str) -> Vec<u8> {
    let mut bytes = hello(random.u32(..1 << 20));
    for _ in 0..random.usize(1..30) {
        let stream = random.u32(..12);
        bytes.extend(match random.u8(..6) {
            0 => frame(HEADERS, END_HEADERS | random.u8(..2), stream | 1, &call(GET, token)),
            1 => frame(
                DATA,
                random.u8(..2),
                stream,
                &message(&(0..random.usize(..20)).map(|_| random.u8(..)).collect::<Vec<_>>()),
            ),
            2 => (0..random.usize(..40)).map(|_| random.u8(..)).collect(),
            _ => {
                let payload: Vec<_> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
                frame(random.u8(..12), random.u8(..), stream, &payload)
            }
        });
    }
    bytes
}
