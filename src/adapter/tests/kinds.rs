//! Every kind against a server that answers as its vendor does: one row of facts a kind, the same questions to all.
//!
//! The bodies are those of the vendors' documentation, shortened.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::testing::{KEY, Reply, Seen, Server, endpoint, only, reply, target};
use super::super::*;
use crate::domain::SystemClock;
use crate::domain::credential::{ValidationCause as KeyCause, ValidationStatus};
use crate::domain::model::{AvailabilityCause as ModelCause, AvailabilityStatus};
use crate::domain::secret::{CredentialSecret, SecretText};

mod rows;
use rows::{ROWS, Row};

const SECRET_KEY: &str = "canary+secret/0123456789abcdefABCDEF";

fn secret(row: &Row) -> CredentialSecret {
    let text = |text: &str| Some(SecretText::new(text.to_owned()));
    let secret_key = (row.kind == ProviderKind::AwsBedrock).then(|| text(SECRET_KEY)).flatten();
    CredentialSecret { api_key: text(KEY), secret_key, ..CredentialSecret::default() }
}

/// Whether a request carries the key in the way that the kind wants it, and nowhere else.
fn carries_the_key(row: &Row, seen: &Seen) -> bool {
    let header = |name: &str| seen.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sent = match row.key_header {
        "sigv4" => {
            let scope = format!("AWS4-HMAC-SHA256 Credential={KEY}/");
            header("authorization").starts_with(&scope)
                && header("authorization").contains("/us-east-1/bedrock/aws4_request")
                && !header("x-amz-date").is_empty()
        }
        "authorization" => header("authorization") == format!("Bearer {KEY}"),
        name => header(name) == KEY && header("authorization").is_empty(),
    };
    sent && !seen.path.contains(KEY)
        && !seen.body.contains(KEY)
        && row.also.is_none_or(|(name, value)| header(name) == value)
}

/// A vendor that answers by its row: `broken` first, where it is set.
async fn vendor(row: &'static Row, broken: Arc<Mutex<Option<Reply>>>) -> Server {
    Server::start(move |seen| {
        if !carries_the_key(row, seen) {
            return reply(599, "the key is not where it belongs");
        }
        if let Some(broken) = broken.lock().unwrap().clone() {
            return broken;
        }
        let answered = row.answers.iter().find(|(path, _)| seen.path == *path);
        answered.map_or_else(|| reply(598, &seen.path), |(_, body)| reply(200, body))
    })
    .await
}

struct Asked {
    row: &'static Row,
    server: Server,
    broken: Arc<Mutex<Option<Reply>>>,
    client: Client,
}

impl Asked {
    async fn new(row: &'static Row) -> Self {
        let broken = Arc::<Mutex<Option<Reply>>>::default();
        let server = vendor(row, broken.clone()).await;
        let config = ClientConfig { allow_private: true, ..ClientConfig::default() };
        let client = Client::new(&config, Arc::new(SystemClock)).unwrap();
        Self { row, server, broken, client }
    }

    fn answers(&self, broken: Option<Reply>) {
        *self.broken.lock().unwrap() = broken;
    }

    fn endpoint(&self) -> Endpoint {
        let mut endpoint = endpoint(&self.server.url(self.row.base));
        self.row.api_version.clone_into(&mut endpoint.api_version);
        if self.row.kind == ProviderKind::AwsBedrock {
            "us-east-1".clone_into(&mut endpoint.region);
        }
        endpoint
    }

    async fn validate_at(&self, endpoint: &Endpoint) -> KeyVerdict {
        let (secret, hosts) = (secret(self.row), only(endpoint));
        let target = target(self.row.kind, endpoint, &secret, &hosts);
        let verdict = for_kind(self.row.kind).validate(&self.client, &target).await;
        self.tells_nothing(&verdict.message);
        verdict
    }

    async fn validate(&self) -> KeyVerdict {
        self.validate_at(&self.endpoint()).await
    }

    async fn list(&self) -> Result<Vec<ListedModel>, CallError> {
        let (endpoint, secret) = (self.endpoint(), secret(self.row));
        let (hosts, catalogue) = (only(&endpoint), Catalogue::builtin().unwrap());
        let target = target(self.row.kind, &endpoint, &secret, &hosts);
        let listed = for_kind(self.row.kind).list_models(&self.client, &catalogue, &target).await;
        if let Err(error) = &listed {
            self.tells_nothing(&error.message);
        }
        listed
    }

    async fn test(&self, model_type: ModelType) -> ModelVerdict {
        let (endpoint, secret) = (self.endpoint(), secret(self.row));
        let hosts = only(&endpoint);
        let target = target(self.row.kind, &endpoint, &secret, &hosts);
        let subject = Subject { model_id: self.row.model, model_type };
        let verdict = for_kind(self.row.kind).test_model(&self.client, &target, subject).await;
        self.tells_nothing(&verdict.message);
        verdict
    }

    /// No eight characters in a row of a key are in a text.
    fn tells_nothing(&self, text: &str) {
        for key in [KEY, SECRET_KEY] {
            let piece = key.as_bytes().windows(8).find(|piece| text.as_bytes().windows(8).any(|other| other == *piece));
            assert!(piece.is_none(), "{:?}: {text}", self.row.kind);
        }
    }
}

#[test]
fn every_kind_has_its_adapter_and_a_row() {
    let with_rows: Vec<_> = ROWS.iter().map(|row| row.kind).collect();
    for (kind, descriptor) in ProviderKind::ALL.into_iter().zip(descriptors()) {
        assert_eq!(descriptor.kind, kind);
        assert!(with_rows.contains(&kind), "{kind:?}");
    }
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    for row in ROWS {
        let asked = Asked::new(row).await;
        let models = asked.list().await.unwrap_or_else(|error| panic!("{:?}: {error:?}", row.kind));
        let ids: Vec<_> = models.iter().map(|model| model.model_id.as_str()).collect();
        assert_eq!(ids, row.ids, "{:?}", row.kind);
        let first = models.iter().find(|model| model.model_id == row.model).unwrap();
        assert_eq!(first.model_type.as_ref().map(|told| told.value), row.model_type, "{:?}", row.kind);
        if let Some(window) = row.window {
            assert_eq!(first.context_window.as_ref().map(|told| told.value), Some(window), "{:?}", row.kind);
        }
        let gone: Vec<_> =
            models.iter().filter(|model| model.deprecated).map(|model| model.model_id.as_str()).collect();
        assert_eq!(gone, row.deprecated, "{:?}", row.kind);
    }
}

#[tokio::test]
async fn a_list_that_breaks_off_is_an_error_and_no_shorter_list() {
    for row in ROWS {
        let asked = Asked::new(row).await;
        for body in ["<html>hello</html>", "{\"data\":[{\"id\":\"a\"", "[1,2", "null", "{\"data\":7,\"models\":7}", ""]
        {
            asked.answers(Some(reply(200, body)));
            let error = asked.list().await.unwrap_err();
            assert!(matches!(error.kind, CallErrorKind::UnexpectedAnswer { .. }), "{:?} {body}: {error:?}", row.kind);
        }
    }
}

#[tokio::test]
async fn keys_get_honest_verdicts() {
    for row in ROWS {
        let asked = Asked::new(row).await;
        let kind = row.kind;
        let good = asked.validate().await;
        assert_eq!((good.status, good.cause), (Some(ValidationStatus::Valid), KeyCause::None), "{kind:?} {good:?}");
        // What is answered, and what it says of the key.
        let mut cases = vec![
            (
                reply(429, r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#),
                None,
                KeyCause::RateLimited,
            ),
            (reply(503, "overloaded"), None, KeyCause::ServerError),
            (reply(200, "<html>"), Some(ValidationStatus::Unreachable), KeyCause::UnexpectedAnswer),
            (reply(302, ""), Some(ValidationStatus::Unreachable), KeyCause::UnexpectedAnswer),
        ];
        let (status, body) = row.bad_key;
        cases.push((reply(status, body), Some(ValidationStatus::Invalid), KeyCause::BadKey));
        if let Some((status, body)) = row.no_permission {
            cases.push((reply(status, body), Some(ValidationStatus::Valid), KeyCause::NoPermission));
        }
        if let Some((status, body)) = row.no_credit {
            cases.push((reply(status, body), Some(ValidationStatus::Valid), KeyCause::NoCredit));
        }
        for (answer, status, cause) in cases {
            let body = answer.body.clone();
            asked.answers(Some(answer));
            let verdict = asked.validate().await;
            assert_eq!((verdict.status, verdict.cause), (status, cause), "{kind:?} {body}: {verdict:?}");
        }
        let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut away = asked.endpoint();
        away.base_url = crate::domain::endpoint::BaseUrl::parse(&format!("http://{nowhere}{}", row.base)).unwrap();
        let verdict = asked.validate_at(&away).await;
        assert_eq!(
            (verdict.status, verdict.cause),
            (Some(ValidationStatus::Unreachable), KeyCause::Network),
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn a_vendor_that_quotes_the_key_gives_nothing_away() {
    for row in ROWS {
        let asked = Asked::new(row).await;
        for status in [400, 401, 403, 404, 429, 500] {
            let secret = secret(row);
            for echoed in [secret.api_key.as_ref(), secret.secret_key.as_ref()].into_iter().flatten() {
                let echoed = echoed.expose();
                let body =
                    serde_json::json!({"error": {"message": format!("bad {echoed}"), "code": echoed}}).to_string();
                for body in [body, format!("plain {echoed}"), format!("{{\"detail\":\"{echoed}\"}}")] {
                    asked.answers(Some(reply(status, &body)));
                    asked.validate().await;
                    drop(asked.list().await);
                    asked.test(ModelType::Chat).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn models_are_tried_with_one_small_request() {
    for row in ROWS {
        let asked = Asked::new(row).await;
        let kind = row.kind;
        for model_type in row.tested {
            let before = asked.server.seen().len();
            let good = asked.test(*model_type).await;
            assert_eq!(good.status, Some(AvailabilityStatus::Available), "{kind:?} {model_type:?}: {good:?}");
            assert!(good.latency.is_some());
            assert_eq!(asked.server.seen().len(), before + 1, "{kind:?}");
        }
        let (status, body) = row.unknown_model;
        for (answer, status, cause) in [
            (reply(status, body), Some(AvailabilityStatus::Unavailable), ModelCause::UnknownModel),
            (reply(429, "{}"), None, ModelCause::RateLimited),
            (reply(500, "{}"), Some(AvailabilityStatus::Unavailable), ModelCause::ServerError),
            (reply(200, "{}"), Some(AvailabilityStatus::Unavailable), ModelCause::UnexpectedAnswer),
            (reply(row.bad_key.0, row.bad_key.1), Some(AvailabilityStatus::Unavailable), ModelCause::Credential),
        ] {
            let body = answer.body.clone();
            asked.answers(Some(answer));
            let verdict = asked.test(ModelType::Chat).await;
            assert_eq!((verdict.status, verdict.cause), (status, cause), "{kind:?} {body}: {verdict:?}");
        }
    }
}

#[tokio::test]
async fn waits_that_vendors_ask_for_are_kept() {
    for row in ROWS.iter().filter(|row| row.kind != ProviderKind::Ollama) {
        let asked = Asked::new(row).await;
        let mut endpoint = asked.endpoint();
        endpoint.retry.max_attempts = 2;
        let busy = Reply { headers: vec![("retry-after-ms", "30".into())], ..reply(429, "{}") };
        asked.answers(Some(busy));
        let began = tokio::time::Instant::now();
        let verdict = asked.validate_at(&endpoint).await;
        assert_eq!(verdict.cause, KeyCause::RateLimited, "{:?}", row.kind);
        assert!(began.elapsed() >= Duration::from_millis(30), "{:?}", row.kind);
        assert_eq!(asked.server.seen().len(), 2, "{:?}", row.kind);
    }
}
