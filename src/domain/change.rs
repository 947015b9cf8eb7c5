//! One committed change to one resource: the unit of the log.

use std::sync::Arc;

use uuid::Uuid;

use super::binding::Binding;
use super::credential::Credential;
use super::endpoint::Endpoint;
use super::keyring::Keyring;
use super::model::Model;
use super::provider::Provider;
use super::revision::Revision;
use super::time::Timestamp;
use super::token::Token;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    Provider,
    Endpoint,
    Credential,
    Model,
    Binding,
    Token,
    Keyring,
}

impl ResourceKind {
    pub const ALL: [Self; 7] =
        [Self::Provider, Self::Endpoint, Self::Credential, Self::Model, Self::Binding, Self::Token, Self::Keyring];

    /// The word for it in messages and in the database.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Endpoint => "endpoint",
            Self::Credential => "credential",
            Self::Model => "model",
            Self::Binding => "binding",
            Self::Token => "token",
            Self::Keyring => "keyring",
        }
    }

    #[must_use]
    pub fn parse(noun: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.noun() == noun)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Create,
    Update,
    /// With an `after`: the resource is hidden (soft delete) and its row stays. Without: it is gone for good.
    Delete,
    Undelete,
    /// A secret was handed out; nothing changed.
    Access,
}

impl Operation {
    pub const ALL: [Self; 5] = [Self::Create, Self::Update, Self::Delete, Self::Undelete, Self::Access];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Undelete => "undelete",
            Self::Access => "access",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

/// Any resource that is configuration: what the log carries. Status is never part of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Resource {
    Provider(Arc<Provider>),
    Endpoint(Arc<Endpoint>),
    Credential(Arc<Credential>),
    Model(Arc<Model>),
    Binding(Arc<Binding>),
    Token(Arc<Token>),
    Keyring(Arc<Keyring>),
}

impl Resource {
    #[must_use]
    pub const fn kind(&self) -> ResourceKind {
        match self {
            Self::Provider(_) => ResourceKind::Provider,
            Self::Endpoint(_) => ResourceKind::Endpoint,
            Self::Credential(_) => ResourceKind::Credential,
            Self::Model(_) => ResourceKind::Model,
            Self::Binding(_) => ResourceKind::Binding,
            Self::Token(_) => ResourceKind::Token,
            Self::Keyring(_) => ResourceKind::Keyring,
        }
    }

    #[must_use]
    pub fn id(&self) -> Uuid {
        match self {
            Self::Provider(r) => r.id.uuid(),
            Self::Endpoint(r) => r.id.uuid(),
            Self::Credential(r) => r.id.uuid(),
            Self::Model(r) => r.id.uuid(),
            Self::Binding(r) => r.id.uuid(),
            Self::Token(r) => r.id.uuid(),
            Self::Keyring(r) => r.id,
        }
    }
}

/// A line of the log: what happened to one resource, when, by whom and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub revision: Revision,
    /// The place within the revision, from 0.
    pub ordinal: u32,
    pub resource_kind: ResourceKind,
    pub resource_id: Uuid,
    pub operation: Operation,
    pub actor: String,
    pub rpc: String,
    /// The caller's idempotency key, or empty.
    pub request_id: String,
    pub reason: String,
    pub peer_address: String,
    pub user_agent: String,
    pub time: Timestamp,
    pub before: Option<Resource>,
    pub after: Option<Resource>,
    pub changed_fields: Vec<String>,
}
