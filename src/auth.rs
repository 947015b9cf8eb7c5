//! Who calls, and whether they may: tokens, and one table from RPC to role. Deny by default.

use std::sync::Arc;

use crate::domain::View as _;
use crate::domain::{Caller, Clock, Error, Result};
use crate::secrets::TokenSecret;
use crate::snapshot::SnapshotHandle;

pub mod table;
pub mod uses;

pub use table::{Access, Rpc};
pub use uses::TokenUses;

/// Recognises callers by their tokens, from memory: a revoked token is refused as soon as its change is applied here.
#[derive(Clone)]
pub struct Authenticator {
    snapshot: SnapshotHandle,
    clock: Arc<dyn Clock>,
    uses: Arc<TokenUses>,
}

impl Authenticator {
    #[must_use]
    pub fn new(snapshot: SnapshotHandle, clock: Arc<dyn Clock>, uses: Arc<TokenUses>) -> Self {
        Self { snapshot, clock, uses }
    }

    /// The caller behind an `authorization` header.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`]. Which part of a token is wrong is not told.
    pub fn identify(&self, authorization: Option<&str>) -> Result<Caller> {
        const REFUSED: Error = Error::Unauthenticated { problem: "the token is not known, has expired or was revoked" };
        let header = authorization.ok_or(Error::Unauthenticated { problem: "no authorization in the metadata" })?;
        let (scheme, text) = header.split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Error::Unauthenticated { problem: "the authorization is not a bearer token" });
        }
        let parsed = TokenSecret::parse(text.trim()).ok_or(REFUSED)?;
        let now = self.clock.now();
        let snapshot = self.snapshot.load();
        let token = snapshot.token(parsed.id).ok_or(REFUSED)?;
        if !TokenSecret::verify(&parsed.hash, &token.secret_hash) || !token.is_valid(now) {
            return Err(REFUSED);
        }
        self.uses.note(token.id, now);
        Ok(Caller {
            identity: token.id.to_string(),
            name: token.name.clone(),
            roles: token.roles.clone(),
            token: Some(token.id),
        })
    }
}
