//! What a vendor lists, made ready for planning: each identifier once, every value within its limits, every field with
//! its source. Vendors' texts are fitted to the limits here, because nobody can be asked to correct them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::domain::error::Violations;
use crate::domain::model::{
    Capability, DESCRIPTION, FieldSource, MAX_TOKENS, ModelStatus, ModelType, NAME, Pricing, Score, VENDOR_ID, VERSION,
    default_name, is_currency,
};
use crate::domain::text::Text;

/// A value, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    pub value: T,
    pub source: FieldSource,
}

impl<T> Sourced<T> {
    #[must_use]
    pub const fn vendor(value: T) -> Self {
        Self { value, source: FieldSource::Vendor }
    }

    #[must_use]
    pub const fn catalogue(value: T) -> Self {
        Self { value, source: FieldSource::Catalogue }
    }
}

/// One line of a vendor's list, completed by the catalogue. `None`: neither tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedModel {
    /// The vendor's identifier.
    pub model_id: String,
    pub name: Option<Sourced<String>>,
    pub description: Option<Sourced<String>>,
    pub version: Option<Sourced<String>>,
    pub model_type: Option<Sourced<ModelType>>,
    pub context_window: Option<Sourced<i64>>,
    pub max_output_tokens: Option<Sourced<i64>>,
    pub pricing: Option<Sourced<Pricing>>,
    pub capabilities: Option<Sourced<BTreeSet<Capability>>>,
    /// The vendor still lists the model but gives it up.
    pub deprecated: bool,
}

impl ListedModel {
    /// A model of which nothing but the identifier is known.
    #[must_use]
    pub fn named(model_id: impl Into<String>) -> Self {
        Self { model_id: model_id.into(), ..Self::default() }
    }
}

/// A vendor's whole list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    pub(super) entries: Vec<Entry>,
    skipped: usize,
}

/// What a synced model that no person touched looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub model_id: String,
    pub name: String,
    pub description: String,
    pub version: String,
    pub model_type: ModelType,
    pub context_window: Option<i64>,
    pub max_output_tokens: Option<i64>,
    pub pricing: Option<Pricing>,
    pub capabilities: BTreeMap<Capability, Score>,
    pub status: ModelStatus,
    pub sources: BTreeMap<String, FieldSource>,
}

impl Listing {
    /// Takes over a vendor's list: of models with the same identifier the first, none whose identifier breaks the
    /// limits.
    #[must_use]
    pub fn new(models: impl IntoIterator<Item = ListedModel>) -> Self {
        let mut listing = Self::default();
        let mut seen = HashSet::new();
        for model in models {
            if !is_vendor_id(&model.model_id) {
                listing.skipped += 1;
            } else if seen.insert(model.model_id.clone()) {
                listing.entries.push(Entry::new(model));
            }
        }
        listing
    }

    /// How many models it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the status of the synchronisation should say of models that were left out; empty: none was.
    #[must_use]
    pub fn message(&self) -> String {
        match self.skipped {
            0 => String::new(),
            skipped => format!(
                "skipped {skipped} of the vendor's models: an identifier has 1 to {} characters, no control characters \
                 and no outer blanks",
                VENDOR_ID.max
            ),
        }
    }
}

fn is_vendor_id(id: &str) -> bool {
    let mut violations = Violations::default();
    VENDOR_ID.check("model_id", id, &mut violations);
    violations.is_empty()
}

impl Entry {
    fn new(listed: ListedModel) -> Self {
        let mut sources = BTreeMap::from([("status".to_owned(), FieldSource::Vendor)]);
        let told = &mut sources;
        let tokens = |count| (1..=MAX_TOKENS).contains(&count).then_some(count);
        let unrated = |capabilities: BTreeSet<_>| capabilities.into_iter().map(|capability| (capability, 0)).collect();
        Self {
            name: take(told, "name", listed.name, |text| fitted(&text, NAME))
                .unwrap_or_else(|| default_name(&listed.model_id)),
            description: take(told, "description", listed.description, |text| fitted(&text, DESCRIPTION))
                .unwrap_or_default(),
            version: take(told, "version", listed.version, |text| fitted(&text, VERSION)).unwrap_or_default(),
            model_type: take(told, "type", listed.model_type, Some).unwrap_or(ModelType::Chat),
            context_window: take(told, "context_window", listed.context_window, tokens),
            max_output_tokens: take(told, "max_output_tokens", listed.max_output_tokens, tokens),
            pricing: take(told, "pricing", listed.pricing, |pricing| is_price(&pricing).then_some(pricing)),
            capabilities: take(told, "capabilities", listed.capabilities, Some).map(unrated).unwrap_or_default(),
            status: if listed.deprecated { ModelStatus::Deprecated } else { ModelStatus::Available },
            model_id: listed.model_id,
            sources,
        }
    }
}

/// The value, if one is told that can be fitted to its limits; notes its source.
fn take<T>(
    sources: &mut BTreeMap<String, FieldSource>,
    field: &str,
    told: Option<Sourced<T>>,
    fit: impl FnOnce(T) -> Option<T>,
) -> Option<T> {
    let Sourced { value, source } = told?;
    let value = fit(value)?;
    sources.insert(field.to_owned(), source);
    Some(value)
}

/// The text with blanks for control characters, cut to its limit; nothing if nothing is left.
fn fitted(text: &str, limit: Text) -> Option<String> {
    let plain = text.replace(char::is_control, " ");
    let cut: String = plain.trim().chars().take(limit.max).collect();
    let cut = cut.trim_end();
    (!cut.is_empty()).then(|| cut.to_owned())
}

fn is_price(pricing: &Pricing) -> bool {
    let prices = [pricing.input_per_1k, pricing.output_per_1k];
    prices.iter().any(Option::is_some)
        && prices.iter().flatten().all(|price| price.nanos() >= 0)
        && is_currency(&pricing.currency)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::Price;

    fn only(model: ListedModel) -> Entry {
        let mut entries = Listing::new([model]).entries;
        assert_eq!(entries.len(), 1);
        entries.remove(0)
    }

    #[test]
    fn every_told_field_keeps_its_source() {
        let entry = only(ListedModel {
            context_window: Some(Sourced::vendor(1000)),
            max_output_tokens: Some(Sourced::catalogue(100)),
            capabilities: Some(Sourced::catalogue(BTreeSet::from([Capability::Vision]))),
            ..ListedModel::named("m")
        });
        assert_eq!((entry.context_window, entry.max_output_tokens), (Some(1000), Some(100)));
        assert_eq!(entry.capabilities, BTreeMap::from([(Capability::Vision, 0)]));
        let sources: Vec<_> = entry.sources.iter().map(|(field, source)| (field.as_str(), source.name())).collect();
        assert_eq!(
            sources,
            [
                ("capabilities", "catalogue"),
                ("context_window", "vendor"),
                ("max_output_tokens", "catalogue"),
                ("status", "vendor")
            ]
        );
    }

    #[test]
    fn what_nobody_tells_is_the_default() {
        let entry = only(ListedModel::named("m"));
        assert_eq!((entry.name.as_str(), entry.model_type), ("m", ModelType::Chat));
        assert_eq!((entry.context_window, entry.pricing, entry.status), (None, None, ModelStatus::Available));
        assert_eq!(only(ListedModel::named("x".repeat(200))).name, "x".repeat(100));
        assert_eq!(only(ListedModel::named(format!("{} {}", "x".repeat(99), "y".repeat(100)))).name, "x".repeat(99));
    }

    #[test]
    fn duplicates_are_dropped_and_bad_identifiers_counted() {
        let mut second = ListedModel::named("a");
        second.deprecated = true;
        let bad = ["", " a", "a\n", &"x".repeat(201)].map(ListedModel::named);
        let listing = Listing::new([ListedModel::named("a"), second].into_iter().chain(bad));
        assert_eq!(listing.len(), 1);
        assert_eq!(listing.entries.first().unwrap().status, ModelStatus::Available);
        assert!(listing.message().starts_with("skipped 4 of"), "{}", listing.message());
        assert_eq!(Listing::new([ListedModel::named("a")]).message(), "");
    }

    #[test]
    fn values_beyond_the_limits_are_fitted_or_count_as_untold() {
        let price = |input| Pricing {
            input_per_1k: Some(Price::from_nanos(input)),
            output_per_1k: None,
            currency: "USD".into(),
        };
        let entry = only(ListedModel {
            name: Some(Sourced::vendor(format!(" A\tmodel {}", "ä".repeat(200)))),
            description: Some(Sourced::vendor("\n\n".into())),
            context_window: Some(Sourced::vendor(0)),
            max_output_tokens: Some(Sourced::vendor(1 << 31)),
            pricing: Some(Sourced::vendor(price(-1))),
            ..ListedModel::named("m")
        });
        assert!(entry.name.starts_with("A model ä"), "{}", entry.name);
        assert_eq!(entry.name.chars().count(), 100);
        assert_eq!((entry.description.as_str(), entry.pricing), ("", None));
        assert_eq!((entry.context_window, entry.max_output_tokens), (None, None));
        assert_eq!(entry.sources.keys().collect::<Vec<_>>(), ["name", "status"]);
    }
}
