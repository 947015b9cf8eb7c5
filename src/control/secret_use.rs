//! Secrets on their way out: what is counted of them, and who asks for that.

use std::sync::Arc;

use super::Control;
use crate::domain::credential::Credential;
use crate::domain::secret::CredentialSecret;
use crate::domain::secret_use::{SecretUse, SecretUseFilter, SecretUseKey, UseCount};
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

impl Control {
    /// The secrets of the credentials that exist, may be used and open, in the order of `ids`.
    ///
    /// # Errors
    /// Where the record is strict and could not be written.
    pub async fn fetch_secrets(&self, call: &CallContext, ids: &[CredentialId]) -> Result<Vec<FetchedSecret>> {
        let (snapshot, now) = (self.snapshot().load(), self.now());
        let fetch = |id: &CredentialId| {
            let credential = snapshot.live_credential(*id).ok().filter(|credential| credential.is_usable(now))?;
            let sealed = snapshot.sealed(credential.id, credential.secret_version)?;
            let secret = self.opens(sealed).then(|| self.parts.secrets.open(sealed).ok()).flatten()?;
            Some(FetchedSecret { credential, secret })
        };
        let fetched: Vec<_> = ids.iter().filter_map(fetch).collect();
        self.record_secret_uses(call, fetched.iter().map(|fetched| current(&fetched.credential))).await?;
        Ok(fetched)
    }

    /// Records that the caller gets these versions of secrets, or that they are sent to a vendor for it.
    ///
    /// # Errors
    /// Where the record is strict and could not be written.
    pub(super) async fn record_secret_uses(
        &self,
        call: &CallContext,
        secrets: impl Iterator<Item = (CredentialId, i64)> + Send,
    ) -> Result<()> {
        let now = self.now();
        let uses: Vec<_> = secrets
            .map(|(id, version)| SecretUse {
                key: SecretUseKey::at(id, version, &call.caller.name, call.rpc, now),
                uses: UseCount::once(now),
            })
            .collect();
        Ok(self.parts.secret_uses.record(uses).await?)
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
