//! How a vendor behaves.

use std::str::FromStr;

/// What it answers to whatever it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// As a vendor does: lists to their last page, verdicts about keys, one small answer of a model.
    Good,
    BadKey,
    NoPermission,
    NoCredit,
    /// 429 with a short Retry-After.
    RateLimited,
    /// 429 without any.
    RateLimitedSilently,
    /// Of all models that one may ask about.
    UnknownModel,
    NotFound,
    Broken,
    Overloaded,
    /// As [`Case::Good`], three seconds later.
    Slow,
    /// Nothing, ever.
    Hanging,
    /// Half of the good answer, then the end of the connection.
    Truncated,
    /// More than anybody should read.
    Huge,
    /// 200, and no answer of any API.
    Garbage,
    /// An error that quotes the key in every way, in its body and its headers.
    Quoting,
}

impl Case {
    pub const ALL: [Self; 16] = [
        Self::Good,
        Self::BadKey,
        Self::NoPermission,
        Self::NoCredit,
        Self::RateLimited,
        Self::RateLimitedSilently,
        Self::UnknownModel,
        Self::NotFound,
        Self::Broken,
        Self::Overloaded,
        Self::Slow,
        Self::Hanging,
        Self::Truncated,
        Self::Huge,
        Self::Garbage,
        Self::Quoting,
    ];

    /// As it is written on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::BadKey => "bad-key",
            Self::NoPermission => "no-permission",
            Self::NoCredit => "no-credit",
            Self::RateLimited => "rate-limited",
            Self::RateLimitedSilently => "rate-limited-silently",
            Self::UnknownModel => "unknown-model",
            Self::NotFound => "not-found",
            Self::Broken => "broken",
            Self::Overloaded => "overloaded",
            Self::Slow => "slow",
            Self::Hanging => "hanging",
            Self::Truncated => "truncated",
            Self::Huge => "huge",
            Self::Garbage => "garbage",
            Self::Quoting => "quoting",
        }
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|case| case.name() == text).ok_or_else(|| format!("one of {}", names()))
    }
}
