//! Watch is ordered, gapless, without duplicates and resumable.
//!
//! Callers write while a client watches that comes back with its token whenever its stream ends: because it was closed,
//! because the server was killed, because the database was. What it was shown is compared with the log.

use std::time::Duration;

use futures_util::future::join_all;
use modelward::proto::v1;
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep, timeout};

use super::{effort, report};
use crate::support::Engine;
use crate::support::load::Writer;
use crate::support::place::Place;
use crate::support::server::Caller;
use crate::support::watching::{Checker, logged};

mod replicas;
mod seeded;

const WRITERS: usize = 8;
/// How long the client may take to be shown everything once nothing is written any more.
const CATCH_UP: Duration = Duration::from_mins(1);

/// What is kept in memory is little, so that the log of the database is read, too.
const HISTORY: (&str, &str) = ("MODELWARD_WATCH__HISTORY", "64KiB");

/// What a client does over all its streams.
struct Client {
    checker: Checker,
    streams: usize,
}

/// How long a client stays on a stream by itself, in milliseconds.
type Stay = std::ops::Range<u64>;

const SHORT: Stay = 50..1500;

/// Watches until told that a revision is the last one, and that was shown. `servers` says where the server is, `shown`
/// is told how far it is.
async fn client(
    mut servers: watch::Receiver<Caller>,
    mut last: watch::Receiver<Option<i64>>,
    stay: Stay,
    shown: watch::Sender<i64>,
) -> Client {
    let mut client = Client { checker: Checker::after(0), streams: 0 };
    loop {
        let caller = servers.borrow_and_update().clone();
        client.checker.reconnect();
        if let Ok(answer) = caller.watches().watch(client.checker.request()).await {
            client.streams += 1;
            let mut stream = answer.into_inner();
            // Now and then it goes by itself.
            let until = Instant::now() + Duration::from_millis(fastrand::u64(stay.clone()));
            while Instant::now() < until {
                tokio::select! {
                    message = timeout(Duration::from_millis(200), stream.message()) => match message {
                        Ok(Ok(Some(message))) => {
                            client.checker.take(&message);
                            shown.send_replace(client.checker.revision());
                        }
                        Ok(_) => break,
                        Err(_) => {}
                    },
                    _ = last.changed() => {}
                }
                let end = *last.borrow();
                if end.is_some_and(|end| client.checker.revision() >= end) {
                    return client;
                }
            }
        } else {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// One server from start to end, with callers that write until it is gone; how many changes they made.
async fn live(place: &Place, servers: &watch::Sender<Caller>, life: usize, attempts: usize) {
    let mut process = block_in_place(|| place.start(HISTORY));
    servers.send_replace(process.admin());
    let writers = (0..WRITERS).map(|number| {
        let mut writer = Writer::new(process.admin(), format!("l{life}w{number}"), None);
        tokio::spawn(async move { writer.steps(attempts).await })
    });
    let writers: Vec<_> = writers.collect();
    match (life % 3, place.cluster.as_ref()) {
        // Everybody comes to the end.
        (0, _) => drop(join_all(writers).await),
        (1, Some((cluster, _))) => {
            sleep(Duration::from_millis(fastrand::u64(100..800))).await;
            block_in_place(|| {
                cluster.kill();
                cluster.restart();
            });
            drop(join_all(writers).await);
        }
        _ => {
            sleep(Duration::from_millis(fastrand::u64(100..800))).await;
            block_in_place(|| process.kill());
            drop(join_all(writers).await);
            return;
        }
    }
    if life.is_multiple_of(2) {
        block_in_place(|| process.terminate());
    } else {
        block_in_place(|| process.kill());
    }
}

async fn events(engine: Engine) {
    let place = Place::new(engine);
    // Each is shown to three clients.
    let wanted = effort(1_700, 100_000);
    let (servers, at) = watch::channel(Caller::at(([127, 0, 0, 1], 1).into(), None));
    let (end, last) = watch::channel(None);
    let clients: Vec<_> =
        (0..3).map(|_| tokio::spawn(client(at.clone(), last.clone(), SHORT, watch::channel(0).0))).collect();
    let began = Instant::now();
    let (mut life, mut head, mut shown) = (0, 0, 0);
    while shown < wanted {
        live(&place, &servers, life, effort(40, 400)).await;
        life += 1;
        let store = place.store().await;
        head = store.head().await.unwrap().revision.0;
        shown = logged(&store, 0).await.len();
    }
    let process = block_in_place(|| place.start(HISTORY));
    servers.send_replace(process.admin());
    end.send_replace(Some(head));
    let clients = timeout(CATCH_UP, join_all(clients)).await.expect("everything is shown in the end");
    drop(process);
    let log = logged(&place.store().await, 0).await;
    let mut streams = 0;
    for client in clients {
        let client = client.unwrap();
        assert_eq!(client.checker.verdict(&log), Vec::<String>::new());
        streams += client.streams;
    }
    report(&format!("{engine}: {shown} changes over {life} lives and {streams} streams in {:?}", began.elapsed()));
    assert!(streams > life * 3, "{streams} streams");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d4_a_watcher_sees_everything_once_and_in_order_on_sqlite() {
    Box::pin(events(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d4_a_watcher_sees_everything_once_and_in_order_on_postgres() {
    Box::pin(events(Engine::Postgres)).await;
}

/// The requests of a client say where it goes on.
#[test]
fn d4_a_client_goes_on_from_its_token() {
    let mut checker = Checker::after(7);
    assert_eq!(checker.request().from_revision, Some(7));
    checker.take(&v1::WatchResponse {
        event: v1::WatchEvent::Bookmark.into(),
        revision: 8,
        last_of_revision: true,
        resume_token: "t".into(),
        ..Default::default()
    });
    assert_eq!((checker.request().resume_token.as_str(), checker.request().from_revision), ("t", None));
}
