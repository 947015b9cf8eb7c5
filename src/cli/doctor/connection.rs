//! Whether the server is reached, and over TLS: whether its certificate may be trusted, and if not, why.

use std::net::IpAddr;

use tokio::time::timeout;
use tonic::transport::Channel;
use url::{Host, Url};

use super::finding::{Finding, LIMIT, Report};
use super::problem_of;
use crate::cli::client::{self, ServerArgs};
use crate::config::Settings;

/// Opens the connection; without one there is nothing more to ask.
pub async fn open(server: &ServerArgs, settings: &Settings, report: &mut Report) -> Option<Channel> {
    let (url, endpoint) = match client::endpoint(server, settings) {
        Ok(found) => found,
        Err(error) => {
            let remedy = "give --server as in https://modelward.example.com:50051, and --ca-file where it needs one";
            report.add(Finding::fail("connection", problem_of(&error), remedy));
            return None;
        }
    };
    let secure = url.starts_with("https:");
    match timeout(LIMIT, endpoint.connect()).await {
        Ok(Ok(channel)) => {
            report.add(Finding::ok("connection", format!("{url} is reached")));
            report.add(if secure { trusted() } else { plain(&url) });
            Some(channel)
        }
        Ok(Err(error)) => {
            report.add(failed(&url, secure, &client::cause(&error)));
            None
        }
        Err(_) => {
            let detail = format!("{url} does not answer within {} s", LIMIT.as_secs());
            report.add(Finding::fail("connection", detail, "look for a firewall, a NetworkPolicy, or a frozen server"));
            None
        }
    }
}

fn trusted() -> Finding {
    Finding::ok("tls", "the certificate is valid for this name and descends from a trusted one")
}

/// Tokens travel with every call.
fn plain(url: &str) -> Finding {
    let host = Url::parse(url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    let loopback = match host {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    };
    if loopback {
        return Finding::ok("tls", "none, on the loopback interface");
    }
    Finding::warn(
        "tls",
        "none: whoever sees the network between sees the token",
        "set tls.cert_file and tls.key_file, or leave TLS to a mesh",
    )
}

/// What the innermost error of a connection means.
fn failed(url: &str, secure: bool, cause: &str) -> Finding {
    let tls = |problem: &str, remedy: &str| Finding::fail("tls", format!("{problem} ({cause})"), remedy);
    let says = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    if says(&["certificate expired", "Expired"]) {
        return tls(
            "the certificate of the server has expired",
            "renew its file, which the server takes within seconds; check both clocks",
        );
    }
    if says(&["not valid yet", "NotValidYet"]) {
        return tls("the certificate of the server is not valid yet", "check the clocks of both machines");
    }
    if says(&["not valid for name", "NotValidForName"]) {
        return tls(
            "the certificate of the server has another name",
            "call the server by a name that its certificate has, or make one with this name",
        );
    }
    if says(&["UnknownIssuer", "SelfSigned", "CaUsedAsEndEntity", "BadSignature"]) {
        return tls(
            "the certificate of the server descends from none that is trusted here",
            "give the certificate of its issuer with --ca-file",
        );
    }
    if secure && says(&["corrupt message", "InvalidContentType", "tls handshake eof"]) {
        return tls("the server speaks no TLS on this port", "give an http:// URL, or set up TLS on the server");
    }
    if secure && says(&["certificate", "alert"]) {
        return tls("the TLS handshake failed", "compare the settings for TLS of both sides");
    }
    let detail = format!("no server answers at {url} ({cause})");
    Finding::fail("connection", detail, "start it with `modelward serve`, or name another one with --server")
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn tokens_in_the_clear_are_told_unless_they_stay_on_the_machine() {
        for (url, state) in [
            ("http://127.0.0.1:1", State::Ok),
            ("http://[::1]:1", State::Ok),
            ("http://localhost:1", State::Ok),
            ("http://10.0.0.1:1", State::Warn),
            ("http://modelward.example.com", State::Warn),
        ] {
            assert_eq!(plain(url).state, state, "{url}");
        }
    }
}
