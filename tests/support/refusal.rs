//! What a refused call tells, checked for the form that every error of the API has.

use std::collections::HashMap;
use std::fmt;

use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetail, StatusExt as _};

/// A refusal, taken apart.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub code: Code,
    pub reason: String,
    pub message: String,
    pub metadata: HashMap<String, String>,
    /// The fields of the `BadRequest`, in order.
    pub fields: Vec<String>,
    pub details: Vec<ErrorDetail>,
}

impl Refusal {
    /// Takes a status apart. Every error carries exactly one `ErrorInfo`, of this domain.
    #[track_caller]
    pub fn of(status: &Status) -> Self {
        Self::read(status).unwrap_or_else(|problem| panic!("{problem}: {status:?}"))
    }

    /// The same where a malformed error is a finding.
    pub fn read(status: &Status) -> Result<Self, String> {
        let details =
            status.check_error_details_vec().map_err(|error| format!("details that do not decode: {error}"))?;
        let infos: Vec<_> = details
            .iter()
            .filter_map(|detail| match detail {
                ErrorDetail::ErrorInfo(info) => Some(info.clone()),
                _ => None,
            })
            .collect();
        let [info] = <[_; 1]>::try_from(infos).map_err(|infos| format!("{} times ErrorInfo", infos.len()))?;
        if info.domain != "modelward" {
            return Err(format!("ErrorInfo of the domain {:?}", info.domain));
        }
        if status.message().is_empty() {
            return Err("an error without a message".to_owned());
        }
        let fields = details
            .iter()
            .filter_map(|detail| match detail {
                ErrorDetail::BadRequest(bad) => {
                    Some(bad.field_violations.iter().map(|violation| violation.field.clone()))
                }
                _ => None,
            })
            .flatten()
            .collect();
        Ok(Self {
            code: status.code(),
            reason: info.reason,
            message: status.message().to_owned(),
            metadata: info.metadata,
            fields,
            details,
        })
    }

    #[track_caller]
    pub fn is(&self, code: Code, reason: &str) -> &Self {
        assert_eq!((self.code, self.reason.as_str()), (code, reason), "{self}");
        self
    }

    /// It is a bad request about these fields, no others.
    #[track_caller]
    pub fn names(&self, fields: &[&str]) -> &Self {
        assert_eq!(self.code, Code::InvalidArgument, "{self}");
        assert_eq!(self.fields, fields, "{self}");
        self
    }

    #[track_caller]
    pub fn has(&self, key: &str, value: &str) -> &Self {
        assert_eq!(self.metadata.get(key).map(String::as_str), Some(value), "{key} of {self}");
        self
    }

    #[track_caller]
    pub fn says_when_to_retry(&self) -> &Self {
        let found = self.details.iter().any(|detail| matches!(detail, ErrorDetail::RetryInfo(_)));
        assert!(found, "RetryInfo in {self}");
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {:?}: {} {:?}", self.code, self.reason, self.fields, self.message, self.metadata)
    }
}

/// Calls that are expected to be refused.
pub trait Refused {
    /// The refusal; a call that succeeded fails the test.
    #[track_caller]
    fn refused(self, code: Code, reason: &str) -> Refusal;
}

impl<T: fmt::Debug> Refused for Result<Response<T>, Status> {
    #[track_caller]
    fn refused(self, code: Code, reason: &str) -> Refusal {
        match self {
            Ok(answer) => panic!("{reason} was expected, found {:?}", answer.into_inner()),
            Err(status) => {
                let refusal = Refusal::of(&status);
                refusal.is(code, reason);
                refusal
            }
        }
    }
}
