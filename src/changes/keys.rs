//! Which stored secrets a process can use.

use crate::domain::credential::Credential;
use crate::secrets::Secrets;
use crate::snapshot::{Board, Sealed, Snapshot};

/// How a process knows whether stored secrets open. Cheap to clone.
#[derive(Clone)]
pub enum Keys {
    /// It has the master keys, and tries.
    Ring(Secrets),
    /// It has none, and was told with the status of each credential.
    Told,
}

impl Keys {
    /// Whether the current secret of a credential opens.
    #[must_use]
    pub fn opens(&self, credential: &Credential, snapshot: &Snapshot, board: &Board) -> bool {
        match self {
            Self::Ring(secrets) => {
                let sealed = snapshot.sealed(credential.id, credential.secret_version);
                sealed.is_some_and(|sealed| opens(secrets, sealed))
            }
            Self::Told => !board.is_locked(credential.id),
        }
    }

    /// Changes when other master keys can be read.
    #[must_use]
    pub fn generation(&self) -> u64 {
        match self {
            Self::Ring(secrets) => secrets.ring().generation(),
            Self::Told => 0,
        }
    }
}

/// Whether a stored secret opens: its master key is here, and it is what was sealed here.
#[must_use]
pub fn opens(secrets: &Secrets, sealed: &Sealed) -> bool {
    sealed.opens(secrets.ring().generation(), |secret| match secrets.open(secret) {
        Ok(_) => true,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a stored secret cannot be used");
            false
        }
    })
}
