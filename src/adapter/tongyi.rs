//! Tongyi: Alibaba Cloud Model Studio (DashScope), by its OpenAI-compatible interface.
//!
//! The list of models is used by everybody and documented by nobody: where it is gone, a key is still checked.

use super::openai::{KeyCheck, OpenAi};
use crate::domain::model::ModelType;
use crate::domain::provider::ProviderKind;

pub(super) static TONGYI: OpenAi =
    OpenAi { key_check: KeyCheck::ListOrNobodysModel, type_by_id, ..OpenAi::like(ProviderKind::Tongyi) };

fn type_by_id(id: &str) -> Option<ModelType> {
    let has = |parts: &[&str]| parts.iter().any(|part| id.contains(part));
    let types = [
        (&["embedding"][..], ModelType::Embedding),
        (&["rerank"], ModelType::Rerank),
        (&["-tts", "-asr", "cosyvoice", "sambert", "paraformer", "-realtime", "-livetranslate"], ModelType::Audio),
        (&["wanx", "wan2", "-image", "flux-", "-t2i", "-t2v", "-i2v"], ModelType::Image),
    ];
    let known = types.into_iter().find(|(parts, _)| has(parts)).map(|(_, known)| known);
    known.or_else(|| (id.starts_with("qwen") || id.starts_with("qwq")).then_some(ModelType::Chat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_by_ids() {
        for (id, expected) in [
            ("qwen-plus", Some(ModelType::Chat)),
            ("qwq-32b", Some(ModelType::Chat)),
            ("text-embedding-v4", Some(ModelType::Embedding)),
            ("gte-rerank-v2", Some(ModelType::Rerank)),
            ("qwen3-tts-flash", Some(ModelType::Audio)),
            ("qwen-image-plus", Some(ModelType::Image)),
            ("wan2.5-t2v-preview", Some(ModelType::Image)),
            ("deepseek-v3.2", None),
        ] {
            assert_eq!(type_by_id(id), expected, "{id}");
        }
    }
}
