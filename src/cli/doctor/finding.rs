//! What a check found, and how all of it is told.

use std::fmt::Display;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// How long one question may take.
pub const LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Ok,
    Warn,
    Fail,
    Skip,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub check: &'static str,
    pub state: State,
    pub detail: String,
    /// What to do: where it is not well.
    pub remedy: Option<String>,
}

impl Finding {
    pub fn ok(check: &'static str, detail: impl Display) -> Self {
        Self { check, state: State::Ok, detail: detail.to_string(), remedy: None }
    }

    pub fn warn(check: &'static str, detail: impl Display, remedy: impl Display) -> Self {
        Self { check, state: State::Warn, detail: detail.to_string(), remedy: Some(remedy.to_string()) }
    }

    pub fn fail(check: &'static str, detail: impl Display, remedy: impl Display) -> Self {
        Self { check, state: State::Fail, detail: detail.to_string(), remedy: Some(remedy.to_string()) }
    }

    /// It cannot be told.
    pub fn skip(check: &'static str, why: impl Display) -> Self {
        Self { check, state: State::Skip, detail: why.to_string(), remedy: None }
    }

    /// What a refusal means, where no check knows better.
    pub fn refused(check: &'static str, status: &Status) -> Self {
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        let remedy = match (status.code(), reason.as_str()) {
            (Code::PermissionDenied, _) => "give the token of an identity with the role that is needed",
            (Code::Unauthenticated, _) => "give a --token-file of this server; `modelward token create` makes one",
            (Code::DeadlineExceeded | Code::Cancelled, _) => {
                "the server accepts connections and does not answer: look whether its process is frozen or starved of CPU"
            }
            (_, "STORE_UNAVAILABLE") => "make the database reachable for the server; it recovers without a restart",
            (_, "STORE_FULL") => "free space for the database",
            (Code::Unavailable, _) => "try again; where it stays so, the log of the server tells why",
            (Code::Unimplemented, _) => "the server is older than this program, or no Modelward",
            _ => "the log of the server has a line for this call",
        };
        let reason = if reason.is_empty() { format!("{:?}", status.code()) } else { reason };
        Self::fail(check, format!("{} ({reason})", status.message()), remedy)
    }
}

/// The answer to a question, or that none came in time.
pub async fn within<T>(question: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late = || Status::deadline_exceeded(format!("no answer within {} s", LIMIT.as_secs()));
    // On the heap: futures of clients are large.
    Box::pin(timeout(LIMIT, question)).await.unwrap_or_else(|_| Err(late()))
}

/// All that was found, in the order in which it was looked for.
#[derive(Debug, Default)]
pub struct Report(Vec<Finding>);

impl Report {
    pub fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub fn failures(&self) -> usize {
        self.0.iter().filter(|finding| finding.state == State::Fail).count()
    }

    /// For people.
    pub fn table(&self) -> String {
        let width = self.0.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
        let line = |finding: &Finding| {
            let Finding { check, state, detail, remedy } = finding;
            let remedy = remedy.as_ref().map(|remedy| format!("      {:width$}  remedy: {remedy}\n", ""));
            format!("{:<4}  {check:width$}  {detail}\n{}", state.word(), remedy.unwrap_or_default())
        };
        self.0.iter().map(line).collect()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let check = |finding: &Finding| {
            json!({
                "check": finding.check,
                "state": finding.state.word().to_lowercase(),
                "detail": finding.detail,
                "remedy": finding.remedy,
            })
        };
        json!({ "ok": self.failures() == 0, "checks": self.0.iter().map(check).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_alone_and_counts_its_failures() {
        let mut report = Report::default();
        report.add(Finding::ok("settings", "all values are readable"));
        report.add(Finding::warn("tls", "plain", "use TLS"));
        report.add(Finding::fail("token", "unknown", "give another"));
        report.add(Finding::skip("keys", "only an admin may ask"));
        let expected = "\
ok    settings  all values are readable
warn  tls       plain
                remedy: use TLS
FAIL  token     unknown
                remedy: give another
skip  keys      only an admin may ask
";
        assert_eq!(report.table(), expected);
        assert_eq!(report.failures(), 1);
        let told = report.json();
        assert_eq!(told["ok"], false);
        assert_eq!(told["checks"][2]["state"], "fail");
        assert_eq!(told["checks"][3]["remedy"], Value::Null);
    }
}
