//! The rules of the contract for each write, in the order in which they are checked, for the model of the test.

use modelward::proto::v1::binding::Target;
use modelward::proto::v1::resource::Resource as Thing;
use modelward::proto::v1::{self, FieldSource, ModelSource, Operation};

use super::step::Mask;
use super::world::{Edit, NEW, SOME_TIME, World, id_of, set_identity, usable};

pub type Outcome = Result<Vec<Edit>, &'static str>;

pub const ENDPOINT_LIMIT: usize = 4;
pub const CREDENTIAL_LIMIT: usize = 4;

impl Mask {
    pub fn names(self, bit: u8) -> bool {
        match self {
            Self::None => false,
            Self::Named(bits) => bits & bit != 0,
            Self::All => true,
        }
    }

    /// What becomes of a field: the carried value, the default where it is named, or what it was.
    pub fn merge<T: Clone>(self, bit: u8, field: &mut T, carried: Option<T>, default: T) {
        match carried {
            Some(value) if self == Self::None || self.names(bit) => *field = value,
            None if self.names(bit) => *field = default,
            _ => {}
        }
    }
}

pub fn expect(expected: Option<i64>, current: i64) -> Result<(), &'static str> {
    if expected.is_none_or(|expected| expected == current) { Ok(()) } else { Err("REVISION_MISMATCH") }
}

pub fn create(thing: Thing) -> Edit {
    Edit { operation: Operation::Create, id: NEW.into(), before: None, after: Some(thing) }
}

pub fn destroy(before: Thing) -> Edit {
    Edit { operation: Operation::Delete, id: id_of(&before).into(), before: Some(before), after: None }
}

impl World {
    /// A changed resource takes the next revision.
    pub fn update(&self, before: Thing, mut after: Thing) -> Edit {
        let id = id_of(&before).to_owned();
        set_identity(&mut after, &id, self.revision + 1);
        Edit { operation: Operation::Update, id, before: Some(before), after: Some(after) }
    }

    /// No edit where nothing changes.
    pub fn updates(&self, before: Thing, after: Thing) -> Vec<Edit> {
        if before == after { Vec::new() } else { vec![self.update(before, after)] }
    }

    /// Hidden or shown: the resource stays as it is.
    fn turn(operation: Operation, thing: Thing) -> Edit {
        Edit { operation, id: id_of(&thing).into(), before: Some(thing.clone()), after: Some(thing) }
    }

    pub fn check_provider_name(&self, provider: &v1::Provider) -> Result<(), &'static str> {
        let same = |other: &v1::Provider| other.name().to_lowercase() == provider.name().to_lowercase();
        let taken = self.live_providers().iter().any(|other| other.id != provider.id && same(other));
        if taken { Err("ALREADY_EXISTS") } else { Ok(()) }
    }

    pub fn check_unbound(&self, goes: impl Fn(&Target) -> bool) -> Result<(), &'static str> {
        if self.bindings().iter().any(|one| goes(one.target.as_ref().unwrap())) { Err("IN_USE") } else { Ok(()) }
    }

    fn check_provider_unbound(&self, id: &str) -> Result<(), &'static str> {
        self.check_unbound(|target| match target {
            Target::ProviderId(bound) => bound == id,
            Target::ModelId(bound) => self.models_of(id).iter().any(|model| model.id == *bound),
        })
    }

    pub fn delete_provider(&self, id: &str, purge: bool, expected: Option<i64>) -> Outcome {
        if purge {
            let provider = self.providers().into_iter().find(|one| one.id == id).ok_or("NOT_FOUND")?;
            expect(expected, provider.revision)?;
            self.check_provider_unbound(id)?;
            let mut edits: Vec<_> = self.children(id).into_iter().map(destroy).collect();
            edits.push(destroy(Thing::Provider(provider)));
            return Ok(edits);
        }
        let provider = self.provider(id)?;
        expect(expected, provider.revision)?;
        self.check_provider_unbound(id)?;
        let mut after = provider.clone();
        (after.delete_time, after.purge_time) = (Some(SOME_TIME), Some(SOME_TIME));
        let edit = self.update(Thing::Provider(provider), Thing::Provider(after));
        let mut edits = vec![Edit { operation: Operation::Delete, ..edit }];
        edits.extend(self.children(id).into_iter().map(|child| Self::turn(Operation::Delete, child)));
        Ok(edits)
    }

    pub fn undelete_provider(&self, id: &str, expected: Option<i64>) -> Outcome {
        let deleted = |one: &v1::Provider| one.id == id && one.delete_time.is_some();
        let provider = self.providers().into_iter().find(deleted).ok_or("NOT_FOUND")?;
        expect(expected, provider.revision)?;
        self.check_provider_name(&provider)?;
        let mut after = provider.clone();
        (after.delete_time, after.purge_time) = (None, None);
        let edit = self.update(Thing::Provider(provider), Thing::Provider(after));
        let mut edits = vec![Edit { operation: Operation::Undelete, ..edit }];
        for child in self.children(id) {
            edits.push(match child {
                Thing::Model(model) if model.is_default && self.default_model(model.r#type.unwrap()).is_some() => {
                    let without = v1::Model { is_default: false, ..model.clone() };
                    let edit = self.update(Thing::Model(model), Thing::Model(without));
                    Edit { operation: Operation::Undelete, ..edit }
                }
                child => Self::turn(Operation::Undelete, child),
            });
        }
        Ok(edits)
    }

    /// What a new or moved endpoint adds to the lists of hosts that nobody gave explicitly.
    fn widen(&self, endpoint: &v1::Endpoint) -> Vec<Edit> {
        let host = host_of(endpoint.base_url());
        let lacks = |one: &v1::Credential| !one.allowed_hosts_explicit && !one.allowed_hosts.contains(&host);
        let credentials = self.credentials_of(endpoint.provider_id()).into_iter().filter(lacks);
        let widened = credentials.map(|one| {
            let mut after = one.clone();
            after.allowed_hosts.push(host.clone());
            after.allowed_hosts.sort();
            self.update(Thing::Credential(one), Thing::Credential(after))
        });
        widened.collect()
    }

    fn without_default(&self, provider: &str) -> Vec<Edit> {
        let defaults = self.endpoints_of(provider).into_iter().filter(|one| one.is_default);
        let unset = |one: v1::Endpoint| {
            let after = v1::Endpoint { is_default: false, ..one.clone() };
            self.update(Thing::Endpoint(one), Thing::Endpoint(after))
        };
        defaults.map(unset).collect()
    }

    pub fn check_endpoint_name(&self, endpoint: &v1::Endpoint) -> Result<(), &'static str> {
        let same = |other: &v1::Endpoint| other.name().to_lowercase() == endpoint.name().to_lowercase();
        let siblings = self.endpoints_of(endpoint.provider_id());
        let taken = siblings.iter().any(|other| other.id != endpoint.id && same(other));
        if taken { Err("ALREADY_EXISTS") } else { Ok(()) }
    }

    pub fn create_endpoint(&self, mut endpoint: v1::Endpoint, set_default: bool) -> Outcome {
        self.provider(endpoint.provider_id())?;
        let siblings = self.endpoints_of(endpoint.provider_id());
        if siblings.len() >= ENDPOINT_LIMIT {
            return Err("LIMIT_EXCEEDED");
        }
        self.check_endpoint_name(&endpoint)?;
        endpoint.is_default = set_default || siblings.is_empty();
        let mut edits = if endpoint.is_default { self.without_default(endpoint.provider_id()) } else { Vec::new() };
        edits.extend(self.widen(&endpoint));
        edits.push(create(Thing::Endpoint(endpoint)));
        Ok(edits)
    }

    pub fn update_endpoint(&self, before: v1::Endpoint, after: v1::Endpoint) -> Outcome {
        self.check_endpoint_name(&after)?;
        let moved = host_of(before.base_url()) != host_of(after.base_url());
        let mut edits = if moved { self.widen(&after) } else { Vec::new() };
        edits.extend(self.updates(Thing::Endpoint(before), Thing::Endpoint(after)));
        Ok(edits)
    }

    pub fn delete_endpoint(&self, id: &str, expected: Option<i64>) -> Outcome {
        let endpoint = self.endpoint(id)?;
        expect(expected, endpoint.revision)?;
        let mut others = self.endpoints_of(endpoint.provider_id());
        others.retain(|other| other.id != id);
        // The ids are in order of age.
        others.sort_by_key(|other| (other.priority(), other.id.clone()));
        let heir = others.into_iter().next().ok_or("LAST_ENDPOINT")?;
        let mut edits = Vec::new();
        if endpoint.is_default {
            let after = v1::Endpoint { is_default: true, ..heir.clone() };
            edits.push(self.update(Thing::Endpoint(heir), Thing::Endpoint(after)));
        }
        edits.push(destroy(Thing::Endpoint(endpoint)));
        Ok(edits)
    }

    pub fn set_default_endpoint(&self, id: &str, expected: Option<i64>) -> Outcome {
        let endpoint = self.endpoint(id)?;
        expect(expected, endpoint.revision)?;
        if endpoint.is_default {
            return Ok(Vec::new());
        }
        let mut edits = self.without_default(endpoint.provider_id());
        let after = v1::Endpoint { is_default: true, ..endpoint.clone() };
        edits.push(self.update(Thing::Endpoint(endpoint), Thing::Endpoint(after)));
        Ok(edits)
    }

    fn check_alias(&self, credential: &v1::Credential) -> Result<(), &'static str> {
        let same = |other: &v1::Credential| other.alias().to_lowercase() == credential.alias().to_lowercase();
        let siblings = self.credentials_of(credential.provider_id());
        let taken = siblings.iter().any(|other| other.id != credential.id && same(other));
        if taken { Err("ALREADY_EXISTS") } else { Ok(()) }
    }

    pub fn create_credential(&self, mut credential: v1::Credential) -> Outcome {
        let provider = self.provider(credential.provider_id())?;
        if self.credentials_of(&provider.id).len() >= CREDENTIAL_LIMIT {
            return Err("LIMIT_EXCEEDED");
        }
        self.check_alias(&credential)?;
        if !credential.allowed_hosts_explicit {
            let endpoints = self.endpoints_of(&provider.id);
            credential.allowed_hosts = endpoints.iter().map(|one| host_of(one.base_url())).collect();
            if provider.kind() == v1::ProviderKind::Openai {
                credential.allowed_hosts.extend(self.own_hosts.clone());
            }
            credential.allowed_hosts.sort();
            credential.allowed_hosts.dedup();
        }
        Ok(vec![create(Thing::Credential(credential))])
    }

    pub fn update_credential(&self, before: v1::Credential, after: v1::Credential) -> Outcome {
        if !usable(&after) && self.is_last_usable(&before) {
            return Err("LAST_CREDENTIAL");
        }
        self.check_alias(&after)?;
        Ok(self.updates(Thing::Credential(before), Thing::Credential(after)))
    }

    pub fn delete_credential(&self, id: &str, expected: Option<i64>) -> Outcome {
        let credential = self.credential(id)?;
        expect(expected, credential.revision)?;
        if self.is_last_usable(&credential) {
            return Err("LAST_CREDENTIAL");
        }
        Ok(vec![destroy(Thing::Credential(credential))])
    }

    /// Also under a deleted provider.
    pub fn revoke(&self, id: &str, expected: Option<i64>) -> Outcome {
        let credential = self.credentials().into_iter().find(|one| one.id == id).ok_or("NOT_FOUND")?;
        expect(expected, credential.revision)?;
        let after = v1::Credential { revoke_time: Some(SOME_TIME), ..credential.clone() };
        Ok(self.updates(Thing::Credential(credential), Thing::Credential(after)))
    }

    fn former_default_model(&self, kind: i32) -> Option<Edit> {
        let before = self.default_model(kind)?;
        let after = v1::Model { is_default: false, ..before.clone() };
        Some(self.update(Thing::Model(before), Thing::Model(after)))
    }

    pub fn create_model(&self, mut model: v1::Model, set_default: bool) -> Outcome {
        self.provider(model.provider_id())?;
        if self.models_of(model.provider_id()).iter().any(|other| other.model_id == model.model_id) {
            return Err("ALREADY_EXISTS");
        }
        let mut edits = Vec::new();
        if set_default {
            model.is_default = true;
            edits.extend(self.former_default_model(model.r#type.unwrap()));
        }
        edits.push(create(Thing::Model(model)));
        Ok(edits)
    }

    pub fn update_model(&self, before: v1::Model, mut after: v1::Model) -> Outcome {
        let changed = [
            ("name", before.name != after.name),
            ("description", before.description != after.description),
            ("type", before.r#type != after.r#type),
            ("status", before.status != after.status),
        ];
        for (field, _) in changed.into_iter().filter(|(_, changed)| *changed) {
            after.field_sources.insert(field.into(), FieldSource::Person.into());
            if after.source() == ModelSource::Synced && !after.pinned_fields.iter().any(|pinned| pinned == field) {
                after.pinned_fields.push(field.into());
                after.pinned_fields.sort();
            }
        }
        if before.r#type != after.r#type && self.default_model(after.r#type.unwrap()).is_some() {
            after.is_default = false;
        }
        Ok(self.updates(Thing::Model(before), Thing::Model(after)))
    }

    pub fn set_default_model(&self, id: &str, expected: Option<i64>) -> Outcome {
        let model = self.model(id)?;
        expect(expected, model.revision)?;
        if model.is_default {
            return Ok(Vec::new());
        }
        let mut edits: Vec<_> = self.former_default_model(model.r#type.unwrap()).into_iter().collect();
        let after = v1::Model { is_default: true, ..model.clone() };
        edits.push(self.update(Thing::Model(model), Thing::Model(after)));
        Ok(edits)
    }
}

/// As lists of allowed hosts write it; all base URLs of these tests are plain http.
pub fn host_of(base_url: &str) -> String {
    base_url.trim_end_matches("/v1").to_owned()
}
