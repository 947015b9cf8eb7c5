//! What a caller may say about a provider, checked field by field.

use std::time::Duration;

use super::{
    DEFAULT_SYNC_INTERVAL, DESCRIPTION, MAX_SYNC_INTERVAL, MIN_SYNC_INTERVAL, NAME, Provider, ProviderKind, SyncPolicy,
};
use crate::domain::error::Violations;
use crate::domain::mask::{Mask, Presence};
use crate::domain::meta::{Labels, check_labels};

/// The carried fields of a provider; empty labels count as not carried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderInput {
    pub name: Option<String>,
    pub kind: Option<ProviderKind>,
    pub description: Option<String>,
    pub is_active: Option<bool>,
    pub sync_enabled: Option<bool>,
    pub sync_interval: Option<Duration>,
    pub labels: Labels,
}

/// Paths that an update mask may name.
pub const SETTABLE: &[&str] =
    &["name", "description", "is_active", "sync_policy", "sync_policy.enabled", "sync_policy.interval", "labels"];
/// All other fields.
pub const FIXED: &[&str] = &[
    "id",
    "revision",
    "create_time",
    "update_time",
    "created_by",
    "updated_by",
    "kind",
    "sync",
    "delete_time",
    "purge_time",
];

impl ProviderInput {
    /// Adds what is wrong with the shape of the input at `field`, whatever is stored.
    pub fn check(&self, field: &str, presence: Presence<'_>, violations: &mut Violations) {
        let path = |name: &str| format!("{field}.{name}");
        NAME.check_option(&path("name"), self.name.as_deref(), presence.requires("name"), violations);
        if self.kind.is_none() && presence == Presence::Create {
            violations.add(path("kind"), "required");
        }
        DESCRIPTION.check_option(&path("description"), self.description.as_deref(), false, violations);
        if self.sync_interval.is_some_and(|interval| !(MIN_SYNC_INTERVAL..=MAX_SYNC_INTERVAL).contains(&interval)) {
            violations.add(path("sync_policy.interval"), "must be from 1 minute to 366 days");
        }
        check_labels(&path("labels"), &self.labels, violations);
    }

    /// Takes over into `provider` what `mask` lets through.
    pub(super) fn merge_into(&self, provider: &mut Provider, mask: &Mask) {
        mask.merge("name", &mut provider.name, self.name.clone(), String::new());
        mask.merge("description", &mut provider.description, self.description.clone(), String::new());
        mask.merge("is_active", &mut provider.is_active, self.is_active, true);
        let SyncPolicy { enabled, interval } = &mut provider.sync_policy;
        mask.merge("sync_policy.enabled", enabled, self.sync_enabled, false);
        mask.merge("sync_policy.interval", interval, self.sync_interval, DEFAULT_SYNC_INTERVAL);
        mask.merge_many("labels", &mut provider.meta.labels, &self.labels);
    }
}
