//! Sealing credentials: what the rest of the program holds to seal, open, re-wrap, hash and chain.
//!
//! A version of a secret is one ciphertext under its own random data key, bound to format, cluster id, table,
//! credential id and version; the wrapped data key is bound to the same and to the master key's id. Rotation of a
//! master key touches only the wrapped data key.

use std::sync::Arc;

use uuid::Uuid;

use super::cipher::{Context, Key};
use super::cluster::ClusterKeys;
use super::encoding;
use super::error::SecretError;
use super::key_ring::{KeyRing, Unwrap};
use crate::domain::keyring::WrappedKey;
use crate::domain::secret::{CredentialSecret, SealedSecret};
use crate::domain::{ChainHash, CredentialId, Head, Revision, Timestamp};

const CIPHERTEXT: &str = "modelward secret 1";
const DATA_KEY: &str = "modelward data key 1";
const TABLE: &str = "credential_secrets";

/// The keys of a running process. Cheap to clone; every clone sees a reload of the ring.
#[derive(Clone)]
pub struct Secrets {
    ring: KeyRing,
    keys: ClusterKeys,
    cluster_id: Uuid,
}

impl Secrets {
    #[must_use]
    pub fn new(ring: KeyRing, keys: ClusterKeys, cluster_id: Uuid) -> Self {
        Self { ring, keys, cluster_id }
    }

    #[must_use]
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    #[must_use]
    pub fn cluster_id(&self) -> Uuid {
        self.cluster_id
    }

    /// Seals a secret as this version of this credential.
    ///
    /// # Errors
    /// The ring does not hold the active key, or the system's random source fails.
    pub fn seal(
        &self,
        active_key_id: &str,
        credential_id: CredentialId,
        version: i64,
        now: Timestamp,
        secret: &CredentialSecret,
    ) -> Result<SealedSecret, SecretError> {
        let data_key = Key::random()?;
        let ciphertext = data_key.seal(&self.context(CIPHERTEXT, credential_id, version), encoding::encode(secret))?;
        let wrapped = self.ring.wrap(active_key_id, &self.context(DATA_KEY, credential_id, version), &data_key)?;
        Ok(SealedSecret {
            credential_id,
            version,
            master_key_id: active_key_id.to_owned(),
            wrapped_key: wrapped.into(),
            ciphertext: ciphertext.into(),
            create_time: now,
            expire_time: None,
        })
    }

    /// Opens a sealed secret. Whether it is the version wanted, and still within its time, is the caller's to check.
    ///
    /// # Errors
    /// [`SecretError::Unreadable`]: its master key is missing, or it is not what was sealed.
    pub fn open(&self, sealed: &SealedSecret) -> Result<CredentialSecret, SecretError> {
        let context = self.context(CIPHERTEXT, sealed.credential_id, sealed.version);
        let plain = self.data_key(sealed)?.open(&context, &sealed.ciphertext);
        plain.and_then(|plain| encoding::decode(&plain)).ok_or_else(|| unreadable(sealed, Unwrap::Refused))
    }

    /// The same secret with its data key wrapped by another master key; the ciphertext stays as it is.
    ///
    /// # Errors
    /// The data key does not open, or the ring does not hold the new master key.
    pub fn rewrap(&self, sealed: &SealedSecret, new_key_id: &str) -> Result<SealedSecret, SecretError> {
        let data_key = self.data_key(sealed)?;
        let context = self.context(DATA_KEY, sealed.credential_id, sealed.version);
        let wrapped_key = self.ring.wrap(new_key_id, &context, &data_key)?.into();
        let ciphertext = Arc::clone(&sealed.ciphertext);
        Ok(SealedSecret { master_key_id: new_key_id.to_owned(), wrapped_key, ciphertext, ..sealed.clone() })
    }

    /// The cluster's stored keys wrapped by another master key.
    ///
    /// # Errors
    /// As [`ClusterKeys::rewrap`].
    pub fn rewrap_keys(&self, stored: &[WrappedKey], new_key_id: &str) -> Result<Vec<WrappedKey>, SecretError> {
        ClusterKeys::rewrap(&self.ring, self.cluster_id, stored, new_key_id)
    }

    /// See [`ClusterKeys::chain`].
    #[must_use]
    pub fn chain(&self, revision: Revision, ordinal: u32, previous: &ChainHash, payload: &[u8]) -> ChainHash {
        self.keys.chain(revision, ordinal, previous, payload)
    }

    /// See [`ClusterKeys::seal_anchor`].
    #[must_use]
    pub fn seal_anchor(&self, head: &Head) -> ChainHash {
        self.keys.seal_anchor(head)
    }

    /// See [`ClusterKeys::fingerprint`].
    #[must_use]
    pub fn fingerprint(&self, secret: &CredentialSecret) -> String {
        self.keys.fingerprint(secret)
    }

    /// See [`ClusterKeys::request_hash`].
    #[must_use]
    pub fn request_hash(&self, rpc: &str, request: &[u8]) -> [u8; 32] {
        self.keys.request_hash(rpc, request)
    }

    fn data_key(&self, sealed: &SealedSecret) -> Result<Key, SecretError> {
        let context = self.context(DATA_KEY, sealed.credential_id, sealed.version);
        let key = self.ring.unwrap(&sealed.master_key_id, &context, &sealed.wrapped_key);
        key.map_err(|why| unreadable(sealed, why))
    }

    fn context(&self, kind: &str, credential_id: CredentialId, version: i64) -> Context {
        Context::new(kind)
            .with(self.cluster_id.as_bytes())
            .with(TABLE.as_bytes())
            .with(credential_id.uuid().as_bytes())
            .with(&version.to_be_bytes())
    }
}

fn unreadable(sealed: &SealedSecret, why: Unwrap) -> SecretError {
    let why = match why {
        Unwrap::Missing => "the ring does not hold it",
        Unwrap::Refused => "it was sealed with another key, or was altered or moved",
    };
    SecretError::Unreadable { credential_id: sealed.credential_id.uuid(), key_id: sealed.master_key_id.clone(), why }
}
