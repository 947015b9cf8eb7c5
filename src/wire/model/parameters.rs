//! Parameters of models. `extra` is JSON here and a `Struct` on the wire, whose only numbers are doubles: a whole
//! number comes back as a whole number, so that a value is the same before and after it was stored.

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Map, Number, Value as Json};

use crate::domain::Violations;
use crate::domain::model::ModelParameters;
use crate::proto::v1::ModelParameters as Message;
use crate::wire::{WireError, number};

#[must_use]
pub fn write(parameters: &ModelParameters) -> Message {
    Message {
        temperature: parameters.temperature,
        top_p: parameters.top_p,
        max_tokens: parameters.max_tokens.map(number::from_i64),
        frequency_penalty: parameters.frequency_penalty,
        presence_penalty: parameters.presence_penalty,
        stop: parameters.stop.clone(),
        extra: parameters.extra.as_ref().map(write_object),
    }
}

/// # Errors
/// The field that this program would not have written so.
pub fn read(field: &str, message: Message) -> Result<ModelParameters, WireError> {
    let (parameters, problem) = take(message);
    match problem {
        Some(problem) => Err(WireError::at(&format!("{field}.extra"), problem)),
        None => Ok(parameters),
    }
}

/// Reads what a caller sent at `field`.
pub fn input(message: Message, field: &str, violations: &mut Violations) -> ModelParameters {
    let (parameters, problem) = take(message);
    if let Some(problem) = problem {
        violations.add(format!("{field}.extra"), problem);
    }
    parameters
}

/// The parameters, and what is wrong with `extra`, which is left out then.
fn take(message: Message) -> (ModelParameters, Option<&'static str>) {
    let extra = message.extra.map(read_object).transpose();
    let problem = extra.as_ref().err().copied();
    let parameters = ModelParameters {
        temperature: message.temperature,
        top_p: message.top_p,
        max_tokens: message.max_tokens.map(i64::from),
        frequency_penalty: message.frequency_penalty,
        presence_penalty: message.presence_penalty,
        stop: message.stop,
        extra: extra.unwrap_or_default(),
    };
    (parameters, problem)
}

fn write_object(object: &Map<String, Json>) -> Struct {
    Struct { fields: object.iter().map(|(key, value)| (key.clone(), write_json(value))).collect() }
}

fn write_json(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(*value),
        // A `Number` is always a finite double.
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(write_json).collect() }),
        Json::Object(object) => Kind::StructValue(write_object(object)),
    };
    Value { kind: Some(kind) }
}

fn read_object(object: Struct) -> Result<Map<String, Json>, &'static str> {
    object.fields.into_iter().map(|(key, value)| Ok((key, read_json(value)?))).collect()
}

fn read_json(value: Value) -> Result<Json, &'static str> {
    Ok(match value.kind {
        None => return Err("holds a value of no kind"),
        Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(value)) => Json::Bool(value),
        Some(Kind::NumberValue(number)) => Json::Number(read_number(number).ok_or("holds a number that JSON has not")?),
        Some(Kind::StringValue(text)) => Json::String(text),
        Some(Kind::ListValue(list)) => Json::Array(list.values.into_iter().map(read_json).collect::<Result<_, _>>()?),
        Some(Kind::StructValue(object)) => Json::Object(read_object(object)?),
    })
}

/// Nothing for infinities and NaN.
fn read_number(number: f64) -> Option<Number> {
    /// 2^63: below it, a whole double is an `i64`.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && (-LIMIT..LIMIT).contains(&number) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range, so the cast is exact")]
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extra(kind: Option<Kind>) -> Message {
        let fields = [("k".to_owned(), Value { kind })].into();
        Message { extra: Some(Struct { fields }), ..Message::default() }
    }

    #[test]
    fn whole_numbers_stay_whole() {
        for (sent, kept) in [(1.0, "1"), (-0.0, "0"), (0.5, "0.5"), (1e17, "100000000000000000"), (1e300, "1e+300")] {
            let parameters = read("p", extra(Some(Kind::NumberValue(sent)))).unwrap();
            assert_eq!(parameters.extra.unwrap().get("k").unwrap().to_string(), kept);
        }
    }

    #[test]
    fn what_json_has_not_is_a_violation_of_extra() {
        for bad in [None, Some(Kind::NumberValue(f64::NAN)), Some(Kind::NumberValue(f64::INFINITY))] {
            let mut violations = Violations::default();
            assert_eq!(input(extra(bad), "p", &mut violations).extra, None);
            assert!(violations.into_result().unwrap_err().to_string().starts_with("p.extra: "));
        }
    }
}
