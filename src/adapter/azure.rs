//! Azure OpenAI: OpenAI's API on two surfaces of a resource of one's own.
//!
//! The endpoint's `api_version` chooses: empty or `v1` is the newer surface, `preview` its preview, and a date the
//! classic one. With a key alone the list is that of the region's base models; deployments are entered by hand, as
//! models whose id is the deployment's name.

use serde_json::Value;
use url::Url;

use super::fault::CallError;
use super::location::{Location, segment};
use super::openai::{OpenAi, TokenLimit};
use super::request::Call;
use crate::domain::Timestamp;
use crate::domain::endpoint::Endpoint;
use crate::domain::model::ModelType;
use crate::domain::model::sync::{ListedModel, Sourced};
use crate::domain::provider::ProviderKind;

pub(super) static AZURE_OPENAI: OpenAi = OpenAi {
    token_limit: TokenLimit::New,
    tell,
    url,
    send_key: |call, authority| Call::key_in(call, "api-key", authority),
    ..OpenAi::like(ProviderKind::AzureOpenAi)
};

/// Operators give the resource's address with or without the beginning of the path.
fn url(endpoint: &Endpoint, path: &str, model: Option<&str>) -> Result<Url, CallError> {
    let root = Location::base(endpoint)?.without(&["/openai/v1", "/openai"]);
    let path = match (endpoint.api_version.as_str(), model) {
        ("" | "v1", _) => format!("openai/v1/{path}"),
        ("preview", _) => format!("openai/v1/{path}?api-version=preview"),
        (version, None) => format!("openai/{path}?api-version={}", segment(version)),
        (version, Some(deployment)) => {
            format!("openai/deployments/{}/{path}?api-version={}", segment(deployment), segment(version))
        }
    };
    Ok(root.join(&path))
}

fn tell(row: &Value, model: &mut ListedModel, now: Timestamp) {
    let does = |name: &str| row.pointer(&format!("/capabilities/{name}")).and_then(Value::as_bool) == Some(true);
    let types = [
        ("chat_completion", ModelType::Chat),
        ("embeddings", ModelType::Embedding),
        ("completion", ModelType::Completion),
    ];
    if let Some((_, told)) = types.into_iter().find(|(name, _)| does(name)) {
        model.model_type = Some(Sourced::vendor(told));
    }
    let retired = row.pointer("/deprecation/inference").and_then(Value::as_i64);
    model.deprecated |= retired.is_some_and(|seconds| seconds <= now.micros() / 1_000_000)
        || row.get("lifecycle_status").and_then(Value::as_str) == Some("deprecated");
}

#[cfg(test)]
mod tests {
    use super::super::testing::endpoint;
    use super::*;

    #[test]
    fn the_version_chooses_the_surface() {
        for base in
            ["https://r.openai.azure.com", "https://r.openai.azure.com/openai", "https://r.openai.azure.com/openai/v1"]
        {
            let mut endpoint = endpoint(base);
            for (version, path, model, expected) in [
                ("", "models", None, "openai/v1/models"),
                ("v1", "chat/completions", Some("d"), "openai/v1/chat/completions"),
                ("preview", "models", None, "openai/v1/models?api-version=preview"),
                ("2024-10-21", "models", None, "openai/models?api-version=2024-10-21"),
                (
                    "2024-10-21",
                    "chat/completions",
                    Some("a/b?c"),
                    "openai/deployments/a%2Fb%3Fc/chat/completions?api-version=2024-10-21",
                ),
            ] {
                version.clone_into(&mut endpoint.api_version);
                let url = url(&endpoint, path, model).unwrap();
                assert_eq!(url.as_str(), format!("https://r.openai.azure.com/{expected}"));
            }
        }
    }
}
