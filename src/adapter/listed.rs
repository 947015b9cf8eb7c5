//! A model as a vendor lists it, each field with where its value came from.
//!
//! Invariant: what is not known stays absent. The vendor's word comes first, then the catalogue's.

use std::collections::{BTreeMap, BTreeSet};

use super::catalogue::{Catalogue, Entry};
use super::fault::CallError;
use crate::domain::model::sync::{ListedModel, Sourced};
use crate::domain::model::{Capability, ModelType};
use crate::domain::provider::ProviderKind;
use crate::domain::text::Text;
use crate::domain::{Timestamp, Violations};

/// A list that goes on for longer is none.
const MAX_PAGES: usize = 100;

impl ListedModel {
    /// Takes what the vendor says about capabilities, if it says anything.
    pub(super) fn tell_capabilities(&mut self, told: impl IntoIterator<Item = Capability>) {
        let told: BTreeSet<_> = told.into_iter().collect();
        if !told.is_empty() {
            let known = self.capabilities.get_or_insert_with(|| Sourced::vendor(BTreeSet::new()));
            known.value.extend(told);
        }
    }

    /// Takes from the catalogue what the vendor left open. A vendor that names some capabilities rarely names all,
    /// so the catalogue's are added to them.
    fn complete(&mut self, entry: &Entry) {
        fill(&mut self.model_type, Some(entry.model_type));
        fill(&mut self.context_window, entry.context_window);
        fill(&mut self.max_output_tokens, entry.max_output_tokens);
        fill(&mut self.pricing, entry.pricing());
        match &mut self.capabilities {
            Some(told) => told.value.extend(entry.capabilities.iter().copied()),
            None if !entry.capabilities.is_empty() => {
                self.capabilities = Some(Sourced::catalogue(entry.capabilities.iter().copied().collect()));
            }
            None => {}
        }
    }
}

fn fill<T>(field: &mut Option<Sourced<T>>, value: Option<T>) {
    if field.is_none() {
        *field = value.map(Sourced::catalogue);
    }
}

/// Whether a vendor's text may become a field as it is.
pub(super) fn fits(rule: Text, value: &str) -> bool {
    let mut violations = Violations::default();
    rule.check("", value, &mut violations);
    violations.is_empty()
}

/// Whether a date or a date with its time, as vendors write them, has come. One that cannot be read has not.
pub(super) fn is_past(date: &str, now: Timestamp) -> bool {
    let time = date.parse::<jiff::Timestamp>().ok();
    let day = || date.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let time = time.or_else(|| day().map(|day| day.timestamp()));
    time.is_some_and(|time| time.as_microsecond() <= now.micros())
}

/// Reads a list page by page: `page` asks for one by its path, and answers it with the path of the next.
pub(super) async fn pages<F>(first: &str, page: impl Fn(String) -> F) -> Result<Vec<ListedModel>, CallError>
where
    F: Future<Output = Result<(Vec<ListedModel>, Option<String>), CallError>>,
{
    let mut models = Vec::new();
    let mut path = first.to_owned();
    for _ in 0..MAX_PAGES {
        let (more, next) = page(path).await?;
        models.extend(more);
        let Some(next) = next else { return Ok(models) };
        path = next;
    }
    Err(CallError::unexpected(Some(200), format!("the list does not end within {MAX_PAGES} pages")))
}

/// Completes what a vendor listed: one model per id, in the order of ids.
pub(super) fn finish(
    models: Vec<ListedModel>,
    kind: ProviderKind,
    catalogue: &Catalogue,
    type_by_id: impl Fn(&str) -> Option<ModelType>,
) -> Vec<ListedModel> {
    let mut known = BTreeMap::new();
    for mut model in models {
        if let Some(entry) = catalogue.lookup(kind, &model.model_id) {
            model.complete(entry);
        }
        if model.model_type.is_none() {
            model.model_type = type_by_id(&model.model_id).map(Sourced::vendor);
        }
        known.entry(model.model_id.clone()).or_insert(model);
    }
    known.into_values().collect()
}
