//! What a caller may say about a model, checked field by field.

use std::collections::BTreeMap;

use super::parameters::{check_parameters, check_tokens, merge_parameters};
use super::{
    Capability, DEFAULT_CURRENCY, DESCRIPTION, DESCRIPTIVE_FIELDS, MAX_RECOMMENDED_USES, MAX_SCORE, Model,
    ModelParameters, ModelStatus, ModelType, NAME, Price, Pricing, RECOMMENDED_USE, Score, VENDOR_ID, VERSION,
    default_name, is_currency,
};
use crate::domain::error::Violations;
use crate::domain::id::ProviderId;
use crate::domain::mask::{Mask, Presence};
use crate::domain::meta::{Labels, check_labels};

#[cfg(test)]
mod tests;

/// The carried fields of a model; an empty list or map counts as not carried, and so does a message without carried
/// fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelInput {
    pub provider_id: Option<ProviderId>,
    pub model_id: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub version: Option<String>,
    pub model_type: Option<ModelType>,
    pub context_window: Option<i64>,
    pub max_output_tokens: Option<i64>,
    pub pricing: PricingInput,
    pub capabilities: Vec<CapabilityInput>,
    pub recommended_uses: Vec<String>,
    pub default_parameters: ModelParameters,
    pub is_active: Option<bool>,
    pub status: Option<ModelStatus>,
    pub labels: Labels,
}

/// Prices as they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PricingInput {
    pub input_per_1k: Option<String>,
    pub output_per_1k: Option<String>,
    pub currency: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapabilityInput {
    pub capability: Option<Capability>,
    pub score: Option<Score>,
}

/// Paths that an update mask may name.
pub const SETTABLE: &[&str] = &[
    "name",
    "description",
    "version",
    "type",
    "context_window",
    "max_output_tokens",
    "pricing",
    "pricing.input_per_1k",
    "pricing.output_per_1k",
    "pricing.currency",
    "capabilities",
    "recommended_uses",
    "default_parameters",
    "default_parameters.temperature",
    "default_parameters.top_p",
    "default_parameters.max_tokens",
    "default_parameters.frequency_penalty",
    "default_parameters.presence_penalty",
    "default_parameters.stop",
    "default_parameters.extra",
    "is_active",
    "status",
    "labels",
];
/// All other fields.
pub const FIXED: &[&str] = &[
    "id",
    "revision",
    "create_time",
    "update_time",
    "created_by",
    "updated_by",
    "provider_id",
    "model_id",
    "source",
    "pinned_fields",
    "field_sources",
    "is_default",
    "availability",
    "usage",
];

/// Adds what is wrong with the names of fields to unpin.
pub fn check_unpin(field: &str, names: &[String], violations: &mut Violations) {
    let known = |name: &str| SETTABLE.contains(&name) && !name.contains('.');
    for (place, name) in names.iter().enumerate().filter(|(_, name)| !known(name)).take(SETTABLE.len()) {
        violations.add(format!("{field}[{place}]"), format!("is not a field that can be pinned: {name:.100}"));
    }
}

impl ModelInput {
    /// Adds what is wrong with the shape of the input at `field`, whatever is stored.
    pub fn check(&self, field: &str, presence: Presence<'_>, violations: &mut Violations) {
        let path = |name: &str| format!("{field}.{name}");
        let create = presence == Presence::Create;
        if self.provider_id.is_none() && create {
            violations.add(path("provider_id"), "required");
        }
        VENDOR_ID.check_option(&path("model_id"), self.model_id.as_deref(), create, violations);
        NAME.check_option(&path("name"), self.name.as_deref(), false, violations);
        DESCRIPTION.check_option(&path("description"), self.description.as_deref(), false, violations);
        VERSION.check_option(&path("version"), self.version.as_deref(), false, violations);
        check_tokens(&path("context_window"), self.context_window, violations);
        check_tokens(&path("max_output_tokens"), self.max_output_tokens, violations);
        self.pricing.check(&path("pricing"), violations);
        check_capabilities(&path("capabilities"), &self.capabilities, violations);
        check_uses(&path("recommended_uses"), &self.recommended_uses, violations);
        check_parameters(&path("default_parameters"), &self.default_parameters, violations);
        check_labels(&path("labels"), &self.labels, violations);
    }

    /// Takes over into `model` what `mask` lets through. The input was checked.
    pub(super) fn merge_into(&self, model: &mut Model, mask: &Mask) {
        mask.merge("name", &mut model.name, self.name.clone(), default_name(&model.model_id));
        mask.merge("description", &mut model.description, self.description.clone(), String::new());
        mask.merge("version", &mut model.version, self.version.clone(), String::new());
        mask.merge("type", &mut model.model_type, self.model_type, ModelType::Chat);
        mask.merge("context_window", &mut model.context_window, self.context_window.map(Some), None);
        mask.merge("max_output_tokens", &mut model.max_output_tokens, self.max_output_tokens.map(Some), None);
        self.pricing.merge_into(&mut model.pricing, mask);
        let capabilities: BTreeMap<_, _> = self.capabilities.iter().filter_map(CapabilityInput::pair).collect();
        mask.merge_many("capabilities", &mut model.capabilities, &capabilities);
        mask.merge_many("recommended_uses", &mut model.recommended_uses, &self.recommended_uses);
        merge_parameters("default_parameters", &self.default_parameters, &mut model.default_parameters, mask);
        mask.merge("is_active", &mut model.is_active, self.is_active, true);
        mask.merge("status", &mut model.status, self.status, ModelStatus::Available);
        mask.merge_many("labels", &mut model.meta.labels, &self.labels);
    }

    /// Which of [`DESCRIPTIVE_FIELDS`] are carried.
    pub(super) fn described(&self) -> impl Iterator<Item = &'static str> + '_ {
        DESCRIPTIVE_FIELDS.iter().copied().filter(|field| match *field {
            "name" => self.name.is_some(),
            "description" => self.description.is_some(),
            "version" => self.version.is_some(),
            "type" => self.model_type.is_some(),
            "context_window" => self.context_window.is_some(),
            "max_output_tokens" => self.max_output_tokens.is_some(),
            "pricing" => self.pricing != PricingInput::default(),
            "capabilities" => !self.capabilities.is_empty(),
            "recommended_uses" => !self.recommended_uses.is_empty(),
            "default_parameters" => self.default_parameters != ModelParameters::default(),
            "status" => self.status.is_some(),
            _ => false,
        })
    }
}

impl PricingInput {
    fn check(&self, field: &str, violations: &mut Violations) {
        for (name, price) in [("input_per_1k", &self.input_per_1k), ("output_per_1k", &self.output_per_1k)] {
            if let Some(Err(problem)) = price.as_deref().map(Price::parse) {
                violations.add(format!("{field}.{name}"), problem);
            }
        }
        if self.currency.as_deref().is_some_and(|currency| !is_currency(currency)) {
            violations.add(format!("{field}.currency"), "must be an ISO 4217 code of three capital letters");
        }
    }

    /// Pricing that says nothing is no pricing: there is one form of "unknown".
    fn merge_into(&self, pricing: &mut Option<Pricing>, mask: &Mask) {
        let unknown = Pricing { input_per_1k: None, output_per_1k: None, currency: DEFAULT_CURRENCY.into() };
        let mut next = pricing.clone().unwrap_or_else(|| unknown.clone());
        let price = |text: &Option<String>| text.as_deref().and_then(|text| Price::parse(text).ok()).map(Some);
        mask.merge("pricing.input_per_1k", &mut next.input_per_1k, price(&self.input_per_1k), None);
        mask.merge("pricing.output_per_1k", &mut next.output_per_1k, price(&self.output_per_1k), None);
        mask.merge("pricing.currency", &mut next.currency, self.currency.clone(), DEFAULT_CURRENCY.into());
        *pricing = (next != unknown).then_some(next);
    }
}

impl CapabilityInput {
    fn pair(&self) -> Option<(Capability, Score)> {
        self.capability.map(|capability| (capability, self.score.unwrap_or(0)))
    }
}

fn check_capabilities(field: &str, capabilities: &[CapabilityInput], violations: &mut Violations) {
    let most = Capability::ALL.len();
    if capabilities.len() > most {
        violations.add(field, format!("at most {most} capabilities, found {}", capabilities.len()));
    }
    let mut seen = BTreeMap::new();
    for (place, input) in capabilities.iter().take(most).enumerate() {
        match input.capability {
            None => violations.add(format!("{field}[{place}].capability"), "required"),
            Some(capability) => {
                if let Some(first) = seen.insert(capability, place) {
                    violations.add(format!("{field}[{place}].capability"), format!("is the same as {field}[{first}]"));
                }
            }
        }
        if input.score.is_some_and(|score| !(0..=MAX_SCORE).contains(&score)) {
            violations.add(format!("{field}[{place}].score"), format!("must be from 0 (unrated) to {MAX_SCORE}"));
        }
    }
}

fn check_uses(field: &str, uses: &[String], violations: &mut Violations) {
    if uses.len() > MAX_RECOMMENDED_USES {
        violations.add(field, format!("at most {MAX_RECOMMENDED_USES} texts, found {}", uses.len()));
    }
    for (place, text) in uses.iter().take(MAX_RECOMMENDED_USES).enumerate() {
        RECOMMENDED_USE.check(&format!("{field}[{place}]"), text, violations);
    }
}
