//! What traces are made and where they are told: what the standard variables `OTEL_*` say, read by `config`.

use std::path::PathBuf;
use std::time::Duration;

/// Which calls are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    Always,
    Never,
    /// This share of all traces.
    Share(f64),
}

#[derive(Debug, Clone, PartialEq)]
pub struct TracesConfig {
    /// The collector's URL. What it may ask for as headers the exporter reads by itself, from
    /// `OTEL_EXPORTER_OTLP_HEADERS`: they may hold a secret, and nothing else needs them.
    pub endpoint: String,
    /// The certificates that an `https` collector's must descend from, PEM; without it, the system's.
    pub ca_file: Option<PathBuf>,
    /// How long one export may take.
    pub timeout: Duration,
    pub sampling: Sampling,
    /// Whether a caller that was asked to trace, or not to, is followed.
    pub follow_caller: bool,
    /// Whether `traceparent` is taken and given.
    pub propagate: bool,
    pub service_name: String,
    pub attributes: Vec<(String, String)>,
    /// How many spans may wait.
    pub queue: usize,
    /// How many are told at once.
    pub batch: usize,
    /// How long the first of them waits.
    pub delay: Duration,
}
