//! Calls to be made, and the right to use a secret in one.
//!
//! Invariant: a secret gets into a call only through an [`Authority`], which cannot be had without the list of hosts
//! that it may be sent to; the client checks that list before it does anything else.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use http_body_util::Full;
use url::Url;

use super::fault::{CallError, CallErrorKind};
use super::redact::Redactor;
use super::sigv4::Signer;
use crate::domain::credential::AllowedHosts;
use crate::domain::endpoint::Host;
use crate::domain::secret::{CredentialSecret, SecretText};
use crate::domain::{CredentialId, Timestamp};

/// What this server calls itself.
const AGENT: &str = concat!("modelward/", env!("CARGO_PKG_VERSION"));

/// The right to use one credential's secret, at its allowed hosts only.
#[derive(Clone, Copy)]
pub struct Authority<'a> {
    secret: &'a CredentialSecret,
    hosts: &'a AllowedHosts,
    credential_id: CredentialId,
}

impl<'a> Authority<'a> {
    #[must_use]
    pub const fn new(secret: &'a CredentialSecret, hosts: &'a AllowedHosts, credential_id: CredentialId) -> Self {
        Self { secret, hosts, credential_id }
    }

    fn check(&self, host: &Host) -> Result<(), CallError> {
        if self.hosts.allow(host) {
            return Ok(());
        }
        let kind = CallErrorKind::HostNotAllowed { host: host.to_string(), credential_id: self.credential_id };
        Err(CallError::new(kind, format!("the credential may not be sent to this host: {host}")))
    }
}

/// One request. Safe ones may be repeated.
pub(super) struct Call<'a> {
    method: Method,
    url: Url,
    body: Bytes,
    authority: Option<Authority<'a>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) repeatable: bool,
}

impl<'a> Call<'a> {
    pub(super) fn get(url: Url) -> Self {
        let (body, authority, headers) = (Bytes::new(), None, Vec::new());
        Self { method: Method::GET, url, body, authority, headers, repeatable: true }
    }

    pub(super) fn post(url: Url, body: &serde_json::Value) -> Self {
        let body = Bytes::from(body.to_string());
        Self { method: Method::POST, url, body, authority: None, headers: Vec::new(), repeatable: false }
    }

    /// A POST that only reads.
    pub(super) const fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Sends the authority's `api_key` (else its `access_token`) as a bearer token.
    pub(super) fn bearer(mut self, authority: Option<Authority<'a>>) -> Result<Self, CallError> {
        let Some(authority) = authority else { return Ok(self) };
        let secret = authority.secret;
        let key = secret.api_key.as_ref().or(secret.access_token.as_ref());
        let key = key.ok_or_else(|| bad_secret("the credential has no api_key"))?;
        self.authority = Some(authority);
        self.headers.push((AUTHORIZATION, secret_header("Bearer ", key)?));
        Ok(self)
    }

    /// Sends the authority's `api_key` in the header `name`, or else its `access_token` as a bearer token.
    pub(super) fn key_in(mut self, name: &'static str, authority: Option<Authority<'a>>) -> Result<Self, CallError> {
        let Some(Authority { secret, .. }) = authority else { return Ok(self) };
        let Some(key) = &secret.api_key else { return self.bearer(authority) };
        self.authority = authority;
        self.headers.push((HeaderName::from_static(name), secret_header("", key)?));
        Ok(self)
    }

    /// Signs the call with the authority's access key (`api_key` and `secret_key`), or else sends its `access_token` as
    /// a bearer token.
    pub(super) fn signed(
        mut self,
        authority: Option<Authority<'a>>,
        region: &str,
        time: Timestamp,
    ) -> Result<Self, CallError> {
        let Some(authority) = authority else { return Ok(self) };
        let secret = authority.secret;
        match (&secret.api_key, &secret.secret_key, &secret.access_token) {
            (Some(access_key_id), Some(secret_key), _) => {
                let session_token = secret.session_token.as_ref();
                let signer = Signer { access_key_id, secret_key, session_token, region, time };
                self.headers.extend(signer.headers(&self.method, &self.url, &self.body)?);
            }
            (_, _, Some(token)) => self.headers.push((AUTHORIZATION, secret_header("Bearer ", token)?)),
            _ => return Err(bad_secret("the credential has neither api_key and secret_key, nor access_token")),
        }
        self.authority = Some(authority);
        Ok(self)
    }

    pub(super) const fn method(&self) -> &Method {
        &self.method
    }

    /// Sends a header that is no secret.
    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        self
    }

    /// Where the call goes, if its secret may go there.
    pub(super) fn destination(&self) -> Result<Host, CallError> {
        let host = host_of(&self.url).ok_or_else(|| CallError::unexpected(None, "the URL names no host"))?;
        if let Some(authority) = &self.authority {
            authority.check(&host)?;
        }
        Ok(host)
    }

    /// Cleans what comes back of the secrets that go out.
    pub(super) fn redactor(&self) -> Redactor {
        self.authority.map_or_else(Redactor::default, |authority| Redactor::new(authority.secret))
    }

    /// The request as `version` wants it: HTTP/1.1 names the host in a header, HTTP/2 in the URI.
    pub(super) fn request(&self, version: Version) -> Result<Request<Full<Bytes>>, CallError> {
        let bad = |_| CallError::unexpected(None, "the URL cannot be asked");
        let whole: Uri = self.url.as_str().parse().map_err(|error: http::uri::InvalidUri| bad(error.into()))?;
        let path = whole.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let http1 = version == Version::HTTP_11;
        let uri =
            if http1 { path.parse().map_err(|error: http::uri::InvalidUri| bad(error.into()))? } else { whole.clone() };
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(uri)
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json");
        if http1 && let Some(authority) = whole.authority() {
            request = request.header(HOST, authority.as_str());
        }
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body.clone())).map_err(bad)
    }
}

/// Scheme, host and port of a URL as a credential's list would have them.
pub(super) fn host_of(url: &Url) -> Option<Host> {
    let secure = url.scheme() == "https";
    let port = url.port().unwrap_or(if secure { 443 } else { 80 });
    url.host_str().map(|name| Host { secure, name: name.to_ascii_lowercase(), port })
}

fn secret_header(scheme: &str, key: &SecretText) -> Result<HeaderValue, CallError> {
    let text = zeroize::Zeroizing::new(format!("{scheme}{}", key.expose()));
    let visible = key.expose().bytes().all(|byte| byte.is_ascii_graphic());
    match HeaderValue::from_str(&text) {
        Ok(mut value) if visible => {
            value.set_sensitive(true);
            Ok(value)
        }
        _ => Err(bad_secret("the secret has characters that cannot be sent, such as a blank or a line break")),
    }
}

fn bad_secret(problem: &str) -> CallError {
    CallError::new(CallErrorKind::BadSecret, format!("{problem}; nothing was sent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(key: &str) -> CredentialSecret {
        CredentialSecret { api_key: Some(SecretText::new(key.into())), ..CredentialSecret::default() }
    }

    fn with(secret: &CredentialSecret, hosts: &[&str], url: &str) -> Result<Host, CallError> {
        let hosts = AllowedHosts::new(hosts.iter().map(|host| Host::parse(host).unwrap()), true);
        let authority = Authority::new(secret, &hosts, CredentialId::nil());
        Call::get(Url::parse(url).unwrap()).bearer(Some(authority))?.destination()
    }

    #[test]
    fn a_secret_goes_to_its_hosts_only() {
        let secret = secret("sk-1234567890");
        assert!(with(&secret, &["api.example.com"], "https://API.example.com/v1/models").is_ok());
        assert!(with(&secret, &["api.example.com"], "https://api.example.com:443/v1").is_ok());
        for url in [
            "http://api.example.com/v1",
            "https://api.example.com:8443/v1",
            "https://api.example.com./v1",
            "https://evil.example.com/v1",
            "https://api.example.com@evil.example.com/v1",
            "https://evil.example.com/?api.example.com",
            "https://evil.example.com/#api.example.com",
            "https://api.example.com.evil.com/",
            "https://\u{430}pi.example.com/",
            "https://1.2.3.4/",
            "https://[::1]/",
        ] {
            let error = with(&secret, &["api.example.com"], url).unwrap_err();
            assert!(matches!(error.kind, CallErrorKind::HostNotAllowed { .. }), "{url}");
        }
        assert!(with(&secret, &[], "https://api.example.com/").is_err());
    }

    #[test]
    fn secrets_that_would_break_a_header_are_refused() {
        for key in ["sk-a\r\nX-Evil: 1", "sk-a\n", "sk-a b", " sk-a", "sk-ä", "sk-\u{0}", "sk-\u{7f}"] {
            let error = with(&secret(key), &["h"], "https://h/").unwrap_err();
            assert_eq!(error.kind, CallErrorKind::BadSecret, "{key:?}");
            assert!(!error.message.contains("sk-"));
        }
        let empty = CredentialSecret::default();
        assert_eq!(with(&empty, &["h"], "https://h/").unwrap_err().kind, CallErrorKind::BadSecret);
    }

    #[test]
    fn each_version_gets_the_request_it_wants() {
        let call = Call::get(Url::parse("https://h:8443/v1/models?limit=1").unwrap());
        let old = call.request(Version::HTTP_11).unwrap();
        assert_eq!(
            (old.uri().to_string().as_str(), old.headers().get(HOST).unwrap().to_str().unwrap()),
            ("/v1/models?limit=1", "h:8443")
        );
        let new = call.request(Version::HTTP_2).unwrap();
        assert_eq!(new.uri().to_string(), "https://h:8443/v1/models?limit=1");
        assert!(new.headers().get(HOST).is_none());
    }
}
