//! Plain secrets that were fetched from where they are stored: in memory that is wiped, and nowhere else.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::domain::CredentialId;
use crate::domain::credential::Credential;
use crate::domain::secret::CredentialSecret;

/// Clones share what is held. Of each credential one version is held, the latest that was fetched.
#[derive(Clone, Default)]
pub struct Held(Arc<RwLock<Secrets>>);

#[derive(Default)]
struct Secrets {
    by_id: HashMap<CredentialId, (i64, CredentialSecret)>,
    changes: u64,
}

impl Held {
    /// Whether the current version of a credential's secret is here.
    #[must_use]
    pub fn has(&self, credential: &Credential) -> bool {
        self.version(credential.id) == Some(credential.secret_version)
    }

    /// Which version is here.
    #[must_use]
    pub fn version(&self, id: CredentialId) -> Option<i64> {
        self.read().by_id.get(&id).map(|(version, _)| *version)
    }

    /// The secret, if this version is here.
    #[must_use]
    pub fn get(&self, id: CredentialId, version: i64) -> Option<CredentialSecret> {
        let held = self.read();
        held.by_id.get(&id).filter(|(known, _)| *known == version).map(|(_, secret)| secret.clone())
    }

    pub fn put(&self, id: CredentialId, version: i64, secret: CredentialSecret) {
        let mut held = self.write();
        held.by_id.insert(id, (version, secret));
        held.changes += 1;
    }

    /// Keeps what `keeps` says; the rest is wiped.
    pub fn retain(&self, keeps: impl Fn(CredentialId) -> bool) {
        let mut held = self.write();
        let before = held.by_id.len();
        held.by_id.retain(|id, _| keeps(*id));
        held.changes += u64::from(held.by_id.len() != before);
    }

    /// All that is held: for a copy that is sealed.
    #[must_use]
    pub fn all(&self) -> Vec<(CredentialId, i64, CredentialSecret)> {
        self.read().by_id.iter().map(|(id, (version, secret))| (*id, *version, secret.clone())).collect()
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.read().by_id.len()
    }

    /// Another number whenever something else is held.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.read().changes
    }

    fn read(&self) -> RwLockReadGuard<'_, Secrets> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Secrets> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::SecretText;
    use crate::snapshot::fixtures::{self, id};

    #[test]
    fn only_the_version_that_is_held_is_answered() {
        let (held, credential) = (Held::default(), fixtures::credential(1, 1));
        assert!(!held.has(&credential));
        let secret = CredentialSecret { api_key: Some(SecretText::new("k".into())), ..CredentialSecret::default() };
        held.put(credential.id, 1, secret.clone());
        assert!(held.has(&credential) && held.get(credential.id, 1).is_some());
        assert!(held.get(credential.id, 2).is_none() && held.get(id(2), 1).is_none());
        assert!(!held.has(&Credential { secret_version: 2, ..credential }));
        let before = held.changes();
        held.retain(|_| true);
        assert_eq!(held.changes(), before);
        held.put(credential.id, 2, secret);
        assert_ne!(held.changes(), before, "another version, and no more of them");
        held.retain(|_| false);
        assert_eq!(held.count(), 0);
    }
}
