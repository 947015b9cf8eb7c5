//! The way back: what the model expects of RollbackResource, and of GetResourceAt.

use std::collections::BTreeMap;

use modelward::proto::v1::get_resource_at_response::Resource as Former;
use modelward::proto::v1::resource::Resource as Thing;
use modelward::proto::v1::rollback_resource_response::Resource as RolledBack;
use modelward::proto::v1::{self, Operation, ResourceKind};
use prost::Message as _;
use tonic::Code;

use super::History;
use super::rules::{ENDPOINT_LIMIT, Outcome, expect};
use super::world::{Edit, World, bare, id_of, kind_of, set_identity};
use crate::support::Refusal;

const KINDS: [ResourceKind; 5] = [
    ResourceKind::Provider,
    ResourceKind::Endpoint,
    ResourceKind::Credential,
    ResourceKind::Model,
    ResourceKind::Binding,
];

pub fn kind(number: u8) -> ResourceKind {
    KINDS[usize::from(number) % KINDS.len()]
}

/// The resource in an answer.
pub fn rolled_back(answer: &[u8]) -> Thing {
    match v1::RollbackResourceResponse::decode(answer).unwrap().resource.unwrap() {
        RolledBack::Provider(one) => Thing::Provider(one),
        RolledBack::Endpoint(one) => Thing::Endpoint(one),
        RolledBack::Credential(one) => Thing::Credential(one),
        RolledBack::Model(one) => Thing::Model(one),
        RolledBack::Binding(one) => Thing::Binding(one),
    }
}

fn parent(thing: &Thing) -> Option<&str> {
    match thing {
        Thing::Endpoint(one) => Some(one.provider_id()),
        Thing::Credential(one) => Some(one.provider_id()),
        Thing::Model(one) => Some(one.provider_id()),
        _ => None,
    }
}

/// What was to be seen of a resource.
fn at(kind: ResourceKind, id: &str, things: &BTreeMap<String, Thing>) -> Option<Thing> {
    let found = things.get(id).filter(|thing| kind_of(thing) == kind)?;
    let live = parent(found)
        .is_none_or(|provider| matches!(things.get(provider), Some(Thing::Provider(one)) if one.delete_time.is_none()));
    live.then(|| found.clone())
}

impl World {
    /// All that ever was of a kind, in order of the ids.
    pub fn ever(&self, kind: ResourceKind) -> Vec<String> {
        let all = self.past.iter().flat_map(|(_, things)| things.values());
        let mut ids: Vec<_> = all.filter(|thing| kind_of(thing) == kind).map(|thing| id_of(thing).to_owned()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    fn made_again(&self, mut thing: Thing) -> Vec<Edit> {
        let id = id_of(&thing).to_owned();
        set_identity(&mut thing, &id, self.revision + 1);
        vec![Edit { operation: Operation::Create, id, before: None, after: Some(thing) }]
    }

    pub fn rollback(&self, kind: ResourceKind, id: &str, past: usize, expected: Option<i64>) -> Outcome {
        let (_, things) = &self.past[past];
        match at(kind, id, things).ok_or("NOT_FOUND")? {
            Thing::Provider(then) => {
                let before = self.provider(id)?;
                expect(expected, before.revision)?;
                let (delete_time, purge_time) = (None, None);
                let after = v1::Provider { revision: before.revision, delete_time, purge_time, ..then };
                self.check_provider_name(&after)?;
                Ok(self.updates(Thing::Provider(before), Thing::Provider(after)))
            }
            Thing::Endpoint(then) => self.rollback_endpoint(then, expected),
            Thing::Credential(then) => self.rollback_credential(then, expected),
            Thing::Model(then) => self.rollback_model(then, expected),
            Thing::Binding(then) => self.rollback_binding(then, expected),
            other => panic!("{other:?}"),
        }
    }

    fn rollback_endpoint(&self, then: v1::Endpoint, expected: Option<i64>) -> Outcome {
        self.provider(then.provider_id())?;
        let siblings = self.endpoints_of(then.provider_id());
        if let Some(before) = siblings.iter().find(|one| one.id == then.id).cloned() {
            expect(expected, before.revision)?;
            let after = v1::Endpoint { revision: before.revision, is_default: before.is_default, ..then };
            self.check_endpoint_name(&after)?;
            return Ok(self.updates(Thing::Endpoint(before), Thing::Endpoint(after)));
        }
        expect(expected, 0)?;
        if siblings.len() >= ENDPOINT_LIMIT {
            return Err("LIMIT_EXCEEDED");
        }
        self.check_endpoint_name(&then)?;
        Ok(self.made_again(Thing::Endpoint(v1::Endpoint { is_default: siblings.is_empty(), ..then })))
    }

    fn rollback_credential(&self, then: v1::Credential, expected: Option<i64>) -> Outcome {
        let before = self.credentials().into_iter().find(|one| one.id == then.id).ok_or("SECRET_DESTROYED")?;
        self.provider(before.provider_id())?;
        expect(expected, before.revision)?;
        let mut after = v1::Credential {
            alias: then.alias,
            description: then.description,
            is_active: then.is_active,
            labels: then.labels,
            ..before.clone()
        };
        if before.allowed_hosts_explicit || then.allowed_hosts_explicit {
            after.allowed_hosts.retain(|host| then.allowed_hosts.contains(host));
            after.allowed_hosts_explicit = true;
        }
        self.update_credential(before, after)
    }

    fn rollback_model(&self, then: v1::Model, expected: Option<i64>) -> Outcome {
        self.provider(then.provider_id())?;
        let siblings = self.models_of(then.provider_id());
        if let Some(before) = siblings.iter().find(|one| one.id == then.id).cloned() {
            expect(expected, before.revision)?;
            let after = v1::Model {
                revision: before.revision,
                source: before.source,
                pinned_fields: before.pinned_fields.clone(),
                field_sources: before.field_sources.clone(),
                is_default: before.is_default,
                ..then
            };
            return self.update_model(before, after);
        }
        expect(expected, 0)?;
        if siblings.iter().any(|other| other.model_id == then.model_id) {
            return Err("ALREADY_EXISTS");
        }
        Ok(self.made_again(Thing::Model(v1::Model { is_default: false, ..then })))
    }

    fn rollback_binding(&self, then: v1::Binding, expected: Option<i64>) -> Outcome {
        let Some(before) = self.bindings().into_iter().find(|one| one.id == then.id) else {
            expect(expected, 0)?;
            self.check_target(then.target.as_ref())?;
            self.check_binding_name(&then)?;
            return Ok(self.made_again(Thing::Binding(then)));
        };
        expect(expected, before.revision)?;
        self.check_target(then.target.as_ref())?;
        let after = v1::Binding { revision: before.revision, ..then };
        Ok(self.updates(Thing::Binding(before), Thing::Binding(after)))
    }
}

impl History {
    /// One resource at one revision of the past, another one at each step.
    pub(super) async fn check_past(&self) {
        let (revision, things) = &self.world.past[(self.steps * 7) % self.world.past.len()];
        let kind = kind(u8::try_from(self.steps % KINDS.len()).unwrap());
        let ids = self.world.ever(kind);
        if ids.is_empty() || *revision == 0 {
            return;
        }
        let id = &ids[self.steps % ids.len()];
        let (resource_kind, resource_id) = (Some(kind.into()), id.clone());
        let request = v1::GetResourceAtRequest { resource_kind, resource_id, revision: *revision };
        match (self.server().audit().get_resource_at(request).await, at(kind, id, things)) {
            (Ok(answer), Some(then)) => {
                let told = match answer.into_inner().resource.unwrap() {
                    Former::Provider(one) => Thing::Provider(one),
                    Former::Endpoint(one) => Thing::Endpoint(one),
                    Former::Credential(one) => Thing::Credential(one),
                    Former::Model(one) => Thing::Model(one),
                    Former::Binding(one) => Thing::Binding(one),
                    other => panic!("{other:?}"),
                };
                assert_eq!(bare(told), then, "{id} at {revision}");
            }
            (Err(status), None) => drop(Refusal::of(&status).is(Code::NotFound, "NOT_FOUND")),
            (told, then) => panic!("{id} at {revision}: {told:?}, not {then:?}"),
        }
    }
}
