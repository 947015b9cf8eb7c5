//! A sidecar's reads go on while its control plane is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use modelward::proto::v1::{self, ProviderKind};
use tempfile::TempDir;
use tokio::task::block_in_place;

use super::{effort, report};
use crate::support::eventually;
use crate::support::process::Process;
use crate::support::resources::{credential, endpoint, model};
use crate::support::server::Caller;

const READERS: usize = 4;

/// Reads of all kinds until it is told to stop: how many, and what failed.
async fn read(caller: Caller, provider: String, model: String, stop: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut count, mut failed) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let selector = Some(v1::resolve_target_request::Selector::ModelId(model.clone()));
        let resolve = v1::ResolveTargetRequest { selector, include_secret: true, ..Default::default() };
        let pick = v1::PickEndpointRequest { provider_id: provider.clone(), ..Default::default() };
        let answers = [
            caller.routing().resolve_target(resolve).await.map(drop),
            caller.endpoints().pick_endpoint(pick).await.map(drop),
            caller.models().get_model(v1::GetModelRequest { id: model.clone() }).await.map(drop),
            caller.models().list_models(v1::ListModelsRequest::default()).await.map(drop),
        ];
        count += answers.len();
        failed.extend(answers.into_iter().filter_map(Result::err).map(|status| status.to_string()));
    }
    (count, failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_a_sidecar_answers_while_its_control_plane_is_gone() {
    let (above, below) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let plane = block_in_place(|| Process::start(above.path(), &[]));
    let admin = plane.admin();
    let there = admin.add_provider("p", ProviderKind::Openai).await;
    admin.add_endpoint(endpoint(&there.id, "e", "https://api.openai.com/v1")).await;
    admin.add_credential(credential(&there.id, "c", "sk-0123456789")).await;
    let known = admin.add_model(model(&there.id, "m")).await;
    let upstream = format!("http://{}", plane.address());
    let sidecar = block_in_place(|| Process::sidecar(below.path(), &upstream, &plane.token(), &["--serve-secrets"]));
    let held = || async { (sidecar.metric("sidecar_secrets_held") == 1).then_some(()) };
    eventually("the secret is held", held).await;

    let stop = Arc::new(AtomicBool::new(false));
    let caller = Caller::at(sidecar.address(), None);
    let reader = |_| tokio::spawn(read(caller.clone(), there.id.clone(), known.id.clone(), Arc::clone(&stop)));
    let readers: Vec<_> = (0..READERS).map(reader).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    block_in_place(|| plane.kill());
    tokio::time::sleep(Duration::from_secs(effort(5, 600) as u64)).await;
    assert_eq!(sidecar.metric("sidecar_upstream_up"), 0, "the control plane is gone");
    assert!(block_in_place(|| sidecar.page("/readyz")).starts_with("ok"));
    stop.store(true, Ordering::Relaxed);
    let (mut count, mut failed) = (0, Vec::new());
    for result in join_all(readers).await {
        let (reads, failures) = result.unwrap();
        count += reads;
        failed.extend(failures);
    }
    assert!(failed.is_empty(), "{} of {count}: {:?}", failed.len(), failed.first());
    report(&format!("{count} reads in {:?} without a control plane, none failed", begun.elapsed()));
}
