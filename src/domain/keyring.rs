//! Which master key is the active one. The keys themselves never enter the configuration, only their ids.

use uuid::Uuid;

use super::revision::Revision;
use super::time::Timestamp;

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
