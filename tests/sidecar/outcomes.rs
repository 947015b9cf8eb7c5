//! Outcomes that are reported to a sidecar.

use modelward::proto::v1;
use tonic::Code;

use super::stage::{Stage, local};
use crate::support::{Refused as _, eventually};

fn report(stage: &Stage, count: usize) -> v1::ReportOutcomeRequest {
    let outcome = v1::Outcome {
        endpoint_id: stage.endpoint.id.clone(),
        credential_id: stage.credential.id.clone(),
        model_id: stage.model.id.clone(),
        success: Some(true),
        ..Default::default()
    };
    v1::ReportOutcomeRequest { outcomes: vec![outcome; count], ..Default::default() }
}

async fn counted(stage: &Stage) -> i64 {
    let request = v1::GetCredentialRequest { id: stage.credential.id.clone() };
    let answer = stage.plane.credentials().get_credential(request).await.unwrap().into_inner();
    answer.credential.unwrap().usage.unwrap_or_default().total_requests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_of_an_outage_arrive_after_it_and_count_once() {
    let stage = Stage::set().await;
    let mut sidecar = stage.sidecar(&["--serve-secrets"]);
    let caller = local(&sidecar);
    caller.routing().report_outcome(report(&stage, 3)).await.unwrap();
    eventually("the first are counted", || async { (counted(&stage).await == 3).then_some(()) }).await;
    stage.begin_outage();
    for _ in 0..4 {
        caller.routing().report_outcome(report(&stage, 500)).await.unwrap();
    }
    assert_eq!(sidecar.metric("sidecar_outcomes_waiting"), 2000);
    assert_eq!(counted(&stage).await, 3);
    stage.end_outage();
    eventually("all are counted", || async { (counted(&stage).await >= 2003).then_some(()) }).await;
    assert_eq!(sidecar.metric("sidecar_outcomes_forwarded_total"), 2003);
    assert_eq!(sidecar.metric("sidecar_outcomes_dropped_total"), 0);
    caller.routing().report_outcome(report(&stage, 5)).await.unwrap();
    assert!(sidecar.terminate().success(), "{}", sidecar.log());
    eventually("a stop sends what is left", || async { (counted(&stage).await >= 2008).then_some(()) }).await;
    assert_eq!(counted(&stage).await, 2008, "once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_report_is_refused_here_as_it_would_be_there() {
    let stage = Stage::set().await;
    let sidecar = stage.sidecar(&["--serve-secrets"]);
    let bad = v1::ReportOutcomeRequest::default();
    let caller = local(&sidecar);
    let here = caller.routing().report_outcome(bad.clone()).await.refused(Code::InvalidArgument, "INVALID_FIELD");
    let there = stage.plane.routing().report_outcome(bad).await.refused(Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!((here.message, here.fields), (there.message, there.fields));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_have_secrets_may_not_report_either() {
    let stage = Stage::set().await;
    let sidecar = stage.sidecar(&[]);
    let asked = local(&sidecar).routing().report_outcome(report(&stage, 1)).await;
    asked.refused(Code::PermissionDenied, "FORBIDDEN");
}
