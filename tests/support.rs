//! What the integration tests share: databases to run on.

pub mod database;
pub mod postgres;
