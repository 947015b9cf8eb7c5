//! The configuration and the status as a whole: what a process loads at start, and the pieces of status it follows.

use std::sync::Arc;

use uuid::Uuid;

use super::binding::Binding;
use super::credential::{Credential, Validation};
use super::endpoint::Endpoint;
use super::health::EndpointHealth;
use super::id::{CredentialId, EndpointId, ModelId, ProviderId, TokenId};
use super::keyring::Keyring;
use super::model::{Availability, Model};
use super::provider::{Provider, SyncStatus};
use super::revision::Head;
use super::secret::SealedSecret;
use super::time::Timestamp;
use super::token::Token;
use super::usage::{CredentialUsage, ModelUsage};

/// All configuration at one revision, read in one transaction.
#[derive(Debug, Clone)]
pub struct Image {
    pub head: Head,
    pub providers: Vec<Arc<Provider>>,
    pub endpoints: Vec<Arc<Endpoint>>,
    pub credentials: Vec<Arc<Credential>>,
    pub models: Vec<Arc<Model>>,
    pub bindings: Vec<Arc<Binding>>,
    pub tokens: Vec<Arc<Token>>,
    pub keyring: Arc<Keyring>,
    pub sealed: Vec<SealedSecret>,
}

impl Image {
    #[must_use]
    pub const fn new(head: Head, keyring: Arc<Keyring>) -> Self {
        Self {
            head,
            providers: Vec::new(),
            endpoints: Vec::new(),
            credentials: Vec::new(),
            models: Vec::new(),
            bindings: Vec::new(),
            tokens: Vec::new(),
            keyring,
            sealed: Vec::new(),
        }
    }

    pub fn add(&mut self, page: Page) {
        match page {
            Page::Providers(rows) => self.providers.extend(rows),
            Page::Endpoints(rows) => self.endpoints.extend(rows),
            Page::Credentials(rows) => self.credentials.extend(rows),
            Page::Models(rows) => self.models.extend(rows),
            Page::Bindings(rows) => self.bindings.extend(rows),
            Page::Tokens(rows) => self.tokens.extend(rows),
            Page::Sealed(rows) => self.sealed.extend(rows),
        }
    }

    /// The same in pages, parents before children, bindings after both.
    #[must_use]
    pub fn into_pages(self) -> [Page; 7] {
        [
            Page::Providers(self.providers),
            Page::Endpoints(self.endpoints),
            Page::Credentials(self.credentials),
            Page::Models(self.models),
            Page::Bindings(self.bindings),
            Page::Tokens(self.tokens),
            Page::Sealed(self.sealed),
        ]
    }
}

/// Some resources of one kind: a part of an [`Image`] that is too large to be in memory twice.
#[derive(Debug, Clone)]
pub enum Page {
    Providers(Vec<Arc<Provider>>),
    Endpoints(Vec<Arc<Endpoint>>),
    Credentials(Vec<Arc<Credential>>),
    Models(Vec<Arc<Model>>),
    Bindings(Vec<Arc<Binding>>),
    Tokens(Vec<Arc<Token>>),
    Sealed(Vec<SealedSecret>),
}

/// What rows are ordered by: an id, and for sealed secrets the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct RowKey {
    pub id: Uuid,
    pub version: i64,
}

impl Page {
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Providers(rows) => rows.len(),
            Self::Endpoints(rows) => rows.len(),
            Self::Credentials(rows) => rows.len(),
            Self::Models(rows) => rows.len(),
            Self::Bindings(rows) => rows.len(),
            Self::Tokens(rows) => rows.len(),
            Self::Sealed(rows) => rows.len(),
        }
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key that follows the last row's; none behind the greatest id.
    #[must_use]
    pub fn next(&self) -> Option<RowKey> {
        let next = |id: Uuid| id.as_u128().checked_add(1).map(|id| RowKey { id: Uuid::from_u128(id), version: 0 });
        match self {
            Self::Providers(rows) => next(rows.last()?.id.uuid()),
            Self::Endpoints(rows) => next(rows.last()?.id.uuid()),
            Self::Credentials(rows) => next(rows.last()?.id.uuid()),
            Self::Models(rows) => next(rows.last()?.id.uuid()),
            Self::Bindings(rows) => next(rows.last()?.id.uuid()),
            Self::Tokens(rows) => next(rows.last()?.id.uuid()),
            Self::Sealed(rows) => {
                let last = rows.last()?;
                Some(RowKey { id: last.credential_id.uuid(), version: last.version.saturating_add(1) })
            }
        }
    }
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
