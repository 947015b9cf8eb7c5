//! Who calls, and whether they may: tokens of this server and of issuers, certificates, and one table from RPC to role.
//! Deny by default.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use crate::domain::View as _;
use crate::domain::{Caller, Clock, Error, Result};
use crate::secrets::TokenSecret;
use crate::snapshot::SnapshotHandle;

mod cache;
pub mod certificate;
pub mod identities;
mod issuer;
pub mod table;
pub mod uses;

pub use identities::LiveIdentities;
pub use table::{Access, Rpc};
pub use uses::TokenUses;

const REFUSED: Error = Error::Unauthenticated { problem: "the token is not known, has expired or was revoked" };
const UNKNOWN_CERTIFICATE: Error = Error::Unauthenticated { problem: "the certificate names nobody who is known here" };

/// Recognises callers by their tokens, from memory: a revoked token is refused as soon as its change is applied here.
#[derive(Clone)]
pub struct Authenticator {
    snapshot: SnapshotHandle,
    clock: Arc<dyn Clock>,
    uses: Arc<TokenUses>,
    identities: LiveIdentities,
}

impl Authenticator {
    #[must_use]
    pub fn new(
        snapshot: SnapshotHandle,
        clock: Arc<dyn Clock>,
        uses: Arc<TokenUses>,
        identities: LiveIdentities,
    ) -> Self {
        Self { snapshot, clock, uses, identities }
    }

    #[must_use]
    pub const fn identities(&self) -> &LiveIdentities {
        &self.identities
    }

    /// The caller behind an `authorization` header, or else behind the certificates of its connection.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`]. Which part of a token is wrong is not told.
    pub async fn identify(
        &self,
        authorization: Option<&str>,
        certificates: Option<&[CertificateDer<'_>]>,
    ) -> Result<Arc<Caller>> {
        let Some(header) = authorization else {
            let chain = certificates.ok_or(Error::Unauthenticated { problem: "no authorization in the metadata" })?;
            return self.identities.by_certificate(chain).ok_or(UNKNOWN_CERTIFICATE);
        };
        let (scheme, text) = header.split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Error::Unauthenticated { problem: "the authorization is not a bearer token" });
        }
        let text = text.trim();
        // No token of this server has a dot, no signed one has none.
        if text.contains('.') {
            return self.identities.by_token(text).await.ok_or(REFUSED);
        }
        self.own(text).map(Arc::new)
    }

    /// The caller of one of this server's own tokens.
    fn own(&self, text: &str) -> Result<Caller> {
        let parsed = TokenSecret::parse(text).ok_or(REFUSED)?;
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
            pass: None,
        })
    }
}
