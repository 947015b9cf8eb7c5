//! What a caller may say about a binding, checked field by field.

use super::{Binding, CONSUMER, DEFAULT_PURPOSE, PURPOSE, Target};
use crate::domain::error::Violations;
use crate::domain::mask::{Mask, Presence};
use crate::domain::meta::{Labels, check_labels};
use crate::domain::model::ModelParameters;
use crate::domain::model::parameters::{check_parameters, merge_parameters};

/// The carried fields of a binding; empty labels count as not carried, and so do parameters that say nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BindingInput {
    pub consumer: Option<String>,
    pub purpose: Option<String>,
    pub target: Option<Target>,
    pub parameters: ModelParameters,
    pub labels: Labels,
}

/// Paths that an update mask may name.
pub const SETTABLE: &[&str] = &[
    "model_id",
    "provider_id",
    "parameters",
    "parameters.temperature",
    "parameters.top_p",
    "parameters.max_tokens",
    "parameters.frequency_penalty",
    "parameters.presence_penalty",
    "parameters.stop",
    "parameters.extra",
    "labels",
];
/// All other fields.
pub const FIXED: &[&str] =
    &["id", "revision", "create_time", "update_time", "created_by", "updated_by", "consumer", "purpose"];

impl Target {
    /// The field that carries it.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Model(_) => "model_id",
            Self::Provider(_) => "provider_id",
        }
    }
}

impl BindingInput {
    /// Adds what is wrong with the shape of the input at `field`, whatever is stored.
    pub fn check(&self, field: &str, presence: Presence<'_>, violations: &mut Violations) {
        let path = |name: &str| format!("{field}.{name}");
        let create = presence == Presence::Create;
        CONSUMER.check_option(&path("consumer"), self.consumer.as_deref(), create, violations);
        PURPOSE.check_option(&path("purpose"), self.purpose.as_deref(), false, violations);
        if let Some(missing) = self.missing_target(presence) {
            violations.add(path(missing), "required: model_id or provider_id");
        }
        check_parameters(&path("parameters"), &self.parameters, violations);
        check_labels(&path("labels"), &self.labels, violations);
    }

    /// The field that should carry a target and does not. Of the two that can, one at most is carried; naming the other
    /// one, or both, does not take the target away.
    fn missing_target(&self, presence: Presence<'_>) -> Option<&'static str> {
        let carried = self.target.map(Target::field);
        if carried.is_some_and(|field| presence.requires(field)) {
            return None;
        }
        ["model_id", "provider_id"].into_iter().find(|field| presence.requires(field))
    }

    /// Takes over into `binding` what `mask` lets through. The input was checked.
    pub(super) fn merge_into(&self, binding: &mut Binding, mask: &Mask) {
        if let Some(target) = self.target {
            // It has no default: what is named is carried.
            mask.merge(target.field(), &mut binding.target, Some(target), target);
        }
        merge_parameters("parameters", &self.parameters, &mut binding.parameters, mask);
        mask.merge_many("labels", &mut binding.meta.labels, &self.labels);
    }

    /// The purpose, or the usual one.
    #[must_use]
    pub fn purpose(&self) -> &str {
        self.purpose.as_deref().unwrap_or(DEFAULT_PURPOSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error::Error;
    use crate::domain::id::Id;

    const MODEL: Option<Target> = Some(Target::Model(Id::nil()));
    const PROVIDER: Option<Target> = Some(Target::Provider(Id::nil()));

    fn bad_fields(input: &BindingInput, presence: Presence<'_>) -> Vec<String> {
        let mut violations = Violations::default();
        input.check("b", presence, &mut violations);
        match violations.into_result() {
            Err(Error::InvalidField { violations }) => violations.into_iter().map(|v| v.field).collect(),
            _ => Vec::new(),
        }
    }

    fn paths(paths: &[&str]) -> Mask {
        Mask::Paths(paths.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_new_binding_needs_a_consumer_and_a_target() {
        assert_eq!(bad_fields(&BindingInput::default(), Presence::Create), ["b.consumer", "b.model_id"]);
        let input = BindingInput { consumer: Some("team/oncall".into()), target: PROVIDER, ..BindingInput::default() };
        assert_eq!(bad_fields(&input, Presence::Create), [""; 0]);
    }

    #[test]
    fn texts_parameters_and_labels_are_measured() {
        let input = BindingInput {
            consumer: Some("x".repeat(201)),
            purpose: Some(String::new()),
            target: MODEL,
            parameters: ModelParameters { temperature: Some(3.0), ..ModelParameters::default() },
            labels: [(String::new(), String::new())].into(),
        };
        let bad = ["b.consumer", "b.purpose", "b.parameters.temperature", "b.labels.key"];
        assert_eq!(bad_fields(&input, Presence::Create), bad);
    }

    #[test]
    fn a_named_target_must_be_carried() {
        let with = |target| BindingInput { target, ..BindingInput::default() };
        for (named, target, bad) in [
            (&["model_id"][..], None, &["b.model_id"][..]),
            (&["model_id"], PROVIDER, &["b.model_id"]),
            (&["provider_id"], MODEL, &["b.provider_id"]),
            (&["model_id"], MODEL, &[]),
            (&["model_id", "provider_id"], PROVIDER, &[]),
            (&["labels"], None, &[]),
            (&["labels"], MODEL, &[]),
        ] {
            assert_eq!(bad_fields(&with(target), Presence::Update(&paths(named))), bad, "{named:?}");
        }
        assert_eq!(bad_fields(&with(None), Presence::Update(&Mask::Full)), ["b.model_id"]);
        assert_eq!(bad_fields(&with(None), Presence::Update(&Mask::Carried)), [""; 0]);
    }
}
