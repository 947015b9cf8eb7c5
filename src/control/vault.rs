//! Where plain secrets come from, and what is recorded when one is handed out.

use super::held::Held;
use crate::changes::{Keys, SecretUses};
use crate::domain::credential::Credential;
use crate::domain::secret::CredentialSecret;
use crate::domain::secret_use::{SecretUse, SecretUseKey, UseCount};
use crate::domain::{CallContext, CredentialId, Error, Result, Timestamp};
use crate::secrets::Secrets;
use crate::snapshot::Snapshot;

/// Cheap to clone.
#[derive(Clone)]
pub enum Vault {
    /// Stored under master keys that are here, with a record of every secret that was handed out.
    Stored { secrets: Secrets, uses: SecretUses },
    /// Fetched from where they are stored, which has recorded that.
    Held(Held),
}

impl Vault {
    /// Who tells what opens.
    #[must_use]
    pub fn keys(&self) -> Keys {
        match self {
            Self::Stored { secrets, .. } => Keys::Ring(secrets.clone()),
            Self::Held(_) => Keys::Told,
        }
    }

    /// Whether the current secret of a credential that opens is at hand.
    #[must_use]
    pub fn has(&self, credential: &Credential) -> bool {
        match self {
            Self::Stored { .. } => true,
            Self::Held(held) => held.has(credential),
        }
    }

    /// The secret of this version.
    ///
    /// # Errors
    /// [`Error::SecretUnreadable`], [`Error::SecretNotHeld`].
    pub fn open(&self, credential: &Credential, version: i64, snapshot: &Snapshot) -> Result<CredentialSecret> {
        let secrets = match self {
            Self::Stored { secrets, .. } => secrets,
            Self::Held(held) => return held.get(credential.id, version).ok_or_else(|| not_held(credential)),
        };
        let credential_id = credential.id.uuid();
        let unknown = || Error::SecretUnreadable { credential_id, key_id: "unknown".to_owned() };
        let sealed = snapshot.sealed(credential.id, version).ok_or_else(unknown)?;
        secrets.open(sealed).map_err(|error| {
            tracing::error!(credential.id = %credential.id, error = %error, "a stored secret does not open");
            error.into()
        })
    }

    /// Records that the caller gets these versions of secrets, or that they are sent to a vendor for it.
    ///
    /// # Errors
    /// Where the record is strict and could not be written.
    pub async fn record(
        &self,
        call: &CallContext,
        now: Timestamp,
        secrets: impl Iterator<Item = (CredentialId, i64)> + Send,
    ) -> Result<()> {
        let Self::Stored { uses, .. } = self else { return Ok(()) };
        let lines = secrets
            .map(|(id, version)| SecretUse {
                key: SecretUseKey::at(id, version, &call.caller.name, call.rpc, now),
                uses: UseCount::once(now),
            })
            .collect();
        Ok(uses.record(lines).await?)
    }
}

pub(super) fn not_held(credential: &Credential) -> Error {
    Error::SecretNotHeld { credential_id: credential.id.uuid() }
}
