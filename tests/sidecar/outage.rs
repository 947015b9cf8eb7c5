//! What a sidecar does while its control plane is away, and when it comes back: the same, older, or not at all.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use modelward::proto::v1::{self, ProviderKind, Role};
use tempfile::TempDir;
use tokio::task::block_in_place;
use tonic::Code;

use super::{Beside, only_way, the_same, token};
use crate::support::process::Process;
use crate::support::refusal::Refusal;
use crate::support::server::Caller;
use crate::support::watching::Watching;
use crate::support::{Engine, Server, eventually};

/// A server that has the same address whenever it is started anew.
async fn at_home(engine: Engine) -> Server {
    let home = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    Server::start_with(engine, |settings| settings.server.listen = home).await
}

/// How old an answer says that it is; none: it is as new as can be.
async fn age(caller: &Caller) -> Option<u64> {
    let answer = caller.providers().list_providers(v1::ListProvidersRequest::default()).await.unwrap();
    answer.metadata().get("modelward-stale-seconds").map(|age| age.to_str().unwrap().parse().unwrap())
}

async fn knows(caller: &Caller, id: &str) -> bool {
    let get = v1::GetProviderRequest { id: id.to_owned() };
    caller.providers().get_provider(get).await.is_ok()
}

async fn goes_on_and_catches_up(engine: Engine) {
    let server = at_home(engine).await;
    let (_, model, _) = only_way(&server).await;
    let beside = Beside::start(&server, Role::Viewer, &[]).await;
    assert_eq!(age(&beside.caller).await, None);

    // Somebody reads all the time.
    let (stop, failed, count) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let reader = {
        let (stop, failed, count, caller) =
            (Arc::clone(&stop), Arc::clone(&failed), Arc::clone(&count), beside.caller.clone());
        let selector = Some(v1::resolve_target_request::Selector::ModelId(model.id.clone()));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let resolve = v1::ResolveTargetRequest { selector: selector.clone(), ..Default::default() };
                let answer = caller.routing().resolve_target(resolve).await;
                count.fetch_add(1, Ordering::Relaxed);
                failed.fetch_add(usize::from(answer.is_err()), Ordering::Relaxed);
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        })
    };
    let server = server
        .restart_after(|_| {
            block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    eventually("answers say that they are old", || async { age(&beside.caller).await.map(drop) }).await;
                    assert!(block_in_place(|| beside.process.page("/readyz")).starts_with("ok"));
                });
            });
        })
        .await;
    let made = server.admin().add_provider("made later", ProviderKind::Ollama).await;
    eventually("it catches up", || async { knows(&beside.caller, &made.id).await.then_some(()) }).await;
    assert_eq!(age(&beside.caller).await, None);
    the_same(&server, &beside).await;
    stop.store(true, Ordering::Relaxed);
    reader.await.unwrap();
    assert_eq!(failed.load(Ordering::Relaxed), 0, "of {} reads", count.load(Ordering::Relaxed));
    println!("{} reads, none failed", count.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_without_its_control_plane_and_catches_up_sqlite() {
    Box::pin(goes_on_and_catches_up(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_without_its_control_plane_and_catches_up_postgres() {
    Box::pin(goes_on_and_catches_up(Engine::Postgres)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_older_backup_was_restored_it_takes_the_state_anew_and_its_watchers_hear_of_it() {
    let server = at_home(Engine::Sqlite).await;
    let kept = server.admin().add_provider("kept", ProviderKind::Ollama).await;
    let known = token(&server, Role::Viewer).await;
    let backup = server.directory().join("backup.db");
    server.sql(&format!("VACUUM INTO '{}'", backup.display()));
    let lost = server.admin().add_provider("lost", ProviderKind::Ollama).await;
    let beside = Beside::start_as(&server, &known, &[]);
    assert!(knows(&beside.caller, &lost.id).await);
    let mut watching = Watching::from_now(&beside.caller).await;
    let ended = tokio::spawn(async move { watching.end().await });

    let server = server
        .restart_after(|directory| {
            for leftover in ["modelward.db-wal", "modelward.db-shm"] {
                let _ = fs::remove_file(directory.join(leftover));
            }
            fs::copy(&backup, directory.join("modelward.db")).unwrap();
        })
        .await;
    // Past what was lost: the numbers come again.
    for number in 0..5 {
        server.admin().add_provider(&format!("other {number}"), ProviderKind::Ollama).await;
    }
    eventually("it forgets what was lost", || async { (!knows(&beside.caller, &lost.id).await).then_some(()) }).await;
    the_same(&server, &beside).await;
    assert!(knows(&beside.caller, &kept.id).await);
    let ended = ended.await.unwrap();
    assert_eq!((ended.code(), Refusal::of(&ended).reason.as_str()), (Code::OutOfRange, "HISTORY_CHANGED"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_from_its_copy_while_the_control_plane_is_away() {
    let (above, below) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let plane = block_in_place(|| Process::start(above.path(), &[]));
    let upstream = format!("http://{}", plane.address());
    let made = plane.admin().add_provider("made", ProviderKind::Ollama).await;
    let copies = ["--cache-key-file", "cache.key"];
    let mut first = block_in_place(|| Process::sidecar(below.path(), &upstream, &plane.token(), &copies));
    eventually("a copy is written", || async { (first.metric("sidecar_copies_written_total") > 0).then_some(()) })
        .await;
    block_in_place(|| first.terminate());
    block_in_place(|| plane.kill());

    let second = block_in_place(|| Process::sidecar(below.path(), &upstream, "unknown", &copies));
    let caller = Caller::at(second.address(), None);
    assert!(knows(&caller, &made.id).await);
    assert!(age(&caller).await.is_some());
    // Without a copy there is nothing to begin with: it waits, and says so.
    let empty = TempDir::new().unwrap();
    let third = block_in_place(|| Process::spawn_sidecar(empty.path(), &upstream, "unknown", &[]));
    eventually("it says why", || async { third.log().contains("cannot be reached").then_some(()) }).await;
    let _: SocketAddr = second.ops_address();
    assert!(!third.log().contains("is ready"));
}
