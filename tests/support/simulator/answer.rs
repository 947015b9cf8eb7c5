//! What is answered: a row of facts, a case and a question give a reply.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::case::Case;
use super::check::{Question, is_probe};
use super::rows::Row;

/// How late a slow vendor is.
const LATE: Duration = Duration::from_secs(3);
/// Beyond what is read of any list.
const HUGE: usize = 9 * 1024 * 1024;

/// How a reply reaches whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    AtOnce,
    After(Duration),
    Never,
    /// So many bytes of the body, of which all are announced, then the end.
    Cut(usize),
}

#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub manner: Manner,
}

fn reply(status: u16, body: &str) -> Reply {
    Reply { status, headers: Vec::new(), body: body.to_owned(), manner: Manner::AtOnce }
}

/// What the vendor of `row` answers.
pub fn answer(row: &Row, case: Case, question: &Question) -> Reply {
    let told = |(status, body): (u16, &str)| reply(status, body);
    match case {
        Case::RateLimited | Case::RateLimitedSilently => {
            let mut limited = reply(429, r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#);
            if case == Case::RateLimited {
                limited.headers.push(("retry-after-ms", "20".into()));
            }
            limited
        }
        Case::Broken => reply(500, r#"{"error":{"message":"it is not you, it is us"}}"#),
        Case::Overloaded => reply(503, "<html>overloaded</html>"),
        Case::Garbage => reply(200, "<html>welcome to this hotel</html>"),
        Case::Huge => reply(200, &"x".repeat(HUGE)),
        Case::Hanging => Reply { manner: Manner::Never, ..reply(200, "") },
        // Whoever shows no key is told so, whatever is wrong beside.
        _ if question.key.is_none() => of_stranger(row, question),
        Case::Slow => Reply { manner: Manner::After(LATE), ..good(row, question) },
        Case::Truncated => {
            let whole = good(row, question);
            Reply { manner: Manner::Cut(whole.body.len() / 2), ..whole }
        }
        Case::NotFound => reply(404, r#"{"detail":"Not Found"}"#),
        Case::BadKey => told(row.bad_key),
        Case::NoPermission => row.no_permission.map_or_else(|| good(row, question), told),
        Case::NoCredit => match row.no_credit {
            // An empty balance is told where balances are.
            Some((200, body)) if question.path.contains("balance") => reply(200, body),
            Some((200, _)) | None => good(row, question),
            Some(refusal) => told(refusal),
        },
        Case::UnknownModel if question.method == http::Method::POST => told(row.unknown_model),
        Case::Good | Case::UnknownModel => good(row, question),
        Case::Quoting => quoting(question),
    }
}

fn good(row: &Row, question: &Question) -> Reply {
    let known = row.answers.iter().find(|(path, _)| *path == question.path);
    known.map_or_else(|| reply(404, r#"{"error":{"message":"no such call"}}"#), |(_, body)| reply(200, body))
}

/// Servers of one's own tell everybody that they are alive; vendors want a key first.
fn of_stranger(row: &Row, question: &Question) -> Reply {
    match (is_probe(row, question), question.path.rsplit('/').next()) {
        (true, Some("version")) => reply(200, r#"{"version":"0.12.3"}"#),
        (true, Some("health")) => reply(200, ""),
        _ => reply(row.bad_key.0, row.bad_key.1),
    }
}

fn quoting(question: &Question) -> Reply {
    let key = question.key.as_deref().unwrap_or_default();
    let ends = key.get(..12).zip(key.get(key.len().saturating_sub(12)..));
    let ends = ends.map(|(begin, end)| format!("{begin}...{end}")).unwrap_or_default();
    let encoded = [STANDARD.encode(key), STANDARD.encode(format!("x{key}")), STANDARD.encode(format!("xy{key}"))];
    let said = format!(
        "bad key {key} {ends} {} {} {} {}",
        encoded.join(" "),
        hex::encode(key),
        hex::encode_upper(key),
        question.authorization
    );
    let body =
        serde_json::json!({"error": {"message": said, "code": key, "type": key}, "message": said, "detail": said});
    let mut reply = reply(question.status, &body.to_string());
    for name in ["www-authenticate", "x-request-id", "location", "set-cookie", "x-amzn-errortype", "retry-after"] {
        reply.headers.push((name, format!("https://127.0.0.1/{key}")));
    }
    reply
}
