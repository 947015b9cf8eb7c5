//! The integration tests, one binary: a module per subject.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails by panicking, and starts what it likes"
)]

mod cli;
mod health;
mod layering;
mod store;
mod support;
