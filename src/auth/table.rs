//! The one table from RPC to the role it needs. What is not in it is served to nobody.

use crate::domain::Role;

/// What an RPC asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: health, and reflection unless it is set otherwise.
    Open,
    /// A token that holds the role.
    Role(Role),
}

const VIEWER: &[&str] = &[
    "modelward.v1.ProviderService/GetProvider",
    "modelward.v1.ProviderService/ListProviders",
    "modelward.v1.ProviderService/ListProviderKinds",
    "modelward.v1.EndpointService/GetEndpoint",
    "modelward.v1.EndpointService/ListEndpoints",
    "modelward.v1.EndpointService/PickEndpoint",
    "modelward.v1.CredentialService/GetCredential",
    "modelward.v1.CredentialService/ListCredentials",
    "modelward.v1.ModelService/GetModel",
    "modelward.v1.ModelService/ListModels",
    "modelward.v1.ModelService/ListModelsByCapability",
    "modelward.v1.ModelService/GetDefaultModel",
    "modelward.v1.BindingService/GetBinding",
    "modelward.v1.BindingService/ListBindings",
    // With include_secret it needs consumer, which only its handler can see.
    "modelward.v1.RoutingService/ResolveTarget",
    "modelward.v1.WatchService/Watch",
    "modelward.v1.WatchService/Ack",
    "modelward.v1.AdminService/GetServerInfo",
];

const CONSUMER: &[&str] = &["modelward.v1.RoutingService/FetchSecrets", "modelward.v1.RoutingService/ReportOutcome"];

const EDITOR: &[&str] = &[
    "modelward.v1.ProviderService/CreateProvider",
    "modelward.v1.ProviderService/UpdateProvider",
    "modelward.v1.ProviderService/UpdateProviderStatus",
    // With purge it needs admin.
    "modelward.v1.ProviderService/DeleteProvider",
    "modelward.v1.ProviderService/UndeleteProvider",
    "modelward.v1.EndpointService/CreateEndpoint",
    "modelward.v1.EndpointService/UpdateEndpoint",
    "modelward.v1.EndpointService/DeleteEndpoint",
    "modelward.v1.EndpointService/SetDefaultEndpoint",
    "modelward.v1.EndpointService/CheckEndpointHealth",
    "modelward.v1.CredentialService/CreateCredential",
    // Widening allowed_hosts needs admin.
    "modelward.v1.CredentialService/UpdateCredential",
    "modelward.v1.CredentialService/RotateCredential",
    "modelward.v1.CredentialService/RevokeCredential",
    "modelward.v1.CredentialService/DeleteCredential",
    "modelward.v1.CredentialService/ValidateCredential",
    "modelward.v1.ModelService/CreateModel",
    "modelward.v1.ModelService/UpdateModel",
    "modelward.v1.ModelService/UpdateModelStatus",
    "modelward.v1.ModelService/DeleteModel",
    "modelward.v1.ModelService/SyncModels",
    "modelward.v1.ModelService/TestModel",
    "modelward.v1.ModelService/SetDefaultModel",
    "modelward.v1.BindingService/CreateBinding",
    "modelward.v1.BindingService/UpdateBinding",
    "modelward.v1.BindingService/DeleteBinding",
    "modelward.v1.WatchService/ListWatchers",
    "modelward.v1.AuditService/ListChanges",
    "modelward.v1.AuditService/GetResourceAt",
    "modelward.v1.AuditService/RollbackResource",
];

const ADMIN: &[&str] = &[
    "modelward.v1.CredentialService/AccessCredential",
    "modelward.v1.AuditService/ListSecretUse",
    "modelward.v1.AdminService/CreateToken",
    "modelward.v1.AdminService/ListTokens",
    "modelward.v1.AdminService/RevokeToken",
    "modelward.v1.AdminService/GetKeyring",
    "modelward.v1.AdminService/RotateMasterKey",
    "modelward.v1.AdminService/SetLogFilter",
];

/// Full names of the standard services, for logs.
const HEALTH: &str = "grpc.health.v1.Health";
const REFLECTION: &str = "grpc.reflection.ServerReflection";

/// An RPC that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rpc {
    /// `package.Service/Method`; of the standard services only the service.
    pub name: &'static str,
    pub access: Access,
}

impl Rpc {
    /// Whether a process that only has the configuration in memory answers it too.
    #[must_use]
    pub fn is_local(&self) -> bool {
        VIEWER.contains(&self.name) || CONSUMER.contains(&self.name)
    }
}

/// The RPC with this HTTP/2 path; `None` for one that does not exist. `reflection` is what reflection needs, `None`
/// when it is switched off.
#[must_use]
pub fn find(path: &str, reflection: Option<Access>) -> Option<Rpc> {
    if path.starts_with("/grpc.health.v1.Health/") {
        return Some(Rpc { name: HEALTH, access: Access::Open });
    }
    if path.starts_with("/grpc.reflection.") {
        return reflection.map(|access| Rpc { name: REFLECTION, access });
    }
    let wanted = path.strip_prefix('/')?;
    [(VIEWER, Role::Viewer), (CONSUMER, Role::Consumer), (EDITOR, Role::Editor), (ADMIN, Role::Admin)]
        .into_iter()
        .find_map(|(rpcs, role)| {
            let name = rpcs.iter().copied().find(|name| *name == wanted)?;
            Some(Rpc { name, access: Access::Role(role) })
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_rpc_stands_in_one_list_only() {
        let mut all: Vec<_> = [VIEWER, CONSUMER, EDITOR, ADMIN].concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn exactly_the_rpcs_of_the_api_are_listed() {
        let set = FileDescriptorSet::decode(crate::proto::DESCRIPTOR).unwrap();
        let public = set.file.iter().filter(|file| file.package() == "modelward.v1");
        let services = public.flat_map(|file| &file.service);
        let rpcs = services.flat_map(|service| {
            service.method.iter().map(|method| format!("modelward.v1.{}/{}", service.name(), method.name()))
        });
        let listed = [VIEWER, CONSUMER, EDITOR, ADMIN].concat().into_iter().map(str::to_owned);
        assert_eq!(listed.collect::<BTreeSet<_>>(), rpcs.collect());
    }

    #[test]
    fn reading_needs_viewer_and_nothing_that_changes_does() {
        let of = |resource: &str, verb: &str| format!("modelward.v1.{resource}Service/{verb}{resource}");
        for resource in ["Provider", "Endpoint", "Credential", "Model", "Binding"] {
            for name in [of(resource, "Get"), format!("{}s", of(resource, "List"))] {
                assert!(VIEWER.contains(&name.as_str()), "{name}");
            }
            for name in ["Create", "Update", "Delete"].map(|verb| of(resource, verb)) {
                assert!(EDITOR.contains(&name.as_str()), "{name}");
            }
        }
    }

    #[test]
    fn what_is_not_listed_is_served_to_nobody() {
        assert_eq!(find("/modelward.v1.ProviderService/Nonsense", Some(Access::Open)), None);
        assert_eq!(find("/other.Service/GetProvider", Some(Access::Open)), None);
        assert_eq!(find("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", None), None);
    }
}
