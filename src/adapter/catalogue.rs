//! The model catalogue: facts about the hosted vendors' models that their list calls do not tell.
//!
//! Invariant: it says what a model is, never whether it exists; that is the vendor's word alone. The bundled file is
//! `data/catalogue/models.json`, whose README has the schema and the rules of matching; an operator may load another.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use crate::domain::model::{Capability, DEFAULT_CURRENCY, ModelStatus, ModelType, Price, Pricing};
use crate::domain::provider::ProviderKind;

mod current;

pub use current::CurrentCatalogue;

const BUNDLED: &str = include_str!("../../data/catalogue/models.json");
/// The schema that this code reads.
const SCHEMA: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error("the catalogue cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("the catalogue is not JSON of the expected form: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the catalogue has the schema {found}, this server reads {SCHEMA}")]
    OtherSchema { found: u32 },
    #[error("the catalogue's date is no date, such as 2026-11-20: {found}")]
    BadDate { found: String },
    /// Another one that is newer is in force.
    #[error("the catalogue is of {found}, older than the one in use, which is of {current}")]
    Older { found: String, current: String },
    #[error("the catalogue's entry {model_id} has a bad {field}: {value}")]
    BadEntry { model_id: String, field: &'static str, value: String },
}

/// What is known about one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: ProviderKind,
    pub model_id: String,
    pub model_type: ModelType,
    pub context_window: Option<i64>,
    pub max_output_tokens: Option<i64>,
    pub input_price_per_1k: Option<Price>,
    pub output_price_per_1k: Option<Price>,
    pub capabilities: Vec<Capability>,
    pub status: ModelStatus,
}

impl Entry {
    /// Its list price, if one is known.
    #[must_use]
    pub fn pricing(&self) -> Option<Pricing> {
        let known = self.input_price_per_1k.is_some() || self.output_price_per_1k.is_some();
        known.then(|| Pricing {
            input_per_1k: self.input_price_per_1k,
            output_per_1k: self.output_price_per_1k,
            currency: DEFAULT_CURRENCY.into(),
        })
    }
}

pub struct Catalogue {
    date: String,
    entries: HashMap<ProviderKind, HashMap<String, Entry>>,
    /// The ids of kinds whose ids are compared without regard to case as a last resort.
    lower: HashMap<ProviderKind, HashMap<String, String>>,
    len: usize,
}

/// Whose own ids are almost all in lower case, whatever a list call spells.
const CASELESS: [ProviderKind; 3] = [ProviderKind::Tongyi, ProviderKind::Baidu, ProviderKind::Doubao];

impl Catalogue {
    /// The catalogue that this server was built with.
    ///
    /// # Errors
    /// None in a build that passed its tests.
    pub fn builtin() -> Result<Self, CatalogueError> {
        Self::parse(BUNDLED)
    }

    /// A catalogue from a file of the same form.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read or has another form.
    pub fn load(path: &Path) -> Result<Self, CatalogueError> {
        Self::parse(&std::fs::read_to_string(path)?)
    }

    /// A catalogue from its text.
    ///
    /// # Errors
    /// [`CatalogueError`] when the text has another form.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        let file: File = serde_json::from_str(text)?;
        if file.schema_version != SCHEMA {
            return Err(CatalogueError::OtherSchema { found: file.schema_version });
        }
        // In this form the order of texts is the order of dates.
        if !file.date.parse::<jiff::civil::Date>().is_ok_and(|date| date.to_string() == file.date) {
            return Err(CatalogueError::BadDate { found: file.date });
        }
        let mut catalogue = Self { date: file.date, entries: HashMap::new(), lower: HashMap::new(), len: 0 };
        for row in file.models {
            // An entry of a kind that this version does not know is of no use, and no harm.
            if let Some(kind) = ProviderKind::parse(&row.provider) {
                catalogue.add(row.entry(kind)?);
            }
        }
        Ok(catalogue)
    }

    fn add(&mut self, entry: Entry) {
        if CASELESS.contains(&entry.kind) {
            let ids = self.lower.entry(entry.kind).or_default();
            ids.insert(entry.model_id.to_lowercase(), entry.model_id.clone());
        }
        let former = self.entries.entry(entry.kind).or_default().insert(entry.model_id.clone(), entry);
        self.len += usize::from(former.is_none());
    }

    /// When it was compiled, as `YYYY-MM-DD`.
    #[must_use]
    pub fn date(&self) -> &str {
        &self.date
    }

    /// All entries, by kind and id.
    #[must_use]
    pub fn entries(&self) -> Vec<&Entry> {
        let mut entries: Vec<_> = self.entries.values().flat_map(HashMap::values).collect();
        entries.sort_unstable_by_key(|entry| (entry.kind.name(), entry.model_id.as_str()));
        entries
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is known about a vendor's model, by its id as the vendor's list spells it.
    #[must_use]
    pub fn lookup(&self, kind: ProviderKind, vendor_id: &str) -> Option<&Entry> {
        let entries = self.entries.get(&kind)?;
        let spellings = spellings(kind, vendor_id);
        spellings
            .iter()
            .find_map(|id| entries.get(*id))
            .or_else(|| spellings.iter().find_map(|id| entries.get(without_date(id)?)))
            .or_else(|| {
                let lower = self.lower.get(&kind)?;
                entries.get(lower.get(&vendor_id.to_lowercase())?)
            })
    }
}

/// What Bedrock puts before the id of a model that several regions serve together.
const PROFILES: [&str; 7] = ["us.", "us-gov.", "eu.", "apac.", "au.", "jp.", "global."];

/// The ids under which an entry may stand, the most exact first.
fn spellings(kind: ProviderKind, vendor_id: &str) -> Vec<&str> {
    let mut ids = vec![vendor_id];
    match kind {
        ProviderKind::Gemini => ids.extend(vendor_id.strip_prefix("models/")),
        ProviderKind::AwsBedrock => {
            let name = vendor_id.rsplit('/').next().unwrap_or(vendor_id);
            let base = PROFILES.iter().find_map(|region| name.strip_prefix(region));
            ids.push(name);
            ids.extend(base);
            // A trailing context window, as in `:0:200k`.
            ids.extend(without_marker(name));
            ids.extend(base.and_then(without_marker));
        }
        _ => {}
    }
    ids
}

fn without_marker(id: &str) -> Option<&str> {
    let (rest, marker) = id.rsplit_once(':')?;
    let is_marker =
        marker.strip_suffix(['k', 'm']).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    is_marker.then_some(rest)
}

/// An id without its trailing `-YYYY-MM-DD` or `-YYYYMMDD`.
fn without_date(id: &str) -> Option<&str> {
    ["-dddd-dd-dd", "-dddddddd"].iter().find_map(|pattern| {
        let (rest, tail) = id.split_at_checked(id.len().checked_sub(pattern.len())?)?;
        let fits = |(byte, form): (u8, u8)| if form == b'd' { byte.is_ascii_digit() } else { byte == form };
        (!rest.is_empty() && tail.bytes().zip(pattern.bytes()).all(fits)).then_some(rest)
    })
}

#[derive(Deserialize)]
struct File {
    schema_version: u32,
    date: String,
    models: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    provider: String,
    model_id: String,
    r#type: String,
    context_window: Option<i64>,
    max_output_tokens: Option<i64>,
    input_price_per_1k: Option<String>,
    output_price_per_1k: Option<String>,
    capabilities: Vec<String>,
    status: String,
}

impl Row {
    fn entry(self, kind: ProviderKind) -> Result<Entry, CatalogueError> {
        let bad = |field, value: &str| CatalogueError::BadEntry {
            model_id: self.model_id.clone(),
            field,
            value: value.to_owned(),
        };
        let price = |field, text: &Option<String>| -> Result<_, CatalogueError> {
            text.as_deref().map(|text| rounded(text).ok_or_else(|| bad(field, text))).transpose()
        };
        let capability = |name: &String| Capability::parse(name).ok_or_else(|| bad("capability", name));
        Ok(Entry {
            kind,
            model_type: ModelType::parse(&self.r#type).ok_or_else(|| bad("type", &self.r#type))?,
            context_window: self.context_window.filter(|tokens| *tokens > 0),
            max_output_tokens: self.max_output_tokens.filter(|tokens| *tokens > 0),
            input_price_per_1k: price("input price", &self.input_price_per_1k)?,
            output_price_per_1k: price("output price", &self.output_price_per_1k)?,
            capabilities: self.capabilities.iter().map(capability).collect::<Result<_, _>>()?,
            status: ModelStatus::parse(&self.status).ok_or_else(|| bad("status", &self.status))?,
            model_id: self.model_id,
        })
    }
}

/// A price of the file. Some have more decimals than a price can have, from the conversions of their sources.
fn rounded(text: &str) -> Option<Price> {
    let decimal = rust_decimal::Decimal::from_str_exact(text).ok()?;
    Price::parse(&decimal.round_dp(9).normalize().to_string()).ok()
}

#[cfg(test)]
mod tests;
