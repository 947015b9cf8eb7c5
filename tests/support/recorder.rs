//! A host that nobody should come to, or only to be told the same: it counts connections, keeps every byte that arrives
//! and answers each request with the same bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// An empty list of models.
pub const EMPTY_LIST: &str = r#"{"object":"list","data":[],"models":[]}"#;

#[derive(Default)]
struct State {
    /// When each connection came, and what it brought.
    arrived: Vec<(Instant, Vec<u8>)>,
    answer: Vec<u8>,
}

/// The running host; it ends when dropped.
pub struct Recorder {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Recorder {
    /// On the loopback interface, with an empty list of models as its answer.
    pub async fn start() -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// On every address of this machine, of both families where it has them.
    pub async fn start_everywhere() -> Self {
        match TcpListener::bind("[::]:0").await {
            Ok(listener) => Self::start_on(listener),
            Err(_) => Self::start_on(TcpListener::bind("0.0.0.0:0").await.unwrap()),
        }
    }

    fn start_on(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let recorder = Self { address, state: state.clone(), task: tokio::spawn(accept(listener, state)) };
        recorder.answer(200, &[], EMPTY_LIST);
        recorder
    }

    /// What is answered from now on.
    pub fn answer(&self, status: u16, headers: &[(&str, &str)], body: &str) {
        let headers: String = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
        self.state().answer = format!("{answer}{headers}connection: close\r\n\r\n{body}").into_bytes();
    }

    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.state().arrived.len()
    }

    /// What they brought, each.
    pub fn arrived(&self) -> Vec<Vec<u8>> {
        self.state().arrived.iter().map(|(_, bytes)| bytes.clone()).collect()
    }

    /// When each came, and the path that it asked for.
    pub fn asked(&self) -> Vec<(Instant, String)> {
        let path = |bytes: &[u8]| String::from_utf8_lossy(bytes).split(' ').nth(1).unwrap_or_default().to_owned();
        self.state().arrived.iter().map(|(time, bytes)| (*time, path(bytes))).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        let number = {
            let mut state = lock(&state);
            state.arrived.push((Instant::now(), Vec::new()));
            state.arrived.len() - 1
        };
        connections.spawn(record(socket, number, state.clone()));
    }
}

/// Takes what one connection brings, and answers when a whole request is there.
async fn record(mut socket: TcpStream, number: usize, state: Arc<Mutex<State>>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = socket.read(&mut buffer).await else { return };
        let (whole, answer) = {
            let mut state = lock(&state);
            let arrived = &mut state.arrived[number].1;
            arrived.extend_from_slice(&buffer[..count]);
            (is_whole(arrived), state.answer.clone())
        };
        if whole {
            let _ = socket.write_all(&answer).await;
            let _ = socket.shutdown().await;
        }
    }
}

fn is_whole(arrived: &[u8]) -> bool {
    let Some(end) = arrived.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&arrived[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    arrived.len() >= end + 4 + length.unwrap_or(0)
}
