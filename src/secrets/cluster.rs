//! The cluster's own keys: for the chain of the log, for fingerprints, for request hashes; random, made once, stored
//! wrapped by a master key, and never derived from one, so that master keys can be rotated without touching data.
//!
//! A wrapped key is bound to format, cluster id, purpose and master key id. The canary is a known value wrapped in the
//! same way: it opens only with the right master key.

use std::sync::Arc;

use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::cipher::{Context, Key, length_of, sha256};
use super::encoding;
use super::error::SecretError;
use super::key_ring::{KeyRing, Unwrap};
use crate::domain::keyring::WrappedKey;
use crate::domain::secret::CredentialSecret;
use crate::domain::{ChainHash, Head, Revision};

const FORMAT: &str = "modelward cluster key 1";
const CHAIN: &str = "chain";
const FINGERPRINT: &str = "fingerprint";
const REQUEST_HASH: &str = "request_hash";
const CANARY: &str = "canary";
/// Begins what is sealed, so that it is never a line of the log: these begin with a revision.
const ANCHOR: &[u8] = b"modelward log anchor";

/// The opened keys. Cheap to clone.
#[derive(Clone)]
pub struct ClusterKeys(Arc<Keys>);

struct Keys {
    chain: Key,
    fingerprint: Key,
    request_hash: Key,
}

impl ClusterKeys {
    /// Makes the keys of a new cluster, and what to store of them.
    ///
    /// # Errors
    /// The ring does not hold the active key, or the system's random source fails.
    pub fn create(
        ring: &KeyRing,
        active_key_id: &str,
        cluster_id: Uuid,
    ) -> Result<(Self, Vec<WrappedKey>), SecretError> {
        let keys = Keys { chain: Key::random()?, fingerprint: Key::random()?, request_hash: Key::random()? };
        let wrap = |purpose, key: &Key| wrap(ring, active_key_id, cluster_id, purpose, key);
        let wrapped = vec![
            wrap(CANARY, &canary()?)?,
            wrap(CHAIN, &keys.chain)?,
            wrap(FINGERPRINT, &keys.fingerprint)?,
            wrap(REQUEST_HASH, &keys.request_hash)?,
        ];
        Ok((Self(Arc::new(keys)), wrapped))
    }

    /// Opens the stored keys: the proof that this process has the right master keys.
    ///
    /// # Errors
    /// A master key is missing or is not the right one (named by id), or a purpose is missing.
    pub fn open(ring: &KeyRing, cluster_id: Uuid, stored: &[WrappedKey]) -> Result<Self, SecretError> {
        let open = |purpose| open(ring, cluster_id, one(stored, purpose)?);
        let found = open(CANARY)?;
        if !bool::from(found.bytes()[..].ct_eq(&canary()?.bytes()[..])) {
            return Err(wrong(ring, one(stored, CANARY)?));
        }
        let keys = Keys { chain: open(CHAIN)?, fingerprint: open(FINGERPRINT)?, request_hash: open(REQUEST_HASH)? };
        Ok(Self(Arc::new(keys)))
    }

    /// The stored keys wrapped by another master key; the keys themselves stay.
    ///
    /// # Errors
    /// An old one does not open, or the ring does not hold the new master key.
    pub fn rewrap(
        ring: &KeyRing,
        cluster_id: Uuid,
        stored: &[WrappedKey],
        new_key_id: &str,
    ) -> Result<Vec<WrappedKey>, SecretError> {
        let again = |old: &WrappedKey| wrap(ring, new_key_id, cluster_id, &old.purpose, &open(ring, cluster_id, old)?);
        stored.iter().map(again).collect()
    }

    /// The hash of the log up to this change: HMAC over its place, the hash before it and its payload.
    #[must_use]
    pub fn chain(&self, revision: Revision, ordinal: u32, previous: &ChainHash, payload: &[u8]) -> ChainHash {
        // All but the payload have a fixed width, so no two changes read the same.
        ChainHash(self.0.chain.hmac(&[&revision.0.to_be_bytes(), &ordinal.to_be_bytes(), &previous.0, payload]))
    }

    /// The proof that a log was shortened on purpose up to this change.
    #[must_use]
    pub fn seal_anchor(&self, head: &Head) -> ChainHash {
        ChainHash(self.0.chain.hmac(&[ANCHOR, &head.revision.0.to_be_bytes(), &head.hash.0]))
    }

    /// A keyed hash of a secret, 32 hex digits: equal secrets, equal fingerprints, within one cluster.
    #[must_use]
    pub fn fingerprint(&self, secret: &CredentialSecret) -> String {
        encoding::fingerprint(&self.0.fingerprint, secret)
    }

    /// A keyed hash of a request: two requests with one request id are compared by it. Keyed, because a request may
    /// hold a secret.
    #[must_use]
    pub fn request_hash(&self, rpc: &str, request: &[u8]) -> [u8; 32] {
        self.0.request_hash.hmac(&[&length_of(rpc.as_bytes()), rpc.as_bytes(), request])
    }
}

fn canary() -> Result<Key, SecretError> {
    Key::from_slice(&sha256(&[b"modelward canary"])).ok_or(SecretError::System)
}

fn context(cluster_id: Uuid, purpose: &str) -> Context {
    Context::new(FORMAT).with(cluster_id.as_bytes()).with(purpose.as_bytes())
}

fn wrap(ring: &KeyRing, key_id: &str, cluster_id: Uuid, purpose: &str, key: &Key) -> Result<WrappedKey, SecretError> {
    let wrapped = ring.wrap(key_id, &context(cluster_id, purpose), key)?;
    Ok(WrappedKey { purpose: purpose.to_owned(), master_key_id: key_id.to_owned(), wrapped })
}

fn open(ring: &KeyRing, cluster_id: Uuid, stored: &WrappedKey) -> Result<Key, SecretError> {
    let context = context(cluster_id, &stored.purpose);
    ring.unwrap(&stored.master_key_id, &context, &stored.wrapped).map_err(|why| match why {
        Unwrap::Missing => ring.missing(&stored.master_key_id),
        Unwrap::Refused => wrong(ring, stored),
    })
}

fn wrong(ring: &KeyRing, stored: &WrappedKey) -> SecretError {
    let what = format!("{} key", stored.purpose);
    SecretError::WrongKey { key_id: stored.master_key_id.clone(), what, held: ring.ids() }
}

fn one<'a>(stored: &'a [WrappedKey], purpose: &'static str) -> Result<&'a WrappedKey, SecretError> {
    let mut found = stored.iter().filter(|key| key.purpose == purpose);
    match (found.next(), found.count()) {
        (Some(key), 0) => Ok(key),
        (first, more) => Err(SecretError::Incomplete { purpose, found: usize::from(first.is_some()) + more }),
    }
}
