//! The integration tests, one binary: a module per subject.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unnecessary_wraps,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails by panicking, and starts what it likes; fields of messages are optional; promises \
              tell their figures"
)]

// The vendors' rows are shared with the adapters' own tests, and name it so.
use modelward::domain;

mod access;
mod audit;
mod binding;
mod catalogue;
mod citizenship;
mod cli;
mod credential;
mod deployment;
mod docs;
mod doctor;
mod durability;
mod endpoint;
mod failover;
mod failpoint;
mod health;
mod histories;
mod identity;
mod layering;
mod limits;
mod log;
mod metrics;
mod model;
mod promises;
mod provider;
mod replicas;
mod routing;
mod sidecar;
mod store;
mod support;
mod sync;
mod token;
mod traces;
mod usage;
mod vendors;
mod watch;
