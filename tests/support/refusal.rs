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
        let details = status.check_error_details_vec().expect("details that decode");
        let infos: Vec<_> = details
            .iter()
            .filter_map(|detail| match detail {
                ErrorDetail::ErrorInfo(info) => Some(info.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(infos.len(), 1, "one ErrorInfo in {:?}: {}", status.code(), status.message());
        let info = infos.into_iter().next().unwrap();
        assert_eq!(info.domain, "modelward");
        assert!(!status.message().is_empty(), "a message for {}", info.reason);
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
        Self {
            code: status.code(),
            reason: info.reason,
            message: status.message().to_owned(),
            metadata: info.metadata,
            fields,
            details,
        }
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
