//! Whom to ask: one endpoint of a provider, perhaps with a credential, until a deadline.

use tokio::time::Instant;

use super::client::{Client, Terms};
use super::request::Authority;
use crate::domain::endpoint::Endpoint;
use crate::domain::provider::ProviderKind;

/// A model that nobody has, so that asking for it spends nothing.
pub(super) const NOBODYS_MODEL: &str = "modelward-key-check";

#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub kind: ProviderKind,
    pub endpoint: &'a Endpoint,
    /// Absent where a kind needs no credential and none is there.
    pub authority: Option<Authority<'a>>,
    /// For everything that one call of an adapter does.
    pub deadline: Instant,
}

impl Target<'_> {
    pub(super) fn terms(&self, client: &Client) -> Terms {
        client.terms(self.kind, self.endpoint, self.deadline)
    }
}
