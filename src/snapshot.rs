//! The whole configuration in memory, and what is known about it.
//!
//! [`Snapshot`] is the configuration at one revision, in persistent maps: a copy costs a handful of reference counts,
//! and a new revision shares with the old one what it did not change. Only the [`Publisher`] replaces the current
//! snapshot, so there is one way in; everyone else reads through a [`SnapshotHandle`]. Status (health, usage, verdicts)
//! lives beside it on the [`StatusBoard`], because it has no revision. Lists are answered in [`query`].

mod apply;
mod bindings;
mod changed;
mod check;
mod entry;
#[cfg(test)]
pub(crate) mod fixtures;
mod models;
mod pending;
mod profiles;
mod providers;
mod publish;
pub mod query;
mod sealed;
mod state;
mod status;
mod table;
mod usable;
mod walk;

pub use changed::{Mark, StatusKey};
pub use check::{Check, Differences};
pub use entry::Entry;
pub use pending::UsesOf;
pub use publish::{Pinned, Publisher, SnapshotHandle, publish};
pub use sealed::Sealed;
pub use state::{Counts, Snapshot};
pub use status::{Board, Shown, StatusBoard};
pub use usable::{Unusable, offered};
pub use walk::Part;
