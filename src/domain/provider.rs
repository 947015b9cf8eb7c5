//! Providers: an account with a vendor, or a self-hosted runtime.

use std::time::Duration;

use super::id::ProviderId;
use super::meta::Meta;
use super::text::Text;
use super::time::Timestamp;

pub mod input;
pub mod plan;

pub const NAME: Text = Text::required(100);
pub const DESCRIPTION: Text = Text::optional(1000);
pub const DEFAULT_SYNC_INTERVAL: Duration = Duration::from_hours(24);
pub const MIN_SYNC_INTERVAL: Duration = Duration::from_mins(1);
/// Not a promise of the API, a guard: no instant overflows by adding an interval.
pub const MAX_SYNC_INTERVAL: Duration = Duration::from_hours(366 * 24);

/// Which API a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderKind {
    OpenAi,
    Anthropic,
    AwsBedrock,
    AzureOpenAi,
    Tongyi,
    Baidu,
    Ollama,
    Vllm,
    DeepSeek,
    Doubao,
    Zhipu,
    Moonshot,
    Gemini,
    Mistral,
    /// Any other server that speaks `OpenAI`'s API.
    OpenAiCompatible,
}

impl ProviderKind {
    pub const ALL: [Self; 15] = [
        Self::OpenAi,
        Self::Anthropic,
        Self::AwsBedrock,
        Self::AzureOpenAi,
        Self::Tongyi,
        Self::Baidu,
        Self::Ollama,
        Self::Vllm,
        Self::DeepSeek,
        Self::Doubao,
        Self::Zhipu,
        Self::Moonshot,
        Self::Gemini,
        Self::Mistral,
        Self::OpenAiCompatible,
    ];

    /// The name in the database and in the catalogue; the API's is its upper case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::AwsBedrock => "aws_bedrock",
            Self::AzureOpenAi => "azure_openai",
            Self::Tongyi => "tongyi",
            Self::Baidu => "baidu",
            Self::Ollama => "ollama",
            Self::Vllm => "vllm",
            Self::DeepSeek => "deepseek",
            Self::Doubao => "doubao",
            Self::Zhipu => "zhipu",
            Self::Moonshot => "moonshot",
            Self::Gemini => "gemini",
            Self::Mistral => "mistral",
            Self::OpenAiCompatible => "openai_compatible",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether a model of such a provider is of no use without a credential.
    #[must_use]
    pub const fn requires_credential(self) -> bool {
        !self.is_self_hosted()
    }

    /// Runs in the operator's own network: private addresses are what one expects there.
    #[must_use]
    pub const fn is_self_hosted(self) -> bool {
        matches!(self, Self::Ollama | Self::Vllm | Self::OpenAiCompatible)
    }
}

/// When the models are fetched without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncPolicy {
    pub enabled: bool,
    pub interval: Duration,
}

impl Default for SyncPolicy {
    fn default() -> Self {
        Self { enabled: false, interval: DEFAULT_SYNC_INTERVAL }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    pub id: ProviderId,
    pub meta: Meta,
    pub name: String,
    pub kind: ProviderKind,
    pub description: String,
    pub is_active: bool,
    pub sync_policy: SyncPolicy,
    pub delete_time: Option<Timestamp>,
    pub purge_time: Option<Timestamp>,
}

/// How a synchronisation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncResult {
    Succeeded,
    Failed,
}

/// The last synchronisation: status, not configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncStatus {
    pub last_time: Timestamp,
    pub result: SyncResult,
    pub message: String,
    pub added: u32,
    pub updated: u32,
    pub deprecated: u32,
    pub restored: u32,
    pub unchanged: u32,
}
