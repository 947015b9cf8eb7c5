//! Whether the metrics are told, to somebody who scrapes them from here.

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use tokio::time::timeout;
use tonic::body::Body;
use tonic::transport::Endpoint;
use tower::{Service as _, ServiceExt as _};

use super::finding::{Finding, LIMIT, Report};
use crate::cli::client::{self, ServerArgs};
use crate::config::Settings;

/// A longer page is none of a Modelward.
const LONGEST: usize = 16 * 1024 * 1024;

pub async fn examine(named: Option<String>, server: &ServerArgs, settings: &Settings, report: &mut Report) {
    let own = settings.server.ops_listen.filter(|_| !server.is_given());
    let own = own.map(|listen| format!("http://{}", client::reached_at(listen)));
    report.add(match named.or(own) {
        None => Finding::skip("metrics", "no --ops-server was given, so nobody knows where they are"),
        Some(url) => match timeout(LIMIT, scrape(&url)).await {
            Ok(Ok(count)) => Finding::ok("metrics", format!("{url}/metrics tells {count} values")),
            Ok(Err(problem)) => Finding::fail("metrics", format!("{url}/metrics: {problem}"), REMEDY),
            Err(_) => {
                Finding::fail("metrics", format!("{url}/metrics: no answer within {} s", LIMIT.as_secs()), REMEDY)
            }
        },
    });
}

const REMEDY: &str = "give the right --ops-server; the server tells metrics where ops_listen says, for this machine alone \
                      unless that is another address";

/// How many values there are.
async fn scrape(url: &str) -> Result<usize, String> {
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| "this is no URL".to_owned())?;
    let mut channel = endpoint.connect().await.map_err(|error| client::cause(&error))?;
    // The listener takes HTTP/2 as well, which is what this channel speaks.
    let request = Request::get("/metrics").body(Body::empty()).map_err(|error| error.to_string())?;
    let ready = channel.ready().await.map_err(|error| client::cause(&error))?;
    let answer = ready.call(request).await.map_err(|error| client::cause(&error))?;
    if answer.status() != StatusCode::OK {
        return Err(format!("the answer is {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), LONGEST).collect().await;
    let body = body.map_err(|_| "the answer broke off".to_owned())?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    if !text.contains("modelward_build_info") {
        return Err("these are not the metrics of a Modelward".to_owned());
    }
    Ok(text.lines().filter(|line| !line.starts_with('#')).count())
}
