//! Calls that a sidecar does not answer itself.

use modelward::proto::v1::{self, ProviderKind};
use tonic::{Code, Request};

use super::stage::{Stage, local};
use crate::support::resources::provider;
use crate::support::{Refused as _, eventually};

fn create(name: &str) -> v1::CreateProviderRequest {
    let provider = Some(provider(name, ProviderKind::Vllm));
    v1::CreateProviderRequest { provider, reason: "by way of a sidecar".into(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_refused_unless_a_setting_lets_it_pass() {
    let stage = Stage::set().await;
    let _sidecar = stage.sidecar(&["--serve-secrets"]);
    // Even an admin's.
    let caller = stage.at_socket(stage.plane.admin().token());
    let refused = caller.providers().create_provider(create("q")).await.refused(Code::PermissionDenied, "FORBIDDEN");
    assert!(refused.message.contains("sidecar.writes"), "{}", refused.message);
    let asked = caller.audit().list_changes(v1::ListChangesRequest::default()).await;
    asked.refused(Code::PermissionDenied, "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarded_write_is_its_callers_own() {
    let stage = Stage::set().await;
    let sidecar = stage.sidecar(&["--serve-secrets", "--writes", "forward"]);
    let editor = stage.plane.as_role(v1::Role::Editor).await;
    let caller = stage.at_socket(editor.token());
    let answer = caller.providers().create_provider(create("q")).await.unwrap();
    let revision = answer.metadata().get("modelward-revision").unwrap().clone();
    let made = answer.into_inner().provider.unwrap();
    assert!(made.created_by.contains("EDITOR"), "{}", made.created_by);
    // The answer's revision is the control plane's: a read that asks for it sees the write.
    let mut read = Request::new(get(&made.id));
    read.metadata_mut().insert("modelward-min-revision", revision);
    caller.providers().get_provider(read).await.unwrap();
    // Over TCP the local token opens the door, and the caller's own goes on.
    let mut write = Request::new(create("r"));
    write.metadata_mut().insert("modelward-local-token", "a-local-token".parse().unwrap());
    let by_tcp = crate::support::server::Caller::at(sidecar.address(), editor.token().map(str::to_owned));
    by_tcp.providers().create_provider(write).await.unwrap();
}

fn get(id: &str) -> v1::GetProviderRequest {
    v1::GetProviderRequest { id: id.to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_lent_what_the_sidecar_may() {
    let stage = Stage::set().await;
    let admin = stage.plane.admin().token().unwrap();
    let sidecar = stage.sidecar_of(admin, &["--serve-secrets", "--writes", "forward"]);
    for (caller, code) in [
        (stage.at_socket(None), Code::Unauthenticated),
        (local(&sidecar), Code::Unauthenticated),
        (stage.at_socket(Some("mw_nobody")), Code::Unauthenticated),
    ] {
        caller.providers().create_provider(create("q")).await.refused(code, "UNAUTHENTICATED");
    }
    let viewer = stage.plane.as_role(v1::Role::Viewer).await;
    let asked = stage.at_socket(viewer.token()).providers().create_provider(create("q")).await;
    assert_eq!(asked.refused(Code::PermissionDenied, "FORBIDDEN").metadata["role"], "editor");
    let all = stage.plane.providers().list_providers(v1::ListProvidersRequest::default()).await.unwrap().into_inner();
    assert_eq!(all.providers.len(), 1, "nothing was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_control_plane_arrive_whole_and_an_outage_says_when_to_try_again() {
    let stage = Stage::set().await;
    let _sidecar = stage.sidecar(&["--writes", "forward"]);
    let caller = stage.at_socket(stage.plane.admin().token());
    let taken = caller.providers().create_provider(create("p")).await.refused(Code::AlreadyExists, "ALREADY_EXISTS");
    let there = stage.plane.providers().create_provider(create("p")).await;
    let there = there.refused(Code::AlreadyExists, "ALREADY_EXISTS");
    assert_eq!(format!("{taken} {:?}", taken.details), format!("{there} {:?}", there.details));
    stage.begin_outage();
    eventually("the outage is felt", || async {
        let asked = caller.providers().create_provider(create("q")).await;
        asked.err().filter(|status| status.code() == Code::Unavailable)
    })
    .await;
    let asked = caller.providers().create_provider(create("q")).await;
    asked.refused(Code::Unavailable, "UPSTREAM_UNAVAILABLE").says_when_to_retry();
    stage.end_outage();
    eventually("it passes again", || async { caller.providers().create_provider(create("s")).await.ok() }).await;
}
