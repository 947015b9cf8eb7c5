//! A sidecar drains too: what was asked is answered, streams end with a token.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use modelward::proto::v1::{self, ProviderKind};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::task::block_in_place;
use tonic::{Code, Status};

use super::{LIMIT, ON_THE_WIRE, effort, report};
use crate::support::process::Process;
use crate::support::server::Caller;
use crate::support::watching::Watching;
use crate::support::{Refusal, eventually};

const READERS: usize = 4;
const STREAMS: usize = 5;

/// Reads until a read fails: how many did not, when the last one began, and how that failed.
async fn read(caller: Caller, id: Arc<str>) -> (usize, Instant, Status) {
    let mut count = 0;
    loop {
        let began = Instant::now();
        let answer = caller.providers().get_provider(v1::GetProviderRequest { id: id.to_string() }).await;
        match answer {
            Ok(_) => count += 1,
            Err(status) => return (count, began, status),
        }
    }
}

/// How a stream ends, and with which token.
async fn watch(caller: Caller) -> (Status, String) {
    let request = v1::WatchRequest { include_state: true, ..Default::default() };
    let mut watching = Watching::open(&caller, request).await;
    let mut token = String::new();
    loop {
        match watching.step().await {
            Ok(message) if message.resume_token.is_empty() => {}
            Ok(message) => token = message.resume_token,
            Err(status) => return (status, token),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_a_sidecar_answers_what_was_asked_and_its_streams_end_with_a_token() {
    let (above, below) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let plane = block_in_place(|| Process::start(above.path(), &[]));
    let known: Arc<str> = plane.admin().add_provider("p", ProviderKind::Ollama).await.id.into();
    let upstream = format!("http://{}", plane.address());
    let mut reads = 0;
    for _ in 0..effort(3, 20) {
        let mut sidecar = block_in_place(|| Process::sidecar(below.path(), &upstream, &plane.token(), &[]));
        let caller = || Caller::at(sidecar.address(), None);
        let readers: Vec<_> = (0..READERS).map(|_| tokio::spawn(read(caller(), Arc::clone(&known)))).collect();
        let streams: Vec<_> = (0..STREAMS).map(|_| tokio::spawn(watch(caller()))).collect();
        eventually("all watch", || async { (sidecar.metric("watchers") == STREAMS as u64).then_some(()) }).await;
        let told = Instant::now();
        sidecar.signal(Signal::SIGTERM);
        for reader in join_all(readers).await {
            let (count, began, status) = reader.unwrap();
            reads += count;
            assert!(began + ON_THE_WIRE > told, "a read that was on its way failed: {status:?}");
        }
        for stream in join_all(streams).await {
            let (status, token) = stream.unwrap();
            Refusal::of(&status).is(Code::Unavailable, "STOPPING");
            assert!(!token.is_empty());
        }
        let status = block_in_place(|| sidecar.wait());
        assert!(status.success() && told.elapsed() < LIMIT, "{status} after {:?}", told.elapsed());
    }
    report(&format!("{reads} reads answered"));
}
