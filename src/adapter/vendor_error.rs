//! Reading a vendor's error body: nine shapes are known, and a body that is none of them is no failure.
//!
//! The text is the vendor's and may echo a secret: it is only for [`super::redact`] and for recognising a cause.

use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

/// What an error body told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VendorError {
    /// Everything that names the error: codes, types, classes, reasons.
    pub codes: Vec<String>,
    pub message: String,
    /// How long the body asks to wait: Google's `RetryInfo`.
    pub retry_after: Option<Duration>,
}

/// Reads an error's headers and body.
#[must_use]
pub fn read(headers: &HeaderMap, body: &[u8]) -> VendorError {
    let mut error = match serde_json::from_slice::<Value>(body) {
        Ok(value) => read_value(&value),
        Err(_) => VendorError { message: plain_text(body), ..VendorError::default() },
    };
    // Bedrock names the class in a header, sometimes with a URL behind a colon.
    if let Some(class) = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()) {
        error.codes.extend(class.split(':').next().map(str::to_owned));
    }
    error
}

/// Reads an error body that is JSON.
#[must_use]
pub fn read_value(value: &Value) -> VendorError {
    // Gemini sends an array of one.
    let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
    let mut error = VendorError::default();
    match value.get("error") {
        Some(Value::Object(_)) => take(&mut error, value.get("error").unwrap_or(&Value::Null)),
        Some(Value::String(text)) => error.message.clone_from(text),
        _ => take(&mut error, value),
    }
    if error.message.is_empty() {
        error.message = detail(value);
    }
    error
}

/// Whether a body that came with a 2xx is an error all the same.
#[must_use]
pub fn is_error(value: &Value) -> bool {
    let stated = value.get("error").is_some_and(|error| match error {
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => false,
    });
    stated
        || value.get("error_code").and_then(Value::as_i64).is_some_and(|code| code != 0)
        || value.get("object").and_then(Value::as_str) == Some("error")
}

fn take(error: &mut VendorError, from: &Value) {
    for field in ["code", "type", "status", "error_code"] {
        error.codes.extend(from.get(field).and_then(word));
    }
    for detail in from.get("details").and_then(Value::as_array).into_iter().flatten() {
        error.codes.extend(detail.get("reason").and_then(word));
        error.retry_after = error.retry_after.or_else(|| seconds(detail.get("retryDelay")?.as_str()?));
    }
    let message = ["message", "Message", "error_msg", "msg"].into_iter().find_map(|field| from.get(field)?.as_str());
    message.unwrap_or_default().clone_into(&mut error.message);
}

/// FastAPI's `detail`: a text, or a list of what is wrong where.
fn detail(value: &Value) -> String {
    match value.get("detail") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => {
            let parts = list.iter().filter_map(|item| item.get("msg")?.as_str().map(str::to_owned));
            parts.collect::<Vec<_>>().join("; ")
        }
        _ => String::new(),
    }
}

/// A duration in JSON's form of protobuf: `37s`, `1.5s`.
fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok().filter(|wait| !wait.is_zero())
}

/// A code is text, a number or null.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Text that is not JSON, unless it is a web page.
fn plain_text(body: &[u8]) -> String {
    let text = std::str::from_utf8(body).unwrap_or_default().trim();
    if text.starts_with(['<', '{', '[']) { String::new() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> (Vec<String>, String) {
        let error = read(&HeaderMap::new(), body.as_bytes());
        (error.codes, error.message)
    }

    #[test]
    fn all_nine_shapes_are_read() {
        for (body, codes, message) in [
            (
                r#"{"error":{"message":"bad key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
                &["invalid_api_key", "invalid_request_error"][..],
                "bad key",
            ),
            (
                r#"{"error":{"message":"no model","type":"NotFoundError","code":404}}"#,
                &["404", "NotFoundError"],
                "no model",
            ),
            (
                r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"},"request_id":"r"}"#,
                &["authentication_error"],
                "invalid x-api-key",
            ),
            (
                r#"[{"error":{"code":400,"message":"not valid","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}]"#,
                &["400", "INVALID_ARGUMENT", "API_KEY_INVALID"],
                "not valid",
            ),
            (r#"{"Message":"The security token is invalid"}"#, &[], "The security token is invalid"),
            (r#"{"error":"Unauthorized"}"#, &[], "Unauthorized"),
            (
                r#"{"object":"error","message":"gone","type":"NotFoundError","param":null,"code":404}"#,
                &["404", "NotFoundError"],
                "gone",
            ),
            (r#"{"detail":"Unauthorized"}"#, &[], "Unauthorized"),
            (
                r#"{"detail":[{"loc":["body","model"],"msg":"field required","type":"x"},{"msg":"too long"}]}"#,
                &[],
                "field required; too long",
            ),
            (
                r#"{"code":"InvalidApiKey","message":"Invalid API-key provided.","request_id":"r"}"#,
                &["InvalidApiKey"],
                "Invalid API-key provided.",
            ),
            (r#"{"error_code":110,"error_msg":"Access token invalid"}"#, &["110"], "Access token invalid"),
        ] {
            let (found_codes, found_message) = told(body);
            assert_eq!(found_codes, codes, "{body}");
            assert_eq!(found_message, message, "{body}");
        }
    }

    #[test]
    fn other_bodies_are_no_failure() {
        assert_eq!(told("upstream connect error"), (Vec::new(), "upstream connect error".into()));
        for body in ["", "<html>502</html>", "{\"broken", "null", "[]", "3", "{\"error\":null}", "\u{0}"] {
            assert!(told(body).0.is_empty(), "{body}");
        }
        assert_eq!(read(&HeaderMap::new(), &[0xff, 0xfe]), VendorError::default());
    }

    #[test]
    fn google_asks_to_wait_in_the_body() {
        let told = |delay: &str| {
            let body = format!(r#"{{"error":{{"code":429,"details":[{{"reason":"X"}},{{"retryDelay":"{delay}"}}]}}}}"#);
            read(&HeaderMap::new(), body.as_bytes()).retry_after
        };
        assert_eq!(told("37s"), Some(Duration::from_secs(37)));
        assert_eq!(told("1.5s"), Some(Duration::from_millis(1500)));
        for none in ["", "0s", "-1s", "NaNs", "1e300s", "soon"] {
            assert_eq!(told(none), None, "{none}");
        }
    }

    #[test]
    fn bedrock_names_the_class_in_a_header() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amzn-errortype", "ThrottlingException:http://internal/".parse().unwrap());
        assert_eq!(read(&headers, b"{\"message\":\"slow\"}").codes, ["ThrottlingException"]);
    }

    #[test]
    fn errors_hidden_in_a_success_are_found() {
        for (body, error) in [
            (r#"{"error_code":110,"error_msg":"x"}"#, true),
            (r#"{"error":{"code":"1211"}}"#, true),
            (r#"{"error":"x"}"#, true),
            (r#"{"object":"error"}"#, true),
            (r#"{"error":null,"data":[]}"#, false),
            (r#"{"data":[]}"#, false),
            ("[]", false),
        ] {
            assert_eq!(is_error(&serde_json::from_str(body).unwrap()), error, "{body}");
        }
    }
}
