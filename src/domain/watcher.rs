//! An open Watch stream, as operators see it.

use super::id::Id;
use super::revision::Revision;
use super::time::Timestamp;

pub type WatcherId = Id<Watcher>;

/// Status, not configuration: it ends with its stream, or with the process that serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watcher {
    pub id: WatcherId,
    /// What the client calls itself.
    pub client: String,
    /// The process that serves it.
    pub replica: String,
    pub since: Timestamp,
    /// Up to where the client has applied the changes; 0: it has not told.
    pub acknowledged: Revision,
}
