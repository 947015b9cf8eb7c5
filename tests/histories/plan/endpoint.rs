//! Writes to endpoints: the call, and what the model expects.

use super::*;

const OF_ENDPOINT: [&str; 5] = ["name", "region", "is_active", "labels", "base_url"];

impl World {
    #[expect(clippy::too_many_lines, reason = "a table: a write, its call, its outcome")]
    pub(super) fn of_endpoint(
        &self,
        write: &Write,
        id: String,
        expected: Option<i64>,
        hosts: &Hosts,
    ) -> (&'static str, Vec<u8>, Outcome) {
        let url = |number: u8| hosts.0[usize::from(number) % hosts.0.len()].clone();
        match write {
            Write::CreateEndpoint { of, fields, host, priority, set_default } => {
                let sent = v1::Endpoint {
                    provider_id: Some(self.provider_at(*of)),
                    base_url: Some(url(*host)),
                    priority: Some((*priority).into()),
                    // Not longer than it has to be, where nobody listens.
                    retry: Some(v1::RetryPolicy {
                        max_attempts: Some(1),
                        initial_backoff: Some(prost_types::Duration { seconds: 0, nanos: 500_000_000 }),
                        max_backoff: seconds(10),
                    }),
                    ..carrying!(Endpoint, id, fields, name, region)
                };
                let (endpoint, set_default) = (Some(sent.clone()), *set_default);
                let request = v1::CreateEndpointRequest { endpoint, set_default, ..Default::default() };
                let made = v1::Endpoint {
                    region: sent.region.clone().or(Some(String::new())),
                    is_active: sent.is_active.or(Some(true)),
                    api_version: Some(String::new()),
                    connect_timeout: seconds(5),
                    read_timeout: seconds(60),
                    weight: Some(1),
                    health_check: Some(v1::HealthCheckPolicy {
                        enabled: Some(true),
                        interval: seconds(30),
                        timeout: seconds(5),
                        unhealthy_threshold: Some(3),
                        healthy_threshold: Some(1),
                        degraded_latency: seconds(2),
                        path: Some(String::new()),
                    }),
                    revision: self.revision + 1,
                    ..sent
                };
                let outcome = self.create_endpoint(made, set_default);
                ("EndpointService/CreateEndpoint", request.encode_to_vec(), outcome)
            }
            Write::UpdateEndpoint { fields, host, mask, .. } => {
                let base_url = host.map(url);
                let sent = carrying!(Endpoint, id.clone(), fields, name, region);
                let endpoint = Some(v1::Endpoint { base_url: base_url.clone(), ..sent });
                let update_mask = paths(*mask, OF_ENDPOINT);
                let request = v1::UpdateEndpointRequest { endpoint, update_mask, ..Default::default() };
                let required = if mask.names(16) && host.is_none() { Err("INVALID_FIELD") } else { Ok(()) };
                let outcome = missing_name(*mask, fields).and(required).and_then(|()| {
                    let before = self.endpoint(&id)?;
                    expect(expected, before.revision)?;
                    let mut after = before.clone();
                    merge!(mask, fields, after, name, region);
                    mask.merge(16, &mut after.base_url, base_url.map(Some), None);
                    if *mask == Mask::All {
                        (after.priority, after.retry) = (Some(0), Some(default_retry()));
                    }
                    self.update_endpoint(before, after)
                });
                ("EndpointService/UpdateEndpoint", request.encode_to_vec(), outcome)
            }
            Write::DeleteEndpoint { .. } => {
                let request = v1::DeleteEndpointRequest { id: id.clone(), ..Default::default() };
                let outcome = self.delete_endpoint(&id, expected);
                ("EndpointService/DeleteEndpoint", request.encode_to_vec(), outcome)
            }
            _ => {
                let request = v1::SetDefaultEndpointRequest { id: id.clone(), ..Default::default() };
                let outcome = self.set_default_endpoint(&id, expected);
                ("EndpointService/SetDefaultEndpoint", request.encode_to_vec(), outcome)
            }
        }
    }
}

fn default_retry() -> v1::RetryPolicy {
    v1::RetryPolicy {
        max_attempts: Some(3),
        initial_backoff: Some(prost_types::Duration { seconds: 0, nanos: 500_000_000 }),
        max_backoff: seconds(10),
    }
}
