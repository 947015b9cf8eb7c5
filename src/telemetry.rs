//! What operators see of a running process: the log on stderr, the metrics and the traces.
//!
//! All are told only names, numbers and ids: never a secret, a body or a whole message.

mod log;
mod metrics;
mod sidecar_metrics;
pub mod traces;

pub use log::{Log, LogError, LogFilterControl, LogFormat, start_log};
pub use metrics::{Metrics, RpcLabels, whole};
pub use sidecar_metrics::SidecarMetrics;
pub use traces::{Sampling, TracesConfig};
