//! What a sidecar counts besides; in a server all of it stays 0.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Default)]
pub struct SidecarMetrics {
    /// Whether the control plane answers: 1 or 0.
    pub upstream_up: Gauge,
    /// Secrets that are held in memory.
    pub secrets_held: Gauge,
    /// Outcomes that wait to be reported to the control plane.
    pub outcomes_waiting: Gauge,
    /// Outcomes that the control plane has taken.
    pub outcomes_forwarded: Counter,
    /// Outcomes that were lost: more waited than there is room for, or the control plane refused them.
    pub outcomes_dropped: Counter,
    /// Copies of the state that were written to disk.
    pub copies_written: Counter,
    /// Copies of the state that could not be written to disk.
    pub copies_failed: Counter,
}

impl SidecarMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        metrics.register(registry);
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sidecar");
        registry.register("upstream_up", "Whether the control plane answers", self.upstream_up.clone());
        registry.register("secrets_held", "Secrets that are held in memory", self.secrets_held.clone());
        let waiting = "Outcomes that wait to be reported to the control plane";
        registry.register("outcomes_waiting", waiting, self.outcomes_waiting.clone());
        let forwarded = "Outcomes that the control plane has taken";
        registry.register("outcomes_forwarded", forwarded, self.outcomes_forwarded.clone());
        let dropped = "Outcomes lost for want of room, or because the control plane refused them";
        registry.register("outcomes_dropped", dropped, self.outcomes_dropped.clone());
        registry.register("copies_written", "Copies of the state written to disk", self.copies_written.clone());
        let failed = "Copies of the state that could not be written to disk";
        registry.register("copies_failed", failed, self.copies_failed.clone());
    }
}
