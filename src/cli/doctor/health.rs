//! What the server says of its own health, to anybody.

use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::finding::{Finding, Report, within};

async fn ask(channel: &Channel, service: &str) -> Result<ServingStatus, tonic::Status> {
    let mut client = HealthClient::new(channel.clone());
    let request = HealthCheckRequest { service: service.to_owned() };
    Ok(within(client.check(request)).await?.into_inner().status())
}

/// Whether it takes calls.
pub async fn serving(channel: &Channel, report: &mut Report) {
    report.add(match ask(channel, "").await {
        Ok(ServingStatus::Serving) => Finding::ok("health", "the server takes calls"),
        Ok(other) => Finding::fail(
            "health",
            format!("the server takes no calls now: {}", other.as_str_name()),
            "wait until it has started or stopped; where reads.max_staleness is set, make its database reachable",
        ),
        Err(status) if matches!(status.code(), Code::Unknown | Code::Internal) => Finding::fail(
            "health",
            format!("what answers there does not speak gRPC ({})", status.message()),
            "give the port of the API, and https:// where it is served over TLS",
        ),
        Err(status) => Finding::refused("health", &status),
    });
}

/// Whether its database takes changes.
pub async fn writes(channel: &Channel, report: &mut Report) {
    report.add(match ask(channel, "modelward.writes").await {
        Ok(ServingStatus::Serving) => Finding::ok("database", "the database answers the server"),
        Ok(_) => Finding::fail(
            "database",
            "the database does not answer the server: reads go on from memory, changes fail",
            "start the database, or make it reachable; the server recovers without a restart",
        ),
        Err(status) => Finding::refused("database", &status),
    });
}
