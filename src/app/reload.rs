//! Files that others replace while the server runs: identities, keys of issuers, certificates. What changes is taken
//! without a restart; what cannot be used leaves the former in force, with one line in the log and a metric.
//!
//! One loop, every `identity.poll`, and at once on SIGHUP. Contents are compared, not times or names: Kubernetes swaps
//! directories behind symbolic links.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::tls::LiveTls;
use crate::auth::LiveIdentities;
use crate::config;
use crate::secrets;
use crate::telemetry::Metrics;

/// What is read again.
pub struct Reload {
    /// Who is believed besides own tokens, and the file that says so.
    pub identities: Option<(LiveIdentities, Option<PathBuf>)>,
    pub tls: Option<Arc<LiveTls>>,
    pub metrics: Metrics,
    pub poll: Duration,
    /// Looks at once.
    pub now: Arc<Notify>,
}

/// What a set of files held when it was last looked at: equal contents, equal digests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seen([u8; 32]);

impl Seen {
    /// Looks at files; one that cannot be read is as good as another content.
    pub fn of<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Self {
        let digests = paths.flat_map(|path| match std::fs::read(path) {
            Ok(content) => secrets::digest(&zeroize::Zeroizing::new(content)),
            Err(error) => secrets::digest(error.to_string().as_bytes()),
        });
        Self(secrets::digest(&digests.collect::<Vec<_>>()))
    }
}

/// The file of identities as it was last looked at, and what was wrong with it.
struct Known {
    /// None before the first look: what the server began with may have been replaced since it was read.
    seen: Option<Seen>,
    problem: Option<String>,
}

impl Reload {
    /// Looks again and again, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut known = Known { seen: None, problem: None };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                // Time is up, or somebody asks.
                _ = timeout(self.poll, self.now.notified()) => {}
            }
            if let Some((identities, Some(file))) = &self.identities {
                self.identities_again(identities, file, &mut known).await;
            }
            if let Some(tls) = &self.tls {
                tls.look_again();
            }
            if let Some((identities, _)) = &self.identities {
                identities.refresh().await;
            }
        }
    }

    async fn identities_again(&self, identities: &LiveIdentities, path: &PathBuf, known: &mut Known) {
        let now = Some(Seen::of(std::iter::once(path)));
        // One that could not be used may name files that have come meanwhile.
        if now == known.seen && known.problem.is_none() {
            return;
        }
        let read = config::identity::read(path).map_err(|error| error.to_string().replace('\n', "; "));
        let replaced = match read {
            Ok(read) => identities.replace(read).await,
            Err(problem) => Err(problem),
        };
        match replaced {
            Ok(()) => {
                known.problem = None;
                if known.seen.is_some() {
                    tracing::info!(file = %path.display(), "the identities were read again");
                }
            }
            Err(problem) => {
                if now != known.seen || known.problem.as_ref() != Some(&problem) {
                    self.metrics.reload_failed("identities");
                    tracing::error!(problem, "the identities were not read again; the former ones stay");
                }
                known.problem = Some(problem);
            }
        }
        known.seen = now;
    }
}
