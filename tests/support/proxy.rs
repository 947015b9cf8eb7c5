//! A TCP proxy that does to connections what networks do: for databases, and for the server's own clients.
//!
//! It runs on a thread of its own, so that a test that blocks does not hold it up, and ends when it is dropped.

use std::io;
use std::net::{SocketAddr, TcpListener as Listener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// A way through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToTarget,
    ToClient,
}

/// What happens to all bytes from now on, on old connections and new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Pass,
    /// What arrives is passed on so much later, also when the fault has ended by then.
    Delay(Duration),
    /// What goes this way is taken and lost. A connection that lost something passes nothing more that way, ever.
    Drop(Direction),
    /// Nothing is taken; it goes on where it was when the fault ends.
    Stall,
    /// Connections are reset, new ones at once.
    Reset,
    /// One byte at a time, with such pauses.
    Trickle(Duration),
}

#[derive(Clone, Copy)]
struct State {
    fault: Fault,
    /// How often all connections were cut.
    cuts: u64,
}

/// A proxy that runs.
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    lost: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Proxy {
    /// Starts one in front of `target` that passes everything.
    pub fn start(target: SocketAddr) -> Self {
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (state, seen) = watch::channel(State { fault: Fault::Pass, cuts: 0 });
        let lost = Arc::new(AtomicUsize::new(0));
        let count = lost.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = serve(listener, target, seen, count) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, state, lost, thread: Some(thread), stop: Some(stop) }
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, fault: Fault) {
        self.state.send_modify(|state| {
            state.fault = fault;
            state.cuts += u64::from(fault == Fault::Reset);
        });
    }

    /// How many bytes were lost.
    pub fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }

    /// Resets all connections that there are; new ones fare as before.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, seen: watch::Receiver<State>, lost: Arc<AtomicUsize>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(connection(client, target, seen.clone(), lost.clone()));
    }
}

/// Passes bytes both ways until both ends are closed; whatever else ends it is a reset for both.
async fn connection(
    mut client: TcpStream,
    target: SocketAddr,
    mut seen: watch::Receiver<State>,
    lost: Arc<AtomicUsize>,
) {
    let born = *seen.borrow_and_update();
    if born.fault == Fault::Reset {
        return reset(&[&client]);
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return reset(&[&client]) };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let both = async {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        tokio::try_join!(
            pass(from_client, to_server, Direction::ToTarget, seen.clone(), &lost),
            pass(from_server, to_client, Direction::ToClient, seen.clone(), &lost),
        )
    };
    let mut cuts = seen.clone();
    let ended = tokio::select! {
        ended = both => ended.is_ok(),
        _ = cuts.wait_for(|state| state.cuts != born.cuts) => false,
    };
    if !ended {
        reset(&[&client, &server]);
    }
}

/// Streams that are dropped after this are reset.
fn reset(streams: &[&TcpStream]) {
    for stream in streams {
        stream.set_zero_linger().unwrap();
    }
}

/// Passes one direction on until its orderly end.
async fn pass(
    from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    way: Direction,
    mut seen: watch::Receiver<State>,
    lost: &AtomicUsize,
) -> io::Result<()> {
    let (sender, mut queue) = mpsc::channel(64);
    let taken = take(from, way, seen.clone(), sender, lost);
    let given = async {
        while let Some((due, bytes)) = queue.recv().await {
            sleep_until(due).await;
            if bytes.is_empty() {
                return to.shutdown().await;
            }
            write(&mut to, &bytes, &mut seen).await?;
        }
        // The end is lost with the rest.
        std::future::pending().await
    };
    tokio::try_join!(taken, given).map(drop)
}

/// Takes what arrives, until its end; no bytes stand for that.
async fn take(
    from: ReadHalf<'_>,
    way: Direction,
    mut seen: watch::Receiver<State>,
    queue: mpsc::Sender<(Instant, Vec<u8>)>,
    lost: &AtomicUsize,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut is_lost = false;
    loop {
        // A fault may begin while this waits for bytes, so it is looked up when they are there.
        from.readable().await?;
        let Ok(fault) = seen.wait_for(|state| state.fault != Fault::Stall).await.map(|state| state.fault) else {
            return Ok(());
        };
        let count = match from.try_read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            read => read?,
        };
        is_lost |= fault == Fault::Drop(way);
        if is_lost {
            lost.fetch_add(count, Ordering::Relaxed);
        } else {
            let due = Instant::now() + if let Fault::Delay(time) = fault { time } else { Duration::ZERO };
            // Who does not take it is gone, and the connection with it.
            let _ = queue.send((due, buffer[..count].to_vec())).await;
        }
        if count == 0 {
            return Ok(());
        }
    }
}

async fn write(to: &mut WriteHalf<'_>, mut bytes: &[u8], seen: &mut watch::Receiver<State>) -> io::Result<()> {
    let fault = |seen: &mut watch::Receiver<State>| seen.borrow_and_update().fault;
    while let (Fault::Trickle(pause), Some((first, rest))) = (fault(seen), bytes.split_first()) {
        to.write_all(&[*first]).await?;
        bytes = rest;
        sleep(pause).await;
    }
    to.write_all(bytes).await
}

mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::TcpStream as Stream;

    use super::*;

    /// What is surely too short for anything to arrive that must not.
    const NEVER: Duration = Duration::from_millis(100);
    const PATIENCE: Duration = Duration::from_secs(10);

    /// A proxy in front of an echo.
    fn echo() -> Proxy {
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || io::copy(&mut &stream, &mut &stream));
            }
        });
        Proxy::start(target)
    }

    fn connect(proxy: &Proxy) -> Stream {
        let stream = Stream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn says(mut stream: &Stream, word: &str) {
        stream.write_all(word.as_bytes()).unwrap();
    }

    #[track_caller]
    fn hears(mut stream: &Stream, word: &str) {
        let mut heard = vec![0; word.len()];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(heard, word.as_bytes());
    }

    #[track_caller]
    fn hears_nothing(mut stream: &Stream) {
        stream.set_read_timeout(Some(NEVER)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    #[track_caller]
    fn is_reset(mut stream: &Stream) {
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn what_passes_arrives_and_so_does_its_end() {
        let proxy = echo();
        let mut stream = connect(&proxy);
        says(&stream, "hello");
        hears(&stream, "hello");
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn what_is_delayed_arrives_later_even_if_the_fault_has_ended() {
        let proxy = echo();
        let stream = connect(&proxy);
        proxy.set(Fault::Delay(Duration::from_millis(200)));
        let began = Instant::now();
        says(&stream, "late");
        hears_nothing(&stream);
        proxy.set(Fault::Pass);
        hears(&stream, "late");
        assert!(began.elapsed() >= Duration::from_millis(200));
    }

    #[test]
    fn what_is_dropped_is_lost_and_so_is_the_connection() {
        for way in [Direction::ToTarget, Direction::ToClient] {
            let proxy = echo();
            let (stream, idle) = (connect(&proxy), connect(&proxy));
            says(&stream, "before");
            hears(&stream, "before");
            proxy.set(Fault::Drop(way));
            says(&stream, "lost");
            hears_nothing(&stream);
            assert_eq!(proxy.lost(), 4);
            proxy.set(Fault::Pass);
            says(&stream, "lost, too");
            hears_nothing(&stream);
            says(&idle, "it lost nothing");
            hears(&idle, "it lost nothing");
        }
    }

    #[test]
    fn what_stalls_goes_on_where_it_was() {
        let proxy = echo();
        let old = connect(&proxy);
        says(&old, "a");
        hears(&old, "a");
        proxy.set(Fault::Stall);
        let new = connect(&proxy);
        for stream in [&old, &new] {
            says(stream, "held");
            hears_nothing(stream);
        }
        proxy.set(Fault::Pass);
        for stream in [&old, &new] {
            hears(stream, "held");
        }
    }

    #[test]
    fn a_reset_ends_old_connections_and_new_ones() {
        let proxy = echo();
        let old = connect(&proxy);
        says(&old, "a");
        hears(&old, "a");
        proxy.set(Fault::Reset);
        is_reset(&old);
        is_reset(&connect(&proxy));
        proxy.set(Fault::Pass);
        let new = connect(&proxy);
        says(&new, "b");
        hears(&new, "b");
        proxy.cut();
        is_reset(&new);
        let newer = connect(&proxy);
        says(&newer, "c");
        hears(&newer, "c");
    }

    #[test]
    fn what_trickles_arrives_byte_by_byte() {
        let proxy = echo();
        let mut stream = connect(&proxy);
        proxy.set(Fault::Trickle(Duration::from_millis(50)));
        says(&stream, "slowly");
        let mut heard = [0; 6];
        assert!(stream.read(&mut heard).unwrap() < 6);
        proxy.set(Fault::Pass);
    }
}
