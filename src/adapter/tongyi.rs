//! Tongyi: Alibaba Cloud Model Studio (DashScope), by its OpenAI-compatible interface.
//!
//! It has two lists of models: one of its own, which is documented, and the compatible one, which everybody uses and
//! nobody documents. The first counts; the second where the first is not there or not as documented. A vendor that is
//! ill or asks to be spared is not asked for the other list: the two may differ, and models must not come and go with
//! its health. Prices of its own list are left alone, because it does not tell their currency.

use serde_json::Value;

use super::Adapter;
use super::ask::{Ask, Subject, Tried};
use super::dial::Pending;
use super::fault::{CallError, CallErrorKind};
use super::listed::{fits, pages};
use super::location::Location;
use super::meaning::Meaning;
use super::openai::{KeyCheck, OpenAi, by_word};
use super::request::Call;
use super::verdict::KeyVerdict;
use crate::domain::model::sync::{ListedModel, Sourced};
use crate::domain::model::{ModelType, NAME};
use crate::domain::provider::ProviderKind;

pub(super) struct Tongyi {
    compatible: OpenAi,
}

pub(super) static TONGYI: Tongyi = Tongyi {
    compatible: OpenAi { key_check: KeyCheck::ListOrNobodysModel, type_by_id, ..OpenAi::like(ProviderKind::Tongyi) },
};

/// How the compatible interface's base URL ends; its own is beside it.
const COMPATIBLE: &str = "/compatible-mode/v1";
const PAGE: usize = 100;

impl Tongyi {
    async fn models(&self, ask: Ask<'_>) -> Result<Vec<ListedModel>, CallError> {
        if ask.target.endpoint.base_url.as_str().trim_end_matches('/').ends_with(COMPATIBLE) {
            match own_list(ask).await {
                Err(error) if is_surprise(&error) => {}
                outcome => return outcome,
            }
        }
        self.compatible.listed(ask).await
    }
}

async fn own_list(ask: Ask<'_>) -> Result<Vec<ListedModel>, CallError> {
    let location = Location::base(ask.target.endpoint)?.without(&[COMPATIBLE]);
    let location = &location;
    pages("1", async |number| {
        let url = location.join(&format!("api/v1/models?page_no={number}&page_size={PAGE}"));
        let answer = ask.json(Call::get(url).bearer(ask.target.authority)?).await?;
        read(&answer, number.parse().unwrap_or(1))
    })
    .await
}

/// Whether the list is not there, or not what it is said to be.
const fn is_surprise(error: &CallError) -> bool {
    match error.kind {
        CallErrorKind::UnexpectedAnswer { .. } | CallErrorKind::TooLarge => true,
        CallErrorKind::Http { meaning, .. } => {
            !matches!(meaning, Meaning::BadKey | Meaning::NoCredit | Meaning::RateLimited | Meaning::ServerError)
        }
        _ => false,
    }
}

/// The models of one page, and the number of the next.
fn read(answer: &Value, number: usize) -> Result<(Vec<ListedModel>, Option<String>), CallError> {
    let other = || CallError::unexpected(Some(200), "the answer is no page of models");
    let rows = answer.pointer("/output/models").and_then(Value::as_array).ok_or_else(other)?;
    let total = answer.pointer("/output/total").and_then(Value::as_u64).ok_or_else(other)?;
    let is_last = number.saturating_mul(PAGE) as u64 >= total;
    if rows.is_empty() || (!is_last && rows.len() < PAGE) {
        return Err(CallError::unexpected(Some(200), "the list ends before all of its models"));
    }
    let models = rows.iter().map(model).collect::<Option<_>>().ok_or_else(other)?;
    Ok((models, (!is_last).then(|| (number + 1).to_string())))
}

fn model(row: &Value) -> Option<ListedModel> {
    let mut model = ListedModel::named(row.get("model")?.as_str()?);
    let name = row.get("name").and_then(Value::as_str).map(str::trim);
    let name = name.filter(|name| !name.is_empty() && fits(NAME, name));
    model.name = name.map(|name| Sourced::vendor(name.to_owned()));
    let tokens = |place| row.pointer(place).and_then(Value::as_i64).filter(|tokens| *tokens > 0).map(Sourced::vendor);
    model.context_window = tokens("/model_info/context_window");
    model.max_output_tokens = tokens("/model_info/max_output_tokens");
    let words = row.get("capabilities").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    model.tell_capabilities(words.flat_map(|word| by_word(&word.to_ascii_lowercase()).iter().copied()));
    Some(model)
}

impl Adapter for Tongyi {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Tongyi
    }

    fn check_key<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<KeyVerdict, CallError>> {
        self.compatible.check_key(ask)
    }

    fn listed<'a>(&'a self, ask: Ask<'a>) -> Pending<'a, Result<Vec<ListedModel>, CallError>> {
        Box::pin(self.models(ask))
    }

    fn try_model<'a>(&'a self, ask: Ask<'a>, subject: Subject<'a>) -> Pending<'a, Result<Tried, CallError>> {
        self.compatible.try_model(ask, subject)
    }

    fn type_by_id(&self, id: &str) -> Option<ModelType> {
        type_by_id(id)
    }
}

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
    use serde_json::json;

    use super::super::testing::{Reply, Server, client, endpoint, only, reply, secret, target};
    use super::*;
    use crate::domain::model::Capability;

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

    const OTHER: &str = r#"{"data":[{"id":"compatible"}]}"#;

    /// A page of so many models from `first` on.
    fn page(total: usize, first: usize, count: usize) -> String {
        let row = |number| {
            json!({"model": format!("m{number:03}"), "name": format!("Model {number}"), "capabilities": ["TG", "Reasoning"],
            "model_info": {"context_window": 1000, "max_output_tokens": 100},
            "prices": [{"range_name": "0-256k", "prices": [{"type": "input_token", "price": "0.8"}]}]})
        };
        let rows: Vec<_> = (first..first + count).map(row).collect();
        json!({"request_id": "r", "output": {"total": total, "page_no": 1, "page_size": 100, "models": rows}})
            .to_string()
    }

    /// What is listed by a server that answers its own list like this, and how often it was asked for which list.
    async fn listed(
        own: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> (Result<Vec<ListedModel>, CallError>, [usize; 2]) {
        let server = Server::start(move |seen| {
            let path = seen.path.as_str();
            if path.starts_with("/api/v1/models") { own(path) } else { reply(200, OTHER) }
        })
        .await;
        let (client, mut endpoint, secret) = (client(), endpoint(&server.url(COMPATIBLE)), secret());
        endpoint.retry.max_attempts = 1;
        let hosts = only(&endpoint);
        // Of a kind that may be on the loopback interface.
        let target = target(ProviderKind::Vllm, &endpoint, &secret, &hosts);
        let found = TONGYI.listed(Ask { client: &client, target: &target }).await;
        let count = |path: &str| server.seen().iter().filter(|seen| seen.path.starts_with(path)).count();
        (found, [count("/api/v1/models"), count("/compatible-mode/v1/models")])
    }

    #[tokio::test]
    async fn the_documented_list_is_read_to_its_last_page() {
        let (found, asked) = listed(|path| {
            let number: usize = if path.contains("page_no=3") { 2 } else { usize::from(path.contains("page_no=2")) };
            reply(200, &page(212, number * 100, if number == 2 { 12 } else { 100 }))
        })
        .await;
        let found = found.unwrap();
        assert_eq!((found.len(), asked), (212, [3, 0]));
        assert_eq!(found[211].model_id, "m211");
        assert_eq!(found[0].name, Some(Sourced::vendor("Model 0".into())));
        assert_eq!(
            (&found[0].context_window, &found[0].max_output_tokens),
            (&Some(Sourced::vendor(1000)), &Some(Sourced::vendor(100)))
        );
        assert_eq!(found[0].capabilities, Some(Sourced::vendor([Capability::Reasoning].into())));
        assert_eq!(found[0].pricing, None, "nobody tells the currency");
    }

    #[tokio::test]
    async fn on_any_surprise_the_compatible_list_counts_and_on_an_illness_none() {
        for body in [
            "",
            "<html>",
            "{}",
            "[]",
            r#"{"output":{"models":[{"model":"x"}]}}"#,
            r#"{"output":{"total":1,"models":[{}]}}"#,
            r#"{"output":{"total":0,"models":[]}}"#,
            &page(300, 0, 7),
        ] {
            let body = body.to_owned();
            let (found, asked) = listed(move |_| reply(200, &body)).await;
            assert_eq!(found.unwrap()[0].model_id, "compatible");
            assert_eq!(asked, [1, 1]);
        }
        for (status, falls_back) in
            [(404, true), (403, true), (400, true), (401, false), (429, false), (500, false), (503, false)]
        {
            let (found, asked) = listed(move |_| reply(status, "")).await;
            assert_eq!((found.is_ok(), asked), (falls_back, [1, usize::from(falls_back)]), "{status}");
        }
    }
}
