//! The lists of the contract: its services with their methods, its reasons with their codes.

use super::{comment, files};

const METHODS: &[(&str, &str)] = &[
    (
        "ProviderService",
        "CreateProvider GetProvider ListProviders UpdateProvider UpdateProviderStatus DeleteProvider UndeleteProvider ListProviderKinds",
    ),
    (
        "EndpointService",
        "CreateEndpoint GetEndpoint ListEndpoints UpdateEndpoint DeleteEndpoint SetDefaultEndpoint CheckEndpointHealth PickEndpoint",
    ),
    (
        "CredentialService",
        "CreateCredential GetCredential ListCredentials UpdateCredential RotateCredential RevokeCredential DeleteCredential ValidateCredential AccessCredential",
    ),
    (
        "ModelService",
        "CreateModel GetModel ListModels ListModelsByCapability GetDefaultModel UpdateModel UpdateModelStatus DeleteModel SyncModels TestModel SetDefaultModel",
    ),
    ("BindingService", "CreateBinding GetBinding ListBindings UpdateBinding DeleteBinding"),
    ("RoutingService", "ResolveTarget FetchSecrets ReportOutcome"),
    ("WatchService", "Watch Ack ListWatchers"),
    ("AuditService", "ListChanges GetResourceAt RollbackResource ListSecretUse"),
    ("AdminService", "CreateToken ListTokens RevokeToken GetKeyring RotateMasterKey SetLogFilter GetServerInfo"),
];

const REASONS: &[(&str, &str)] = &[
    ("INVALID_ARGUMENT", "INVALID_FIELD INVALID_MASK INVALID_PAGE_TOKEN SECRET_LOOKS_MASKED REQUEST_ID_REUSED"),
    ("NOT_FOUND", "NOT_FOUND"),
    ("ALREADY_EXISTS", "ALREADY_EXISTS"),
    ("ABORTED", "REVISION_MISMATCH"),
    (
        "FAILED_PRECONDITION",
        "LAST_ENDPOINT LAST_CREDENTIAL IN_USE PROVIDER_DISABLED NO_ENDPOINT MODEL_UNAVAILABLE HOST_NOT_ALLOWED SECRET_REFUSED SYNC_SHRINKS SECRET_DESTROYED KEY_NOT_EVERYWHERE",
    ),
    ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED QUOTA_EXHAUSTED SLOW_READER REQUEST_TOO_LARGE TOO_MANY_STREAMS STORE_FULL"),
    (
        "UNAVAILABLE",
        "NO_HEALTHY_ENDPOINT STORE_UNAVAILABLE REPLICA_BEHIND PROVIDER_ERROR STOPPING UPSTREAM_UNAVAILABLE \
         SECRET_NOT_HELD",
    ),
    ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
    ("UNIMPLEMENTED", "UNSUPPORTED_BY_PROVIDER NOT_IMPLEMENTED UNKNOWN_METHOD UNSUPPORTED_ENCODING"),
    ("UNAUTHENTICATED", "UNAUTHENTICATED"),
    ("PERMISSION_DENIED", "FORBIDDEN"),
    ("OUT_OF_RANGE", "COMPACTED HISTORY_CHANGED"),
    ("DATA_LOSS", "SECRET_UNREADABLE"),
    ("INTERNAL", "INTERNAL"),
];

#[test]
fn every_service_has_exactly_its_methods() {
    let files = files();
    let services: Vec<_> = files.iter().flat_map(|file| &file.service).collect();
    assert_eq!(services.len(), METHODS.len());
    for (name, methods) in METHODS {
        let service = services.iter().find(|service| service.name() == *name).unwrap();
        let found: Vec<_> = service.method.iter().map(prost_types::MethodDescriptorProto::name).collect();
        assert_eq!(found, methods.split(' ').collect::<Vec<_>>(), "{name}");
        for method in &service.method {
            assert_eq!(method.server_streaming(), method.name() == "Watch", "{}", method.name());
            assert!(!method.client_streaming(), "{}", method.name());
        }
    }
}

#[test]
fn every_reason_is_there_and_tells_its_code_metadata_example_and_remedy() {
    let files = files();
    let file = files.iter().find(|file| file.name().ends_with("/error_reason.proto")).unwrap();
    let mut expected: Vec<_> =
        REASONS.iter().flat_map(|(code, reasons)| reasons.split(' ').map(move |reason| (reason, *code))).collect();
    let item = &file.enum_type[0];
    for (index, value) in (0..).zip(&item.value).skip(1) {
        let reason = value.name().strip_prefix("ERROR_REASON_").unwrap();
        let place = expected.iter().position(|(name, _)| *name == reason).unwrap_or_else(|| panic!("{reason}: new"));
        let (_, code) = expected.swap_remove(place);
        let text = comment(file, &[5, 0, 2, index]);
        assert!(text.contains(&format!("\n Code: {code}.\n Metadata: ")), "{reason}: {text}");
        assert!(text.contains("\n Example: \"") && text.contains("\n Remedy: "), "{reason}: {text}");
    }
    assert_eq!(expected, [], "missing reasons");
}

/// Keys that the contract promises in `ErrorInfo.metadata`.
#[test]
fn reasons_with_promised_metadata_name_its_keys() {
    let files = files();
    let file = files.iter().find(|file| file.name().ends_with("/error_reason.proto")).unwrap();
    for (reason, keys) in [
        ("REVISION_MISMATCH", "current"),
        ("MODEL_UNAVAILABLE", "cause"),
        ("HOST_NOT_ALLOWED", "host credential_id"),
        ("SYNC_SHRINKS", "listed known"),
        ("REPLICA_BEHIND", "current"),
        ("PROVIDER_ERROR", "http_status"),
        ("FORBIDDEN", "role"),
        ("COMPACTED", "oldest"),
        ("SECRET_UNREADABLE", "key_id"),
        ("INTERNAL", "request_id"),
    ] {
        let name = format!("ERROR_REASON_{reason}");
        let index = file.enum_type[0].value.iter().position(|value| value.name() == name).unwrap();
        let text = comment(file, &[5, 0, 2, i32::try_from(index).unwrap()]);
        let metadata = text
            .lines()
            .skip_while(|line| !line.starts_with(" Metadata: "))
            .take_while(|line| !line.starts_with(" Example: "));
        let metadata: String = metadata.collect();
        for key in keys.split(' ') {
            assert!(metadata.contains(&format!("`{key}`: ")), "{reason}: {metadata}");
        }
    }
}
