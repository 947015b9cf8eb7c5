//! Secrets on their way out: what is counted of them, and who asks for that.

use std::sync::Arc;

use super::vault::not_held;
use super::{Control, Reads};
use crate::domain::credential::Credential;
use crate::domain::secret::CredentialSecret;
use crate::domain::secret_use::{SecretUse, SecretUseFilter};
use crate::domain::{CallContext, CredentialId, Result, Revision, View as _};
use crate::store::SecretUseField;

/// A secret that is handed out, with what its receiver has to know.
pub struct FetchedSecret {
    pub credential: Arc<Credential>,
    pub secret: CredentialSecret,
}

/// A piece of the record, as of now.
pub struct SecretUsePage {
    pub lines: Vec<SecretUse>,
    /// On all pages; only counted for the first.
    pub total_size: usize,
    pub revision: Revision,
}

impl Reads {
    /// The secrets of the credentials that exist, may be used and open, in the order of `ids`.
    ///
    /// # Errors
    /// [`Error::SecretNotHeld`] for one that is not at hand; where the record is strict and could not be written.
    pub async fn fetch_secrets(&self, call: &CallContext, ids: &[CredentialId]) -> Result<Vec<FetchedSecret>> {
        let (snapshot, board, now) = (self.snapshot().load(), self.board().load(), self.now());
        let vault = &self.parts.vault;
        let usable = ids.iter().filter_map(|id| snapshot.live_credential(*id).ok());
        let usable =
            usable.filter(|credential| credential.is_usable(now) && self.keys.opens(credential, &snapshot, &board));
        let mut fetched = Vec::new();
        for credential in usable {
            if !vault.has(&credential) {
                return Err(not_held(&credential));
            }
            if let Ok(secret) = vault.open(&credential, credential.secret_version, &snapshot) {
                fetched.push(FetchedSecret { credential, secret });
            }
        }
        vault.record(call, now, fetched.iter().map(|fetched| current(&fetched.credential))).await?;
        Ok(fetched)
    }
}

impl Control {
    /// Records that the caller gets these versions of secrets, or that they are sent to a vendor for it.
    ///
    /// # Errors
    /// Where the record is strict and could not be written.
    pub(super) async fn record_secret_uses(
        &self,
        call: &CallContext,
        secrets: impl Iterator<Item = (CredentialId, i64)> + Send,
    ) -> Result<()> {
        self.reads.parts.vault.record(call, self.now(), secrets).await
    }

    /// The record of secrets that were handed out, behind `after`. What this process has counted is written first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn secret_uses(
        &self,
        filter: &SecretUseFilter,
        order: &[(SecretUseField, bool)],
        after: Option<&SecretUse>,
        limit: i64,
    ) -> Result<SecretUsePage> {
        self.parts.secret_uses.flush().await?;
        let total_size = match after {
            None => self.parts.store.count_secret_uses(filter).await?,
            Some(_) => 0,
        };
        let lines = self.parts.store.secret_uses(filter, order, after, limit).await?;
        Ok(SecretUsePage { lines, total_size, revision: self.snapshot().load().head().revision })
    }
}

/// The current version of a credential's secret.
pub(super) fn current(credential: &Credential) -> (CredentialId, i64) {
    (credential.id, credential.secret_version)
}
