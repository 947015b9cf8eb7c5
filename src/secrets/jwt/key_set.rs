//! All keys that an issuer shows (JWKS). A key that is of no use here is passed over and told; a set of which none is
//! left is no set.

use serde::Deserialize;
use serde_json::Value;

use super::SignedToken;
use super::key::{JwtKey, RawKey};
use crate::domain::identity::SignatureAlgorithm;

/// Longest set, in bytes, and how many keys it may have: every unknown name may make a signature be tried.
const MAX_SIZE: usize = 256 * 1024;
const MAX_KEYS: usize = 100;
/// Keys of one name that are tried for one token.
const MAX_TRIED: usize = 4;

/// Why a set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    #[error("it is longer than {MAX_SIZE} bytes")]
    TooLong,
    #[error("it is not a JSON object with a list of keys")]
    Form,
    #[error("it has more than {MAX_KEYS} keys")]
    TooMany,
    #[error("none of its keys can be used{}", .first.map(|why| format!("; the first: {why}")).unwrap_or_default())]
    NoneLeft { first: Option<&'static str> },
}

/// The keys of an issuer.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<JwtKey>,
    /// Why keys were passed over.
    pub passed_over: Vec<&'static str>,
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set.
    ///
    /// # Errors
    /// [`KeySetError`]
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        if text.len() > MAX_SIZE {
            return Err(KeySetError::TooLong);
        }
        let RawSet { keys: raw } = serde_json::from_slice(text).map_err(|_| KeySetError::Form)?;
        if raw.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut set = Self::default();
        for value in raw {
            let read = serde_json::from_value::<RawKey>(value).map_err(|_| "a field of it has another form");
            match read.and_then(|raw| JwtKey::read(&raw)) {
                // The same key may be shown twice; two keys of one name are both tried.
                Ok(key) if set.has(&key) => {}
                Ok(key) => set.keys.push(key),
                Err(why) => set.passed_over.push(why),
            }
        }
        if set.keys.is_empty() {
            return Err(KeySetError::NoneLeft { first: set.passed_over.first().copied() });
        }
        Ok(set)
    }

    #[must_use]
    pub fn has(&self, key: &JwtKey) -> bool {
        self.keys.iter().any(|known| known.thumbprint() == key.thumbprint())
    }

    pub fn iter(&self) -> impl Iterator<Item = &JwtKey> {
        self.keys.iter()
    }

    /// The keys that may have signed a token: those of its name, or, of a token that names none, the only one for its
    /// algorithm.
    #[must_use]
    pub fn fitting(&self, token: &SignedToken<'_>, allowed: &[SignatureAlgorithm]) -> Vec<&JwtKey> {
        if !allowed.contains(&token.algorithm) {
            return Vec::new();
        }
        let for_it = self.keys.iter().filter(|key| key.allows(token.algorithm));
        if let Some(id) = token.key_id.as_deref() {
            return for_it.filter(|key| key.id() == Some(id)).take(MAX_TRIED).collect();
        }
        let keys: Vec<_> = for_it.take(2).collect();
        if keys.len() == 1 { keys } else { Vec::new() }
    }

    /// Whether a key has this name, whatever it is for.
    #[must_use]
    pub fn names(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id() == Some(id))
    }
}
