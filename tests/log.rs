//! The log of a running server: filtered otherwise for a while, by an admin, and told of it.

use std::path::Path;
use std::time::Duration;

use modelward::proto::v1::{self, Role};
use tempfile::TempDir;
use tonic::Code;

use crate::support::process::{Ended, Process, program, run_to_end};
use crate::support::{Engine, Refused as _, Server, within};

fn filter(filter: &str, seconds: i64) -> v1::SetLogFilterRequest {
    let duration = Some(prost_types::Duration { seconds, nanos: 0 });
    v1::SetLogFilterRequest { filter: filter.to_owned(), duration }
}

fn log(directory: &Path, process: &Process, arguments: &[&str]) -> Ended {
    let server = format!("--server=http://{}", process.address());
    let token = format!("--token-file={}", directory.join("data/admin.token").display());
    run_to_end(program(directory).arg("log").args(arguments).args([server, token]))
}

/// Whether a call that is not told at INFO is told now.
async fn tells_debug(process: &Process) -> bool {
    let mut health = tonic_health::pb::health_client::HealthClient::new(process.admin().channel());
    let before = process.log().matches("grpc.health.v1.Health").count();
    health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap();
    // Lines of calls are written in their order: behind this one the other has been.
    process.admin().providers().list_providers(v1::ListProvidersRequest::default()).await.unwrap();
    let calls = process.log().matches("ListProviders").count();
    within(Duration::from_secs(5), "the call is told", || async {
        (process.log().matches("ListProviders").count() > calls.saturating_sub(1)).then_some(())
    })
    .await;
    process.log().matches("grpc.health.v1.Health").count() > before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_more_for_a_while_and_then_no_more() {
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &[]);
    assert!(!tells_debug(&process).await);
    let set = tokio::task::block_in_place(|| log(directory.path(), &process, &["set", "debug", "--for", "1h"]));
    assert!(set.status.success() && set.output.starts_with("debug until "), "{}", set.output);
    assert!(set.output.trim().ends_with(", then info"), "{}", set.output);
    assert!(process.log().contains("the filter of the log was changed"), "{}", process.log());
    within(Duration::from_secs(5), "more is told", || async { tells_debug(&process).await.then_some(()) }).await;
    let reset = tokio::task::block_in_place(|| log(directory.path(), &process, &["reset"]));
    assert_eq!((reset.status.success(), reset.output.as_str()), (true, "info\n"));
    assert!(!tells_debug(&process).await);

    process.admin().tokens().set_log_filter(filter("debug", 1)).await.unwrap();
    within(Duration::from_secs(10), "it is over by itself", || async {
        process.log().contains("filtered again as the settings say").then_some(())
    })
    .await;
    assert!(!tells_debug(&process).await);
    let bad = tokio::task::block_in_place(|| log(directory.path(), &process, &["set", "modelward=nonsense"]));
    assert_eq!(bad.status.code(), Some(1));
    assert!(bad.output.contains("INVALID_FIELD"), "{}", bad.output);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_admin_may_and_what_is_malformed_is_refused() {
    let server = Server::start(Engine::Sqlite).await;
    let editor = server.as_role(Role::Editor).await;
    editor.tokens().set_log_filter(filter("debug", 1)).await.refused(Code::PermissionDenied, "FORBIDDEN");
    let mut tokens = server.tokens();
    let answer = tokens.set_log_filter(filter("debug", 60)).await.unwrap().into_inner();
    assert_eq!((answer.filter.as_str(), answer.configured_filter.as_str()), ("debug", "info"));
    assert!(answer.expire_time.is_some());
    let answer = tokens.set_log_filter(v1::SetLogFilterRequest::default()).await.unwrap().into_inner();
    assert_eq!((answer.filter.as_str(), answer.expire_time), ("info", None));
    for (request, field) in [
        (filter("modelward=nonsense", 60), "filter"),
        (filter(&"x".repeat(501), 60), "filter"),
        (filter("a\nb", 60), "filter"),
        (filter("debug", 0), "duration"),
        (filter("debug", 86_401), "duration"),
    ] {
        tokens.set_log_filter(request).await.refused(Code::InvalidArgument, "INVALID_FIELD").names(&[field]);
    }
}
