//! History that is gone says so: a stream that begins before the kept log is refused with the oldest revision, and one
//! that begins there or later shows everything since.

use modelward::domain::Revision;
use modelward::proto::v1::{self, ProviderKind};
use tonic::Code;

use crate::support::resources::model;
use crate::support::watching::{Watching, changes, logged, resume};
use crate::support::{Engine, Refusal, Server};

const MODELS: usize = 20;

/// What a stream shows, or why it does not begin.
async fn shown(server: &Server, request: v1::WatchRequest, head: i64) -> Result<Vec<v1::Change>, tonic::Status> {
    let mut watching = Watching::try_open(server.admin(), request).await?;
    let first = watching.step().await?;
    let done = first.last_of_revision && first.revision >= head;
    let mut messages = vec![first];
    if !done {
        messages.extend(watching.up_to(head).await);
    }
    Ok(changes(&messages))
}

async fn what_is_gone_is_told(engine: Engine) {
    let server = Server::start(engine).await;
    let from = v1::WatchRequest { from_revision: Some(1), ..Default::default() };
    let mut watching = Watching::open(server.admin(), from).await;
    let provider = server.admin().add_provider("p", ProviderKind::Ollama).await;
    for number in 0..MODELS {
        server.admin().add_model(model(&provider.id, &format!("m{number}"))).await;
    }
    let head = server.parts().store.head().await.unwrap().revision.0;
    let messages = watching.up_to(head).await;
    let places: Vec<_> = messages.iter().filter(|message| message.last_of_revision).collect();
    assert!(places.len() > MODELS / 2, "{} places", places.len());
    let rows = server.parts().store.log_copies(Revision(0), Revision(head)).await.unwrap();
    server.parts().control.shorten_log(rows[rows.len() / 2].time).await.unwrap();
    let oldest = server.parts().store.log_anchor().await.unwrap().unwrap().head.revision.0;
    assert!((2..head).contains(&oldest), "{oldest} of {head}");
    // What memory still holds it may still show.
    let server = server.restart().await;
    let store = &server.parts().store;
    let (mut gone, mut complete) = (0, 0);
    for place in places {
        let by_number = v1::WatchRequest { from_revision: Some(place.revision), ..Default::default() };
        for request in [by_number, resume(&place.resume_token)] {
            if place.revision == head {
                continue;
            }
            match shown(&server, request, head).await {
                Ok(found) => {
                    assert!(place.revision >= oldest, "{} is older than {oldest}", place.revision);
                    assert_eq!(found, logged(store, place.revision).await, "after {}", place.revision);
                    complete += 1;
                }
                Err(status) => {
                    Refusal::of(&status).is(Code::OutOfRange, "COMPACTED").has("oldest", &oldest.to_string());
                    assert!(place.revision < oldest, "{} is not older than {oldest}", place.revision);
                    gone += 1;
                }
            }
        }
    }
    assert!(gone > 0 && complete > 0, "{gone} gone, {complete} complete");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d5_what_is_gone_is_told_and_what_is_kept_is_complete_on_sqlite() {
    Box::pin(what_is_gone_is_told(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d5_what_is_gone_is_told_and_what_is_kept_is_complete_on_postgres() {
    Box::pin(what_is_gone_is_told(Engine::Postgres)).await;
}
