//! Asking whether an endpoint is alive: one GET without a credential over a connection of its own, within the policy's
//! timeout.
//!
//! Invariant: what comes out is an enum, a status and a text made here; never a word of the answer. A status that
//! only says "not for you" (401, 403, 404 …) shows that somebody is there; a redirect does not, because an API
//! answers where it is asked.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout};
use url::Url;

use super::client::{Client, Echo};
use super::fault::{CallError, CallErrorKind};
use super::location::Location;
use super::request::Call;
use crate::domain::endpoint::Endpoint;
use crate::domain::health::{Evidence, HealthCause, Verdict};
use crate::domain::provider::ProviderKind;

/// What a kind answers with 2xx when it is itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Anything,
    /// A list of models in one of the forms that are known.
    Models,
    /// Ollama's version.
    Version,
}

/// Where and what to ask.
pub(super) struct Question {
    url: Url,
    shape: Shape,
}

impl Question {
    pub(super) fn of(kind: ProviderKind, endpoint: &Endpoint) -> Result<Self, CallError> {
        let base = Location::base(endpoint)?;
        let path = &endpoint.health_check.path;
        if !path.is_empty() {
            return Ok(Self { url: base.at(path), shape: Shape::Anything });
        }
        let (url, shape) = match kind {
            ProviderKind::Anthropic => (base.without(&["/v1"]).join("v1/models?limit=1"), Shape::Models),
            // Unsigned, so the answer is a refusal; it shows that the host is there.
            ProviderKind::AwsBedrock => (base.join("foundation-models"), Shape::Anything),
            ProviderKind::AzureOpenAi => {
                let root = base.without(&["/openai/v1", "/openai"]);
                (root.join("openai/models?api-version=2024-10-21"), Shape::Models)
            }
            ProviderKind::Ollama => (base.without(&["/v1", "/api"]).join("api/version"), Shape::Version),
            ProviderKind::Vllm => (base.without(&["/v1"]).join("health"), Shape::Anything),
            ProviderKind::Gemini => (base.join("models?pageSize=1"), Shape::Models),
            ProviderKind::OpenAi
            | ProviderKind::Tongyi
            | ProviderKind::Baidu
            | ProviderKind::DeepSeek
            | ProviderKind::Doubao
            | ProviderKind::Zhipu
            | ProviderKind::Moonshot
            | ProviderKind::Mistral
            | ProviderKind::OpenAiCompatible => (base.join("models"), Shape::Models),
        };
        Ok(Self { url, shape })
    }
}

/// Probes an endpoint once.
pub(super) async fn probe(client: &Client, kind: ProviderKind, endpoint: &Endpoint) -> Evidence {
    let began = Instant::now();
    let bound = endpoint.health_check.timeout;
    let found = match Question::of(kind, endpoint) {
        Ok(question) => {
            let shape = question.shape;
            let call = Call::get(question.url);
            match timeout(bound, client.probe(&call, client.reach(kind))).await {
                Ok(Ok(echo)) => of_echo(&echo, shape),
                Ok(Err(error)) => of_error(&error),
                Err(_) => of_error(&CallError::timeout("no answer", bound)),
            }
        }
        Err(error) => of_error(&error),
    };
    found.evidence(began.elapsed(), client)
}

#[derive(Debug)]
struct Found {
    verdict: Verdict,
    cause: HealthCause,
    http_status: Option<u16>,
    message: String,
}

impl Found {
    fn evidence(self, latency: Duration, client: &Client) -> Evidence {
        let Self { verdict, cause, http_status, message } = self;
        let latency = (verdict != Verdict::Impossible).then_some(latency);
        Evidence { verdict, cause, latency, http_status, time: client.now(), message }
    }
}

fn of_echo(echo: &Echo, shape: Shape) -> Found {
    let status = echo.status.as_u16();
    let (verdict, cause, message) = match status {
        200..300 if shape.fits(&echo.body, echo.complete) => (Verdict::Alive, HealthCause::None, String::new()),
        408 | 429 | 529 => {
            (Verdict::Struggling, HealthCause::RateLimited, format!("HTTP {status}: asks for fewer requests"))
        }
        404 | 405 => {
            (Verdict::Alive, HealthCause::None, format!("HTTP {status}: reachable; check the base URL and the path"))
        }
        400..500 => (Verdict::Alive, HealthCause::None, format!("HTTP {status}: reachable")),
        500.. => (Verdict::Down, HealthCause::HttpStatus, format!("HTTP {status}")),
        300..400 => {
            let message = format!("HTTP {status}: redirects are not followed; check the base URL");
            (Verdict::Down, HealthCause::UnexpectedAnswer, message)
        }
        _ => {
            let message = format!("HTTP {status}: not what this kind answers; check the base URL");
            (Verdict::Down, HealthCause::UnexpectedAnswer, message)
        }
    };
    Found { verdict, cause, http_status: Some(status), message }
}

fn of_error(error: &CallError) -> Found {
    let (verdict, cause) = match error.kind {
        CallErrorKind::AddressRefused => (Verdict::Impossible, HealthCause::AddressRefused),
        CallErrorKind::NameResolution => (Verdict::Down, HealthCause::NameResolution),
        CallErrorKind::Tls => (Verdict::Down, HealthCause::Tls),
        CallErrorKind::Timeout => (Verdict::Down, HealthCause::Timeout),
        CallErrorKind::UnexpectedAnswer { .. } | CallErrorKind::TooLarge => {
            (Verdict::Down, HealthCause::UnexpectedAnswer)
        }
        _ => (Verdict::Down, HealthCause::Connect),
    };
    Found { verdict, cause, http_status: error.http_status(), message: error.message.clone() }
}

impl Shape {
    /// Whether a body is what the kind answers. Of a body that was cut only the beginning can tell.
    fn fits(self, body: &[u8], complete: bool) -> bool {
        if self == Self::Anything {
            return true;
        }
        if !complete {
            return body
                .iter()
                .find(|byte| !byte.is_ascii_whitespace())
                .is_some_and(|byte| matches!(byte, b'{' | b'['));
        }
        let Ok(value) = serde_json::from_slice::<Value>(body) else { return false };
        match self {
            Self::Anything => true,
            Self::Version => value.get("version").is_some_and(Value::is_string),
            Self::Models => {
                value.is_array() || ["data", "models"].iter().any(|name| value.get(name).is_some_and(Value::is_array))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_probe_verdicts() {
        use HealthCause::{HttpStatus, None as NoCause, RateLimited, UnexpectedAnswer};
        use Verdict::{Alive, Down, Struggling};
        const LIST: &str = r#"{"data":[]}"#;
        for (status, shape, body, verdict, cause) in [
            (200, Shape::Models, LIST, Alive, NoCause),
            (200, Shape::Models, "[]", Alive, NoCause),
            (200, Shape::Models, r#"{"models":[]}"#, Alive, NoCause),
            (200, Shape::Models, "<html>", Down, UnexpectedAnswer),
            (200, Shape::Models, "", Down, UnexpectedAnswer),
            (200, Shape::Models, r#"{"data":null}"#, Down, UnexpectedAnswer),
            (200, Shape::Version, r#"{"version":"0.12.3"}"#, Alive, NoCause),
            (200, Shape::Version, LIST, Down, UnexpectedAnswer),
            (200, Shape::Anything, "", Alive, NoCause),
            (204, Shape::Anything, "", Alive, NoCause),
            (301, Shape::Anything, "", Down, UnexpectedAnswer),
            (307, Shape::Models, LIST, Down, UnexpectedAnswer),
            (400, Shape::Models, "", Alive, NoCause),
            (401, Shape::Models, "", Alive, NoCause),
            (403, Shape::Models, "", Alive, NoCause),
            (404, Shape::Models, "", Alive, NoCause),
            (408, Shape::Models, "", Struggling, RateLimited),
            (429, Shape::Models, "", Struggling, RateLimited),
            (500, Shape::Models, LIST, Down, HttpStatus),
            (503, Shape::Anything, "", Down, HttpStatus),
            (529, Shape::Models, "", Struggling, RateLimited),
        ] {
            let status_code = http::StatusCode::from_u16(status).unwrap();
            let found = of_echo(&Echo { status: status_code, body: body.into(), complete: true }, shape);
            assert_eq!((found.verdict, found.cause), (verdict, cause), "{status} {body}");
            assert_eq!(found.http_status, Some(status));
        }
    }

    #[test]
    fn a_long_list_is_judged_by_its_beginning() {
        assert!(Shape::Models.fits(b" \n{\"data\":[{", false));
        assert!(!Shape::Models.fits(b"<html>", false));
        assert!(!Shape::Models.fits(b"{\"data\":[{", true));
    }

    #[test]
    fn the_way_in_which_a_probe_fails_is_told_apart() {
        for (kind, verdict, cause) in [
            (CallErrorKind::AddressRefused, Verdict::Impossible, HealthCause::AddressRefused),
            (CallErrorKind::NameResolution, Verdict::Down, HealthCause::NameResolution),
            (CallErrorKind::Connect, Verdict::Down, HealthCause::Connect),
            (CallErrorKind::Tls, Verdict::Down, HealthCause::Tls),
            (CallErrorKind::Timeout, Verdict::Down, HealthCause::Timeout),
            (CallErrorKind::UnexpectedAnswer { status: None }, Verdict::Down, HealthCause::UnexpectedAnswer),
        ] {
            let found = of_error(&CallError::new(kind, "m"));
            assert_eq!((found.verdict, found.cause), (verdict, cause));
        }
    }
}
