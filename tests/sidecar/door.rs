//! Who may call a sidecar.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use modelward::proto::v1;
use tonic::{Code, Response, Status};

use super::stage::{Stage, local};
use crate::support::process::{program, run_to_end};
use crate::support::server::Caller;
use crate::support::{Refused as _, eventually};

async fn reads(caller: &Caller) -> Result<Response<v1::ListProvidersResponse>, Status> {
    caller.providers().list_providers(v1::ListProvidersRequest::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tcp_only_the_local_token_opens_and_a_new_one_replaces_it() {
    let stage = Stage::set().await;
    let sidecar = stage.sidecar(&[]);
    reads(&local(&sidecar)).await.unwrap();
    for token in [None, Some("another".to_owned()), stage.plane.admin().token().map(str::to_owned)] {
        let caller = Caller::at(sidecar.address(), token);
        reads(&caller).await.refused(Code::Unauthenticated, "UNAUTHENTICATED");
    }
    reads(&stage.at_socket(None)).await.unwrap();
    fs::write(stage.path("local.token"), "the next one\n").unwrap();
    let next = Caller::at(sidecar.address(), Some("the next one".to_owned()));
    eventually("the new token opens", || async { reads(&next).await.ok() }).await;
    reads(&local(&sidecar)).await.refused(Code::Unauthenticated, "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_has_its_rights_a_stale_one_is_replaced_and_a_live_one_refused() {
    let stage = Stage::set().await;
    let socket = stage.path("api.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let group = fs::metadata(stage.directory()).unwrap().gid().to_string();
    let mut sidecar = stage.sidecar(&["--socket-mode", "0660", "--socket-group", &group]);
    let found = fs::metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!((found.mode() & 0o777, found.gid().to_string()), (0o660, group));
    reads(&stage.at_socket(None)).await.unwrap();
    let mut second = stage.spawn(stage.identity(), &[], &[]);
    assert!(!second.wait().success());
    assert!(second.log().contains("another process listens on the socket"), "{}", second.log());
    reads(&stage.at_socket(None)).await.unwrap();
    assert!(sidecar.terminate().success());
    assert!(!socket.exists(), "a stop removes it");
}

#[test]
fn settings_that_let_in_nobody_or_every_machine_end_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let common = ["sidecar", "--upstream", "http://127.0.0.1:1", "--ops-listen", "", "--listen"];
    for (flags, expected) in [
        (&["127.0.0.1:0"][..], "nobody could call this sidecar"),
        (&["0.0.0.0:0", "--set", "sidecar.open_loopback=true"], "let in every machine"),
        (&["0.0.0.0:0", "--local-token-file", "t"], "other machines reach"),
    ] {
        let ended = run_to_end(program(directory.path()).args([&common, flags].concat()));
        assert_eq!(ended.status.code(), Some(1), "{flags:?}: {}", ended.output);
        assert!(ended.output.contains(expected), "{flags:?}: {}", ended.output);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_that_was_revoked_and_replaced_is_taken_over() {
    let stage = Stage::set().await;
    let sidecar = stage.sidecar(&["--serve-secrets"]);
    let next = stage.plane.as_role(v1::Role::Consumer).await;
    fs::write(stage.path("identity"), next.token().unwrap()).unwrap();
    let tokens = stage.plane.tokens().list_tokens(v1::ListTokensRequest::default()).await.unwrap().into_inner().tokens;
    // By id: the oldest first.
    let former = tokens.iter().find(|token| token.name.contains("CONSUMER")).unwrap();
    let request = v1::RevokeTokenRequest { id: former.id.clone(), ..Default::default() };
    stage.plane.tokens().revoke_token(request).await.unwrap();
    let made = stage.plane.admin().add_provider("later", v1::ProviderKind::Vllm).await;
    let caller = local(&sidecar);
    eventually("it follows under the new identity", || async {
        caller.providers().get_provider(v1::GetProviderRequest { id: made.id.clone() }).await.ok()
    })
    .await;
}
