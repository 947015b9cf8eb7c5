//! Where secrets may go when nobody said so: allowed hosts that follow the endpoints.
//!
//! A list that was given explicitly is never touched here.

use std::sync::Arc;

use super::{AllowedHosts, Credential};
use crate::domain::change::Resource;
use crate::domain::endpoint::{Endpoint, Host};
use crate::domain::plan::{Edit, PlanContext};
use crate::domain::provider::{Provider, ProviderKind};
use crate::domain::view::View;

/// What is known of vendors' hosts; the adapters know it.
pub trait VendorHosts: Send + Sync {
    /// The hosts that secrets of this kind belong to, whatever the endpoints are.
    fn own(&self, kind: ProviderKind) -> Vec<Host>;
    /// The hosts, besides its own, that using an endpoint needs: Bedrock's control host beside the runtime's.
    fn derived(&self, kind: ProviderKind, endpoint: &Endpoint) -> Vec<Host>;
}

/// The list of a new credential that names none: the hosts of the provider's endpoints and of its kind.
#[must_use]
pub fn implicit(provider: &Provider, vendors: &dyn VendorHosts, view: &dyn View) -> AllowedHosts {
    let endpoints = view.endpoints_of(provider.id);
    let reached = endpoints.iter().flat_map(|endpoint| reached(provider.kind, endpoint, vendors));
    AllowedHosts::new(reached.chain(vendors.own(provider.kind)), false)
}

/// Lets the implicit lists of a provider's credentials follow an endpoint that was added or moved, if an admin did
/// it: anybody else could send the secrets to a host of their own that way.
#[must_use]
pub fn admit(
    provider: &Provider,
    endpoint: &Endpoint,
    vendors: &dyn VendorHosts,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Vec<Edit> {
    if !context.is_admin() {
        return Vec::new();
    }
    let added: Vec<_> = reached(provider.kind, endpoint, vendors).collect();
    let credentials = view.credentials_of(provider.id).into_iter();
    credentials
        .filter(|credential| !credential.allowed_hosts.explicit)
        .filter(|credential| added.iter().any(|host| !credential.allowed_hosts.allow(host)))
        .map(|credential| widen(credential, &added, context))
        .collect()
}

fn reached<'a>(
    kind: ProviderKind,
    endpoint: &'a Endpoint,
    vendors: &'a dyn VendorHosts,
) -> impl Iterator<Item = Host> + 'a {
    vendors.derived(kind, endpoint).into_iter().chain([endpoint.base_url.host().clone()])
}

fn widen(credential: Arc<Credential>, added: &[Host], context: &PlanContext<'_>) -> Edit {
    let mut next = Credential::clone(&credential);
    let hosts = std::mem::take(&mut next.allowed_hosts.hosts);
    next.allowed_hosts = AllowedHosts::new(hosts.into_iter().chain(added.iter().cloned()), false);
    next.meta.touch(context);
    let (before, after) = (Resource::Credential(credential), Resource::Credential(Arc::new(next)));
    Edit::update(before, after, vec!["allowed_hosts".into()])
}
