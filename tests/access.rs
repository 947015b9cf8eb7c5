//! Every RPC × every identity, walked from the descriptor: deny by default, and no RPC is forgotten.
//!
//! The table is written from the API's contract, not taken from the code that it checks.

use bytes::Bytes;
use modelward::proto::v1::Role;
use tonic::{Code, Status};

use crate::support::{Engine, Refusal, Server, dynamic};

/// The least role that may call each RPC.
const NEEDS: &[(Role, &str, &[&str])] = &[
    (Role::Viewer, "ProviderService", &["GetProvider", "ListProviders", "ListProviderKinds"]),
    (
        Role::Editor,
        "ProviderService",
        &["CreateProvider", "UpdateProvider", "UpdateProviderStatus", "DeleteProvider", "UndeleteProvider"],
    ),
    (Role::Viewer, "EndpointService", &["GetEndpoint", "ListEndpoints", "PickEndpoint"]),
    (
        Role::Editor,
        "EndpointService",
        &["CreateEndpoint", "UpdateEndpoint", "DeleteEndpoint", "SetDefaultEndpoint", "CheckEndpointHealth"],
    ),
    (Role::Viewer, "CredentialService", &["GetCredential", "ListCredentials"]),
    (
        Role::Editor,
        "CredentialService",
        &[
            "CreateCredential",
            "UpdateCredential",
            "RotateCredential",
            "RevokeCredential",
            "DeleteCredential",
            "ValidateCredential",
        ],
    ),
    (Role::Admin, "CredentialService", &["AccessCredential"]),
    (Role::Viewer, "ModelService", &["GetModel", "ListModels", "ListModelsByCapability", "GetDefaultModel"]),
    (
        Role::Editor,
        "ModelService",
        &[
            "CreateModel",
            "UpdateModel",
            "UpdateModelStatus",
            "DeleteModel",
            "SyncModels",
            "TestModel",
            "SetDefaultModel",
        ],
    ),
    (Role::Viewer, "BindingService", &["GetBinding", "ListBindings"]),
    (Role::Editor, "BindingService", &["CreateBinding", "UpdateBinding", "DeleteBinding"]),
    (Role::Viewer, "RoutingService", &["ResolveTarget"]),
    (Role::Consumer, "RoutingService", &["FetchSecrets", "ReportOutcome"]),
    (Role::Viewer, "WatchService", &["Watch", "Ack"]),
    (Role::Editor, "WatchService", &["ListWatchers"]),
    (Role::Editor, "AuditService", &["ListChanges", "GetResourceAt", "RollbackResource"]),
    (Role::Admin, "AuditService", &["ListSecretUse"]),
    (Role::Viewer, "AdminService", &["GetServerInfo"]),
    (
        Role::Admin,
        "AdminService",
        &["CreateToken", "ListTokens", "RevokeToken", "GetKeyring", "RotateMasterKey", "SetLogFilter"],
    ),
];

const ROLES: [Role; 4] = [Role::Viewer, Role::Consumer, Role::Editor, Role::Admin];

/// Whether somebody with `role` may do what `needed` may: each is a viewer, an admin is everything, a consumer is no
/// editor and an editor no consumer.
fn may(role: Role, needed: Role) -> bool {
    role == needed || role == Role::Admin || needed == Role::Viewer
}

fn needed(rpc: &str) -> Option<Role> {
    let (service, method) = rpc.strip_prefix("modelward.v1.")?.split_once('/')?;
    let mut found = NEEDS.iter().filter(|(_, s, methods)| *s == service && methods.contains(&method));
    let (role, ..) = found.next()?;
    assert!(found.next().is_none(), "{rpc} stands twice in the table");
    Some(*role)
}

/// Empty messages are well-formed everywhere and succeed only where they ask for nothing dangerous.
async fn call(server: &Server, rpc: &str, token: Option<&str>) -> Result<(), Status> {
    dynamic::call(&server.admin().channel(), rpc, token, Bytes::new()).await.map(drop)
}

#[test]
fn the_table_and_the_descriptor_name_the_same_rpcs() {
    let declared = dynamic::rpcs();
    for rpc in &declared {
        assert!(needed(rpc).is_some(), "{rpc} has no role in the table");
    }
    let listed: usize = NEEDS.iter().map(|(_, _, methods)| methods.len()).sum();
    assert_eq!(listed, declared.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_good_token_every_rpc_is_refused() {
    let server = Server::start(Engine::Sqlite).await;
    let good = server.admin().token().unwrap();
    // The same text with another secret part, cut short, and nonsense.
    let mut altered = good.to_owned();
    let last = altered.pop().unwrap();
    altered.push(if last == 'a' { 'b' } else { 'a' });
    let bad = [None, Some(""), Some("nonsense"), Some(altered.as_str()), Some(&good[..good.len() / 2])];
    for rpc in dynamic::rpcs() {
        for token in bad {
            let Err(status) = call(&server, &rpc, token).await else { panic!("{rpc} answered a stranger") };
            let refusal = Refusal::of(&status);
            assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unauthenticated, "UNAUTHENTICATED"), "{rpc}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rpc_is_open_to_exactly_the_roles_of_the_table() {
    let server = Server::start(Engine::Sqlite).await;
    for role in ROLES {
        let caller = server.as_role(role).await;
        for rpc in dynamic::rpcs() {
            let needed = needed(&rpc).unwrap();
            let answer = call(&server, &rpc, caller.token()).await;
            let refusal = answer.as_ref().err().map(Refusal::of);
            let reason = refusal.as_ref().map(|refusal| refusal.reason.as_str());
            let title = format!("{rpc} as {}: {refusal:?}", role.as_str_name());
            if may(role, needed) {
                let wrong = ["FORBIDDEN", "UNAUTHENTICATED", "NOT_IMPLEMENTED", "INTERNAL"];
                assert!(!reason.is_some_and(|reason| wrong.contains(&reason)), "{title}");
            } else {
                let refusal = refusal.as_ref().expect(&title);
                assert_eq!((refusal.code, reason), (Code::PermissionDenied, Some("FORBIDDEN")), "{title}");
                let word = needed.as_str_name().trim_start_matches("ROLE_").to_lowercase();
                assert_eq!(refusal.metadata.get("role").map(|role| role.to_lowercase()), Some(word), "{title}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_with_two_roles_may_do_what_either_may() {
    use modelward::proto::v1::CreateTokenRequest;

    let server = Server::start(Engine::Sqlite).await;
    let request = CreateTokenRequest {
        name: Some("both".into()),
        roles: vec![Role::Consumer.into(), Role::Editor.into()],
        ..Default::default()
    };
    let token = server.tokens().create_token(request).await.unwrap().into_inner().secret;
    for (rpc, allowed) in [
        ("modelward.v1.RoutingService/FetchSecrets", true),
        ("modelward.v1.ProviderService/CreateProvider", true),
        ("modelward.v1.CredentialService/AccessCredential", false),
    ] {
        let refusal = call(&server, rpc, Some(&token)).await.as_ref().err().map(Refusal::of);
        assert_eq!(refusal.is_none_or(|refusal| refusal.reason != "FORBIDDEN"), allowed, "{rpc}");
    }
}

/// Who knocks all the time fills no log, and is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_calls_are_counted_by_reason() {
    let server = Server::start(Engine::Sqlite).await;
    let viewer = server.as_role(Role::Viewer).await;
    let create = "modelward.v1.ProviderService/CreateProvider";
    for _ in 0..20 {
        assert!(call(&server, create, None).await.is_err() && call(&server, create, viewer.token()).await.is_err());
    }
    let metrics = server.parts().metrics.render();
    for reason in ["UNAUTHENTICATED", "FORBIDDEN"] {
        let line = format!("modelward_refused_calls_total{{reason=\"{reason}\"}} 20");
        assert!(metrics.contains(&line), "no {line} in\n{metrics}");
    }
}
