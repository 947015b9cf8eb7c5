//! The one ordered log: how changes get in ([`writer`]), how every replica follows them ([`tail`]), and the status
//! that runs beside it ([`statuses`]).
//!
//! Invariants: revisions have no gaps and commit in order, because every write holds the lock of the revision counter;
//! the snapshot changes in one place only, the tail; a change and its line in the log are one transaction.

pub mod batch;
pub mod cluster;
pub mod commit;
pub mod compare;
mod flush;
pub mod load;
pub mod rewrap;
pub mod secret_use;
pub mod statuses;
pub mod tail;
#[cfg(test)]
pub(crate) mod testing;
pub mod usage;
pub mod write;
pub mod writer;

pub use load::load;
pub use secret_use::SecretUses;
pub use statuses::Statuses;
pub use tail::{Contact, Tail};
pub use usage::UsageCounts;
pub use write::{Committed, RequestId, Write, Writer};
