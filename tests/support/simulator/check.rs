//! What is asked, and what is wrong with it: keys, versions, paths, signatures.

use http::{HeaderMap, Method};

use super::rows::Row;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Question {
    pub method: Method,
    /// With the query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
    /// The key that it shows; of a signed one its id.
    pub key: Option<String>,
    pub authorization: String,
    /// The status of an answer that quotes.
    pub status: u16,
}

impl Question {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn read(row: &Row, method: Method, path: String, headers: HeaderMap, body: String, status: u16) -> Self {
        let authorization = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let authorization = authorization.to_owned();
        let mut question = Self { method, path, headers, body, key: None, authorization, status };
        let sent = match row.key_header {
            "sigv4" => question.authorization.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next()),
            "authorization" => question.authorization.strip_prefix("Bearer "),
            name => Some(question.header(name)).filter(|key| !key.is_empty()),
        };
        question.key = sent.map(ToOwned::to_owned);
        question
    }
}

/// Whether it asks what a health check of this kind asks.
pub fn is_probe(row: &Row, question: &Question) -> bool {
    let own = match row.key_header {
        "x-api-key" => "/v1/models?limit=1".to_owned(),
        "x-goog-api-key" => format!("{}/models?pageSize=1", row.base),
        "api-key" => "/openai/models?api-version=2024-10-21".to_owned(),
        "sigv4" => "/foundation-models".to_owned(),
        _ if row.kind == crate::domain::provider::ProviderKind::Ollama => "/api/version".to_owned(),
        _ if row.kind == crate::domain::provider::ProviderKind::Vllm => "/health".to_owned(),
        _ => format!("{}/models", row.base),
    };
    question.method == Method::GET && question.path == own
}

/// Everything that is wrong with a question.
pub fn faults(row: &Row, question: &Question) -> Vec<String> {
    let mut found = Vec::new();
    let mut want = |holds: bool, what: &str| {
        if !holds {
            found.push(format!("{:?}: {} {}: {what}", row.kind, question.method, question.path));
        }
    };
    want(question.header("user-agent").starts_with("modelward/"), "who asks?");
    want(question.header("accept") == "application/json", "accept");
    let Some(key) = &question.key else {
        want(is_probe(row, question), "only a health check comes without a key, and asks what this kind answers");
        want(question.authorization.is_empty() && question.body.is_empty(), "a health check carries nothing");
        return found;
    };
    want(!key.is_empty() && !question.path.contains(key.as_str()), "no key in a path");
    want(!question.body.contains(key.as_str()), "no key in a body");
    want(row.answers.iter().any(|(path, _)| *path == question.path), "this kind has no such path");
    want(row.also.is_none_or(|(name, value)| question.header(name) == value), "the header that this kind wants");
    want(row.key_header != "sigv4" || is_signed(question), "the signature's form");
    if question.method == Method::POST {
        want(question.header("content-type") == "application/json", "content-type");
        want(serde_json::from_str::<serde_json::Value>(&question.body).is_ok_and(|body| body.is_object()), "JSON");
    } else {
        want(question.method == Method::GET && question.body.is_empty(), "a GET has no body");
    }
    found
}

/// `AWS4-HMAC-SHA256 Credential=<id>/<day>/<region>/bedrock/aws4_request, SignedHeaders=<names>, Signature=<hex>`
fn is_signed(question: &Question) -> bool {
    let date = question.header("x-amz-date");
    let read = || -> Option<bool> {
        let rest = question.authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=")?;
        let (credential, rest) = rest.split_once(", SignedHeaders=")?;
        let (names, signature) = rest.split_once(", Signature=")?;
        let scope: Vec<_> = credential.split('/').skip(1).collect();
        let names: Vec<_> = names.split(';').collect();
        let day = date.get(..8)?;
        let wanted = if question.body.is_empty() { &["host", "x-amz-date"][..] } else { &["content-type", "host"][..] };
        Some(
            scope == [day, "us-east-1", "bedrock", "aws4_request"]
                && date.len() == "20260102T030405Z".len()
                && names.is_sorted()
                && wanted.iter().all(|name| names.contains(name))
                && signature.len() == 64
                && signature.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        )
    };
    read().unwrap_or(false)
}
