//! Writes at random, made of small numbers so that they meet and can be shortened.

use std::time::Duration;

use super::*;
use crate::domain::binding::input::BindingInput;
use crate::domain::binding::plan as bindings;
use crate::domain::credential::input::CredentialInput;
use crate::domain::credential::plan as credentials;
use crate::domain::credential::rotation::{NewSecret, Rotation, rotate};
use crate::domain::endpoint::input::EndpointInput;
use crate::domain::endpoint::plan as endpoints;
use crate::domain::id::Id;
use crate::domain::model::input::ModelInput;
use crate::domain::model::plan as models;
use crate::domain::model::sync::{ListedModel, Listing, sync};
use crate::domain::provider::ProviderKind;
use crate::domain::provider::input::ProviderInput;
use crate::domain::rollback::rollback;
use crate::domain::secret::SecretText;
use crate::domain::view::memory::FakeHosts;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    CreateProvider,
    UpdateProvider,
    DeleteProvider,
    UndeleteProvider,
    PurgeProvider,
    CreateEndpoint,
    UpdateEndpoint,
    DeleteEndpoint,
    DefaultEndpoint,
    CreateCredential,
    UpdateCredential,
    Rotate,
    Revoke,
    DeleteCredential,
    Access,
    CreateModel,
    UpdateModel,
    DeleteModel,
    DefaultModel,
    Sync,
    CreateBinding,
    UpdateBinding,
    DeleteBinding,
    Rollback,
}

use What as W;

const ALL: [What; 24] = [
    W::CreateProvider,
    W::UpdateProvider,
    W::DeleteProvider,
    W::UndeleteProvider,
    W::PurgeProvider,
    W::CreateEndpoint,
    W::UpdateEndpoint,
    W::DeleteEndpoint,
    W::DefaultEndpoint,
    W::CreateCredential,
    W::UpdateCredential,
    W::Rotate,
    W::Revoke,
    W::DeleteCredential,
    W::Access,
    W::CreateModel,
    W::UpdateModel,
    W::DeleteModel,
    W::DefaultModel,
    W::Sync,
    W::CreateBinding,
    W::UpdateBinding,
    W::DeleteBinding,
    W::Rollback,
];

/// A write: `which` resource of its kind, in order of age, round and round; `name` and `flag` are what it brings.
#[derive(Debug, Clone)]
pub struct Step {
    pub what: What,
    pub which: usize,
    pub name: u8,
    pub flag: bool,
    /// The fields that an update names, a bit each; 0: no mask.
    pub mask: u8,
}

/// The fields that updates of these tests carry, as the kinds call them: name, text, is_active, labels.
const fn fields(kind: ResourceKind) -> [&'static str; 4] {
    match kind {
        ResourceKind::Endpoint => ["name", "region", "is_active", "labels"],
        ResourceKind::Credential => ["alias", "description", "is_active", "labels"],
        ResourceKind::Binding => ["model_id", "provider_id", "parameters", "labels"],
        _ => ["name", "description", "is_active", "labels"],
    }
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let what = prop_oneof![3 => proptest::sample::select(ALL.to_vec()), 1 => Just(W::CreateProvider),
        2 => proptest::sample::select(vec![W::CreateEndpoint, W::CreateCredential, W::CreateModel, W::CreateBinding]),
        1 => Just(W::Rollback)];
    let step = (what, 0..6_usize, 0..6_u8, any::<bool>(), 0..16_u8).prop_map(|(what, which, name, flag, mask)| Step {
        what,
        which,
        name,
        flag,
        mask,
    });
    proptest::collection::vec(step, 1..40)
}

fn ids(world: &World, kind: ResourceKind) -> Vec<Uuid> {
    world.view.resources().filter(|resource| resource.kind() == kind).map(Resource::id).collect()
}

pub fn nth<T>(world: &World, kind: ResourceKind, which: usize) -> Id<T> {
    let ids = ids(world, kind);
    Id::new(ids.get(which % ids.len().max(1)).copied().unwrap_or_else(Uuid::max))
}

fn secret(number: u8) -> NewSecret {
    let api_key = Some(SecretText::new(format!("sk-0123456789-{number}")));
    let secret = Arc::new(CredentialSecret { api_key, ..CredentialSecret::default() });
    NewSecret { secret, fingerprint: number.to_string() }
}

impl Step {
    /// Names that are the same but for the case, too.
    fn name(&self) -> String {
        if self.name < 3 { format!("n{}", self.name) } else { format!("N{}", self.name - 3) }
    }

    pub fn mask(&self, kind: ResourceKind) -> Mask {
        let named = fields(kind).into_iter().enumerate().filter(|(bit, _)| self.mask & (1 << bit) != 0);
        let paths: Vec<_> = named.map(|(_, field)| field.to_owned()).collect();
        if paths.is_empty() { Mask::Carried } else { Mask::Paths(paths) }
    }

    pub const fn updates(&self) -> Option<ResourceKind> {
        match self.what {
            W::UpdateProvider => Some(ResourceKind::Provider),
            W::UpdateEndpoint => Some(ResourceKind::Endpoint),
            W::UpdateCredential => Some(ResourceKind::Credential),
            W::UpdateModel => Some(ResourceKind::Model),
            W::UpdateBinding => Some(ResourceKind::Binding),
            _ => None,
        }
    }

    /// Whether doing it once more changes nothing.
    pub fn is_idempotent(&self) -> bool {
        self.updates().is_some()
            || matches!(self.what, W::DefaultEndpoint | W::DefaultModel | W::Revoke | W::Sync | W::Rollback)
    }

    pub fn expects_a_revision(&self) -> bool {
        let creates =
            [W::CreateProvider, W::CreateEndpoint, W::CreateCredential, W::CreateModel, W::CreateBinding, W::Access];
        !creates.contains(&self.what)
    }

    /// `past` is everything that ever was.
    pub fn plan(&self, world: &World, past: &[Resource], expected: Option<Revision>) -> Result<Plan> {
        world.plan(|view, context| match self.what {
            W::Rollback => {
                let place = (self.which * 7 + usize::from(self.mask) * 3) % past.len().max(1);
                let then = past.get(place).ok_or_else(|| Error::field("revision", "before the beginning"))?;
                rollback(then, expected, view, context)
            }
            W::CreateProvider | W::UpdateProvider | W::DeleteProvider | W::UndeleteProvider | W::PurgeProvider => {
                self.plan_provider(world, expected, view, context)
            }
            W::CreateEndpoint | W::UpdateEndpoint | W::DeleteEndpoint | W::DefaultEndpoint => {
                self.plan_endpoint(world, expected, view, context)
            }
            W::CreateModel | W::UpdateModel | W::DeleteModel | W::DefaultModel | W::Sync => {
                self.plan_model(world, expected, view, context)
            }
            W::CreateBinding | W::UpdateBinding | W::DeleteBinding => self.plan_binding(world, expected, view, context),
            _ => self.plan_credential(world, expected, view, context),
        })
    }

    fn plan_provider(
        &self,
        world: &World,
        expected: Option<Revision>,
        view: &dyn View,
        context: &PlanContext<'_>,
    ) -> Result<Plan> {
        let id = nth(world, ResourceKind::Provider, self.which);
        let kind = if self.flag { ProviderKind::OpenAi } else { ProviderKind::Ollama };
        let (name, description) = (Some(self.name()), Some(self.which.to_string()));
        let input = ProviderInput { name, description, is_active: Some(self.flag), ..ProviderInput::default() };
        match self.what {
            W::CreateProvider => providers::create(&ProviderInput { kind: Some(kind), ..input }, view, context),
            W::UpdateProvider => {
                providers::update(id, &input, &self.mask(ResourceKind::Provider), expected, view, context)
            }
            W::DeleteProvider => providers::delete(id, expected, view, context),
            W::UndeleteProvider => providers::undelete(id, expected, view, context),
            _ => providers::purge(id, expected, view),
        }
    }

    fn plan_endpoint(
        &self,
        world: &World,
        expected: Option<Revision>,
        view: &dyn View,
        context: &PlanContext<'_>,
    ) -> Result<Plan> {
        let (id, hosts) = (nth(world, ResourceKind::Endpoint, self.which), &FakeHosts);
        let (name, region) = (Some(self.name()), Some(self.which.to_string()));
        let input = EndpointInput { name, region, is_active: Some(self.flag), ..EndpointInput::default() };
        match self.what {
            W::CreateEndpoint => {
                let provider_id = Some(nth(world, ResourceKind::Provider, self.which));
                let base_url = Some(format!("https://h{}.example/v1", self.name));
                let input = EndpointInput { provider_id, base_url, priority: Some(self.mask.into()), ..input };
                endpoints::create(&input, self.flag, hosts, view, context)
            }
            W::UpdateEndpoint => {
                endpoints::update(id, &input, &self.mask(ResourceKind::Endpoint), expected, hosts, view, context)
            }
            W::DeleteEndpoint => endpoints::delete(id, expected, view, context),
            _ => endpoints::set_default(id, expected, view, context),
        }
    }

    fn plan_credential(
        &self,
        world: &World,
        expected: Option<Revision>,
        view: &dyn View,
        context: &PlanContext<'_>,
    ) -> Result<Plan> {
        let id = nth(world, ResourceKind::Credential, self.which);
        let (alias, description) = (Some(self.name()), Some(self.which.to_string()));
        let input = CredentialInput { alias, description, is_active: Some(self.flag), ..CredentialInput::default() };
        match self.what {
            W::CreateCredential => {
                let provider_id = Some(nth(world, ResourceKind::Provider, self.which));
                let input = CredentialInput { provider_id, is_active: None, ..input };
                credentials::create(&input, &secret(self.name), &FakeHosts, view, context)
            }
            W::UpdateCredential => {
                let mask = self.mask(ResourceKind::Credential);
                credentials::update(id, &input, &mask, None, expected, view, context)
            }
            W::Rotate => {
                let grace_period = Duration::from_secs(if self.flag { 3600 } else { 0 });
                let rotation = Rotation { secret: secret(self.name), grace_period, allowed_hosts: Vec::new() };
                rotate(id, &rotation, expected, view, context)
            }
            W::Revoke => credentials::revoke(id, expected, view, context),
            W::DeleteCredential => credentials::delete(id, expected, view, context),
            _ => credentials::access(id, 0, view, context),
        }
    }

    fn plan_binding(
        &self,
        world: &World,
        expected: Option<Revision>,
        view: &dyn View,
        context: &PlanContext<'_>,
    ) -> Result<Plan> {
        let id = nth(world, ResourceKind::Binding, self.which);
        let target = if self.flag {
            Target::Model(nth(world, ResourceKind::Model, self.name.into()))
        } else {
            Target::Provider(nth(world, ResourceKind::Provider, self.name.into()))
        };
        let mut input = BindingInput { target: Some(target), ..BindingInput::default() };
        input.parameters.max_tokens = Some(i64::from(self.name) + 1);
        match self.what {
            W::CreateBinding => {
                let input = BindingInput { consumer: Some(self.which.to_string()), ..input };
                bindings::create(&input, view, context)
            }
            W::UpdateBinding => {
                bindings::update(id, &input, &self.mask(ResourceKind::Binding), expected, view, context)
            }
            _ => bindings::delete(id, expected, view),
        }
    }

    fn plan_model(
        &self,
        world: &World,
        expected: Option<Revision>,
        view: &dyn View,
        context: &PlanContext<'_>,
    ) -> Result<Plan> {
        let id = nth(world, ResourceKind::Model, self.which);
        let (name, description) = (Some(self.name()), Some(self.which.to_string()));
        let input = ModelInput { name, description, is_active: Some(self.flag), ..ModelInput::default() };
        match self.what {
            W::CreateModel => {
                let provider_id = Some(nth(world, ResourceKind::Provider, self.which));
                let model_type = Some(ModelType::ALL[usize::from(self.mask % 2)]);
                let input = ModelInput { provider_id, model_id: Some(self.name()), model_type, ..input };
                models::create(&input, self.flag, view, context)
            }
            W::UpdateModel => {
                // Without a mask the type changes, too: defaults meet.
                let model_type = (self.mask == 0).then(|| ModelType::ALL[usize::from(self.name % 2)]);
                let input = ModelInput { model_type, ..input };
                models::update(id, &input, &self.mask(ResourceKind::Model), &[], expected, view, context)
            }
            W::DeleteModel => models::delete(id, expected, view),
            W::DefaultModel => models::set_default(id, expected, view, context),
            _ => {
                let provider = nth(world, ResourceKind::Provider, self.which);
                let listed = (0..4_u8).filter(|bit| self.mask & (1 << bit) != 0);
                let listing = Listing::new(listed.map(|bit| ListedModel::named(format!("n{bit}"))).collect::<Vec<_>>());
                sync(provider, &listing, self.flag, expected, view, context)
            }
        }
    }
}
