//! Ids: UUIDs that know which resource they name, so that two cannot be swapped.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use uuid::Uuid;

use super::binding::Binding;
use super::credential::Credential;
use super::endpoint::Endpoint;
use super::model::Model;
use super::provider::Provider;
use super::token::Token;

/// The id of a `T`. New ones are `UUIDv7`; any well-formed UUID is accepted on input.
pub struct Id<T>(Uuid, PhantomData<fn() -> T>);

pub type ProviderId = Id<Provider>;
pub type EndpointId = Id<Endpoint>;
pub type CredentialId = Id<Credential>;
pub type ModelId = Id<Model>;
pub type BindingId = Id<Binding>;
pub type TokenId = Id<Token>;

impl<T> Id<T> {
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The all-zero id: what a resource that was only validated carries.
    #[must_use]
    pub const fn nil() -> Self {
        Self::new(Uuid::nil())
    }

    /// Reads an id as a client sends it, in any form of a UUID.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self::new)
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
impl<T> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Where new ids come from. Injected, so that tests can name what they expect.
pub trait IdSource: Send + Sync {
    fn next(&self) -> Uuid;
}

/// `UUIDv7` ids, monotonic within the process (the `uuid` crate keeps a shared counter for it).
#[derive(Debug, Default, Clone, Copy)]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}
