//! Models: what a provider offers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::id::{ModelId, ProviderId};
use super::meta::Meta;
use super::text::Text;
use super::time::Timestamp;

pub mod input;
pub mod parameters;
pub mod plan;
pub mod requirement;
pub mod sync;

pub const VENDOR_ID: Text = Text::required(200);
pub const NAME: Text = Text::optional(100);
pub const DESCRIPTION: Text = Text::optional(1000);
pub const VERSION: Text = Text::optional(100);
/// The most tokens that a window or a limit can have: the API's integers have 32 bits.
pub const MAX_TOKENS: i64 = i32::MAX as i64;
pub const MAX_RECOMMENDED_USES: usize = 32;
pub const RECOMMENDED_USE: Text = Text::required(100);
pub const MAX_SCORE: i32 = 5;
pub const MAX_STOP: usize = 16;
pub const STOP_CHARACTERS: usize = 100;
/// Longest `extra`, as JSON in bytes.
pub const MAX_EXTRA_BYTES: usize = 8 * 1024;
pub const MAX_EXTRA_LEVELS: usize = 8;

/// Declares an enum whose variants have a name in the database.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name in the database; the API's is its upper case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }
    };
}

named!(ModelType {
    Chat = "chat",
    Completion = "completion",
    Embedding = "embedding",
    Vision = "vision",
    Image = "image",
    Audio = "audio",
    Rerank = "rerank",
    Moderation = "moderation",
});

named!(Capability {
    TextGeneration = "text_generation",
    Chat = "chat",
    CodeGeneration = "code_generation",
    FunctionCalling = "function_calling",
    Vision = "vision",
    Embedding = "embedding",
    StructuredOutput = "structured_output",
    Streaming = "streaming",
    Reasoning = "reasoning",
    PromptCaching = "prompt_caching",
    Audio = "audio",
});

named!(ModelStatus {
    Available = "available",
    /// Set by a person; a synchronisation never touches it.
    Maintenance = "maintenance",
    /// Still resolves, ranked last.
    Deprecated = "deprecated",
});

named!(ModelSource {
    Synced = "synced",
    Manual = "manual",
});

named!(
    /// Where a field's value came from.
    FieldSource {
        Vendor = "vendor",
        Catalogue = "catalogue",
        Person = "person",
    }
);

named!(AvailabilityStatus {
    Unknown = "unknown",
    Available = "available",
    Unavailable = "unavailable",
});

named!(AvailabilityCause {
    None = "none",
    Credential = "credential",
    NoCredit = "no_credit",
    Permission = "permission",
    UnknownModel = "unknown_model",
    RateLimited = "rate_limited",
    Network = "network",
    ServerError = "server_error",
    UnexpectedAnswer = "unexpected_answer",
    HostNotAllowed = "host_not_allowed",
    NoEndpoint = "no_endpoint",
    NoCredential = "no_credential",
    /// This type of model is not tested by a call.
    NotTested = "not_tested",
});

/// A price per 1,000 tokens, exact: whole billionths of the currency's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(i64);

impl Price {
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Reads a plain decimal, `0.0025`: not negative, at most nine decimals, below nine billion.
    ///
    /// # Errors
    /// What is wrong with it, in words for the caller.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "must be a decimal number such as \"0.0025\", not negative, with at most 9 decimals";
        let plain = !text.is_empty()
            && text.len() <= 30
            && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && text.starts_with(|c: char| c.is_ascii_digit())
            && text.ends_with(|c: char| c.is_ascii_digit());
        let decimal = plain.then(|| rust_decimal::Decimal::from_str_exact(text).ok()).flatten().ok_or(FORM)?;
        let scale = 9_u32.checked_sub(decimal.normalize().scale()).ok_or(FORM)?;
        let nanos = decimal.normalize().mantissa().checked_mul(10_i128.pow(scale));
        nanos.and_then(|nanos| i64::try_from(nanos).ok()).map(Self).ok_or_else(|| "is too large".into())
    }
}

impl std::fmt::Display for Price {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", rust_decimal::Decimal::new(self.0, 9).normalize())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pricing {
    pub input_per_1k: Option<Price>,
    pub output_per_1k: Option<Price>,
    /// ISO 4217.
    pub currency: String,
}

pub const DEFAULT_CURRENCY: &str = "USD";

/// Whether this has the form of an ISO 4217 code. Which codes exist changes over the years, so the form has to do.
#[must_use]
pub fn is_currency(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The name of a model that nobody named: the vendor's identifier, as much of it as a name can hold.
#[must_use]
pub fn default_name(vendor_id: &str) -> String {
    let name: String = vendor_id.chars().take(NAME.max).collect();
    name.trim_end().to_owned()
}

/// 0 = unrated; 1–5.
pub type Score = i32;

/// Parameters of a request that a model is called with. `extra` is a JSON object.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelParameters {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub max_tokens: Option<i64>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub stop: Vec<String>,
    pub extra: Option<serde_json::Map<String, serde_json::Value>>,
}

/// The fields that describe a model: what a synchronisation or a person says of it. Where each value came from is kept
/// in `field_sources`; a person's change pins the field of a synced model. Whether a model is active, and its labels,
/// are a person's affair alone and need neither.
pub const DESCRIPTIVE_FIELDS: &[&str] = &[
    "name",
    "description",
    "version",
    "type",
    "context_window",
    "max_output_tokens",
    "pricing",
    "capabilities",
    "recommended_uses",
    "default_parameters",
    "status",
];

#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub id: ModelId,
    pub provider_id: ProviderId,
    pub meta: Meta,
    /// The vendor's identifier.
    pub model_id: String,
    pub name: String,
    pub description: String,
    pub version: String,
    pub model_type: ModelType,
    pub context_window: Option<i64>,
    pub max_output_tokens: Option<i64>,
    pub pricing: Option<Pricing>,
    pub capabilities: BTreeMap<Capability, Score>,
    pub recommended_uses: Vec<String>,
    pub default_parameters: Option<ModelParameters>,
    pub is_active: bool,
    pub status: ModelStatus,
    pub source: ModelSource,
    /// Fields that a person changed: a synchronisation leaves them alone.
    pub pinned_fields: BTreeSet<String>,
    pub field_sources: BTreeMap<String, FieldSource>,
    pub is_default: bool,
}

/// The last test of a model: status, not configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Availability {
    pub status: AvailabilityStatus,
    pub cause: AvailabilityCause,
    pub latency: Option<Duration>,
    pub message: String,
    pub last_test_time: Option<Timestamp>,
}

impl Default for Availability {
    fn default() -> Self {
        Self {
            status: AvailabilityStatus::Unknown,
            cause: AvailabilityCause::None,
            latency: None,
            message: String::new(),
            last_test_time: None,
        }
    }
}

/// What a synchronisation did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SyncSummary {
    pub added: u32,
    pub updated: u32,
    pub deprecated: u32,
    pub restored: u32,
    pub unchanged: u32,
    /// The changed ones, at most [`MAX_SYNC_MODELS`].
    pub models: Vec<Arc<Model>>,
}

pub const MAX_SYNC_MODELS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact_both_ways() {
        for (text, shown) in
            [("0", "0"), ("0.0025", "0.0025"), ("0.000000001", "0.000000001"), ("12.500", "12.5"), ("00.10", "0.1")]
        {
            assert_eq!(Price::parse(text).unwrap().to_string(), shown);
        }
        assert_eq!(Price::parse("0.0000000010").unwrap().nanos(), 1);
    }

    #[test]
    fn bad_prices_are_refused() {
        for bad in ["", "-1", "+1", "1e3", ".5", "5.", "1.2.3", "0.0000000001", "99999999999", "NaN", "1,5", "٣", " 1"]
        {
            assert!(Price::parse(bad).is_err(), "{bad}");
        }
    }
}
