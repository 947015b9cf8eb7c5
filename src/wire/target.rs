//! The answer of `ResolveTarget`, put together from encodings that are kept. It is only ever written.

use prost::Message;

use super::page::RawItem;
use crate::proto::v1;

/// `ResolveTargetResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct RawResolution {
    #[prost(message, optional, tag = "1")]
    pub target: Option<RawTarget>,
    #[prost(message, repeated, tag = "2")]
    pub fallbacks: Vec<RawTarget>,
    #[prost(int64, tag = "3")]
    pub revision: i64,
}

/// `Target`.
#[derive(Clone, PartialEq, Message)]
pub struct RawTarget {
    #[prost(string, tag = "1")]
    pub provider_id: String,
    #[prost(enumeration = "v1::ProviderKind", tag = "2")]
    pub provider_kind: i32,
    #[prost(string, tag = "3")]
    pub provider_name: String,
    #[prost(message, optional, tag = "4")]
    pub endpoint: Option<RawItem>,
    #[prost(string, tag = "5")]
    pub credential_id: String,
    #[prost(message, optional, tag = "6")]
    pub secret: Option<v1::CredentialSecret>,
    #[prost(message, optional, tag = "7")]
    pub model: Option<RawItem>,
    #[prost(message, optional, tag = "8")]
    pub parameters: Option<v1::ModelParameters>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{arbitrary, endpoint, model};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_decodes_as_the_declared_answer(
            endpoint in arbitrary::endpoint(), model in arbitrary::model(), parameters in arbitrary::parameters(),
            revision in 0..1000_i64,
        ) {
            let parameters = Some(model::parameters::write(&parameters));
            let secret = Some(v1::CredentialSecret { api_key: Some("sk".into()), ..v1::CredentialSecret::default() });
            let target = RawTarget {
                provider_id: "p".into(),
                provider_kind: v1::ProviderKind::Ollama as i32,
                provider_name: "name".into(),
                endpoint: Some(RawItem {
                    config: endpoint::config_bytes(&endpoint), status: endpoint::status_bytes(None),
                }),
                credential_id: "c".into(),
                secret: secret.clone(),
                model: Some(RawItem { config: model::config_bytes(&model), status: model::status_bytes(None, None) }),
                parameters: parameters.clone(),
            };
            let expected = v1::Target {
                provider_id: "p".into(),
                provider_kind: v1::ProviderKind::Ollama as i32,
                provider_name: "name".into(),
                endpoint: Some(endpoint::full(&endpoint, None)),
                credential_id: "c".into(),
                secret,
                model: Some(model::full(&model, None, None)),
                parameters,
            };
            let raw = RawResolution { target: Some(target.clone()), fallbacks: vec![target], revision };
            let shown = format!("{raw:?}");
            prop_assert!(!shown.contains("\"sk\""), "it shows the secret");
            let expected = v1::ResolveTargetResponse {
                target: Some(expected.clone()), fallbacks: vec![expected], revision,
            };
            prop_assert_eq!(v1::ResolveTargetResponse::decode(&*raw.encode_to_vec()).unwrap(), expected);
        }
    }
}
