//! Signing of calls as AWS wants it (version 4), by AWS's own library.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::{HeaderName, HeaderValue, Method};
use url::Url;

use super::fault::CallError;
use crate::domain::Timestamp;
use crate::domain::secret::SecretText;

/// The name of the service in signatures, for both of its planes.
const SERVICE: &str = "bedrock";

/// Who signs, where and when.
pub(super) struct Signer<'a> {
    pub(super) access_key_id: &'a SecretText,
    pub(super) secret_key: &'a SecretText,
    pub(super) session_token: Option<&'a SecretText>,
    pub(super) region: &'a str,
    pub(super) time: Timestamp,
}

impl Signer<'_> {
    /// The headers that make a request a signed one. It has a body as JSON, or none.
    pub(super) fn headers(
        &self,
        method: &Method,
        url: &Url,
        body: &[u8],
    ) -> Result<Vec<(HeaderName, HeaderValue)>, CallError> {
        // What cannot be signed is told without its cause, which may quote a part of the secret.
        let failed = || CallError::unexpected(None, "the call cannot be signed");
        let text = |secret: &SecretText| secret.expose().to_owned();
        let session = self.session_token.map(text);
        let (id, key) = (text(self.access_key_id), text(self.secret_key));
        let identity = Credentials::new(id, key, session, None, "modelward").into();
        let micros = u64::try_from(self.time.micros()).map_err(|_| failed())?;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(SERVICE)
            .time(UNIX_EPOCH + Duration::from_micros(micros))
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| failed())?
            .into();
        let content = (!body.is_empty()).then_some(("content-type", "application/json"));
        let request =
            SignableRequest::new(method.as_str(), url.as_str(), content.into_iter(), SignableBody::Bytes(body));
        let (instructions, _) = sign(request.map_err(|_| failed())?, &params).map_err(|_| failed())?.into_parts();
        let (signed, _) = instructions.into_parts();
        let header = |(name, value): (&str, &str)| {
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        };
        signed.iter().map(|made| header((made.name(), made.value()))).collect::<Option<_>>().ok_or_else(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str =
        r#"{"messages":[{"role":"user","content":[{"text":"ping"}]}],"inferenceConfig":{"maxTokens":1}}"#;
    const LIST: &str = "https://bedrock.us-east-1.amazonaws.com/foundation-models";
    const CONVERSE: &str = "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse";

    /// The signed headers and the signature of a request on 2026-01-02 at 03:04:05.
    fn signed(url: &str, body: &str, session: Option<&str>) -> (String, String) {
        let secret = |text: &str| SecretText::new(text.to_owned());
        let (id, key) = (secret("AKIDEXAMPLE"), secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"));
        let session = session.map(secret);
        let signer = Signer {
            access_key_id: &id,
            secret_key: &key,
            session_token: session.as_ref(),
            region: "us-east-1",
            time: Timestamp::from_micros(1_767_323_045_000_000),
        };
        let method = if body.is_empty() { Method::GET } else { Method::POST };
        let headers = signer.headers(&method, &Url::parse(url).unwrap(), body.as_bytes()).unwrap();
        let find = |name: &str| headers.iter().find(|(found, _)| found == name).unwrap().1.to_str().unwrap().to_owned();
        assert_eq!(find("x-amz-date"), "20260102T030405Z");
        let authorization = find("authorization");
        let part = |name: &str| authorization.split(name).nth(1).unwrap().split(',').next().unwrap().to_owned();
        (part("SignedHeaders="), part("Signature="))
    }

    // The vectors were computed with botocore and checked with a second implementation.
    #[test]
    fn the_signatures_are_those_of_other_implementations() {
        for (url, body, session, headers, signature) in [
            (LIST, "", None, "host;x-amz-date", "13c602506c8d6e082aa763b5c3a1cfa78f901619f8c23eb504458104fa60225e"),
            (
                "https://bedrock.us-east-1.amazonaws.com/foundation-models?byOutputModality=TEXT",
                "",
                None,
                "host;x-amz-date",
                "b06b5af8752979ab1c8d72cf0c0fe2f4ac7e73bcdef1ba76729c6b698feed5dd",
            ),
            (
                CONVERSE,
                BODY,
                None,
                "content-type;host;x-amz-date",
                "db49ed862b9aad813547712155c1c885a1835a772d89dedcd8fe4405a320c2cd",
            ),
            (
                CONVERSE,
                BODY,
                Some("SESSIONTOKENEXAMPLE"),
                "content-type;host;x-amz-date;x-amz-security-token",
                "e47f9b129111129958e9e4e0ec1fd0903e4cd5ae22096511753df255e88e5736",
            ),
        ] {
            assert_eq!(signed(url, body, session), (headers.to_owned(), signature.to_owned()), "{url}");
        }
    }
}
