//! HTTP/2 written by hand: for clients that do what no library lets them.

use bytes::{BufMut as _, BytesMut};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
/// Of SETTINGS and PING the same bit.
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// Length, kind, flags and stream, then the payload.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::with_capacity(payload.len() + 9);
    out.put_uint(payload.len() as u64, 3);
    out.put_u8(kind);
    out.put_u8(flags);
    out.put_u32(stream);
    out.put_slice(payload);
    out.to_vec()
}

/// What a client says first. With a window of 0 it wants to read nothing.
pub fn hello(window: u32) -> Vec<u8> {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let mut settings = BytesMut::new();
    settings.put_u16(INITIAL_WINDOW_SIZE);
    settings.put_u32(window);
    [PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat()
}

/// Header fields as HPACK has them, plainly: nothing is kept, nothing is compressed.
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(text.len(), &mut block);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A number in seven bits and as many more as it needs.
fn length(number: usize, block: &mut Vec<u8>) {
    let Some(mut rest) = number.checked_sub(127) else { return block.push(u8::try_from(number).unwrap()) };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

/// The head of a call: `package.Service/Method`, as the bearer of the token.
pub fn call(rpc: &str, token: &str) -> Vec<u8> {
    let (path, authorization) = (format!("/{rpc}"), format!("Bearer {token}"));
    fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", &path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", &authorization),
    ])
}

/// A message as gRPC frames it.
pub fn message(bytes: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::with_capacity(bytes.len() + 5);
    out.put_u8(0);
    out.put_u32(u32::try_from(bytes.len()).unwrap());
    out.put_slice(bytes);
    out.to_vec()
}
