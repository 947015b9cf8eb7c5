//! Sealed secrets in memory: which versions are kept, which have had their time, and which were found to open.

use std::ops::{Bound, Deref};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use imbl::OrdMap;

use crate::domain::credential::Credential;
use crate::domain::id::CredentialId;
use crate::domain::secret::SealedSecret;
use crate::domain::time::Timestamp;

/// One sealed version, which remembers whether it opened: holding its master key's id does not prove that it does.
#[derive(Debug)]
pub struct Sealed {
    secret: SealedSecret,
    /// The generation of the key ring in which it was tried, twice, and one more if it opened; 0: not tried yet.
    tried: AtomicU64,
}

impl Sealed {
    const fn new(secret: SealedSecret) -> Self {
        Self { secret, tried: AtomicU64::new(0) }
    }

    /// Whether `open` succeeds, which is asked once in each generation (1, 2, …) of the key ring.
    pub fn opens(&self, generation: u64, open: impl FnOnce(&SealedSecret) -> bool) -> bool {
        let tried = self.tried.load(Ordering::Relaxed);
        if tried / 2 == generation {
            return tried % 2 == 1;
        }
        let opens = open(&self.secret);
        self.tried.store(generation.saturating_mul(2) | u64::from(opens), Ordering::Relaxed);
        opens
    }
}

impl Deref for Sealed {
    type Target = SealedSecret;

    fn deref(&self) -> &SealedSecret {
        &self.secret
    }
}

/// The sealed versions of all credentials. Superseded versions are here only while they stay readable.
#[derive(Debug, Clone)]
pub struct SealedSecrets(OrdMap<(CredentialId, i64), Arc<Sealed>>);

impl SealedSecrets {
    pub fn new() -> Self {
        Self(OrdMap::new())
    }

    pub fn get(&self, credential: CredentialId, version: i64) -> Option<&Arc<Sealed>> {
        self.0.get(&(credential, version))
    }

    pub fn insert(&mut self, secret: SealedSecret) {
        self.0.insert((secret.credential_id, secret.version), Arc::new(Sealed::new(secret)));
    }

    /// Replaces a version that is known; whether it was.
    pub fn replace(&mut self, secret: SealedSecret) -> bool {
        match self.0.get_mut(&(secret.credential_id, secret.version)) {
            Some(known) => {
                *known = Arc::new(Sealed::new(secret));
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
                *row = Arc::new(Sealed::new(SealedSecret { expire_time: end, ..row.secret.clone() }));
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Sealed>> {
        self.0.values()
    }

    /// The versions of a span, in order of credential and version.
    pub fn range(
        &self,
        from: Bound<(CredentialId, i64)>,
        to: Bound<(CredentialId, i64)>,
    ) -> impl Iterator<Item = &Arc<Sealed>> {
        self.0.range((from, to)).map(|(_, secret)| secret)
    }

    fn versions(&self, credential: CredentialId) -> Vec<i64> {
        self.0.range((credential, i64::MIN)..=(credential, i64::MAX)).map(|((_, version), _)| *version).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::fixtures;

    #[test]
    fn it_is_tried_once_in_each_generation_of_the_key_ring() {
        let sealed = Sealed::new(fixtures::sealed(1, 1));
        let asked = std::cell::Cell::new(0);
        let try_it = |generation, opens| {
            sealed.opens(generation, |_| {
                asked.set(asked.get() + 1);
                opens
            })
        };
        assert!(!try_it(1, false) && !try_it(1, true));
        assert!(try_it(2, true) && try_it(2, false));
        assert_eq!(asked.get(), 2);
    }
}
