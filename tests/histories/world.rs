//! The independent model: resources in a map, as messages, and what a write makes of them. Deliberately naive.

use std::collections::BTreeMap;

use modelward::proto::v1;
use modelward::proto::v1::resource::Resource as Thing;
use modelward::proto::v1::{Operation, ProviderKind, ResourceKind};
use prost_types::Timestamp;

/// What happens to one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    pub operation: Operation,
    pub id: String,
    pub before: Option<Thing>,
    pub after: Option<Thing>,
}

/// The id of what is being made, until the answer tells the real one.
pub const NEW: &str = "";
/// Any time: that there is one is predicted, which one is not.
pub const SOME_TIME: Timestamp = Timestamp { seconds: 1, nanos: 0 };

#[derive(Debug, Clone, Default)]
pub struct World {
    pub things: BTreeMap<String, Thing>,
    pub revision: i64,
    /// Hosts of the vendor OpenAI, as the server tells them.
    pub own_hosts: Vec<String>,
    /// Which secret each credential has.
    pub secrets: BTreeMap<String, u8>,
    /// Everything as it was after each revision, from the beginning of the history.
    pub past: Vec<(i64, BTreeMap<String, Thing>)>,
    /// What fingerprint each secret has turned out to have.
    pub fingerprints: BTreeMap<u8, String>,
}

/// Declares how the resources of one kind are read: all with their id, and those of a provider.
macro_rules! reads {
    ($all:ident, $of:ident, $one:ident, $variant:ident, $type:ident) => {
        pub fn $all(&self) -> Vec<v1::$type> {
            let one = |thing: &Thing| if let Thing::$variant(one) = thing { Some(one.clone()) } else { None };
            self.things.values().filter_map(one).collect()
        }

        pub fn $of(&self, provider: &str) -> Vec<v1::$type> {
            self.$all().into_iter().filter(|one| one.provider_id() == provider).collect()
        }

        /// One whose provider is not deleted.
        pub fn $one(&self, id: &str) -> Result<v1::$type, &'static str> {
            let found = self.$all().into_iter().find(|one| one.id == id).ok_or("NOT_FOUND")?;
            self.provider(found.provider_id())?;
            Ok(found)
        }
    };
}

impl World {
    reads!(endpoints, endpoints_of, endpoint, Endpoint, Endpoint);
    reads!(credentials, credentials_of, credential, Credential, Credential);
    reads!(models, models_of, model, Model, Model);

    pub fn providers(&self) -> Vec<v1::Provider> {
        let one = |thing: &Thing| if let Thing::Provider(one) = thing { Some(one.clone()) } else { None };
        self.things.values().filter_map(one).collect()
    }

    pub fn bindings(&self) -> Vec<v1::Binding> {
        let one = |thing: &Thing| if let Thing::Binding(one) = thing { Some(one.clone()) } else { None };
        self.things.values().filter_map(one).collect()
    }

    pub fn live_providers(&self) -> Vec<v1::Provider> {
        self.providers().into_iter().filter(|provider| provider.delete_time.is_none()).collect()
    }

    pub fn provider(&self, id: &str) -> Result<v1::Provider, &'static str> {
        self.live_providers().into_iter().find(|provider| provider.id == id).ok_or("NOT_FOUND")
    }

    pub fn is_live(&self, provider: &str) -> bool {
        self.provider(provider).is_ok()
    }

    /// The default model of a type among those of live providers.
    pub fn default_model(&self, kind: i32) -> Option<v1::Model> {
        let live = |model: &v1::Model| self.is_live(model.provider_id());
        self.models().into_iter().find(|model| model.is_default && model.r#type == Some(kind) && live(model))
    }

    pub fn children(&self, provider: &str) -> Vec<Thing> {
        let endpoints = self.endpoints_of(provider).into_iter().map(Thing::Endpoint);
        let credentials = self.credentials_of(provider).into_iter().map(Thing::Credential);
        endpoints.chain(credentials).chain(self.models_of(provider).into_iter().map(Thing::Model)).collect()
    }

    /// Whether the provider of this credential has no other one that works, and needs one.
    pub fn is_last_usable(&self, credential: &v1::Credential) -> bool {
        let provider = self.provider(credential.provider_id()).unwrap();
        let siblings = self.credentials_of(&provider.id);
        let others = siblings.iter().filter(|other| other.id != credential.id);
        provider.kind() == ProviderKind::Openai && usable(credential) && !others.into_iter().any(usable)
    }

    /// Does what edits say.
    pub fn apply(&mut self, edits: &[Edit]) {
        for edit in edits.iter().filter(|edit| edit.operation != Operation::Access) {
            match &edit.after {
                Some(after) => drop(self.things.insert(edit.id.clone(), after.clone())),
                None => drop(self.things.remove(&edit.id)),
            }
        }
        self.revision += i64::from(!edits.is_empty());
        self.past.push((self.revision, self.things.clone()));
    }
}

pub fn usable(credential: &v1::Credential) -> bool {
    credential.is_active() && credential.revoke_time.is_none()
}

pub fn id_of(thing: &Thing) -> &str {
    match thing {
        Thing::Provider(one) => &one.id,
        Thing::Endpoint(one) => &one.id,
        Thing::Credential(one) => &one.id,
        Thing::Model(one) => &one.id,
        Thing::Binding(one) => &one.id,
        other => panic!("{other:?}"),
    }
}

pub fn kind_of(thing: &Thing) -> ResourceKind {
    match thing {
        Thing::Provider(_) => ResourceKind::Provider,
        Thing::Endpoint(_) => ResourceKind::Endpoint,
        Thing::Credential(_) => ResourceKind::Credential,
        Thing::Model(_) => ResourceKind::Model,
        Thing::Binding(_) => ResourceKind::Binding,
        other => panic!("{other:?}"),
    }
}

pub fn set_identity(thing: &mut Thing, new_id: &str, new_revision: i64) {
    let (id, revision) = match thing {
        Thing::Provider(one) => (&mut one.id, &mut one.revision),
        Thing::Endpoint(one) => (&mut one.id, &mut one.revision),
        Thing::Credential(one) => (&mut one.id, &mut one.revision),
        Thing::Model(one) => (&mut one.id, &mut one.revision),
        Thing::Binding(one) => (&mut one.id, &mut one.revision),
        other => panic!("{other:?}"),
    };
    new_id.clone_into(id);
    *revision = new_revision;
}

/// A resource as the model predicts it: without status, without who, and without the moment of times.
pub fn bare(mut thing: Thing) -> Thing {
    macro_rules! clear {
        ($one:expr) => {{
            ($one.create_time, $one.update_time) = (None, None);
            ($one.created_by, $one.updated_by) = (String::new(), String::new());
        }};
    }
    let some = |time: &mut Option<Timestamp>| *time = time.map(|_| SOME_TIME);
    match &mut thing {
        Thing::Provider(one) => {
            clear!(one);
            one.sync = None;
            some(&mut one.delete_time);
            some(&mut one.purge_time);
        }
        Thing::Endpoint(one) => {
            clear!(one);
            one.health = None;
        }
        Thing::Credential(one) => {
            clear!(one);
            (one.usage, one.validation, one.decryptable, one.state) = (None, None, false, 0);
            some(&mut one.revoke_time);
            some(&mut one.rotate_time);
            some(&mut one.previous_secret_expire_time);
            one.allowed_hosts.sort();
        }
        Thing::Model(one) => {
            clear!(one);
            (one.availability, one.usage) = (None, None);
        }
        Thing::Binding(one) => clear!(one),
        other => panic!("{other:?}"),
    }
    thing
}
