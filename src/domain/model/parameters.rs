//! The parameters that models are called with, wherever these are carried: in a model, in a binding, in a request.
//! Their limits, and how an update merges them.

use serde_json::{Map, Value};

use super::{MAX_EXTRA_BYTES, MAX_EXTRA_LEVELS, MAX_STOP, MAX_TOKENS, ModelParameters, STOP_CHARACTERS};
use crate::domain::error::Violations;
use crate::domain::mask::Mask;
use crate::domain::plan::changed_fields;

impl ModelParameters {
    /// These parameters where they say something, those of `base` elsewhere: field by field. `stop` is one field, which
    /// an empty list leaves to `base`; `extra` is merged by its own keys, whose values are taken whole.
    #[must_use]
    pub fn over(mut self, base: &Self) -> Self {
        self.temperature = self.temperature.or(base.temperature);
        self.top_p = self.top_p.or(base.top_p);
        self.max_tokens = self.max_tokens.or(base.max_tokens);
        self.frequency_penalty = self.frequency_penalty.or(base.frequency_penalty);
        self.presence_penalty = self.presence_penalty.or(base.presence_penalty);
        if self.stop.is_empty() {
            self.stop.clone_from(&base.stop);
        }
        match (&mut self.extra, &base.extra) {
            (Some(own), Some(base)) => {
                for (key, value) in base.iter().filter(|(key, _)| !own.contains_key(*key)).collect::<Vec<_>>() {
                    own.insert(key.clone(), value.clone());
                }
            }
            (own @ None, Some(base)) => *own = Some(base.clone()),
            (_, None) => {}
        }
        self
    }
}

/// Adds what is wrong with `parameters` at `field`.
pub fn check_parameters(field: &str, parameters: &ModelParameters, violations: &mut Violations) {
    if *parameters == ModelParameters::default() {
        return;
    }
    let path = |name: &str| format!("{field}.{name}");
    let ranges = [
        ("temperature", parameters.temperature, 0, 2),
        ("top_p", parameters.top_p, 0, 1),
        ("frequency_penalty", parameters.frequency_penalty, -2, 2),
        ("presence_penalty", parameters.presence_penalty, -2, 2),
    ];
    for (name, value, low, high) in ranges {
        // What is not a number is in no range.
        if value.is_some_and(|value| !(f64::from(low)..=f64::from(high)).contains(&value)) {
            violations.add(path(name), format!("must be from {low} to {high}"));
        }
    }
    check_tokens(&path("max_tokens"), parameters.max_tokens, violations);
    check_stop(&path("stop"), &parameters.stop, violations);
    if let Some(extra) = &parameters.extra {
        check_extra(&path("extra"), extra, violations);
    }
}

/// Takes over what `mask` lets through at `field`. No parameter at all is `None`, as with pricing. `extra` is a value of its own and is replaced whole.
pub fn merge_parameters(field: &str, input: &ModelParameters, parameters: &mut Option<ModelParameters>, mask: &Mask) {
    let mut next = parameters.clone().unwrap_or_default();
    let path = |name: &str| format!("{field}.{name}");
    mask.merge(&path("temperature"), &mut next.temperature, input.temperature.map(Some), None);
    mask.merge(&path("top_p"), &mut next.top_p, input.top_p.map(Some), None);
    mask.merge(&path("max_tokens"), &mut next.max_tokens, input.max_tokens.map(Some), None);
    mask.merge(&path("frequency_penalty"), &mut next.frequency_penalty, input.frequency_penalty.map(Some), None);
    mask.merge(&path("presence_penalty"), &mut next.presence_penalty, input.presence_penalty.map(Some), None);
    mask.merge_many(&path("stop"), &mut next.stop, &input.stop);
    let extra = input.extra.clone().filter(|extra| !extra.is_empty());
    mask.merge(&path("extra"), &mut next.extra, extra.map(Some), None);
    *parameters = (next != ModelParameters::default()).then_some(next);
}

/// The fields in which two sets of parameters differ, by their paths at `field`. None at all is the same as nothing said.
pub fn parameter_differences(
    field: &str,
    before: Option<&ModelParameters>,
    after: Option<&ModelParameters>,
) -> Vec<String> {
    let nothing = ModelParameters::default();
    let (before, after) = (before.unwrap_or(&nothing), after.unwrap_or(&nothing));
    let names = changed_fields!(before, after;
        "temperature" => temperature, "top_p" => top_p, "max_tokens" => max_tokens,
        "frequency_penalty" => frequency_penalty, "presence_penalty" => presence_penalty, "stop" => stop,
        "extra" => extra,
    );
    names.into_iter().map(|name| format!("{field}.{name}")).collect()
}

/// Adds what is wrong with a number of tokens.
pub(super) fn check_tokens(field: &str, tokens: Option<i64>, violations: &mut Violations) {
    if tokens.is_some_and(|tokens| !(1..=MAX_TOKENS).contains(&tokens)) {
        violations.add(field, format!("must be from 1 to {MAX_TOKENS}"));
    }
}

/// Unlike other text, a stop sequence may well be a line break or a blank.
fn check_stop(field: &str, stop: &[String], violations: &mut Violations) {
    if stop.len() > MAX_STOP {
        violations.add(field, format!("at most {MAX_STOP} texts, found {}", stop.len()));
    }
    for (place, text) in stop.iter().take(MAX_STOP).enumerate() {
        if !(1..=STOP_CHARACTERS).contains(&text.chars().count()) {
            violations.add(format!("{field}[{place}]"), format!("must have 1 to {STOP_CHARACTERS} characters"));
        }
        if text.contains('\0') {
            violations.add(format!("{field}[{place}]"), NO_NUL);
        }
    }
}

/// PostgreSQL stores no such character.
const NO_NUL: &str = "must not contain the character U+0000";

fn check_extra(field: &str, extra: &Map<String, Value>, violations: &mut Violations) {
    if !map_has_levels(extra, MAX_EXTRA_LEVELS) {
        violations.add(field, format!("must have at most {MAX_EXTRA_LEVELS} levels"));
        return;
    }
    match serde_json::to_string(extra) {
        Ok(json) if json.len() > MAX_EXTRA_BYTES => {
            violations.add(field, format!("at most {MAX_EXTRA_BYTES} bytes as JSON, found {}", json.len()));
        }
        Ok(_) if map_has_nul(extra) => violations.add(field, NO_NUL),
        Ok(_) => {}
        Err(_) => violations.add(field, "must be a JSON object"),
    }
}

/// Whether objects and lists stand in each other at most `levels` deep. Looks no deeper than that.
fn map_has_levels(map: &Map<String, Value>, levels: usize) -> bool {
    let Some(inner) = levels.checked_sub(1) else { return false };
    map.values().all(|value| has_levels(value, inner))
}

fn has_levels(value: &Value, levels: usize) -> bool {
    match value {
        Value::Object(map) => map_has_levels(map, levels),
        Value::Array(items) => {
            levels.checked_sub(1).is_some_and(|inner| items.iter().all(|item| has_levels(item, inner)))
        }
        _ => true,
    }
}

fn map_has_nul(map: &Map<String, Value>) -> bool {
    map.iter().any(|(key, value)| key.contains('\0') || has_nul(value))
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Object(map) => map_has_nul(map),
        Value::Array(items) => items.iter().any(has_nul),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::error::Error;

    fn bad_fields(parameters: &ModelParameters) -> Vec<String> {
        let mut violations = Violations::default();
        check_parameters("p", parameters, &mut violations);
        match violations.into_result() {
            Err(Error::InvalidField { violations }) => violations.into_iter().map(|v| v.field).collect(),
            _ => Vec::new(),
        }
    }

    fn with_extra(value: &Value) -> ModelParameters {
        ModelParameters { extra: value.as_object().cloned(), ..ModelParameters::default() }
    }

    #[test]
    fn the_limits_themselves_are_allowed() {
        for (penalty, share, top) in [(-2.0, 0.0, 0.0), (2.0, 1.0, 2.0)] {
            let parameters = ModelParameters {
                temperature: Some(top),
                top_p: Some(share),
                max_tokens: Some(1),
                frequency_penalty: Some(penalty),
                presence_penalty: Some(penalty),
                stop: vec!["\n".into(); 16],
                extra: None,
            };
            assert_eq!(bad_fields(&parameters), [""; 0]);
        }
    }

    #[test]
    fn numbers_beyond_a_limit_and_no_numbers_are_refused() {
        for bad in [2.1, -2.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let parameters = ModelParameters {
                temperature: Some(bad),
                top_p: Some(bad),
                max_tokens: Some(0),
                frequency_penalty: Some(bad),
                presence_penalty: Some(bad),
                ..ModelParameters::default()
            };
            assert_eq!(
                bad_fields(&parameters),
                ["p.temperature", "p.top_p", "p.frequency_penalty", "p.presence_penalty", "p.max_tokens"]
            );
        }
        let negative = ModelParameters { temperature: Some(-0.1), top_p: Some(1.1), ..ModelParameters::default() };
        assert_eq!(bad_fields(&negative), ["p.temperature", "p.top_p"]);
    }

    #[test]
    fn stop_texts_are_counted_and_measured() {
        let with = |stop| ModelParameters { stop, ..ModelParameters::default() };
        assert_eq!(
            bad_fields(&with(vec!["ä".repeat(100), "x".repeat(101), String::new()])),
            ["p.stop[1]", "p.stop[2]"]
        );
        assert_eq!(bad_fields(&with(vec!["x".into(); 17])), ["p.stop"]);
        assert_eq!(bad_fields(&with(vec!["a\0".into()])), ["p.stop[0]"]);
    }

    #[test]
    fn extra_is_bounded_in_bytes_and_levels() {
        // {"k":"…"} has 8 bytes around the text.
        assert_eq!(bad_fields(&with_extra(&json!({"k": "x".repeat(8 * 1024 - 8)}))), [""; 0]);
        assert_eq!(bad_fields(&with_extra(&json!({"k": "x".repeat(8 * 1024 - 7)}))), ["p.extra"]);
        let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"k": inner}));
        assert_eq!(bad_fields(&with_extra(&nested(8))), [""; 0]);
        assert_eq!(bad_fields(&with_extra(&nested(9))), ["p.extra"]);
        assert_eq!(bad_fields(&with_extra(&json!({"k": [[[[[[[1]]]]]]]}))), [""; 0]);
        assert_eq!(bad_fields(&with_extra(&json!({"k": [[[[[[[[1]]]]]]]]}))), ["p.extra"]);
        assert_eq!(bad_fields(&with_extra(&json!({"k": ["\0"]}))), ["p.extra"]);
        assert_eq!(bad_fields(&with_extra(&json!({"k\0": 1}))), ["p.extra"]);
    }

    #[test]
    fn what_comes_first_counts_field_by_field_and_extra_key_by_key() {
        let base = ModelParameters {
            temperature: Some(0.1),
            top_p: Some(0.2),
            stop: vec!["base".into()],
            ..with_extra(&json!({"a": 1, "b": {"x": 1, "y": 2}}))
        };
        let over = ModelParameters { temperature: Some(0.0), ..with_extra(&json!({"b": {"z": 3}, "c": null})) };
        let merged = over.clone().over(&base);
        let expected = ModelParameters { temperature: Some(0.0), ..base.clone() };
        assert_eq!(merged, ModelParameters { extra: merged.extra.clone(), ..expected });
        assert_eq!(serde_json::Value::from(merged.extra.unwrap()), json!({"a": 1, "b": {"z": 3}, "c": null}));
        assert_eq!(ModelParameters::default().over(&base), base);
        assert_eq!(base.clone().over(&ModelParameters::default()), base);
        let stopped = ModelParameters { stop: vec!["own".into()], ..ModelParameters::default() };
        assert_eq!(stopped.over(&base).stop, ["own"]);
    }
}
