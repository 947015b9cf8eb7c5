//! Kinds of which only the facts are known so far: they can be probed, and say of themselves that they cannot be asked.

use super::Adapter;
use super::descriptor::Descriptor;
use crate::domain::provider::ProviderKind;

pub(super) struct Plain(ProviderKind);

pub(super) static ANTHROPIC: Plain = Plain(ProviderKind::Anthropic);
pub(super) static AWS_BEDROCK: Plain = Plain(ProviderKind::AwsBedrock);
pub(super) static AZURE_OPENAI: Plain = Plain(ProviderKind::AzureOpenAi);
pub(super) static TONGYI: Plain = Plain(ProviderKind::Tongyi);
pub(super) static BAIDU: Plain = Plain(ProviderKind::Baidu);
pub(super) static DEEPSEEK: Plain = Plain(ProviderKind::DeepSeek);
pub(super) static DOUBAO: Plain = Plain(ProviderKind::Doubao);
pub(super) static ZHIPU: Plain = Plain(ProviderKind::Zhipu);
pub(super) static MOONSHOT: Plain = Plain(ProviderKind::Moonshot);
pub(super) static GEMINI: Plain = Plain(ProviderKind::Gemini);
pub(super) static MISTRAL: Plain = Plain(ProviderKind::Mistral);

impl Adapter for Plain {
    fn descriptor(&self) -> Descriptor {
        Descriptor::of(self.0)
    }
}
