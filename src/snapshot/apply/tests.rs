use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::binding::{Binding, Target};
use crate::domain::endpoint::Endpoint;
use crate::domain::id::BindingId;
use crate::domain::model::Capability;
use crate::domain::plan::Edit;
use crate::domain::text::name_key;
use crate::domain::token::Token;
use crate::snapshot::check::{Check, Differences};
use crate::snapshot::fixtures::{self, at, change, head, id, put};

/// A small world that is changed at random; the reference to which the snapshot is compared.
#[derive(Default)]
struct World {
    providers: BTreeMap<ProviderId, Provider>,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    credentials: BTreeMap<CredentialId, Credential>,
    models: BTreeMap<ModelId, Model>,
    bindings: BTreeMap<BindingId, Binding>,
    tokens: BTreeMap<TokenId, Token>,
    sealed: BTreeMap<(CredentialId, i64), SealedSecret>,
    now: i64,
}

#[derive(Debug, Clone)]
enum Step {
    Provider { number: u8, name: u8, active: bool },
    HideOrShow { number: u8, children_first: bool },
    Purge { number: u8 },
    Endpoint { number: u8, provider: u8, weight: i32 },
    RemoveEndpoint { number: u8 },
    Credential { number: u8, provider: u8, rotate: Option<bool> },
    RemoveCredential { number: u8 },
    Model { number: u8, provider: u8, name: u8, score: i32, default: bool },
    RemoveModel { number: u8 },
    Binding { number: u8, consumer: u8, target: u8 },
    RemoveBinding { number: u8 },
    Token { number: u8, revoked: bool },
    Access { number: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 0..4_u8;
    prop_oneof![
        3 => (n(), n(), any::<bool>()).prop_map(|(number, name, active)| Step::Provider { number, name, active }),
        2 => (n(), any::<bool>()).prop_map(|(number, children_first)| Step::HideOrShow { number, children_first }),
        1 => n().prop_map(|number| Step::Purge { number }),
        2 => (n(), n(), 1..9).prop_map(|(number, provider, weight)| Step::Endpoint { number, provider, weight }),
        1 => n().prop_map(|number| Step::RemoveEndpoint { number }),
        3 => (n(), n(), any::<Option<bool>>())
            .prop_map(|(number, provider, rotate)| Step::Credential { number, provider, rotate }),
        1 => n().prop_map(|number| Step::RemoveCredential { number }),
        4 => (0..8_u8, n(), n(), 0..6, any::<bool>()).prop_map(|(number, provider, name, score, default)| Step::Model {
            number, provider, name, score, default
        }),
        1 => (0..8_u8).prop_map(|number| Step::RemoveModel { number }),
        3 => (n(), 0..3_u8, 0..8_u8).prop_map(|(number, consumer, target)| Step::Binding { number, consumer, target }),
        1 => n().prop_map(|number| Step::RemoveBinding { number }),
        1 => (n(), any::<bool>()).prop_map(|(number, revoked)| Step::Token { number, revoked }),
        1 => n().prop_map(|number| Step::Access { number }),
    ]
}

fn n<T>(number: u8) -> Id<T> {
    id(u128::from(number) + 1)
}

impl World {
    fn image(&self) -> Image {
        let mut image = fixtures::image();
        image.head = head(self.now);
        image.providers = self.providers.values().cloned().map(Arc::new).collect();
        image.endpoints = self.endpoints.values().cloned().map(Arc::new).collect();
        image.credentials = self.credentials.values().cloned().map(Arc::new).collect();
        image.models = self.models.values().cloned().map(Arc::new).collect();
        image.bindings = self.bindings.values().cloned().map(Arc::new).collect();
        image.tokens = self.tokens.values().cloned().map(Arc::new).collect();
        image.sealed = self.sealed.values().cloned().collect();
        image
    }

    fn is_live(&self, provider: ProviderId) -> bool {
        self.providers.get(&provider).is_some_and(|provider| provider.delete_time.is_none())
    }

    /// Does a step as the rules of the domain allow it: its edits, and the secrets that were sealed for them.
    fn take(&mut self, step: &Step) -> (Vec<Edit>, Vec<SealedSecret>) {
        self.now += 1;
        let mut sealed = Vec::new();
        let edits = match step {
            Step::Provider { number, name, active } => self.provider(*number, *name, *active),
            Step::HideOrShow { number, children_first } => self.hide_or_show(n(*number), *children_first),
            Step::Purge { number } => self.purge(n(*number)),
            Step::Endpoint { number, provider, weight } => self.endpoint(*number, *provider, *weight),
            Step::RemoveEndpoint { number } => gone(self.endpoints.remove(&n(*number)), Resource::Endpoint),
            Step::Credential { number, provider, rotate } => self.credential(*number, *provider, *rotate, &mut sealed),
            Step::RemoveCredential { number } => {
                self.sealed.retain(|(credential, _), _| *credential != n(*number));
                gone(self.credentials.remove(&n(*number)), Resource::Credential)
            }
            Step::Model { number, provider, name, score, default } => {
                self.model(*number, *provider, *name, *score, *default)
            }
            Step::RemoveModel { number } => gone(self.models.remove(&n(*number)), Resource::Model),
            Step::Binding { number, consumer, target } => self.binding(*number, *consumer, *target),
            Step::RemoveBinding { number } => gone(self.bindings.remove(&n(*number)), Resource::Binding),
            Step::Token { number, revoked } => {
                let mut token = fixtures::token(u128::from(*number) + 1);
                token.revoke_time = revoked.then(|| at(self.now));
                self.tokens.insert(token.id, token.clone());
                vec![put(Operation::Update, Resource::Token(Arc::new(token)))]
            }
            Step::Access { number } => self
                .credentials
                .get(&n(*number))
                .map(|credential| put(Operation::Access, Resource::Credential(Arc::new(credential.clone()))))
                .into_iter()
                .collect(),
        };
        (edits, sealed)
    }

    /// Whatever it points to: the maps do not care.
    fn binding(&mut self, number: u8, consumer: u8, target: u8) -> Vec<Edit> {
        let target = if target < 4 { Target::Provider(n(target)) } else { Target::Model(n(target)) };
        let mut binding = fixtures::binding(u128::from(number) + 1, target);
        binding.consumer = format!("consumer {consumer}");
        let known = self.bindings.get(&binding.id);
        binding.consumer = known.map_or(binding.consumer, |known| known.consumer.clone());
        let taken = |other: &Binding| other.id != binding.id && other.consumer == binding.consumer;
        if self.bindings.values().any(taken) {
            return Vec::new();
        }
        self.bindings.insert(binding.id, binding.clone());
        vec![put(Operation::Update, Resource::Binding(Arc::new(binding)))]
    }

    fn provider(&mut self, number: u8, name: u8, active: bool) -> Vec<Edit> {
        let name = format!("Name {name}");
        let taken = self
            .providers
            .values()
            .any(|p| p.id != n(number) && p.delete_time.is_none() && name_key(&p.name) == name_key(&name));
        let hidden = self.providers.contains_key(&n(number)) && !self.is_live(n(number));
        if taken || hidden {
            return Vec::new();
        }
        let provider = Provider { name, is_active: active, ..fixtures::provider(u128::from(number) + 1) };
        self.providers.insert(provider.id, provider.clone());
        vec![put(Operation::Update, Resource::Provider(Arc::new(provider)))]
    }

    fn hide_or_show(&mut self, id: ProviderId, children_first: bool) -> Vec<Edit> {
        let Some(mut provider) = self.providers.get(&id).cloned() else { return Vec::new() };
        let show = provider.delete_time.is_some();
        if show && self.providers.values().any(|p| p.delete_time.is_none() && p.name == provider.name) {
            return Vec::new();
        }
        provider.delete_time = if show { None } else { Some(at(self.now)) };
        self.providers.insert(id, provider.clone());
        if show {
            self.drop_doubled_defaults(id);
        }
        let operation = if show { Operation::Undelete } else { Operation::Delete };
        let endpoints = self.endpoints.values().filter(|e| e.provider_id == id).cloned().map(Arc::new);
        let credentials = self.credentials.values().filter(|e| e.provider_id == id).cloned().map(Arc::new);
        let models = self.models.values().filter(|e| e.provider_id == id).cloned().map(Arc::new);
        let children = endpoints
            .map(Resource::Endpoint)
            .chain(credentials.map(Resource::Credential))
            .chain(models.map(Resource::Model));
        let mut edits: Vec<_> = children.map(|child| put(operation, child)).collect();
        let place = if children_first { edits.len() } else { 0 };
        edits.insert(place, put(operation, Resource::Provider(Arc::new(provider))));
        edits
    }

    fn drop_doubled_defaults(&mut self, shown: ProviderId) {
        let taken = self
            .models
            .values()
            .any(|model| model.is_default && model.provider_id != shown && self.is_live(model.provider_id));
        if taken {
            self.models
                .values_mut()
                .filter(|model| model.provider_id == shown)
                .for_each(|model| model.is_default = false);
        }
    }

    fn purge(&mut self, id: ProviderId) -> Vec<Edit> {
        let Some(provider) = self.providers.remove(&id) else { return Vec::new() };
        self.endpoints.retain(|_, endpoint| endpoint.provider_id != id);
        self.models.retain(|_, model| model.provider_id != id);
        let credentials: Vec<_> = self.credentials.values().filter(|c| c.provider_id == id).map(|c| c.id).collect();
        for credential in credentials {
            self.credentials.remove(&credential);
            self.sealed.retain(|(owner, _), _| *owner != credential);
        }
        gone(Some(provider), Resource::Provider)
    }

    fn endpoint(&mut self, number: u8, provider: u8, weight: i32) -> Vec<Edit> {
        let owner = self.endpoints.get(&n(number)).map_or(n(provider), |known| known.provider_id);
        if !self.is_live(owner) {
            return Vec::new();
        }
        let mut endpoint = fixtures::endpoint(u128::from(number) + 1, 0);
        (endpoint.provider_id, endpoint.weight) = (owner, weight);
        self.endpoints.insert(endpoint.id, endpoint.clone());
        vec![put(Operation::Update, Resource::Endpoint(Arc::new(endpoint)))]
    }

    /// `rotate`: with (`true`) or without a grace period.
    fn credential(
        &mut self,
        number: u8,
        provider: u8,
        rotate: Option<bool>,
        sealed: &mut Vec<SealedSecret>,
    ) -> Vec<Edit> {
        let known = self.credentials.get(&n(number)).cloned();
        let is_new = known.is_none();
        let mut credential = known.unwrap_or_else(|| Credential {
            provider_id: n(provider),
            ..fixtures::credential(u128::from(number) + 1, 0)
        });
        if !self.is_live(credential.provider_id) {
            return Vec::new();
        }
        if is_new {
            sealed.push(fixtures::sealed(u128::from(number) + 1, 1));
        } else if let Some(grace) = rotate {
            let old = (credential.id, credential.secret_version);
            credential.secret_version += 1;
            credential.previous_secret_expire_time = grace.then(|| at(1_000_000));
            match self.sealed.get_mut(&old) {
                Some(row) if grace => row.expire_time = Some(at(1_000_000)),
                _ => drop(self.sealed.remove(&old)),
            }
            sealed.push(fixtures::sealed(u128::from(number) + 1, credential.secret_version));
        }
        self.sealed.extend(sealed.iter().map(|row| ((row.credential_id, row.version), row.clone())));
        self.credentials.insert(credential.id, credential.clone());
        vec![put(Operation::Update, Resource::Credential(Arc::new(credential)))]
    }

    fn model(&mut self, number: u8, provider: u8, name: u8, score: i32, default: bool) -> Vec<Edit> {
        let owner = self.models.get(&n(number)).map_or(n(provider), |known| known.provider_id);
        if !self.is_live(owner) {
            return Vec::new();
        }
        let mut model = fixtures::model(u128::from(number) + 1, 0);
        (model.provider_id, model.name, model.is_default) = (owner, format!("Model {name}"), default);
        model.capabilities.insert(Capability::Vision, score);
        model.pricing = Some(fixtures::pricing(i64::from(score % 3)));
        let mut edits = Vec::new();
        if default {
            for other in self.models.values_mut().filter(|other| other.is_default && other.id != model.id) {
                if self.providers.get(&other.provider_id).is_some_and(|provider| provider.delete_time.is_none()) {
                    other.is_default = false;
                    edits.push(put(Operation::Update, Resource::Model(Arc::new(other.clone()))));
                }
            }
        }
        self.models.insert(model.id, model.clone());
        edits.insert(0, put(Operation::Update, Resource::Model(Arc::new(model))));
        edits
    }
}

fn gone<T>(resource: Option<T>, kind: fn(Arc<T>) -> Resource) -> Vec<Edit> {
    resource.map(|resource| Edit::destroy(kind(Arc::new(resource)))).into_iter().collect()
}

/// What a check finds that reads `image` in pages of two.
fn differences(snapshot: &Snapshot, image: Image) -> Differences {
    let mut check = Check::begin(Arc::new(snapshot.clone()), image.head, &image.keyring);
    for page in image.into_pages() {
        match page {
            Page::Models(models) => models.chunks(2).for_each(|models| check.page(&Page::Models(models.to_vec()))),
            Page::Sealed(sealed) => sealed.chunks(2).for_each(|sealed| check.page(&Page::Sealed(sealed.to_vec()))),
            other => check.page(&other),
        }
    }
    check.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Debug shows every index, so equal text means equal structure.
    #[test]
    fn applying_edits_leads_to_the_same_snapshot_as_loading_their_result(
        steps in proptest::collection::vec(step(), 0..60),
        batch in 1..7_usize,
    ) {
        let mut world = World::default();
        let mut snapshot = Snapshot::from_image(world.image());
        for batch in steps.chunks(batch) {
            let (mut changes, mut sealed) = (Vec::new(), Vec::new());
            for step in batch {
                let (edits, secrets) = world.take(step);
                changes.extend(edits.into_iter().map(|edit| change(world.now, edit)));
                sealed.extend(secrets);
            }
            snapshot = snapshot.apply(&changes, &sealed, head(world.now));
        }
        let image = world.image();
        prop_assert_eq!(differences(&snapshot, image.clone()), Differences::default());
        prop_assert_eq!(format!("{snapshot:#?}"), format!("{:#?}", Snapshot::from_image(image)));
    }
}

fn world_of_one() -> Snapshot {
    let mut image = fixtures::image();
    image.providers.push(Arc::new(fixtures::provider(1)));
    image.endpoints.push(Arc::new(fixtures::endpoint(10, 1)));
    image.credentials.push(Arc::new(fixtures::credential(20, 1)));
    let mut model = fixtures::model(30, 1);
    model.is_default = true;
    model.capabilities.insert(Capability::Vision, 5);
    image.models.push(Arc::new(model));
    image.sealed.push(fixtures::sealed(20, 1));
    Snapshot::from_image(image)
}

fn hidden(snapshot: &Snapshot) -> Snapshot {
    let provider = Provider { delete_time: Some(at(1)), ..fixtures::provider(1) };
    let edit = put(Operation::Delete, Resource::Provider(Arc::new(provider)));
    snapshot.apply(&[change(1, edit)], &[], head(1))
}

#[test]
fn a_deleted_provider_hides_its_children_and_comes_back_with_them() {
    let before = world_of_one();
    let after = hidden(&before);
    assert!(after.live_provider(id(1)).is_err() && after.live_model(id(30)).is_err());
    assert!(after.provider(id(1)).is_some() && after.model(id(30)).is_some());
    assert_eq!(after.models_of(id(1)).len(), 1);
    assert!(after.provider_named("provider 1").is_none());
    assert!(after.default_model(crate::domain::model::ModelType::Chat).is_none());
    assert_eq!(after.model_index.count_with(Capability::Vision, 0), 0);
    assert_eq!(after.live_models_named("model-30").count(), 0);
    assert!(after.sealed(id(20), 1).is_some());

    let edit = put(Operation::Undelete, Resource::Provider(Arc::new(fixtures::provider(1))));
    let again = after.apply(&[change(2, edit)], &[], head(2));
    assert!(again.live_model(id(30)).is_ok() && again.provider_named("PROVIDER 1").is_some());
    assert_eq!(again.model_index.count_with(Capability::Vision, 5), 1);
    assert_eq!(again.live_models_named("model-30").count(), 1);
    assert!(before.live_model(id(30)).is_ok(), "an old snapshot stays as it was");
}

#[test]
fn a_name_that_passes_to_another_provider_is_found_in_whatever_order_the_changes_come() {
    let named = |number, name: &str| {
        let provider = Provider { name: name.into(), ..fixtures::provider(number) };
        change(1, put(Operation::Update, Resource::Provider(Arc::new(provider))))
    };
    let before = Snapshot::from_image(fixtures::image()).apply(&[named(1, "a"), named(2, "b")], &[], head(1));
    for changes in [[named(1, "c"), named(2, "a")], [named(2, "a"), named(1, "c")]] {
        let after = before.apply(&changes, &[], head(2));
        let holder = |name| after.provider_named(name).map(|provider| provider.id);
        assert_eq!([holder("a"), holder("b"), holder("c")], [Some(id(2)), None, Some(id(1))]);
    }
}

#[test]
fn an_access_moves_the_head_alone_and_keeps_the_encoded_form() {
    let before = world_of_one();
    let mut accessed = fixtures::credential(20, 1);
    accessed.alias = "not this".into();
    let edit = put(Operation::Access, Resource::Credential(Arc::new(accessed)));
    let after = before.apply(&[change(7, edit)], &[], head(7));
    assert_eq!(after.head().revision.0, 7);
    assert!(Arc::ptr_eq(before.credential_entry(id(20)).unwrap(), after.credential_entry(id(20)).unwrap()));
}

#[test]
fn a_changed_value_is_a_new_entry_and_an_equal_one_is_not() {
    let before = world_of_one();
    let same = put(Operation::Update, Resource::Endpoint(Arc::new(fixtures::endpoint(10, 1))));
    let kept = before.apply(&[change(1, same)], &[], head(1));
    assert!(Arc::ptr_eq(before.endpoint_entry(id(10)).unwrap(), kept.endpoint_entry(id(10)).unwrap()));
    let other = Endpoint { weight: 9, ..fixtures::endpoint(10, 1) };
    let changed = kept.apply(&[change(2, put(Operation::Update, Resource::Endpoint(Arc::new(other))))], &[], head(2));
    assert!(!Arc::ptr_eq(before.endpoint_entry(id(10)).unwrap(), changed.endpoint_entry(id(10)).unwrap()));
}

#[test]
fn a_secret_in_grace_is_kept_until_its_end_and_one_without_grace_is_not() {
    let rotated = |snapshot: &Snapshot, version: i64, grace: Option<i64>| {
        let mut credential = fixtures::credential(20, 1);
        credential.secret_version = version;
        credential.previous_secret_expire_time = grace.map(at);
        let edit = put(Operation::Update, Resource::Credential(Arc::new(credential)));
        snapshot.apply(&[change(version, edit)], &[fixtures::sealed(20, version)], head(version))
    };
    let in_grace = rotated(&world_of_one(), 2, Some(100));
    assert_eq!(in_grace.sealed(id(20), 1).unwrap().expire_time, Some(at(100)));
    let both = rotated(&in_grace, 3, None);
    assert!(both.sealed(id(20), 1).is_some(), "its grace has not ended");
    assert!(both.sealed(id(20), 2).is_none());
    let late = rotated(&both, 101, None);
    assert!(late.sealed(id(20), 1).is_none() && late.sealed(id(20), 101).is_some());
}

#[test]
fn rotations_that_are_applied_together_leave_what_single_ones_leave() {
    let rotated = |version: i64, grace: Option<i64>| {
        let mut credential = fixtures::credential(20, 1);
        credential.secret_version = version;
        credential.previous_secret_expire_time = grace.map(at);
        change(version, put(Operation::Update, Resource::Credential(Arc::new(credential))))
    };
    let changes = [rotated(1, None), rotated(2, Some(100)), rotated(3, None)];
    let sealed: Vec<_> = (1..=3).map(|version| fixtures::sealed(20, version)).collect();
    let after = world_of_one().apply(&changes, &sealed, head(3));
    let end = |version| after.sealed(id(20), version).map(|secret| secret.expire_time);
    assert_eq!((end(1), end(2), end(3)), (Some(Some(at(100))), None, Some(None)));
}

#[test]
fn a_rewrapped_secret_replaces_a_known_one_only() {
    let snapshot = world_of_one();
    let mut rewrapped = fixtures::sealed(20, 1);
    rewrapped.master_key_id = "k2".into();
    let after = snapshot.apply_rewrapped(rewrapped);
    assert_eq!(after.sealed(id(20), 1).unwrap().master_key_id, "k2");
    assert_eq!(snapshot.apply_rewrapped(fixtures::sealed(99, 1)).all_sealed().count(), 1);
}
