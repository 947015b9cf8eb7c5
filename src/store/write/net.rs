//! The net effect of a batch of changes on each resource: how its row was before the first and is after the last.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::LogLine;
use crate::domain::binding::Binding;
use crate::domain::credential::Credential;
use crate::domain::endpoint::Endpoint;
use crate::domain::keyring::Keyring;
use crate::domain::model::Model;
use crate::domain::provider::Provider;
use crate::domain::text::name_key;
use crate::domain::token::Token;
use crate::domain::{Operation, Resource, ResourceKind};
use crate::store::value::DbId;

/// The rows of one table that a batch touches.
#[derive(Debug)]
pub(super) struct Net<T> {
    /// Rows that are gone afterwards.
    pub remove: Vec<DbId>,
    /// Rows that stay and give up something before the batch goes on: a unique value which another row may take, or a
    /// reference to a row that goes.
    pub park: Vec<DbId>,
    /// Rows as they are afterwards.
    pub put: Vec<Arc<T>>,
}

impl<T> Default for Net<T> {
    fn default() -> Self {
        Self { remove: Vec::new(), park: Vec::new(), put: Vec::new() }
    }
}

impl<T> Net<T> {
    fn add(&mut self, id: Uuid, before: Option<&Arc<T>>, after: Option<&Arc<T>>, gives_up: fn(&T, &T) -> bool) {
        match (before, after) {
            // Also one that the batch itself made: what hangs on it must not be written either.
            (_, None) => self.remove.push(DbId(id)),
            (before, Some(after)) => {
                if before.is_some_and(|before| gives_up(before, after)) {
                    self.park.push(DbId(id));
                }
                self.put.push(Arc::clone(after));
            }
        }
    }
}

/// The rows of all tables that a batch touches.
#[derive(Debug, Default)]
pub(super) struct Effect {
    pub providers: Net<Provider>,
    pub endpoints: Net<Endpoint>,
    pub credentials: Net<Credential>,
    pub models: Net<Model>,
    pub bindings: Net<Binding>,
    pub tokens: Net<Token>,
    pub keyring: Option<Arc<Keyring>>,
}

/// Adds one resource's effect to its table.
macro_rules! add {
    ($net:expr, $variant:ident, $id:expr, $before:expr, $after:expr, $gives_up:expr) => {{
        let before = match $before {
            Some(Resource::$variant(resource)) => Some(resource),
            _ => None,
        };
        let after = match $after {
            Some(Resource::$variant(resource)) => Some(resource),
            _ => None,
        };
        $net.add($id, before, after, $gives_up);
    }};
}

impl Effect {
    pub(super) fn of(log: &[LogLine]) -> Self {
        let mut touched: BTreeMap<_, (Option<&Resource>, Option<&Resource>)> = BTreeMap::new();
        for change in log.iter().map(|line| &*line.change).filter(|change| change.operation != Operation::Access) {
            let key = (change.resource_kind, change.resource_id);
            touched.entry(key).or_insert((change.before.as_ref(), None)).1 = change.after.as_ref();
        }
        let mut effect = Self::default();
        for ((kind, id), (before, after)) in touched {
            effect.add(kind, id, before, after);
        }
        effect
    }

    fn add(&mut self, kind: ResourceKind, id: Uuid, before: Option<&Resource>, after: Option<&Resource>) {
        match kind {
            ResourceKind::Provider => add!(self.providers, Provider, id, before, after, provider_gives_up),
            ResourceKind::Endpoint => add!(self.endpoints, Endpoint, id, before, after, endpoint_gives_up),
            ResourceKind::Credential => add!(self.credentials, Credential, id, before, after, credential_gives_up),
            // A model's identifier never changes.
            ResourceKind::Model => add!(self.models, Model, id, before, after, |_, _| false),
            ResourceKind::Binding => add!(self.bindings, Binding, id, before, after, binding_gives_up),
            ResourceKind::Token => add!(self.tokens, Token, id, before, after, |_, _| false),
            ResourceKind::Keyring => {
                if let Some(Resource::Keyring(keyring)) = after {
                    self.keyring = Some(Arc::clone(keyring));
                }
            }
        }
    }
}

fn provider_gives_up(before: &Provider, after: &Provider) -> bool {
    before.delete_time.is_none() && (after.delete_time.is_some() || name_key(&before.name) != name_key(&after.name))
}

fn endpoint_gives_up(before: &Endpoint, after: &Endpoint) -> bool {
    (before.is_default && !after.is_default) || name_key(&before.name) != name_key(&after.name)
}

fn credential_gives_up(before: &Credential, after: &Credential) -> bool {
    before.alias != after.alias
}

/// What it pointed to may be deleted by the same batch.
fn binding_gives_up(before: &Binding, after: &Binding) -> bool {
    before.target != after.target
}
