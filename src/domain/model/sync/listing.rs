//! What a vendor lists, made ready for planning: each identifier once, every value within its limits, every field with
//! its source. Vendors' texts are fitted to the limits here, because nobody can be asked to correct them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::domain::error::Violations;
use crate::domain::model::{
    Capability, DESCRIPTION, FieldSource, MAX_TOKENS, ModelStatus, ModelType, NAME, Pricing, Score, VENDOR_ID, VERSION,
    default_name, is_currency,
};
use crate::domain::text::Text;

/// What one source tells about a model; `None`: it does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    pub name: Option<String>,
    pub description: Option<String>,
    pub version: Option<String>,
    pub model_type: Option<ModelType>,
    pub context_window: Option<i64>,
    pub max_output_tokens: Option<i64>,
    pub pricing: Option<Pricing>,
    /// `Some` of an empty set says that the model has none of them.
    pub capabilities: Option<BTreeSet<Capability>>,
}

/// One line of a vendor's list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedModel {
    /// The vendor's identifier.
    pub model_id: String,
    /// What the vendor tells.
    pub vendor: Facts,
    /// What the catalogue knows: it counts, field by field, where the vendor is silent.
    pub catalogue: Facts,
    /// The vendor still lists the model but gives it up.
    pub deprecated: bool,
}

impl ListedModel {
    /// A model of which the vendor tells nothing but the identifier.
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
    fn new(model: ListedModel) -> Self {
        let ListedModel { model_id, vendor, catalogue, deprecated } = model;
        let (vendor, catalogue) = (fitted(vendor), fitted(catalogue));
        let mut sources = BTreeMap::from([("status".to_owned(), FieldSource::Vendor)]);
        let sourced = &mut sources;
        Self {
            name: told(sourced, "name", vendor.name, catalogue.name).unwrap_or_else(|| default_name(&model_id)),
            description: told(sourced, "description", vendor.description, catalogue.description).unwrap_or_default(),
            version: told(sourced, "version", vendor.version, catalogue.version).unwrap_or_default(),
            model_type: told(sourced, "type", vendor.model_type, catalogue.model_type).unwrap_or(ModelType::Chat),
            context_window: told(sourced, "context_window", vendor.context_window, catalogue.context_window),
            max_output_tokens: told(
                sourced,
                "max_output_tokens",
                vendor.max_output_tokens,
                catalogue.max_output_tokens,
            ),
            pricing: told(sourced, "pricing", vendor.pricing, catalogue.pricing),
            capabilities: told(sourced, "capabilities", vendor.capabilities, catalogue.capabilities)
                .unwrap_or_default()
                .into_iter()
                .map(|capability| (capability, 0))
                .collect(),
            status: if deprecated { ModelStatus::Deprecated } else { ModelStatus::Available },
            model_id,
            sources,
        }
    }
}

/// The vendor's value, else the catalogue's; notes which.
fn told<T>(
    sources: &mut BTreeMap<String, FieldSource>,
    field: &str,
    vendor: Option<T>,
    catalogue: Option<T>,
) -> Option<T> {
    let source = if vendor.is_some() { FieldSource::Vendor } else { FieldSource::Catalogue };
    let value = vendor.or(catalogue)?;
    sources.insert(field.to_owned(), source);
    Some(value)
}

/// The facts as far as they are within the limits.
fn fitted(facts: Facts) -> Facts {
    let tokens = |count: &i64| (1..=MAX_TOKENS).contains(count);
    Facts {
        name: facts.name.and_then(|text| fitted_text(&text, NAME)),
        description: facts.description.and_then(|text| fitted_text(&text, DESCRIPTION)),
        version: facts.version.and_then(|text| fitted_text(&text, VERSION)),
        context_window: facts.context_window.filter(tokens),
        max_output_tokens: facts.max_output_tokens.filter(tokens),
        pricing: facts.pricing.filter(is_price),
        ..facts
    }
}

/// The text with blanks for control characters, cut to its limit; nothing if nothing is left.
fn fitted_text(text: &str, limit: Text) -> Option<String> {
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
    fn the_vendor_goes_before_the_catalogue_field_by_field() {
        let mut model = ListedModel::named("m");
        model.vendor.context_window = Some(1000);
        model.catalogue.context_window = Some(2000);
        model.catalogue.max_output_tokens = Some(100);
        model.catalogue.capabilities = Some(BTreeSet::from([Capability::Vision]));
        let entry = only(model);
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
        let mut model = ListedModel::named("m");
        let price = |input| Pricing {
            input_per_1k: Some(Price::from_nanos(input)),
            output_per_1k: None,
            currency: "USD".into(),
        };
        model.vendor = Facts {
            name: Some(format!(" A\tmodel {}", "ä".repeat(200))),
            description: Some("\n\n".into()),
            context_window: Some(0),
            max_output_tokens: Some(1 << 31),
            pricing: Some(price(-1)),
            ..Facts::default()
        };
        model.catalogue.context_window = Some(8192);
        model.catalogue.pricing = Some(price(5));
        let entry = only(model);
        assert!(entry.name.starts_with("A model ä"), "{}", entry.name);
        assert_eq!(entry.name.chars().count(), 100);
        assert_eq!(entry.description, "");
        assert!(!entry.sources.contains_key("description"));
        assert_eq!((entry.context_window, entry.max_output_tokens), (Some(8192), None));
        assert_eq!(entry.pricing, Some(price(5)));
        assert_eq!(entry.sources.get("pricing"), Some(&FieldSource::Catalogue));
    }
}
