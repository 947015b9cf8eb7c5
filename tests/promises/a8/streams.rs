//! Streams end with a token, and go on with it.

use std::time::Duration;

use modelward::proto::v1::ProviderKind;
use modelward::store::{Store, StoreConfig};
use nix::sys::signal::Signal;
use tokio::task::block_in_place;
use tonic::Code;

use super::{Home, LIMIT, effort};
use crate::support::watching::{Checker, Watching, logged};
use crate::support::{Engine, Refusal, eventually};

const STREAMS: usize = 20;

/// Watches until the stream ends; a stream that does not say why, or leaves no token, is a finding.
async fn watch(mut watching: Watching, mut checker: Checker) -> Checker {
    loop {
        match watching.step().await {
            Ok(message) => checker.take(&message),
            Err(status) => {
                Refusal::of(&status).is(Code::Unavailable, "STOPPING");
                assert!(!checker.token.is_empty());
                return checker;
            }
        }
    }
}

async fn streams_go_on(engine: Engine) {
    let home = Home::on(engine).await;
    let mut checkers: Vec<_> = (0..STREAMS).map(|_| Checker::after(0)).collect();
    for round in 0..effort(3, 20) {
        let mut process = home.start(&[]);
        let admin = process.admin();
        let mut watching = Vec::new();
        for mut checker in checkers {
            checker.reconnect();
            let stream = Watching::open(&admin, checker.request()).await;
            watching.push(tokio::spawn(watch(stream, checker)));
        }
        let writer = admin.clone();
        let writing = tokio::spawn(async move {
            let mut number = 0;
            while writer
                .try_provider(super::provider(&format!("r{round} {number}"), ProviderKind::Ollama))
                .await
                .is_ok()
            {
                number += 1;
            }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        let told = std::time::Instant::now();
        process.signal(Signal::SIGTERM);
        checkers = Vec::new();
        for watching in watching {
            checkers.push(watching.await.unwrap());
        }
        let status = block_in_place(|| process.wait());
        assert!(status.success() && told.elapsed() < LIMIT, "{status} after {:?}", told.elapsed());
        writing.await.unwrap();
    }
    let process = home.start(&[]);
    let url = home.database.as_ref().map_or_else(
        || format!("sqlite://{}", home.directory.path().join("data/modelward.db").display()),
        |database| database.url().to_owned(),
    );
    let end = process.admin().add_provider("the last", ProviderKind::Ollama).await.revision;
    for checker in &mut checkers {
        checker.reconnect();
        let mut stream = Watching::open(&process.admin(), checker.request()).await;
        while checker.revision() < end {
            checker.take(&stream.next().await);
        }
    }
    drop(process);
    let store = eventually("the database opens", || async { Store::connect(&StoreConfig::new(&url)).await.ok() }).await;
    let log = logged(&store, 0).await;
    for checker in checkers {
        assert_eq!(checker.verdict(&log), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_streams_end_with_a_token_and_go_on_with_it_on_sqlite() {
    streams_go_on(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_streams_end_with_a_token_and_go_on_with_it_on_postgres() {
    streams_go_on(Engine::Postgres).await;
}
