//! What every resource has: when and by whom it was made and changed, and its labels.

use std::collections::BTreeMap;

use super::error::Violations;
use super::plan::PlanContext;
use super::revision::Revision;
use super::text::Text;
use super::time::Timestamp;

/// Free key–value pairs of a resource.
pub type Labels = BTreeMap<String, String>;

pub const MAX_LABELS: usize = 32;
pub const LABEL_KEY: Text = Text::required(63);
pub const LABEL_VALUE: Text = Text::optional(256);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// The revision of the last change of the resource's own configuration.
    pub revision: Revision,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub created_by: String,
    pub updated_by: String,
    pub labels: Labels,
}

impl Meta {
    /// Of a resource that is created by this write.
    #[must_use]
    pub fn created(context: &PlanContext<'_>) -> Self {
        Self {
            revision: context.revision,
            create_time: context.now,
            update_time: context.now,
            created_by: context.actor().to_owned(),
            updated_by: context.actor().to_owned(),
            labels: Labels::new(),
        }
    }

    /// Marks the resource as changed by this write.
    pub fn touch(&mut self, context: &PlanContext<'_>) {
        self.revision = context.revision;
        self.update_time = context.now;
        context.actor().clone_into(&mut self.updated_by);
    }
}

/// Checks a map of labels that a client sent at `field`.
pub fn check_labels(field: &str, labels: &Labels, violations: &mut Violations) {
    if labels.len() > MAX_LABELS {
        violations.add(field, format!("at most {MAX_LABELS} labels, found {}", labels.len()));
    }
    for (key, value) in labels {
        LABEL_KEY.check(&format!("{field}.key"), key, violations);
        LABEL_VALUE.check(&format!("{field}[{key:.63}]"), value, violations);
    }
}
