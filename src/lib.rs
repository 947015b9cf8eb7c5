//! Modelward: a gRPC control plane for LLM configuration.
//!
//! Imports go one way: `domain` ← {`secrets`, `adapter`, `snapshot`, `store`} ← {`wire`, `lease`} ← {`changes`,
//! `routing`} ← `control` ← {`auth`, `health`, `sync`} ← `service` ← `sidecar` ← `app` ← `cli`. A test reads the `use` lines and enforces it.

pub mod adapter;
pub mod app;
pub mod auth;
pub mod changes;
pub mod cli;
pub mod config;
pub mod control;
pub mod domain;
pub mod failpoint;
pub mod health;
pub mod lease;
pub mod proto;
pub mod routing;
pub mod secrets;
pub mod service;
pub mod sidecar;
pub mod snapshot;
pub mod store;
pub mod sync;
pub mod task;
pub mod telemetry;
pub mod wire;
