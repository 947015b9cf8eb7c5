//! Every reason with its code, its one `ErrorInfo` and its metadata, compared with the comments that promise them.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::*;
use crate::domain::{ResourceKind, Revision, Role};
use crate::proto::tests::comments;
use crate::service::metadata::code_name;

const ID: Uuid = Uuid::from_u128(7);

/// One error of each reason.
fn samples() -> Vec<Error> {
    let violations = || vec![Violation { field: "name".into(), description: "required".into() }];
    let kind = ResourceKind::Provider;
    vec![
        Error::InvalidField { violations: violations() },
        Error::InvalidMask { violations: violations() },
        Error::InvalidPageToken,
        Error::SecretLooksMasked { field: "secret.api_key".into() },
        Error::RequestIdReused { request_id: "r".into() },
        Error::NotFound { kind, id: ID.to_string() },
        Error::AlreadyExists { kind, field: "name", value: "a".into(), holder: ID },
        Error::RevisionMismatch { kind, id: ID, expected: Revision(1), current: Revision(2) },
        Error::LastEndpoint { endpoint_id: ID, provider_id: ID },
        Error::LastCredential { credential_id: ID, provider_id: ID },
        Error::InUse { bindings: vec![ID; 50] },
        Error::ProviderDisabled { provider_id: ID },
        Error::NoEndpoint { provider_id: ID },
        Error::ModelUnavailable { model_id: Some(ID), cause: "maintenance".into() },
        Error::HostNotAllowed { host: "h".into(), credential_id: ID },
        Error::SecretRefused { cause: "BAD_KEY", message: "no".into() },
        Error::SyncShrinks { listed: 1, known: 9 },
        Error::SecretDestroyed { credential_id: ID },
        Error::KeyNotEverywhere { key_id: "k".into(), replicas: vec!["one".into()] },
        Error::LimitExceeded { what: "endpoints of a provider", limit: 10, setting: "limits.endpoints_per_provider" },
        Error::QuotaExhausted { provider_id: ID },
        Error::SlowReader { resume_token: "t".into() },
        Error::RequestTooLarge { limit: 9 },
        Error::TooManyStreams { limit: 9 },
        Error::StoreFull,
        Error::NoHealthyEndpoint { provider_id: ID },
        Error::StoreUnavailable,
        Error::Stopping,
        Error::UpstreamUnavailable,
        Error::ReplicaBehind { current: Revision(3) },
        Error::ProviderError { http_status: Some(503), message: "busy".into() },
        Error::DeadlineExceeded,
        Error::UnsupportedByProvider { kind: "GEMINI", call: "SyncModels" },
        Error::NotImplemented { rpc: "modelward.v1.WatchService/Watch" },
        Error::UnknownMethod { method: "/x".into() },
        Error::UnsupportedEncoding,
        Error::Unauthenticated { problem: "no authorization in the metadata" },
        Error::Forbidden { role: Role::Admin },
        Error::SecretNotHeld { credential_id: ID },
        Error::Compacted { oldest: Revision(4) },
        Error::HistoryChanged,
        Error::SecretUnreadable { credential_id: ID, key_id: "k".into() },
        Error::internal(),
    ]
}

/// The part of a comment behind `label`, up to the next one.
fn part<'a>(comment: &'a str, label: &str) -> &'a str {
    let rest = comment.split_once(&format!("{label}: ")).unwrap_or_else(|| panic!("no {label} in {comment}")).1;
    ["Code: ", "Metadata: ", "Example: ", "Remedy: "]
        .iter()
        .filter_map(|next| rest.find(next))
        .min()
        .map_or(rest, |end| &rest[..end])
}

#[test]
fn every_reason_has_the_code_and_the_metadata_that_its_comment_promises() {
    let comments = comments::by_name();
    for error in samples() {
        let reason = error.reason();
        let status = status(error, "trace-1");
        let comment = &comments[&format!("ErrorReason.ERROR_REASON_{reason}")];
        assert_eq!(format!("{}.", code_name(status.code())), part(comment, "Code").trim(), "{reason}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "modelward"));
        // Keys stand between backticks, each before its colon.
        let promised = part(comment, "Metadata").split('`').skip(1).step_by(2).map(str::to_owned);
        assert_eq!(info.metadata.into_keys().collect::<BTreeSet<_>>(), promised.collect(), "{reason}");
    }
}

#[test]
fn every_reason_of_the_api_can_happen_and_no_other() {
    let promised: BTreeSet<_> = comments::by_name()
        .into_keys()
        .filter_map(|name| name.strip_prefix("ErrorReason.ERROR_REASON_").map(str::to_owned))
        .filter(|reason| reason != "UNSPECIFIED")
        .collect();
    let found: Vec<_> = samples().iter().map(|error| error.reason().to_owned()).collect();
    assert_eq!(found.len(), promised.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), promised);
}

#[test]
fn there_is_exactly_one_error_info_and_a_message_in_the_house_style() {
    for error in samples() {
        let status = status(error, "trace-1");
        let infos = status.get_error_details_vec().into_iter();
        let infos = infos.filter(|detail| matches!(detail, tonic_types::ErrorDetail::ErrorInfo(_)));
        assert_eq!(infos.count(), 1, "{status:?}");
        assert!(!status.message().is_empty() && !status.message().ends_with('.'), "{}", status.message());
    }
}

#[test]
fn bad_fields_are_named_and_who_may_try_again_is_told_when() {
    let details = |error| status(error, "").get_error_details();
    let bad = details(Error::field("provider.name", "required"));
    assert_eq!(bad.bad_request().unwrap().field_violations[0].field, "provider.name");
    let masked = details(Error::SecretLooksMasked { field: "secret.api_key".into() });
    assert_eq!(masked.bad_request().unwrap().field_violations[0].field, "secret.api_key");
    let used = details(Error::InUse { bindings: vec![ID; 50] });
    assert_eq!(used.precondition_failure().unwrap().violations.len(), MOST);
    let limit = details(Error::LimitExceeded { what: "endpoints", limit: 10, setting: "limits.x" });
    assert_eq!(limit.quota_failure().unwrap().violations.len(), 1);
    let taken =
        details(Error::AlreadyExists { kind: ResourceKind::Model, field: "model_id", value: "m".into(), holder: ID });
    assert_eq!(taken.resource_info().unwrap().resource_name, ID.to_string());
    for error in samples() {
        let again = matches!(
            error,
            Error::SecretNotHeld { .. }
                | Error::NoHealthyEndpoint { .. }
                | Error::StoreUnavailable
                | Error::Stopping
                | Error::UpstreamUnavailable
                | Error::ReplicaBehind { .. }
        );
        assert_eq!(details(error.clone()).retry_info().is_some(), again, "{error:?}");
    }
}

#[test]
fn a_bug_is_told_by_the_id_of_its_call_alone() {
    let status = status(Error::internal(), "trace-1");
    assert!(status.message().contains("trace-1"));
    assert_eq!(status.get_details_error_info().unwrap().metadata["request_id"], "trace-1");
}

fn sent(error: Error) -> usize {
    let mut headers = http::HeaderMap::new();
    status(error, "0").add_header(&mut headers).unwrap();
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

#[test]
fn no_error_is_larger_than_clients_take() {
    let long = |symbol: char| symbol.to_string().repeat(200);
    let violations: Vec<_> = (0..100)
        .map(|index| Violation { field: format!("labels[{index}{}]", long('k')), description: long('x') })
        .collect();
    assert!(sent(Error::InvalidField { violations }) < 8192);
    assert!(sent(Error::ProviderError { http_status: Some(500), message: long('界').repeat(3) }) < 8192);
    assert!(sent(Error::InUse { bindings: vec![uuid::Uuid::nil(); 100] }) < 8192);
    let replicas = vec![uuid::Uuid::nil().to_string(); 100];
    assert!(sent(Error::KeyNotEverywhere { key_id: long('k'), replicas }) < 8192);
}

#[test]
fn a_short_message_is_sent_as_it_is() {
    let message = status(Error::NotFound { kind: ResourceKind::Model, id: "größe 100 %".into() }, "0");
    assert_eq!(message.message(), "no such model: größe 100 %");
    assert!(message.get_details_bad_request().is_none());
}
