//! The signature that a question to Bedrock should have, from what arrived: host, path, query, body and time.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::account::{KEY, SECRET_KEY};
use crate::support::simulator::Question;

pub fn of(question: &Question) -> String {
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", question.header("x-amz-date")).unwrap();
    let seconds = date.to_zoned(TimeZone::UTC).unwrap().timestamp().as_second();
    let identity = Credentials::new(KEY, SECRET_KEY, None, None, "simulator").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("bedrock")
        .time(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap()))
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let url = format!("http://{}{}", question.header("host"), question.path);
    let content = (!question.body.is_empty()).then_some(("content-type", question.header("content-type")));
    let body = SignableBody::Bytes(question.body.as_bytes());
    let request = SignableRequest::new(question.method.as_str(), url, content.into_iter(), body).unwrap();
    sign(request, &params).unwrap().into_parts().1
}
