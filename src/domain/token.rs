//! Tokens: how callers prove who they are.

use super::caller::Roles;
use super::id::TokenId;
use super::revision::Revision;
use super::text::Text;
use super::time::Timestamp;

pub mod input;
pub mod plan;

pub const NAME: Text = Text::required(100);

/// A bearer token. Only a hash of its secret half is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub id: TokenId,
    pub revision: Revision,
    pub name: String,
    pub roles: Roles,
    pub create_time: Timestamp,
    pub created_by: String,
    pub expire_time: Option<Timestamp>,
    pub revoke_time: Option<Timestamp>,
    /// SHA-256 of the secret half; the secret has 256 random bits, so a plain hash is enough.
    pub secret_hash: [u8; 32],
}

impl Token {
    /// Whether it still opens anything.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoke_time.is_none() && self.expire_time.is_none_or(|end| now < end)
    }
}
