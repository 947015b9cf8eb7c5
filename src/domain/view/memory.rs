//! A configuration in plain maps, and a world around it in which tests plan and apply writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use uuid::Uuid;

use super::View;
use crate::domain::binding::{Binding, Target};
use crate::domain::caller::{CallContext, Caller, Role, Roles};
use crate::domain::change::Resource;
use crate::domain::credential::Credential;
use crate::domain::credential::hosts::VendorHosts;
use crate::domain::endpoint::{Endpoint, Host};
use crate::domain::error::Result;
use crate::domain::id::{BindingId, CredentialId, EndpointId, Id, IdSource, ModelId, ProviderId, TokenId};
use crate::domain::keyring::Keyring;
use crate::domain::limits::Limits;
use crate::domain::model::{Model, ModelType};
use crate::domain::plan::{Answer, Plan, PlanContext};
use crate::domain::provider::input::ProviderInput;
use crate::domain::provider::{Provider, ProviderKind};
use crate::domain::revision::Revision;
use crate::domain::text::name_key;
use crate::domain::time::Timestamp;
use crate::domain::token::Token;

/// The configuration, by id.
pub struct MemoryView {
    resources: BTreeMap<Uuid, Resource>,
    keyring: Arc<Keyring>,
}

impl Default for MemoryView {
    fn default() -> Self {
        let keyring = Keyring {
            id: Uuid::max(),
            revision: Revision(0),
            active_key_id: "k1".into(),
            update_time: Timestamp::default(),
            updated_by: "system".into(),
        };
        Self { resources: BTreeMap::new(), keyring: Arc::new(keyring) }
    }
}

impl MemoryView {
    /// Does what a plan says.
    ///
    /// # Panics
    /// When an edit names no resource.
    pub fn apply(&mut self, plan: &Plan) {
        for edit in &plan.edits {
            match (&edit.before, &edit.after) {
                (_, Some(Resource::Keyring(keyring))) => self.keyring = keyring.clone(),
                (_, Some(after)) => drop(self.resources.insert(after.id(), after.clone())),
                (Some(before), None) => drop(self.resources.remove(&before.id())),
                (None, None) => panic!("an edit of nothing"),
            }
        }
    }

    pub fn bindings(&self) -> impl Iterator<Item = Arc<Binding>> {
        self.resources.values().filter_map(|resource| match resource {
            Resource::Binding(binding) => Some(binding.clone()),
            _ => None,
        })
    }

    /// Everything, in order of the ids: those of tests are in order of age.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values()
    }

    /// Puts a resource in its place, whatever the rules say.
    pub fn put(&mut self, resource: Resource) {
        self.resources.insert(resource.id(), resource);
    }
}

/// Declares how resources of one variant are read.
macro_rules! reads {
    ($one:ident, $all:ident, $variant:ident, $id:ty, $type:ty) => {
        fn $one(&self, id: $id) -> Option<Arc<$type>> {
            match self.resources.get(&id.uuid()) {
                Some(Resource::$variant(resource)) => Some(resource.clone()),
                _ => None,
            }
        }

        fn $all(&self, provider: ProviderId) -> Vec<Arc<$type>> {
            let of_provider = |resource: &Resource| match resource {
                Resource::$variant(resource) if resource.provider_id == provider => Some(resource.clone()),
                _ => None,
            };
            self.resources.values().filter_map(of_provider).collect()
        }
    };
}

impl View for MemoryView {
    reads!(endpoint, endpoints_of, Endpoint, EndpointId, Endpoint);
    reads!(credential, credentials_of, Credential, CredentialId, Credential);
    reads!(model, models_of, Model, ModelId, Model);

    fn provider(&self, id: ProviderId) -> Option<Arc<Provider>> {
        self.providers().into_iter().find(|provider| provider.id == id)
    }

    fn provider_named(&self, name: &str) -> Option<Arc<Provider>> {
        let key = name_key(name);
        self.providers().into_iter().find(|provider| provider.delete_time.is_none() && name_key(&provider.name) == key)
    }

    fn providers(&self) -> Vec<Arc<Provider>> {
        let provider = |resource: &Resource| match resource {
            Resource::Provider(provider) => Some(provider.clone()),
            _ => None,
        };
        self.resources.values().filter_map(provider).collect()
    }

    fn model_named(&self, provider: ProviderId, vendor_id: &str) -> Option<Arc<Model>> {
        self.models_of(provider).into_iter().find(|model| model.model_id == vendor_id)
    }

    fn default_model(&self, model_type: ModelType) -> Option<Arc<Model>> {
        let live = self.providers().into_iter().filter(|provider| provider.delete_time.is_none());
        live.flat_map(|provider| self.models_of(provider.id))
            .find(|model| model.is_default && model.model_type == model_type)
    }

    fn binding(&self, id: BindingId) -> Option<Arc<Binding>> {
        self.bindings().find(|binding| binding.id == id)
    }

    fn binding_for(&self, consumer: &str, purpose: &str) -> Option<Arc<Binding>> {
        self.bindings().find(|binding| binding.consumer == consumer && binding.purpose == purpose)
    }

    fn bindings_to(&self, target: Target) -> Vec<Arc<Binding>> {
        self.bindings().filter(|binding| binding.target == target).collect()
    }

    fn has_bindings(&self) -> bool {
        self.bindings().next().is_some()
    }

    fn token(&self, id: TokenId) -> Option<Arc<Token>> {
        match self.resources.get(&id.uuid()) {
            Some(Resource::Token(token)) => Some(token.clone()),
            _ => None,
        }
    }

    fn has_tokens(&self) -> bool {
        self.resources.values().any(|resource| matches!(resource, Resource::Token(_)))
    }

    fn keyring(&self) -> Arc<Keyring> {
        self.keyring.clone()
    }
}

/// Ids 1, 2, 3, …
#[derive(Default)]
pub struct CountedIds(AtomicU64);

impl IdSource for CountedIds {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1))
    }
}

/// Vendors with a host of their own, `own.example`, and one that each endpoint needs beside its own.
pub struct FakeHosts;

impl VendorHosts for FakeHosts {
    fn own(&self, _: ProviderKind) -> Vec<Host> {
        vec![Host::parse("own.example").unwrap()]
    }

    fn derived(&self, _: ProviderKind, endpoint: &Endpoint) -> Vec<Host> {
        vec![Host::parse(&format!("control.{}", endpoint.base_url.host().name)).unwrap()]
    }
}

/// A configuration whose revision and clock tests move on.
pub struct World {
    pub view: MemoryView,
    pub revision: Revision,
    pub now: Timestamp,
    pub limits: Limits,
    pub call: CallContext,
    ids: CountedIds,
}

impl Default for World {
    fn default() -> Self {
        Self {
            view: MemoryView::default(),
            revision: Revision(0),
            now: Timestamp::from_micros(1_000_000_000),
            limits: Limits::default(),
            call: CallContext::system("test"),
            ids: CountedIds::default(),
        }
    }
}

impl World {
    /// From now on the caller is somebody with this role.
    pub fn act_as(&mut self, role: Role) {
        let name = role.name().to_owned();
        let caller = Caller { identity: name.clone(), name, roles: Roles::from_iter([role]), token: None, pass: None };
        self.call.caller = Arc::new(caller);
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    /// Plans a write at the next revision, without applying it.
    pub fn plan(&self, write: impl FnOnce(&dyn View, &PlanContext<'_>) -> Result<Plan>) -> Result<Plan> {
        let (revision, now) = (self.revision.next(), self.now);
        let context = PlanContext { revision, now, call: &self.call, limits: &self.limits, ids: &self.ids };
        write(&self.view, &context)
    }

    /// Plans a write and applies it; a second passes.
    pub fn write(&mut self, write: impl FnOnce(&dyn View, &PlanContext<'_>) -> Result<Plan>) -> Result<Plan> {
        let plan = self.plan(write)?;
        if !plan.edits.is_empty() {
            self.revision = self.revision.next();
        }
        self.view.apply(&plan);
        self.pass(Duration::from_secs(1));
        Ok(plan)
    }

    /// A new provider.
    ///
    /// # Panics
    /// When the rules refuse it.
    pub fn provider(&mut self, name: &str, kind: ProviderKind) -> ProviderId {
        let input = ProviderInput { name: Some(name.into()), kind: Some(kind), ..ProviderInput::default() };
        let plan = self.write(|view, context| crate::domain::provider::plan::create(&input, view, context)).unwrap();
        Id::new(answered(&plan).id())
    }
}

/// The resource that a plan answers with.
///
/// # Panics
/// When it answers with none.
pub fn answered(plan: &Plan) -> Resource {
    match &plan.answer {
        Answer::Resource(resource) => resource.clone(),
        other => panic!("no resource is answered: {other:?}"),
    }
}

/// What a plan does, in order: operation, noun and changed fields, as in `update endpoint is_default`.
pub fn story(plan: &Plan) -> Vec<String> {
    let line = |edit: &crate::domain::plan::Edit| {
        let noun = edit.resource().map_or("nothing", |resource| resource.kind().noun());
        let words = [edit.operation.name().to_owned(), noun.to_owned(), edit.changed_fields.join(",")];
        words.join(" ").trim_end().to_owned()
    };
    plan.edits.iter().map(line).collect()
}
