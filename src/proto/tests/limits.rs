//! The limits that the comments state are those that `domain` keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use super::comments;
use crate::domain::endpoint::{self, DurationRule, NumberRule};
use crate::domain::limits::{REASON, REQUEST_ID};
use crate::domain::meta::{LABEL_KEY, LABEL_VALUE, MAX_LABELS};
use crate::domain::secret::{MAX_KEY, MAX_TOKEN};
use crate::domain::text::Text;
use crate::domain::{credential, model, provider, token};

fn grouped(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", grouped(number / 1000), number % 1000) }
}

fn count(number: i32) -> String {
    grouped(usize::try_from(number).unwrap())
}

fn at_most(number: usize) -> String {
    format!("at most {}", grouped(number))
}

fn text(text: Text) -> String {
    let Text { min, max } = text;
    if min == 0 {
        format!("at most {} characters", grouped(max))
    } else {
        format!("{min} to {} characters", grouped(max))
    }
}

/// A duration as the comments write it: number and unit.
fn written(duration: Duration) -> (String, &'static str) {
    match duration.as_millis() {
        1 => ("1".into(), "millisecond"),
        1000 => ("1".into(), "second"),
        3_600_000 => ("1".into(), "hour"),
        86_400_000 => ("24".into(), "hours"),
        days if days % 86_400_000 == 0 => (grouped(usize::try_from(days / 86_400_000).unwrap()), "days"),
        _ => (duration.as_secs_f64().to_string(), "seconds"),
    }
}

fn duration(duration: Duration) -> String {
    let (number, unit) = written(duration);
    format!("{number} {unit}")
}

fn span(rule: DurationRule) -> String {
    let ((min, of_min), (max, of_max)) = (written(rule.min), written(rule.max));
    let same = of_min == of_max || (of_min, of_max) == ("second", "seconds");
    if same { format!("{min} to {max} {of_max}") } else { format!("{min} {of_min} to {max} {of_max}") }
}

/// What the comments have to say: a field, and words of its comment.
fn stated() -> Vec<(&'static str, String)> {
    let mut stated = vec![
        ("Provider.name", text(provider::NAME)),
        ("Provider.description", text(provider::DESCRIPTION)),
        ("SyncPolicy.interval", format!("at least {} minute", provider::MIN_SYNC_INTERVAL.as_secs() / 60)),
        ("SyncPolicy.interval", format!("at most {}", duration(provider::MAX_SYNC_INTERVAL))),
        ("SyncPolicy.interval", format!("default: {}", duration(provider::DEFAULT_SYNC_INTERVAL))),
        ("Endpoint.name", text(endpoint::NAME)),
        ("Endpoint.base_url", format!("at most {} characters", endpoint::MAX_BASE_URL)),
        ("Endpoint.api_version", text(endpoint::API_VERSION)),
        ("Endpoint.region", text(endpoint::REGION)),
        ("HealthCheckPolicy.path", text(endpoint::CHECK_PATH)),
        ("Credential.alias", text(credential::ALIAS)),
        ("Credential.description", text(credential::DESCRIPTION)),
        ("Credential.allowed_hosts", at_most(credential::MAX_ALLOWED_HOSTS)),
        ("CredentialSecret.api_key", at_most(MAX_KEY)),
        ("CredentialSecret.secret_key", at_most(MAX_KEY)),
        ("CredentialSecret.access_token", at_most(MAX_TOKEN)),
        ("CredentialSecret.session_token", at_most(MAX_TOKEN)),
        ("CredentialQuota.limit", format!("at least {}", credential::MIN_QUOTA)),
        ("RotateCredentialRequest.grace_period", format!("at most {}", duration(credential::MAX_GRACE_PERIOD))),
        ("Model.model_id", text(model::VENDOR_ID)),
        ("Model.name", text(model::NAME)),
        ("Model.description", text(model::DESCRIPTION)),
        ("Model.version", text(model::VERSION)),
        ("Model.recommended_uses", at_most(model::MAX_RECOMMENDED_USES)),
        ("Model.recommended_uses", format!("each of at most {} characters", model::RECOMMENDED_USE.max)),
        ("ModelCapability.score", format!("to {} (best)", model::MAX_SCORE)),
        ("ModelParameters.stop", at_most(model::MAX_STOP)),
        ("ModelParameters.stop", format!("each of at most {} characters", model::STOP_CHARACTERS)),
        ("ModelParameters.extra", format!("at most {} KiB", model::MAX_EXTRA_BYTES / 1024)),
        ("ModelParameters.extra", format!("at most {} levels", model::MAX_EXTRA_LEVELS)),
        ("Pricing.currency", format!("default: \"{}\"", model::DEFAULT_CURRENCY)),
        ("SyncModelsResponse.models", at_most(model::MAX_SYNC_MODELS)),
        ("CreateTokenRequest.name", text(token::NAME)),
    ];
    let labels = format!("at most {MAX_LABELS}; keys of {}, values of at most {}", text(LABEL_KEY), LABEL_VALUE.max);
    let labelled = ["Provider.labels", "Endpoint.labels", "Credential.labels", "Model.labels"];
    stated.extend(labelled.map(|field| (field, labels.clone())));
    stated.extend(
        durations()
            .into_iter()
            .flat_map(|(field, rule)| [(field, span(rule)), (field, format!("default: {}", duration(rule.default)))]),
    );
    stated.extend(numbers().into_iter().flat_map(|(field, rule)| {
        let NumberRule { min, max, default } = rule;
        [(field, format!("{} to {}", count(min), count(max))), (field, format!("default: {}", count(default)))]
    }));
    stated
}

fn durations() -> [(&'static str, DurationRule); 7] {
    [
        ("Endpoint.connect_timeout", endpoint::CONNECT_TIMEOUT),
        ("Endpoint.read_timeout", endpoint::READ_TIMEOUT),
        ("RetryPolicy.initial_backoff", endpoint::INITIAL_BACKOFF),
        ("RetryPolicy.max_backoff", endpoint::MAX_BACKOFF),
        ("HealthCheckPolicy.interval", endpoint::CHECK_INTERVAL),
        ("HealthCheckPolicy.timeout", endpoint::CHECK_TIMEOUT),
        ("HealthCheckPolicy.degraded_latency", endpoint::DEGRADED_LATENCY),
    ]
}

fn numbers() -> [(&'static str, NumberRule); 5] {
    [
        ("RetryPolicy.max_attempts", endpoint::MAX_ATTEMPTS),
        ("Endpoint.weight", endpoint::WEIGHT),
        ("Endpoint.priority", endpoint::PRIORITY),
        ("HealthCheckPolicy.unhealthy_threshold", endpoint::UNHEALTHY_THRESHOLD),
        ("HealthCheckPolicy.healthy_threshold", endpoint::HEALTHY_THRESHOLD),
    ]
}

/// Fields whose comments do not say it.
fn silent(stated: &[(&str, String)], comments: &BTreeMap<String, String>) -> Vec<String> {
    let says = |field: &str, words: &str| {
        let comment = comments.get(field).unwrap_or_else(|| panic!("no field {field}")).to_lowercase();
        let words = words.to_lowercase();
        // Not as the beginning of a longer number, such as 1,000 for 1.
        let goes_on = |rest: &str| {
            let rest = rest.strip_prefix([',', '.']).unwrap_or(rest);
            words.ends_with(|last: char| last.is_ascii_digit()) && rest.starts_with(|next: char| next.is_ascii_digit())
        };
        comment.match_indices(&words).any(|(place, _)| !goes_on(&comment[place + words.len()..]))
    };
    let missing = stated.iter().filter(|(field, words)| !says(field, words));
    missing.map(|(field, words)| format!("{field}: {words}")).collect()
}

#[test]
fn the_comments_state_the_limits_that_are_kept() {
    assert_eq!(silent(&stated(), &comments::by_name()), Vec::<String>::new());
}

#[test]
fn every_mutation_states_the_limits_of_its_request_id_and_reason() {
    let comments = comments::by_name();
    let of = |end: &'static str| comments.keys().filter(move |name| name.ends_with(end)).map(String::as_str);
    let ids: Vec<_> = of("Request.request_id").filter(|name| !name.starts_with("List")).collect();
    let reasons: Vec<_> = of("Request.reason").collect();
    assert!(ids.len() > 25 && reasons.len() > ids.len(), "{ids:?} {reasons:?}");
    let stated: Vec<_> = ids.into_iter().map(|name| (name, text(REQUEST_ID))).collect();
    assert_eq!(silent(&stated, &comments), Vec::<String>::new());
    let stated: Vec<_> = reasons.into_iter().map(|name| (name, text(REASON))).collect();
    assert_eq!(silent(&stated, &comments), Vec::<String>::new());
}

#[test]
fn a_limit_that_is_not_the_stated_one_is_noticed() {
    let comments = comments::by_name();
    for (field, words) in stated() {
        let other: String = words.chars().map(|c| if c.is_ascii_digit() { '7' } else { c }).collect();
        if other.chars().any(|c| c == '7') && other != words {
            assert_eq!(silent(&[(field, other)], &comments).len(), 1, "{field}");
        }
    }
}
