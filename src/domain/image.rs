//! The configuration and the status as a whole: what a process loads at start, and the pieces of status it follows.

use std::sync::Arc;

use super::credential::{Credential, CredentialUsage, Validation};
use super::endpoint::Endpoint;
use super::health::EndpointHealth;
use super::id::{CredentialId, EndpointId, ModelId, ProviderId, TokenId};
use super::keyring::Keyring;
use super::model::{Availability, Model, ModelUsage};
use super::provider::{Provider, SyncStatus};
use super::revision::Head;
use super::secret::SealedSecret;
use super::time::Timestamp;
use super::token::Token;

/// All configuration at one revision, read in one transaction.
#[derive(Debug, Clone)]
pub struct Image {
    pub head: Head,
    pub providers: Vec<Arc<Provider>>,
    pub endpoints: Vec<Arc<Endpoint>>,
    pub credentials: Vec<Arc<Credential>>,
    pub models: Vec<Arc<Model>>,
    pub tokens: Vec<Arc<Token>>,
    pub keyring: Arc<Keyring>,
    pub sealed: Vec<SealedSecret>,
}

/// The position in the order of status changes: rises with each batch, also after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StatusRevision(pub i64);

/// The latest value of one piece of status.
#[derive(Debug, Clone, PartialEq)]
pub enum StatusValue {
    Health(EndpointId, EndpointHealth),
    Validation(CredentialId, Validation),
    CredentialUsage(CredentialId, CredentialUsage),
    Availability(ModelId, Availability),
    ModelUsage(ModelId, ModelUsage),
    Sync(ProviderId, SyncStatus),
    TokenUse(TokenId, Timestamp),
    /// A secret whose data key was wrapped anew under another master key.
    Rewrapped(SealedSecret),
}

/// Values of status, up to and including a status revision.
#[derive(Debug, Clone, Default)]
pub struct StatusBatch {
    pub revision: StatusRevision,
    pub values: Vec<StatusValue>,
}
