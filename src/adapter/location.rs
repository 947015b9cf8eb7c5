//! URLs below an endpoint's base URL.
//!
//! Invariant: what is appended never changes the host, whatever it says.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::fault::CallError;
use crate::domain::endpoint::Endpoint;

/// What need not be encoded in a segment of a path or in a query.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `text` as one segment of a path, or as a value in a query.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A base URL to append paths to.
pub(super) struct Location(Url);

impl Location {
    /// The base URL as the operator gave it.
    pub(super) fn base(endpoint: &Endpoint) -> Result<Self, CallError> {
        let url = Url::parse(endpoint.base_url.as_str());
        url.map(Self).map_err(|_| CallError::unexpected(None, "the base URL cannot be read"))
    }

    /// A host of its own, without a path.
    pub(super) fn root(url: &Url) -> Self {
        Self(url.clone())
    }

    /// The base URL without the first of `endings` that it ends with.
    pub(super) fn without(mut self, endings: &[&str]) -> Self {
        let path = self.0.path().trim_end_matches('/').to_owned();
        if let Some(shorter) = endings.iter().find_map(|ending| path.strip_suffix(ending)) {
            self.0.set_path(shorter);
        }
        self
    }

    /// `path` below the base, with a query behind a question mark.
    pub(super) fn join(&self, path: &str) -> Url {
        let base = self.0.path().trim_end_matches('/').to_owned();
        self.at(&format!("{base}/{}", path.trim_start_matches('/')))
    }

    /// `path` below the host.
    pub(super) fn at(&self, path: &str) -> Url {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = self.0.clone();
        url.set_path(path);
        url.set_query(query);
        url
    }

    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(url: &str) -> Location {
        Location(Url::parse(url).unwrap())
    }

    #[test]
    fn paths_are_appended_to_the_base() {
        for (base, path, expected) in [
            ("https://h/v1", "models", "https://h/v1/models"),
            ("https://h/v1/", "/models", "https://h/v1/models"),
            ("https://h", "v1/models?limit=1", "https://h/v1/models?limit=1"),
            ("https://h/a b/v4", "models", "https://h/a%20b/v4/models"),
        ] {
            assert_eq!(location(base).join(path).as_str(), expected);
        }
        assert_eq!(location("http://h:1/v1").without(&["/v1"]).join("health").as_str(), "http://h:1/health");
        assert_eq!(location("http://h:1/av1").without(&["/v1"]).join("health").as_str(), "http://h:1/av1/health");
    }

    #[test]
    fn nothing_that_is_appended_changes_the_host() {
        for path in [
            "//evil.com/x",
            "/\\evil.com",
            "/@evil.com",
            "/../..//evil.com",
            "/:1@evil.com",
            "/#@evil.com",
            "http://evil.com",
        ] {
            for url in [location("https://h:8443/v1").at(path), location("https://h:8443/v1").join(path)] {
                assert_eq!((url.host_str(), url.port()), (Some("h"), Some(8443)), "{path}");
            }
        }
    }
}
