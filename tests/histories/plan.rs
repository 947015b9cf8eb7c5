//! From a write to the call that makes it, and to what the model expects of it.

use modelward::proto::v1::resource::Resource as Thing;
use modelward::proto::v1::{self, FieldSource, ModelSource, ModelStatus, ModelType, Operation, ProviderKind};
use prost::Message;

use super::rollback::kind as kind_at;
use super::rules::{Outcome, create, destroy, expect};
use super::step::{Fields, Mask, Write};
use super::world::{Edit, SOME_TIME, World, id_of};
use crate::support::resources::{mask, seconds, secret};

mod binding;
mod credential;
mod endpoint;
mod model;
mod provider;

/// A call, and what it leads to.
pub struct Call {
    pub rpc: &'static str,
    pub request: Vec<u8>,
    pub outcome: Outcome,
    /// The resource that is asked about, if it exists.
    pub about: Option<String>,
    /// The secret that comes in.
    pub secret: Option<u8>,
}

/// Base URLs: the vendor's, and ports where nobody listens.
pub struct Hosts(pub [String; 4]);

pub fn name(number: u8) -> String {
    // 0 and 4 are the same but for the case, and so on.
    if number < 4 { format!("n{number}") } else { format!("N{}", number - 4) }
}

fn text(number: u8) -> String {
    format!("text {number}")
}

fn labels(number: Option<u8>) -> std::collections::BTreeMap<String, String> {
    number.map(|number| ("l".to_owned(), number.to_string())).into_iter().collect()
}

pub fn key(number: u8) -> String {
    format!("sk-secret-{number}-abcd{number}")
}

fn hint(number: u8) -> String {
    format!("****bcd{number}")
}

const fn provider_kind(openai: bool) -> ProviderKind {
    if openai { ProviderKind::Openai } else { ProviderKind::OpenaiCompatible }
}

const fn model_type(chat: bool) -> ModelType {
    if chat { ModelType::Chat } else { ModelType::Embedding }
}

/// The mask as it is sent; `own` names the bits as this kind has them, and "" what it has not.
fn paths(sent: Mask, own: [&str; 5]) -> Option<prost_types::FieldMask> {
    let named = |bits: u8| {
        let with_bit = own.iter().enumerate().filter(|(bit, path)| bits & (1 << bit) != 0 && !path.is_empty());
        mask(&with_bit.map(|(_, path)| *path).collect::<Vec<_>>())
    };
    match sent {
        Mask::None => None,
        Mask::All => mask(&["*"]),
        Mask::Named(bits) => named(bits),
    }
}

/// A mask that names nothing of this kind is none.
fn real(sent: Mask, own: [&str; 5]) -> Mask {
    match paths(sent, own) {
        Some(mask) if mask.paths.is_empty() => Mask::None,
        _ => sent,
    }
}

/// Merges the shared fields.
macro_rules! merge {
    ($mask:expr, $fields:expr, $into:expr, $name:ident, $text:ident) => {{
        let Fields { name: given, text: said, active, label } = $fields.clone();
        let kept = $into.$name.clone();
        $mask.merge(1, &mut $into.$name, given.map(|number| Some(name(number))), kept);
        $mask.merge(2, &mut $into.$text, said.map(|number| Some(text(number))), Some(String::new()));
        $mask.merge(4, &mut $into.is_active, active.map(Some), Some(true));
        $mask.merge(8, &mut $into.labels, label.map(|number| labels(Some(number))), labels(None));
    }};
}

/// The message that carries the shared fields.
macro_rules! carrying {
    ($type:ident, $id:expr, $fields:expr, $name:ident, $text:ident) => {
        v1::$type {
            id: $id,
            $name: $fields.name.map(name),
            $text: $fields.text.map(text),
            is_active: $fields.active,
            labels: labels($fields.label),
            ..Default::default()
        }
    };
}

use {carrying, merge};

fn nth<T>(all: Vec<T>, which: u8, id: fn(&T) -> &String) -> String {
    match all.len() {
        0 => uuid::Uuid::max().to_string(),
        count => id(&all[usize::from(which) % count]).clone(),
    }
}

impl World {
    fn provider_at(&self, which: u8) -> String {
        nth(self.providers(), which, |one| &one.id)
    }

    fn endpoint_at(&self, which: u8) -> String {
        nth(self.endpoints(), which, |one| &one.id)
    }

    fn credential_at(&self, which: u8) -> String {
        nth(self.credentials(), which, |one| &one.id)
    }

    fn model_at(&self, which: u8) -> String {
        nth(self.models(), which, |one| &one.id)
    }

    fn binding_at(&self, which: u8) -> String {
        nth(self.bindings(), which, |one| &one.id)
    }

    /// The resource that a write is about, if it is about one that may exist.
    pub fn target(&self, write: &Write) -> Option<String> {
        use Write as W;
        Some(match write {
            W::UpdateProvider { which, .. }
            | W::UpdateProviderStatus { which, .. }
            | W::DeleteProvider { which, .. }
            | W::SyncModels { of: which, .. } => self.provider_at(*which),
            W::UndeleteProvider { which } => {
                let deleted = |one: &v1::Provider| one.delete_time.is_some();
                match self.providers().into_iter().filter(deleted).collect::<Vec<_>>() {
                    none if none.is_empty() => self.provider_at(*which),
                    deleted => nth(deleted, *which, |one| &one.id),
                }
            }
            W::UpdateEndpoint { which, .. } | W::DeleteEndpoint { which } | W::SetDefaultEndpoint { which } => {
                self.endpoint_at(*which)
            }
            W::UpdateCredential { which, .. }
            | W::RotateCredential { which, .. }
            | W::RevokeCredential { which }
            | W::DeleteCredential { which }
            | W::AccessCredential { which } => self.credential_at(*which),
            W::UpdateModel { which, .. }
            | W::UpdateModelStatus { which, .. }
            | W::DeleteModel { which }
            | W::SetDefaultModel { which } => self.model_at(*which),
            W::RollbackResource { kind, which, .. } => nth(self.ever(kind_at(*kind)), *which, |id| id),
            W::UpdateBinding { which, .. } | W::DeleteBinding { which } => self.binding_at(*which),
            W::CreateProvider { .. }
            | W::CreateEndpoint { .. }
            | W::CreateCredential { .. }
            | W::CreateModel { .. }
            | W::CreateBinding { .. } => {
                return None;
            }
        })
    }

    pub fn call(&self, write: &Write, expected: Option<i64>, hosts: &Hosts) -> Call {
        let about = self.target(write);
        let id = about.clone().unwrap_or_default();
        let secret = match write {
            Write::CreateCredential { secret, .. } | Write::RotateCredential { secret, .. } => Some(*secret),
            _ => None,
        };
        let (rpc, request, outcome) = match write {
            Write::CreateProvider { .. }
            | Write::UpdateProvider { .. }
            | Write::UpdateProviderStatus { .. }
            | Write::DeleteProvider { .. }
            | Write::UndeleteProvider { .. } => self.of_provider(write, id, expected),
            Write::CreateEndpoint { .. }
            | Write::UpdateEndpoint { .. }
            | Write::DeleteEndpoint { .. }
            | Write::SetDefaultEndpoint { .. } => self.of_endpoint(write, id, expected, hosts),
            Write::CreateModel { .. }
            | Write::UpdateModel { .. }
            | Write::UpdateModelStatus { .. }
            | Write::DeleteModel { .. }
            | Write::SetDefaultModel { .. }
            | Write::SyncModels { .. } => self.of_model(write, id, expected),
            Write::CreateBinding { .. } | Write::UpdateBinding { .. } | Write::DeleteBinding { .. } => {
                self.of_binding(write, id, expected)
            }
            Write::RollbackResource { kind, past, .. } => {
                let place = self.past.len() - 1 - usize::from(*past) % self.past.len();
                let (kind, revision) = (kind_at(*kind), self.past[place].0);
                let outcome = self.rollback(kind, &id, place, expected);
                let (resource_kind, resource_id) = (Some(kind.into()), id);
                let request =
                    v1::RollbackResourceRequest { resource_kind, resource_id, revision, ..Default::default() };
                ("AuditService/RollbackResource", request.encode_to_vec(), outcome)
            }
            _ => self.of_credential(write, id, expected),
        };
        Call { rpc, request, outcome, about, secret }
    }
}

fn missing_name(mask: Mask, fields: &Fields) -> Result<(), &'static str> {
    if mask.names(1) && fields.name.is_none() { Err("INVALID_FIELD") } else { Ok(()) }
}

/// The id that a thing has in an answer.
pub fn told_id(thing: &Thing) -> String {
    id_of(thing).to_owned()
}
