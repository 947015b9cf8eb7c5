//! The sidecar: a server whose tail is a Watch. It follows another Modelward and answers the same reads, from the same
//! kind of memory and through the same handlers.
//!
//! Invariant: what is in memory is what the control plane showed at one revision, never a half of it; it stays, and is
//! marked as stale, while the control plane is away.

pub mod address;
pub mod backoff;
pub mod cache;
pub mod copy;
pub mod door;
pub mod fetch;
pub mod forward;
pub mod last_good;
pub mod local;
pub mod mirror;
pub mod outcomes;
pub mod plane;
pub mod replica;
pub mod text_file;
pub mod trust;
pub mod upstream;
