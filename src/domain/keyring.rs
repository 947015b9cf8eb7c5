//! Which master key is the active one. The keys themselves never enter the configuration, only their ids.

use std::fmt;

use uuid::Uuid;

use super::revision::Revision;
use super::time::Timestamp;

pub mod plan;

/// The configuration of the key ring: a single resource, changed by `RotateMasterKey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    /// The cluster's id; there is one key ring in a cluster.
    pub id: Uuid,
    pub revision: Revision,
    pub active_key_id: String,
    pub update_time: Timestamp,
    pub updated_by: String,
}

/// One of the cluster's own random keys (for the chain, for fingerprints, …) as it is stored: wrapped by a master key.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// What the key is for; there is one of each purpose in a cluster.
    pub purpose: String,
    /// Which master key wraps it.
    pub master_key_id: String,
    pub wrapped: Vec<u8>,
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappedKey({} under {})", self.purpose, self.master_key_id)
    }
}
