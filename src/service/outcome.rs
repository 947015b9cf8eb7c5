//! Reads the outcomes of `ReportOutcome`.

use super::list;
use crate::control::outcome::Outcome;
use crate::domain::model::MAX_TOKENS;
use crate::domain::text::Text;
use crate::domain::{Id, Violations};
use crate::proto::v1;
use crate::wire;

/// The most outcomes of one report.
pub const MAX_OUTCOMES: usize = 1000;
const REPORT_ID: Text = Text::optional(100);

/// Reads a report.
pub fn read_all(message: &v1::ReportOutcomeRequest, violations: &mut Violations) -> Vec<Outcome> {
    let count = message.outcomes.len();
    if !(1..=MAX_OUTCOMES).contains(&count) {
        violations.add("outcomes", format!("must be 1 to {MAX_OUTCOMES}, found {count}"));
    }
    REPORT_ID.check("report_id", &message.report_id, violations);
    let outcomes = message.outcomes.iter().take(MAX_OUTCOMES).enumerate();
    outcomes.map(|(place, message)| read(place, message, violations)).collect()
}

fn read(place: usize, message: &v1::Outcome, violations: &mut Violations) -> Outcome {
    // Nearly all outcomes are good, and there are many: the name of a field is made when it is needed.
    let field = |name: &str| format!("outcomes[{place}].{name}");
    if message.http_status.is_some_and(|status| !(100..600).contains(&status)) {
        violations.add(field("http_status"), "must be 100 to 599");
    }
    wire::duration::input(&field("latency"), message.latency, violations);
    let mut tokens = |name: &str, tokens: Option<i64>| {
        let tokens = tokens.unwrap_or_default();
        if !(0..=MAX_TOKENS).contains(&tokens) {
            violations.add(field(name), format!("must be 0 to {MAX_TOKENS}"));
        }
        tokens
    };
    let input_tokens = tokens("input_tokens", message.input_tokens);
    let output_tokens = tokens("output_tokens", message.output_tokens);
    Outcome {
        endpoint_id: id(&message.endpoint_id, || field("endpoint_id"), violations),
        credential_id: id(&message.credential_id, || field("credential_id"), violations),
        model_id: id(&message.model_id, || field("model_id"), violations),
        success: list::required(&field("success"), message.success, violations),
        http_status: message.http_status,
        input_tokens,
        output_tokens,
        time: message.time.and_then(|time| wire::time::input(&field("time"), Some(time), violations)),
    }
}

fn id<T>(text: &str, field: impl Fn() -> String, violations: &mut Violations) -> Option<Id<T>> {
    if text.is_empty() {
        return None;
    }
    let id = Id::parse(text);
    if id.is_none() {
        violations.add(field(), "is not a UUID");
    }
    id
}
