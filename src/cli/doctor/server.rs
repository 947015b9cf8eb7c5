//! What a token may ask of the server: who it is, the clocks, the versions, a change that is only checked, a stream.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::finding::{Finding, LIMIT, Report, within};
use super::keys;
use crate::cli::client::Client;
use crate::domain::{Clock as _, IdSource as _, RandomIds, SystemClock, Timestamp};
use crate::proto::v1::audit_service_client::AuditServiceClient;
use crate::proto::v1::endpoint_service_client::EndpointServiceClient;
use crate::proto::v1::provider_service_client::ProviderServiceClient;
use crate::proto::v1::watch_service_client::WatchServiceClient;
use crate::proto::v1::{
    CreateProviderRequest, GetServerInfoRequest, ListChangesRequest, ListEndpointsRequest, Provider, ProviderKind,
    ServerInfo, WatchRequest,
};

/// Clocks that differ by more are told.
const SKEW: Duration = Duration::from_secs(2);
/// … and by more than this are a failure: what expires does so at another time than is meant.
const FAR: Duration = Duration::from_mins(1);

/// Asks everything that needs a token.
pub async fn examine(channel: Channel, token: Option<MetadataValue<Ascii>>, report: &mut Report) {
    let mut client = Client::new(channel, token);
    let request = client.request(GetServerInfoRequest {});
    let asked = SystemClock.now();
    let info = match within(client.admin.get_server_info(request)).await {
        Ok(answer) => answer.into_inner().server_info.unwrap_or_default(),
        Err(status) => return report.add(bad_token(&status)),
    };
    let (asked, answered) = (asked, SystemClock.now());
    report.add(Finding::ok("token", "the server knows it"));
    report.add(clock(&info, asked, answered));
    report.add(version(&info.version));
    report.add(write(&client).await);
    report.add(store(&client).await);
    keys::examine(&mut client, report).await;
    report.add(watch(&client, info.revision).await);
    report.add(probes(&client).await);
}

fn bad_token(status: &Status) -> Finding {
    let make = "give the file of a valid token; `modelward token create` makes one, \
                `modelward token create --offline` also when the last one is lost";
    match status.code() {
        Code::Unauthenticated => Finding::fail("token", status.message(), make),
        Code::PermissionDenied => {
            Finding::fail("token", format!("{}: not even a viewer", status.message()), "give it a role")
        }
        _ => Finding::refused("token", status),
    }
}

/// The server's clock is its start and what has passed since.
fn clock(info: &ServerInfo, asked: Timestamp, answered: Timestamp) -> Finding {
    let micros = |seconds: i64, nanos: i32| seconds.saturating_mul(1_000_000) + i64::from(nanos) / 1000;
    let (Some(start), Some(uptime)) = (info.start_time, info.uptime) else {
        return Finding::skip("clock", "the server does not tell its time");
    };
    let there = micros(start.seconds, start.nanos) + micros(uptime.seconds, uptime.nanos);
    // What lies between question and answer is no difference.
    let off = (asked.micros() - there).max(there - answered.micros()).max(0);
    let off = Duration::from_micros(off.unsigned_abs());
    let detail = format!("the server's clock differs by {:.1} s from the one here", off.as_secs_f64());
    let remedy =
        "synchronise both clocks (chrony, systemd-timesyncd): tokens, credentials and certificates expire by them";
    match off {
        off if off > FAR => Finding::fail("clock", detail, remedy),
        off if off > SKEW => Finding::warn("clock", detail, remedy),
        _ => Finding::ok("clock", "the server's clock agrees with the one here"),
    }
}

fn version(server: &str) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    if server == own {
        return Finding::ok("version", format!("server and this program are {own}"));
    }
    let detail = format!("the server is {server}, this program {own}");
    Finding::warn("version", detail, "use the same version where something is told that makes no sense")
}

/// A change that is checked like any other, and not made.
async fn write(client: &Client) -> Finding {
    let name = format!("doctor {}", RandomIds.next());
    let provider = Provider { name: Some(name), kind: Some(ProviderKind::Ollama.into()), ..Provider::default() };
    let request = CreateProviderRequest {
        provider: Some(provider),
        validate_only: true,
        reason: "modelward doctor".to_owned(),
        ..CreateProviderRequest::default()
    };
    let mut providers = ProviderServiceClient::new(client.channel.clone());
    match within(providers.create_provider(client.request(request))).await {
        Ok(_) => Finding::ok("write", "the token may change the configuration; a change was checked, none was made"),
        Err(status) if status.code() == Code::PermissionDenied => {
            Finding::skip("write", "the token may only read: it has not the role editor")
        }
        Err(status) => Finding::refused("write", &status),
    }
}

/// The log is the one list that is read from the database.
async fn store(client: &Client) -> Finding {
    let mut audit = AuditServiceClient::new(client.channel.clone());
    let request = ListChangesRequest { page_size: 1, ..ListChangesRequest::default() };
    let begun = Instant::now();
    match within(audit.list_changes(client.request(request))).await {
        Ok(_) => Finding::ok("store", format!("the database answered through the server in {}", shown(begun))),
        Err(status) if status.code() == Code::PermissionDenied => {
            Finding::skip("store", "the token may not read the log: it has not the role editor")
        }
        Err(status) => Finding::refused("store", &status),
    }
}

/// A stream says at once where it begins.
async fn watch(client: &Client, known: i64) -> Finding {
    let mut watches = WatchServiceClient::new(client.channel.clone());
    let request = WatchRequest { client_name: "modelward doctor".to_owned(), ..WatchRequest::default() };
    let begun = Instant::now();
    let first = async {
        let mut stream = watches.watch(client.request(request)).await?.into_inner();
        stream.message().await
    };
    match within(first).await {
        Ok(Some(message)) if message.revision >= known => {
            Finding::ok("watch", format!("a stream began at revision {} in {}", message.revision, shown(begun)))
        }
        Ok(Some(message)) => Finding::fail(
            "watch",
            format!("a stream began at revision {}, before {known}, which was told", message.revision),
            "two replicas answered, and one is behind: compare modelward_revision and modelward_snapshot_age_seconds",
        ),
        Ok(None) => Finding::fail("watch", "the stream ended at once", "look for a proxy that allows no streams"),
        Err(status) if status.code() == Code::DeadlineExceeded => Finding::fail(
            "watch",
            format!("the stream said nothing within {} s", LIMIT.as_secs()),
            "look for a proxy between that gathers answers: it has to pass HTTP/2 streams on as they come",
        ),
        Err(status) => Finding::refused("watch", &status),
    }
}

/// Whether somebody probes: a probe that is long overdue says that no replica holds the lease.
async fn probes(client: &Client) -> Finding {
    let mut endpoints = EndpointServiceClient::new(client.channel.clone());
    let request = ListEndpointsRequest { page_size: 1000, is_active: Some(true), ..ListEndpointsRequest::default() };
    let found = match within(endpoints.list_endpoints(client.request(request))).await {
        Ok(answer) => answer.into_inner().endpoints,
        Err(status) => return Finding::refused("probes", &status),
    };
    let now = SystemClock.now().micros() / 1_000_000;
    let probed =
        found.iter().filter(|one| one.health_check.as_ref().is_none_or(|policy| policy.enabled != Some(false)));
    let ages = probed.filter_map(|endpoint| {
        let policy = endpoint.health_check.as_ref();
        let interval = policy.and_then(|policy| policy.interval).map_or(30, |interval| interval.seconds.max(1));
        let last = endpoint.health.as_ref().and_then(|health| health.last_check_time).or(endpoint.create_time)?;
        Some((interval, now.saturating_sub(last.seconds)))
    });
    let ages: Vec<_> = ages.collect();
    let late = ages.iter().filter(|(interval, age)| *age > interval.saturating_mul(3).saturating_add(60)).count();
    match (ages.len(), late) {
        (0, _) => Finding::skip("probes", "no active endpoint is to be probed"),
        (all, 0) => Finding::ok("probes", format!("{all} endpoints are probed as they should")),
        (all, late) => Finding::warn(
            "probes",
            format!("{late} of {all} endpoints were not probed for a long time"),
            "one replica has to hold the lease: look at modelward_probe_leader, and at the setting health.enabled",
        ),
    }
}

fn shown(begun: Instant) -> String {
    format!("{} ms", begun.elapsed().as_millis())
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    fn seen(server: i64, asked: i64, answered: i64) -> State {
        let info = ServerInfo {
            start_time: Some(prost_types::Timestamp { seconds: server - 100, nanos: 0 }),
            uptime: Some(prost_types::Duration { seconds: 100, nanos: 0 }),
            ..ServerInfo::default()
        };
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        clock(&info, at(asked), at(answered)).state
    }

    #[test]
    fn clocks_are_compared_without_the_way_between() {
        assert_eq!(seen(1000, 1000, 1000), State::Ok);
        assert_eq!(seen(1003, 1000, 1004), State::Ok, "within question and answer");
        assert_eq!(seen(1010, 1000, 1001), State::Warn);
        assert_eq!(seen(990, 1000, 1001), State::Warn);
        assert_eq!(seen(2000, 1000, 1001), State::Fail);
        assert_eq!(seen(100, 1000, 1001), State::Fail);
    }

    #[test]
    fn another_version_is_told() {
        assert_eq!(version(env!("CARGO_PKG_VERSION")).state, State::Ok);
        assert_eq!(version("0.0.9").state, State::Warn);
    }
}
