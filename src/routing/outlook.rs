//! The ways to call through one provider now: which of its endpoints with which of its credentials.
//!
//! Invariants: a way joins an active endpoint that is neither unhealthy nor excluded with a credential that is usable,
//! opens, may be sent to the endpoint's host and has quota left; no way is there twice.

use std::cmp::Reverse;
use std::sync::Arc;

use super::pick::pick_serving;
use super::{Class, Router, check_provider};
use crate::domain::credential::Credential;
use crate::domain::endpoint::Endpoint;
use crate::domain::error::{Error, Result};
use crate::domain::id::{EndpointId, ProviderId};
use crate::domain::model::Model;
use crate::domain::provider::Provider;
use crate::domain::time::Timestamp;
use crate::snapshot::{Board, Entry, Snapshot, Unusable};

/// What an answer depends on.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub snapshot: &'a Snapshot,
    pub board: &'a Board,
    pub router: &'a Router,
    pub now: Timestamp,
    /// Not to be answered: they just failed, for example.
    pub exclude: &'a [EndpointId],
    /// Whether the current secret of a credential can be had.
    pub readable: &'a dyn Fn(&Credential) -> bool,
}

/// What to call, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub provider: &'a Arc<Entry<Provider>>,
    pub endpoint: &'a Arc<Entry<Endpoint>>,
    /// None where the kind needs none and none fits.
    pub credential: Option<&'a Arc<Entry<Credential>>>,
    /// None for a binding to a provider.
    pub model: Option<&'a Arc<Entry<Model>>>,
}

/// One provider, seen by a caller who wants to use it.
pub(super) struct Outlook<'a> {
    scene: Scene<'a>,
    provider: &'a Arc<Entry<Provider>>,
    /// In failover order, each with its host's ways.
    endpoints: Vec<&'a Arc<Entry<Endpoint>>>,
    /// Least recently used first.
    credentials: Vec<&'a Arc<Entry<Credential>>>,
    /// No credential is needed, and there is none.
    keyless: bool,
}

impl<'a> Outlook<'a> {
    /// # Errors
    /// Why the provider cannot be used now: [`Error::NotFound`], [`Error::ProviderDisabled`], [`Error::NoEndpoint`],
    /// [`Error::ModelUnavailable`] (about `model`), [`Error::HostNotAllowed`], [`Error::SecretUnreadable`],
    /// [`Error::QuotaExhausted`], [`Error::NoHealthyEndpoint`]; the first that holds.
    pub fn of(scene: Scene<'a>, provider_id: ProviderId, model: Option<&Model>) -> Result<Self> {
        let Scene { snapshot, board, now, .. } = scene;
        check_provider(snapshot, provider_id)?;
        let provider = snapshot.live_provider_entry(provider_id)?;
        let mut endpoints: Vec<_> =
            snapshot.endpoint_entries_of(provider_id).filter(|endpoint| endpoint.is_active).collect();
        if endpoints.is_empty() {
            return Err(Error::NoEndpoint { provider_id: provider_id.uuid() });
        }
        endpoints.sort_unstable_by_key(|endpoint| {
            (endpoint.priority, Class::of(endpoint, board), Reverse(endpoint.weight), endpoint.id)
        });
        let usable: Vec<_> =
            snapshot.credential_entries_of(provider_id).filter(|credential| credential.is_usable(now)).collect();
        let keyless = usable.is_empty() && !provider.kind.requires_credential();
        let credentials = if keyless { usable } else { scene.fitting(usable, &endpoints, provider_id, model)? };
        let mut outlook = Self { scene, provider, endpoints, credentials, keyless };
        let mut endpoints = std::mem::take(&mut outlook.endpoints);
        endpoints.retain(|endpoint| outlook.serves(endpoint));
        if endpoints.is_empty() {
            return Err(Error::NoHealthyEndpoint { provider_id: provider_id.uuid() });
        }
        Ok(Self { endpoints, ..outlook })
    }

    /// Whether an endpoint can be answered.
    fn serves(&self, endpoint: &Endpoint) -> bool {
        Class::of(endpoint, self.scene.board) != Class::Unhealthy
            && !self.scene.exclude.contains(&endpoint.id)
            && (self.keyless || self.credentials_at(endpoint).next().is_some())
    }

    fn credentials_at(&self, endpoint: &Endpoint) -> impl Iterator<Item = &'a Arc<Entry<Credential>>> {
        let host = endpoint.base_url.host();
        self.credentials.iter().copied().filter(move |credential| credential.allowed_hosts.allow(host))
    }

    /// Puts the endpoint whose turn it is before all others.
    pub fn take_turn(&mut self) -> Result<()> {
        let Scene { snapshot, board, router, .. } = self.scene;
        let serves = |endpoint: &Endpoint| self.endpoints.iter().any(|serving| serving.id == endpoint.id);
        let first = pick_serving(snapshot, board, &router.picker, self.provider.id, serves)?.id;
        if let Some(place) = self.endpoints.iter().position(|endpoint| endpoint.id == first)
            && let Some(before) = self.endpoints.get_mut(..=place)
        {
            before.rotate_right(1);
        }
        Ok(())
    }

    /// All ways in failover order: each endpoint with its best credential, then each with its next best, and so on.
    pub fn ways(&self, model: Option<&'a Arc<Entry<Model>>>) -> impl Iterator<Item = Target<'a>> {
        let rounds = if self.keyless { 1 } else { self.credentials.len() };
        (0..rounds).flat_map(move |round| {
            self.endpoints.iter().filter_map(move |endpoint| {
                let credential = self.credentials_at(endpoint).nth(round);
                let way = Target { provider: self.provider, endpoint, credential, model };
                (self.keyless || credential.is_some()).then_some(way)
            })
        })
    }
}

impl<'a> Scene<'a> {
    /// Of the usable credentials those that can be sent somewhere now, least recently used first.
    fn fitting(
        &self,
        mut usable: Vec<&'a Arc<Entry<Credential>>>,
        endpoints: &[&'a Arc<Entry<Endpoint>>],
        provider: ProviderId,
        model: Option<&Model>,
    ) -> Result<Vec<&'a Arc<Entry<Credential>>>> {
        let provider_id = provider.uuid();
        let Some(first) = usable.first().copied() else {
            // A binding to a provider has no model that could be unavailable.
            return Err(Unusable::NoCredential.of_model(model.map(|model| model.id)));
        };
        let allowed = |credential: &Credential| {
            endpoints.iter().any(|endpoint| credential.allowed_hosts.allow(endpoint.base_url.host()))
        };
        usable.retain(|credential| allowed(credential));
        let Some(second) = usable.first().copied() else {
            let host = endpoints.first().map(|endpoint| endpoint.base_url.host().to_string()).unwrap_or_default();
            return Err(Error::HostNotAllowed { host, credential_id: first.id.uuid() });
        };
        usable.retain(|credential| (self.readable)(credential));
        if usable.is_empty() {
            let sealed = self.snapshot.sealed(second.id, second.secret_version);
            let key_id = sealed.map(|sealed| sealed.master_key_id.clone()).unwrap_or_default();
            return Err(Error::SecretUnreadable { credential_id: second.id.uuid(), key_id });
        }
        usable.retain(|credential| !self.board.is_exhausted(credential, self.now));
        if usable.is_empty() {
            return Err(Error::QuotaExhausted { provider_id });
        }
        usable.sort_by_cached_key(|credential| (self.last_use(credential), credential.id));
        Ok(usable)
    }

    /// When it was last used, as was reported, or answered here.
    fn last_use(&self, credential: &Credential) -> Option<Timestamp> {
        let reported = self.board.credential_usage(credential.id).and_then(|usage| usage.value().last_use_time);
        reported.max(self.router.recent.get(credential.id))
    }
}
