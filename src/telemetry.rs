//! What operators see of a running process: the log on stderr and the metrics.
//!
//! Both are told only names, numbers and ids: never a secret, a body or a whole message.

mod log;
mod metrics;

pub use log::{Log, LogFormat, start_log};
pub use metrics::{Metrics, RpcLabels, whole};
