//! Who is believed besides this server's own tokens, from the settings: read at the start, and again when it changes.

use std::sync::Arc;

use anyhow::anyhow;

use crate::auth::LiveIdentities;
use crate::auth::identities::Parts;
use crate::changes::Roster;
use crate::config::{self, Settings};
use crate::domain::Clock;
use crate::telemetry::Metrics;

/// Reads them.
///
/// # Errors
/// When the file, or a file that it names, cannot be used.
pub async fn open(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    roster: &Roster,
    metrics: &Metrics,
) -> anyhow::Result<LiveIdentities> {
    let watches = roster.watches().clone();
    let identities = LiveIdentities::new(Parts {
        clock: Arc::clone(clock),
        metrics: metrics.clone(),
        ca_file: settings.egress.ca_file.clone(),
        withdrawn: Box::new(move || watches.look_again()),
    });
    if let Some(path) = &settings.identity.file {
        let file = config::identity::read(path)?;
        identities.replace(file).await.map_err(|problem| anyhow!("{}: {problem}", path.display()))?;
    }
    Ok(identities)
}
