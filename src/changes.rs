//! The one ordered log: how changes get in ([`writer`]), how every replica follows them ([`tail`]), how they get to
//! watchers ([`fanout`], [`session`]), and the status that runs beside it ([`statuses`]).
//!
//! Invariants: revisions have no gaps and commit in order, because every write holds the lock of the revision counter;
//! the snapshot changes in one place only, the tail; a change and its line in the log are one transaction.

pub mod batch;
pub mod cluster;
pub mod commit;
pub mod compare;
pub mod fanout;
mod flush;
pub mod history;
pub mod keys;
pub mod load;
pub mod past;
pub mod published;
pub mod resume;
pub mod rewrap;
pub mod roster;
pub mod secret_use;
pub mod session;
mod spans;
mod states;
pub mod statuses;
pub mod tail;
#[cfg(test)]
pub(crate) mod testing;
pub mod usage;
pub mod verify;
pub mod watchers;
pub mod watches;
pub mod write;
pub mod writer;

pub use fanout::{Fanout, Feed, Told, feed};
pub use keys::Keys;
pub use load::load;
pub use past::{Origin, Past};
pub use published::Filter;
pub use resume::Start;
pub use roster::Roster;
pub use secret_use::SecretUses;
pub use session::Session;
pub use statuses::Statuses;
pub use tail::{Contact, Tail};
pub use usage::UsageCounts;
pub use watches::{Wanted, WatchConfig, WatchParts, Watches};
pub use write::{Committed, RequestId, Write, Writer};
