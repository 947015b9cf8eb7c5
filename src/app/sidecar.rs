//! The composition root of a sidecar: settings → what follows the control plane → servers → drain.

use anyhow::Context as _;

use super::signal::Signals;
use crate::config::Settings;
use crate::telemetry::Metrics;

/// Runs a sidecar until it is told to stop (SIGTERM, SIGINT).
///
/// # Errors
/// When it cannot start.
pub async fn sidecar(settings: Settings, _metrics: Metrics) -> anyhow::Result<()> {
    anyhow::ensure!(
        !settings.sidecar.upstream.0.is_empty(),
        "no control plane is named; give --upstream, as in --upstream https://modelward:50051"
    );
    Signals::listen().context("cannot listen for signals")?.stop().await;
    Ok(())
}
