//! One probe: of what, for how long, and how it is counted.
//!
//! Invariant: a probe ends soon after its policy's timeout, whatever the server does, and a panic in it is evidence
//! of nothing.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use prometheus_client::metrics::gauge::Gauge;

use crate::adapter::{self, Client};
use crate::domain::endpoint::Endpoint;
use crate::domain::health::{Evidence, HealthCause, Verdict};
use crate::domain::provider::Provider;
use crate::domain::{Clock, EndpointId, Result, View};
use crate::snapshot::Snapshot;
use crate::telemetry::Metrics;

/// The probe bounds its time itself; this is added before it is cut off.
const GRACE: Duration = Duration::from_millis(250);

/// An endpoint with the provider that it belongs to.
#[derive(Debug, Clone)]
pub struct Target {
    pub provider: Arc<Provider>,
    pub endpoint: Arc<Endpoint>,
}

impl Target {
    /// # Errors
    /// `NOT_FOUND` for an unknown endpoint or one of a deleted provider.
    pub(super) fn find(snapshot: &Snapshot, id: EndpointId) -> Result<Self> {
        let endpoint = snapshot.live_endpoint(id)?;
        let provider = snapshot.live_provider(endpoint.provider_id)?;
        Ok(Self { provider, endpoint })
    }

    /// All that is to be probed without being asked.
    pub(super) fn all(snapshot: &Snapshot) -> impl Iterator<Item = Self> {
        let active = snapshot.live_providers().map(|entry| entry.value()).filter(|provider| provider.is_active);
        active.flat_map(|provider| {
            let endpoints = snapshot.endpoint_entries_of(provider.id).map(|entry| entry.value());
            let wanted = endpoints.filter(|endpoint| endpoint.is_active && endpoint.health_check.enabled);
            wanted.map(|endpoint| Self { provider: Arc::clone(provider), endpoint: Arc::clone(endpoint) })
        })
    }

    /// Whether what was found out about `self` says nothing about `other`: another place is asked.
    pub(super) fn is_elsewhere(&self, other: &Self) -> bool {
        let (one, two) = (&*self.endpoint, &*other.endpoint);
        !Arc::ptr_eq(&self.endpoint, &other.endpoint)
            && (one.base_url != two.base_url
                || one.health_check.path != two.health_check.path
                || one.region != two.region
                || one.api_version != two.api_version)
    }
}

/// How an endpoint is asked whether it lives: over a connection of its own, without a credential.
pub type ProbeFn = Arc<dyn Fn(Target) -> BoxFuture<'static, Evidence> + Send + Sync>;

/// Probes as each vendor's adapter does, through the guarded client.
#[must_use]
pub fn by_adapters(client: Arc<Client>) -> ProbeFn {
    Arc::new(move |target| {
        let client = Arc::clone(&client);
        Box::pin(async move { adapter::for_kind(target.provider.kind).probe(&client, &target.endpoint).await })
    })
}

/// Makes probes.
#[derive(Clone)]
pub(super) struct Prober {
    pub probe: ProbeFn,
    pub clock: Arc<dyn Clock>,
    pub metrics: Metrics,
}

impl Prober {
    /// What a probe of `target` finds. `None` after a panic.
    pub async fn probe(&self, target: Target) -> Option<Evidence> {
        let bound = target.endpoint.health_check.timeout;
        let _in_flight = InFlight::enter(&self.metrics.probes_in_flight);
        let probe = AssertUnwindSafe((self.probe)(target)).catch_unwind();
        let evidence = match tokio::time::timeout(bound + GRACE, probe).await {
            Ok(Ok(evidence)) => evidence,
            Ok(Err(_)) => {
                self.metrics.panics.inc();
                return None;
            }
            Err(_) => self.silence(bound),
        };
        self.metrics.probe(match evidence.verdict {
            Verdict::Alive => "healthy",
            Verdict::Struggling => "degraded",
            Verdict::Down => "unhealthy",
            Verdict::Impossible => "impossible",
        });
        Some(evidence)
    }

    /// What silence means.
    fn silence(&self, bound: Duration) -> Evidence {
        Evidence {
            verdict: Verdict::Down,
            cause: HealthCause::Timeout,
            latency: None,
            http_status: None,
            time: self.clock.now(),
            message: format!("no answer within {} ms", bound.as_millis()),
        }
    }
}

/// Counts a probe for as long as it lives, also when it is cut off.
struct InFlight(Gauge);

impl InFlight {
    fn enter(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
