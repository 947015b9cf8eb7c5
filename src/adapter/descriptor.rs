//! What there is to know about a kind without asking anybody.

use crate::domain::endpoint::{BaseUrl, Host};
use crate::domain::provider::ProviderKind;

/// A field of a credential's secret that a kind reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretField {
    pub name: &'static str,
    /// Nothing works without it. Where either of two will do, neither is required.
    pub required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    pub kind: ProviderKind,
    pub display_name: &'static str,
    /// The usual one first, then other regions.
    pub default_base_urls: &'static [&'static str],
    pub secret_fields: &'static [SecretField],
}

const fn required(name: &'static str) -> SecretField {
    SecretField { name, required: true }
}

const fn optional(name: &'static str) -> SecretField {
    SecretField { name, required: false }
}

const KEY: &[SecretField] = &[required("api_key")];
const MAYBE_KEY: &[SecretField] = &[optional("api_key")];
const KEY_OR_TOKEN: &[SecretField] = &[optional("api_key"), optional("access_token")];
const AWS: &[SecretField] =
    &[optional("api_key"), optional("secret_key"), optional("session_token"), optional("access_token")];

impl Descriptor {
    pub(super) const fn of(kind: ProviderKind) -> Self {
        let (display_name, default_base_urls, secret_fields) = facts(kind);
        Self { kind, display_name, default_base_urls, secret_fields }
    }

    #[must_use]
    pub const fn requires_credential(&self) -> bool {
        self.kind.requires_credential()
    }

    /// Where this kind's secrets may go beside the provider's own endpoints: the vendor's hosts, and hosts that
    /// belong to one of `endpoints`. A self-hosted kind has none.
    #[must_use]
    pub fn own_hosts(&self, endpoints: &[Host]) -> Vec<Host> {
        if self.kind.is_self_hosted() {
            return Vec::new();
        }
        let defaults: Vec<_> = self
            .default_base_urls
            .iter()
            .filter_map(|url| BaseUrl::parse(url).ok())
            .map(|url| url.host().clone())
            .collect();
        let derived = endpoints.iter().chain(&defaults).filter_map(|host| self.control_host(host));
        let mut hosts: Vec<_> = derived.chain(defaults.iter().cloned()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    /// Bedrock lists its models at another host than the one that runs them.
    pub(super) fn control_host(&self, host: &Host) -> Option<Host> {
        if self.kind != ProviderKind::AwsBedrock || !host.name.ends_with(".amazonaws.com") {
            return None;
        }
        let rest = host.name.strip_prefix("bedrock-runtime")?;
        rest.starts_with(['.', '-']).then(|| Host { name: format!("bedrock{rest}"), ..host.clone() })
    }
}

type Facts = (&'static str, &'static [&'static str], &'static [SecretField]);

const fn facts(kind: ProviderKind) -> Facts {
    match kind {
        ProviderKind::OpenAi => (
            "OpenAI",
            &[
                "https://api.openai.com/v1",
                "https://us.api.openai.com/v1",
                "https://eu.api.openai.com/v1",
                "https://ae.api.openai.com/v1",
            ],
            KEY,
        ),
        ProviderKind::Anthropic => ("Anthropic", &["https://api.anthropic.com"], KEY_OR_TOKEN),
        ProviderKind::AwsBedrock => ("Amazon Bedrock", &["https://bedrock-runtime.us-east-1.amazonaws.com"], AWS),
        ProviderKind::AzureOpenAi => ("Azure OpenAI", &[], KEY_OR_TOKEN),
        ProviderKind::Tongyi => (
            "Tongyi (Alibaba Cloud Model Studio)",
            &[
                "https://dashscope.aliyuncs.com/compatible-mode/v1",
                "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
                "https://dashscope-us.aliyuncs.com/compatible-mode/v1",
                "https://cn-hongkong.dashscope.aliyuncs.com/compatible-mode/v1",
            ],
            KEY,
        ),
        ProviderKind::Baidu => ("Baidu Qianfan", &["https://qianfan.baidubce.com/v2"], KEY),
        ProviderKind::Ollama => ("Ollama", &["http://127.0.0.1:11434"], MAYBE_KEY),
        ProviderKind::Vllm => ("vLLM", &["http://localhost:8000/v1"], MAYBE_KEY),
        ProviderKind::DeepSeek => ("DeepSeek", &["https://api.deepseek.com"], KEY),
        ProviderKind::Doubao => ("Doubao (Volcengine Ark)", &["https://ark.cn-beijing.volces.com/api/v3"], KEY),
        ProviderKind::Zhipu => {
            ("Zhipu (BigModel)", &["https://open.bigmodel.cn/api/paas/v4", "https://api.z.ai/api/paas/v4"], KEY)
        }
        ProviderKind::Moonshot => {
            ("Moonshot (Kimi)", &["https://api.moonshot.cn/v1", "https://api.moonshot.ai/v1"], KEY)
        }
        ProviderKind::Gemini => ("Google Gemini", &["https://generativelanguage.googleapis.com/v1beta"], KEY),
        ProviderKind::Mistral => ("Mistral AI", &["https://api.mistral.ai/v1"], KEY),
        ProviderKind::OpenAiCompatible => ("OpenAI-compatible server", &[], MAYBE_KEY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_of_every_kind_are_well_formed() {
        for kind in ProviderKind::ALL {
            let descriptor = Descriptor::of(kind);
            assert!(descriptor.default_base_urls.iter().all(|url| BaseUrl::parse(url).is_ok()), "{kind:?}");
            assert!(!descriptor.secret_fields.is_empty() && !descriptor.display_name.is_empty());
            let needs = descriptor.secret_fields.iter().any(|field| field.required);
            assert!(!needs || descriptor.requires_credential(), "{kind:?}");
        }
    }

    #[test]
    fn bedrocks_control_host_is_derived_and_nothing_else() {
        let hosts = |names: &[&str]| -> Vec<_> { names.iter().map(|name| Host::parse(name).unwrap()).collect() };
        let bedrock = Descriptor::of(ProviderKind::AwsBedrock);
        let own = bedrock.own_hosts(&hosts(&[
            "bedrock-runtime.eu-west-1.amazonaws.com",
            "bedrock-runtime.evil.com",
            "bedrock-runtimeX.amazonaws.com",
        ]));
        let expected = [
            "bedrock-runtime.us-east-1.amazonaws.com",
            "bedrock.eu-west-1.amazonaws.com",
            "bedrock.us-east-1.amazonaws.com",
        ];
        assert_eq!(own.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        assert!(Descriptor::of(ProviderKind::Vllm).own_hosts(&own).is_empty());
        assert_eq!(Descriptor::of(ProviderKind::Baidu).own_hosts(&own), hosts(&["qianfan.baidubce.com"]));
    }
}
