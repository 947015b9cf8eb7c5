//! An honest client among attackers: one connection, one call after the other, each timed.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use modelward::proto::v1::{self, ProviderKind};

use crate::support::process::Process;
use crate::support::resources::provider;

/// Calls of a window.
const WINDOW: usize = 200;

/// The slowest but one in a hundred of each window.
pub struct Timed(Vec<Duration>);

impl Timed {
    /// The best window. Other tests and other programs share this machine with the attack and make some windows slow; what
    /// the attack itself costs is in all of them.
    pub fn best(&self) -> Duration {
        *self.0.iter().min().expect("a window")
    }
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (best, worst) = (self.best(), self.0.iter().max().unwrap());
        write!(f, "p99 {best:.1?} (worst of {} windows {worst:.1?})", self.0.len())
    }
}

/// Calls until it is told to stop, on a thread of its own: what the attackers do here does not hold it up.
pub struct Honest {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Timed>,
}

impl Honest {
    pub fn start(process: &Process) -> Self {
        Self::begin((process.address(), process.token()), None)
    }

    /// One that only reads this provider, and has no token.
    pub fn start_reading(process: &Process, provider: String) -> Self {
        Self::begin((process.address(), "none".to_owned()), Some(provider))
    }

    fn begin(caller: (SocketAddr, String), provider: Option<String>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(calls(caller, provider, &told))
        });
        Self { stop, thread }
    }

    pub fn finish(self) -> Timed {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("every call of the honest client was answered")
    }
}

async fn calls((address, token): (SocketAddr, String), known: Option<String>, stop: &AtomicBool) -> Timed {
    let caller = crate::support::server::Caller::at(address, Some(token));
    let id = if let Some(id) = known {
        id
    } else {
        let name = format!("honest-{}", fastrand::u64(..));
        caller.try_provider(provider(&name, ProviderKind::Ollama)).await.unwrap().id
    };
    let mut client = caller.providers();
    let mut windows = Vec::new();
    while windows.is_empty() || !stop.load(Ordering::Relaxed) {
        let mut times = Vec::with_capacity(WINDOW);
        for _ in 0..WINDOW {
            let began = Instant::now();
            client.get_provider(v1::GetProviderRequest { id: id.clone() }).await.unwrap();
            times.push(began.elapsed());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        times.sort();
        windows.push(times[WINDOW * 99 / 100]);
    }
    Timed(windows)
}
