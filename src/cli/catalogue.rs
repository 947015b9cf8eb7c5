//! `modelward catalogue`: what is known about models besides what their vendors tell.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::Format;
use super::settings::SettingsArgs;
use super::{output, table};
use crate::adapter::{Catalogue as Models, CurrentCatalogue, Entry};
use crate::domain::model::Price;
use crate::domain::provider::ProviderKind;

/// Shows, searches and checks the catalogue of models: windows, prices and capabilities that vendors do not tell
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  modelward catalogue show openai gpt-4o-mini
  modelward catalogue search claude sonnet --format json
  modelward catalogue check models.json
A server uses the built-in catalogue, or the file of the setting catalogue.file where that is newer; on SIGHUP it
reads the file again. Synchronised models take what their vendors do not tell from it.")]
pub enum Catalogue {
    /// Shows the entry that a model of a vendor's list gets, if there is one
    Show {
        /// The kind of provider, as in openai or PROVIDER_KIND_OPENAI
        kind: String,
        /// The model's id, as the vendor spells it
        model_id: String,
        #[command(flatten)]
        view: View,
    },
    /// Lists the entries in whose kind, id or type all these words are found
    Search {
        /// Words, in upper or lower case
        #[arg(required = true)]
        words: Vec<String>,
        #[command(flatten)]
        view: View,
    },
    /// Says whether a server would take a file as its catalogue
    Check {
        /// The file
        file: PathBuf,
        /// How the answer is written
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

#[derive(Args)]
pub struct View {
    /// How the answer is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl View {
    /// The catalogue that a server with these settings has.
    fn open(self) -> anyhow::Result<(Format, std::sync::Arc<Models>)> {
        let file = self.settings.load()?.settings.catalogue.file;
        let current = CurrentCatalogue::builtin(file.clone())?;
        current.reload().with_context(|| {
            let file = file.as_deref().unwrap_or(std::path::Path::new("")).display().to_string();
            format!("cannot use the catalogue {file}")
        })?;
        Ok((self.format, current.load()))
    }
}

impl Catalogue {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Show { kind, model_id, view } => show(&kind, &model_id, view),
            Self::Search { words, view } => search(&words, view),
            Self::Check { file, format } => check(&file, format),
        }
    }
}

fn show(kind: &str, model_id: &str, view: View) -> anyhow::Result<()> {
    let kind = parse_kind(kind)?;
    let (format, catalogue) = view.open()?;
    let entry = catalogue.lookup(kind, model_id).ok_or_else(|| {
        anyhow!(
            "the catalogue of {} has no such model: {model_id}; `modelward catalogue search` finds ids",
            catalogue.date()
        )
    })?;
    output::answer(format, &described(entry), || {
        let value = |field: &str| match described(entry).get(field) {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        let rows: Vec<_> = FIELDS.iter().map(|field| [(*field).to_owned(), value(field)]).collect();
        table::table(["FIELD", "VALUE"], &rows)
    })
}

fn search(words: &[String], view: View) -> anyhow::Result<()> {
    let (format, catalogue) = view.open()?;
    let words: Vec<_> = words.iter().map(|word| word.to_lowercase()).collect();
    let found: Vec<_> = catalogue.entries().into_iter().filter(|entry| is_found(entry, &words)).collect();
    let all: Vec<_> = found.iter().map(|entry| described(entry)).collect();
    output::answer(format, &Value::Array(all), || {
        let number = |tokens: Option<i64>| tokens.map(|tokens| tokens.to_string()).unwrap_or_default();
        let row = |entry: &&Entry| {
            [
                entry.kind.name().to_owned(),
                entry.model_id.clone(),
                entry.model_type.name().to_owned(),
                number(entry.context_window),
                number(entry.max_output_tokens),
                price(entry.input_price_per_1k).unwrap_or_default(),
                price(entry.output_price_per_1k).unwrap_or_default(),
                entry.status.name().to_owned(),
            ]
        };
        let headings = ["KIND", "MODEL", "TYPE", "WINDOW", "OUTPUT", "INPUT/1K", "OUTPUT/1K", "STATUS"];
        table::table(headings, &found.iter().map(row).collect::<Vec<_>>())
    })
}

fn check(file: &std::path::Path, format: Format) -> anyhow::Result<()> {
    let cannot = || format!("cannot use the catalogue {}", file.display());
    let found = Models::load(file).with_context(cannot)?;
    Models::builtin()?.check_successor(&found).with_context(cannot)?;
    let facts = json!({"date": found.date(), "models": found.len()});
    output::answer(format, &facts, || {
        table::table(["DATE", "MODELS"], &[[found.date().to_owned(), found.len().to_string()]])
    })
}

/// The kind of that name, however it is written.
fn parse_kind(text: &str) -> anyhow::Result<ProviderKind> {
    let lower = text.to_lowercase().replace('-', "_");
    let name = lower.strip_prefix("provider_kind_").unwrap_or(&lower);
    if let Some(kind) = ProviderKind::parse(name) {
        return Ok(kind);
    }
    let names: Vec<_> = ProviderKind::ALL.iter().map(|kind| kind.name()).collect();
    bail!("there is no such kind of provider: {text}; it is one of {}", names.join(", "))
}

fn is_found(entry: &Entry, words: &[String]) -> bool {
    let text = format!("{} {} {}", entry.kind.name(), entry.model_id.to_lowercase(), entry.model_type.name());
    words.iter().all(|word| text.contains(word))
}

fn price(price: Option<Price>) -> Option<String> {
    price.map(|price| price.to_string())
}

/// The fields of an entry, in the order in which they are shown.
const FIELDS: [&str; 10] = [
    "provider",
    "model_id",
    "type",
    "context_window",
    "max_output_tokens",
    "input_price_per_1k",
    "output_price_per_1k",
    "currency",
    "capabilities",
    "status",
];

fn described(entry: &Entry) -> Value {
    json!({
        "provider": entry.kind.name(),
        "model_id": entry.model_id,
        "type": entry.model_type.name(),
        "context_window": entry.context_window,
        "max_output_tokens": entry.max_output_tokens,
        // Text, so that no reader makes a rounded number of it.
        "input_price_per_1k": price(entry.input_price_per_1k),
        "output_price_per_1k": price(entry.output_price_per_1k),
        "currency": entry.pricing().map(|pricing| pricing.currency),
        "capabilities": entry.capabilities.iter().map(|capability| capability.name()).collect::<Vec<_>>(),
        "status": entry.status.name(),
    })
}
