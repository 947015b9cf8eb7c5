//! Sealed secrets in memory: which versions are kept, and which have had their time.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use crate::domain::credential::Credential;
use crate::domain::id::CredentialId;
use crate::domain::secret::SealedSecret;
use crate::domain::time::Timestamp;

/// The sealed versions of all credentials. Superseded versions are here only while they stay readable.
#[derive(Debug, Clone)]
pub struct SealedSecrets(OrdMap<(CredentialId, i64), Arc<SealedSecret>>);

impl SealedSecrets {
    pub fn new() -> Self {
        Self(OrdMap::new())
    }

    pub fn get(&self, credential: CredentialId, version: i64) -> Option<&Arc<SealedSecret>> {
        self.0.get(&(credential, version))
    }

    pub fn insert(&mut self, secret: SealedSecret) {
        self.0.insert((secret.credential_id, secret.version), Arc::new(secret));
    }

    /// Replaces a version that is known; whether it was.
    pub fn replace(&mut self, secret: SealedSecret) -> bool {
        match self.0.get_mut(&(secret.credential_id, secret.version)) {
            Some(known) => {
                *known = Arc::new(secret);
                true
            }
            None => false,
        }
    }

    pub fn remove_all(&mut self, credential: CredentialId) {
        for version in self.versions(credential) {
            self.0.remove(&(credential, version));
        }
    }

    /// Keeps what stays readable after a change of `credential` at `now`: the current version, and older ones with an
    /// end that has not come.
    pub fn retain(&mut self, credential: &Credential, now: Timestamp) {
        for version in self.versions(credential.id) {
            if version >= credential.secret_version {
                continue;
            }
            let key = (credential.id, version);
            let previous = version.saturating_add(1) == credential.secret_version;
            let grace = credential.previous_secret_expire_time.filter(|_| previous);
            let Some(row) = self.0.get_mut(&key) else { continue };
            let end = if previous { grace } else { row.expire_time };
            if end.is_none_or(|end| end <= now) {
                self.0.remove(&key);
            } else if row.expire_time != end {
                *row = Arc::new(SealedSecret { expire_time: end, ..SealedSecret::clone(row) });
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<SealedSecret>> {
        self.0.values()
    }

    /// The versions of a span, in order of credential and version.
    pub fn range(
        &self,
        from: Bound<(CredentialId, i64)>,
        to: Bound<(CredentialId, i64)>,
    ) -> impl Iterator<Item = &Arc<SealedSecret>> {
        self.0.range((from, to)).map(|(_, secret)| secret)
    }

    fn versions(&self, credential: CredentialId) -> Vec<i64> {
        self.0.range((credential, i64::MIN)..=(credential, i64::MAX)).map(|((_, version), _)| *version).collect()
    }
}
