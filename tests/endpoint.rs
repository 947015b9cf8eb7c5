//! Endpoints, their defaults, their health and which of them serves.

use std::collections::BTreeMap;
use std::time::Duration;

use modelward::proto::v1::{self, HealthCause, HealthStatus, ProviderKind};
use tonic::Code;

use crate::support::resources::{endpoint, mask, seconds};
use crate::support::vendor::{Mode, Vendor};
use crate::support::{Engine, Refused as _, Server, eventually, for_each_engine};

fn update(id: &str, change: v1::Endpoint, paths: &[&str]) -> v1::UpdateEndpointRequest {
    let endpoint = Some(v1::Endpoint { id: id.to_owned(), ..change });
    let update_mask = if paths.is_empty() { None } else { mask(paths) };
    v1::UpdateEndpointRequest { endpoint, update_mask, ..Default::default() }
}

async fn change(server: &Server, id: &str, change: v1::Endpoint) -> v1::Endpoint {
    server.endpoints().update_endpoint(update(id, change, &[])).await.unwrap().into_inner().endpoint.unwrap()
}

fn delete(id: &str) -> v1::DeleteEndpointRequest {
    v1::DeleteEndpointRequest { id: id.to_owned(), ..Default::default() }
}

fn set_default(id: &str) -> v1::SetDefaultEndpointRequest {
    v1::SetDefaultEndpointRequest { id: id.to_owned(), ..Default::default() }
}

/// The names of the provider's endpoints, the default one with a star.
async fn listed(server: &Server, provider_id: &str) -> Vec<String> {
    let request = v1::ListEndpointsRequest { provider_id: provider_id.to_owned(), ..Default::default() };
    let answer = server.endpoints().list_endpoints(request).await.unwrap().into_inner();
    let star = |endpoint: &v1::Endpoint| if endpoint.is_default { "*" } else { "" };
    answer.endpoints.iter().map(|endpoint| format!("{}{}", endpoint.name(), star(endpoint))).collect()
}

async fn check(server: &Server, id: &str) -> v1::EndpointHealth {
    let request = v1::CheckEndpointHealthRequest { id: id.to_owned() };
    let answer = server.endpoints().check_endpoint_health(request).await.unwrap();
    answer.into_inner().endpoint.unwrap().health.unwrap()
}

fn pick(provider_id: &str, exclude: &[&str]) -> v1::PickEndpointRequest {
    let exclude_endpoint_ids = exclude.iter().map(ToString::to_string).collect();
    v1::PickEndpointRequest { provider_id: provider_id.to_owned(), exclude_endpoint_ids }
}

/// How often each endpoint is picked.
async fn picks(server: &Server, provider_id: &str, count: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut client = server.endpoints();
    for _ in 0..count {
        let picked = client.pick_endpoint(pick(provider_id, &[])).await.unwrap().into_inner().endpoint.unwrap();
        *counts.entry(picked.name().to_owned()).or_default() += 1;
    }
    counts
}

fn shares<const N: usize>(shares: [(&str, usize); N]) -> BTreeMap<String, usize> {
    shares.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

for_each_engine! {
    async fn a_new_endpoint_has_the_defaults_of_the_contract(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let created = server.admin().add_endpoint(endpoint(&provider.id, "main", "https://api.openai.com/v1")).await;
        assert_eq!(created.base_url(), "https://api.openai.com/v1");
        assert_eq!((created.connect_timeout, created.read_timeout), (seconds(5), seconds(60)));
        assert_eq!((created.is_active(), created.priority(), created.weight()), (true, 0, 1));
        assert_eq!((created.priority, created.weight), (Some(0), Some(1)), "defaults are shown");
        let retry = created.retry.unwrap();
        let half = Some(prost_types::Duration { seconds: 0, nanos: 500_000_000 });
        assert_eq!((retry.max_attempts(), retry.initial_backoff, retry.max_backoff), (3, half, seconds(10)));
        let policy = created.health_check.clone().unwrap();
        assert!(policy.enabled());
        assert_eq!((policy.interval, policy.timeout, policy.degraded_latency), (seconds(30), seconds(5), seconds(2)));
        assert_eq!((policy.unhealthy_threshold(), policy.healthy_threshold()), (3, 1));
        assert_eq!(created.health.as_ref().unwrap().status(), HealthStatus::Unknown);
        assert!(created.is_default);
        assert_eq!(server.admin().get_endpoint(&created.id).await, created);
    }

    async fn the_first_endpoint_is_the_default_and_the_default_is_passed_on(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let add = async |name: &str, priority: i32, set_default: bool| {
            let endpoint = v1::Endpoint { priority: Some(priority), ..endpoint(&provider.id, name, "https://h/v1") };
            let request = v1::CreateEndpointRequest { endpoint: Some(endpoint), set_default, ..Default::default() };
            server.endpoints().create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap()
        };
        let a = add("a", 5, false).await;
        let b = add("b", 2, false).await;
        let c = add("c", 1, false).await;
        add("d", 1, false).await;
        assert_eq!(listed(server, &provider.id).await, ["a*", "b", "c", "d"]);
        let answer = server.endpoints().set_default_endpoint(set_default(&b.id)).await.unwrap().into_inner().endpoint.unwrap();
        assert!(answer.is_default);
        assert_eq!(listed(server, &provider.id).await, ["a", "b*", "c", "d"]);
        assert_eq!(server.admin().get_endpoint(&a.id).await.revision, answer.revision, "in the same write");
        // Once more changes nothing.
        let again = server.endpoints().set_default_endpoint(set_default(&b.id)).await.unwrap().into_inner().endpoint.unwrap();
        assert_eq!(again.revision, answer.revision);
        server.endpoints().delete_endpoint(delete(&b.id)).await.unwrap();
        assert_eq!(listed(server, &provider.id).await, ["a", "c*", "d"], "the lowest priority, then the oldest");
        server.endpoints().delete_endpoint(delete(&c.id)).await.unwrap();
        assert_eq!(listed(server, &provider.id).await, ["a", "d*"]);
        add("e", 0, true).await;
        assert_eq!(listed(server, &provider.id).await, ["a", "d", "e*"]);
    }

    async fn the_only_endpoint_stays(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let only = server.admin().add_endpoint(endpoint(&provider.id, "only", "https://h/v1")).await;
        server.endpoints().delete_endpoint(delete(&only.id)).await.refused(Code::FailedPrecondition, "LAST_ENDPOINT");
        server.admin().add_endpoint(endpoint(&provider.id, "other", "https://h/v1")).await;
        server.endpoints().delete_endpoint(delete(&only.id)).await.unwrap();
        server.endpoints().delete_endpoint(delete(&only.id)).await.refused(Code::NotFound, "NOT_FOUND");
    }

    async fn names_are_unique_in_the_provider_and_their_number_is_limited(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let other = server.admin().add_provider("q", ProviderKind::Openai).await;
        for number in 0..10 {
            server.admin().add_endpoint(endpoint(&provider.id, &format!("E{number}"), "https://h/v1")).await;
        }
        let create = |provider_id: &str, name: &str| v1::CreateEndpointRequest {
            endpoint: Some(endpoint(provider_id, name, "https://h/v1")),
            ..Default::default()
        };
        server.endpoints().create_endpoint(create(&provider.id, "one more")).await
            .refused(Code::ResourceExhausted, "LIMIT_EXCEEDED").has("limit", "10");
        server.endpoints().create_endpoint(create(&other.id, "E1")).await.unwrap();
        server.endpoints().create_endpoint(create(&other.id, "e1")).await.refused(Code::AlreadyExists, "ALREADY_EXISTS");
    }

    async fn a_carried_message_changes_its_carried_fields_and_a_named_one_is_replaced(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let created = server.admin().add_endpoint(endpoint(&provider.id, "e", "https://h/v1")).await;
        let policy = |interval, timeout| Some(v1::HealthCheckPolicy { interval, timeout, ..Default::default() });
        let both = v1::Endpoint { health_check: policy(seconds(10), seconds(3)), ..Default::default() };
        change(server, &created.id, both).await;
        let one = v1::Endpoint { health_check: policy(seconds(20), None), ..Default::default() };
        let merged = change(server, &created.id, one.clone()).await.health_check.unwrap();
        assert_eq!((merged.interval, merged.timeout), (seconds(20), seconds(3)));

        let leaf = update(&created.id, one.clone(), &["health_check.timeout"]);
        let merged = server.endpoints().update_endpoint(leaf).await.unwrap().into_inner().endpoint.unwrap();
        let merged = merged.health_check.unwrap();
        assert_eq!((merged.interval, merged.timeout), (seconds(20), seconds(5)), "named and not carried: its default");

        let whole = v1::Endpoint { health_check: policy(None, seconds(4)), ..Default::default() };
        let whole = update(&created.id, whole, &["health_check"]);
        let merged = server.endpoints().update_endpoint(whole).await.unwrap().into_inner().endpoint.unwrap();
        let merged = merged.health_check.unwrap();
        assert_eq!((merged.interval, merged.timeout), (seconds(30), seconds(4)));
    }

    async fn the_provider_of_an_endpoint_is_immutable(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let other = server.admin().add_provider("q", ProviderKind::Openai).await;
        let created = server.admin().add_endpoint(endpoint(&provider.id, "e", "https://h/v1")).await;
        let moved = v1::Endpoint { provider_id: Some(other.id.clone()), ..Default::default() };
        server.endpoints().update_endpoint(update(&created.id, moved.clone(), &["provider_id"])).await
            .refused(Code::InvalidArgument, "INVALID_MASK");
        server.endpoints().update_endpoint(update(&created.id, moved, &[])).await
            .refused(Code::InvalidArgument, "INVALID_FIELD").names(&["endpoint.provider_id"]);
        let same = v1::Endpoint { provider_id: Some(provider.id), weight: Some(7), ..Default::default() };
        assert_eq!(change(server, &created.id, same).await.weight(), 7);
    }

    async fn an_unknown_provider_is_not_found(server: &Server) {
        let nobody = "0199aaaa-0000-7000-8000-000000000000";
        let create = v1::CreateEndpointRequest { endpoint: Some(endpoint(nobody, "e", "https://h/v1")), ..Default::default() };
        server.endpoints().create_endpoint(create).await.refused(Code::NotFound, "NOT_FOUND");
        let list = v1::ListEndpointsRequest { provider_id: nobody.into(), ..Default::default() };
        server.endpoints().list_endpoints(list).await.refused(Code::NotFound, "NOT_FOUND");
        server.endpoints().pick_endpoint(pick(nobody, &[])).await.refused(Code::NotFound, "NOT_FOUND");
    }

    async fn a_check_tells_what_the_vendor_does_now(server: &Server) {
        let vendor = Vendor::start().await;
        let provider = server.admin().add_provider("p", ProviderKind::OpenaiCompatible).await;
        let policy = v1::HealthCheckPolicy { timeout: seconds(1), degraded_latency: Some(prost_types::Duration { seconds: 0, nanos: 200_000_000 }), ..Default::default() };
        let there = v1::Endpoint { health_check: Some(policy), ..endpoint(&provider.id, "e", &vendor.url()) };
        let there = server.admin().add_endpoint(there).await;

        let health = check(server, &there.id).await;
        assert_eq!(health.status(), HealthStatus::Healthy, "{health:?}");
        assert!(health.latency.is_some() && health.last_check_time.is_some());
        let shown = server.admin().get_endpoint(&there.id).await;
        assert_eq!(shown.health.unwrap().status(), HealthStatus::Healthy, "kept");
        assert_eq!(shown.revision, there.revision, "status is not configuration");

        vendor.set_mode(Mode::Failing(503));
        let health = check(server, &there.id).await;
        assert_eq!((health.status(), health.cause(), health.http_status), (HealthStatus::Unhealthy, HealthCause::HttpStatus, 503));
        vendor.set_mode(Mode::Failing(429));
        let health = check(server, &there.id).await;
        assert_eq!((health.status(), health.cause()), (HealthStatus::Degraded, HealthCause::RateLimited));
        vendor.set_mode(Mode::Slow(Duration::from_millis(400)));
        let health = check(server, &there.id).await;
        assert_eq!((health.status(), health.cause()), (HealthStatus::Degraded, HealthCause::Slow));
        vendor.set_mode(Mode::Slow(Duration::from_secs(30)));
        let health = check(server, &there.id).await;
        assert_eq!((health.status(), health.cause()), (HealthStatus::Unhealthy, HealthCause::Timeout));
        let address = vendor.stop().await;
        let health = check(server, &there.id).await;
        assert_eq!((health.status(), health.cause()), (HealthStatus::Unhealthy, HealthCause::Connect));
        let again = Vendor::start_at(address).await;
        assert_eq!(check(server, &there.id).await.status(), HealthStatus::Healthy);
        assert!(again.seen().iter().all(|seen| seen.authorization().is_none()), "probes carry no credential");
    }

    async fn lists_are_filtered_by_health(server: &Server) {
        let vendor = Vendor::start().await;
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let up = server.admin().add_endpoint(endpoint(&provider.id, "up", &vendor.url())).await;
        let down = server.admin().add_endpoint(endpoint(&provider.id, "down", "http://127.0.0.1:1/v1")).await;
        server.admin().add_endpoint(endpoint(&provider.id, "unknown", "http://127.0.0.1:1/v1")).await;
        check(server, &up.id).await;
        check(server, &down.id).await;
        for (status, name) in [
            (HealthStatus::Healthy, "up"), (HealthStatus::Unhealthy, "down"), (HealthStatus::Unknown, "unknown"),
        ] {
            let request = v1::ListEndpointsRequest { health_status: Some(status.into()), ..Default::default() };
            let found = server.endpoints().list_endpoints(request).await.unwrap().into_inner();
            assert_eq!(found.endpoints.iter().map(v1::Endpoint::name).collect::<Vec<_>>(), [name]);
            assert_eq!(found.endpoints[0].health.as_ref().unwrap().status(), status);
        }
    }

    async fn endpoints_share_by_weight_within_the_lowest_tier(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let add = async |name: &str, priority: i32, weight: i32| {
            let endpoint = v1::Endpoint {
                priority: Some(priority), weight: Some(weight), ..endpoint(&provider.id, name, "http://127.0.0.1:1/v1")
            };
            server.admin().add_endpoint(endpoint).await
        };
        let heavy = add("heavy", 0, 3).await;
        let light = add("light", 0, 1).await;
        let spare = add("spare", 1, 100).await;
        assert_eq!(picks(server, &provider.id, 40).await, shares([("heavy", 30), ("light", 10)]));

        let picked = server.endpoints().pick_endpoint(pick(&provider.id, &[&heavy.id])).await.unwrap();
        assert_eq!(picked.into_inner().endpoint.unwrap().name(), "light");
        let picked = server.endpoints().pick_endpoint(pick(&provider.id, &[&heavy.id, &light.id])).await.unwrap();
        assert_eq!(picked.into_inner().endpoint.unwrap().name(), "spare");
        server.endpoints().pick_endpoint(pick(&provider.id, &[&heavy.id, &light.id, &spare.id])).await
            .refused(Code::Unavailable, "NO_HEALTHY_ENDPOINT").says_when_to_retry();

        let off = v1::Endpoint { is_active: Some(false), ..Default::default() };
        change(server, &heavy.id, off.clone()).await;
        assert_eq!(picks(server, &provider.id, 4).await, shares([("light", 4)]));
        change(server, &light.id, off.clone()).await;
        assert_eq!(picks(server, &provider.id, 4).await, shares([("spare", 4)]));
        change(server, &spare.id, off).await;
        server.endpoints().pick_endpoint(pick(&provider.id, &[])).await.refused(Code::FailedPrecondition, "NO_ENDPOINT");
    }

    async fn health_that_changes_is_felt_by_the_next_pick(server: &Server) {
        let (one, two) = (Vendor::start().await, Vendor::start().await);
        let provider = server.admin().add_provider("p", ProviderKind::OpenaiCompatible).await;
        let first = server.admin().add_endpoint(endpoint(&provider.id, "first", &one.url())).await;
        let second = server.admin().add_endpoint(endpoint(&provider.id, "second", &two.url())).await;
        assert_eq!(picks(server, &provider.id, 4).await, shares([("first", 2), ("second", 2)]));
        one.set_mode(Mode::Failing(500));
        check(server, &first.id).await;
        assert_eq!(picks(server, &provider.id, 4).await, shares([("second", 4)]));
        two.set_mode(Mode::Failing(429));
        check(server, &second.id).await;
        assert_eq!(picks(server, &provider.id, 4).await, shares([("second", 4)]), "degraded serves when nothing else does");
        one.set_mode(Mode::Ok);
        check(server, &first.id).await;
        assert_eq!(picks(server, &provider.id, 4).await, shares([("first", 4)]), "degraded gives way");
        one.set_mode(Mode::Failing(500));
        two.set_mode(Mode::Failing(500));
        check(server, &first.id).await;
        check(server, &second.id).await;
        server.endpoints().pick_endpoint(pick(&provider.id, &[])).await
            .refused(Code::Unavailable, "NO_HEALTHY_ENDPOINT").says_when_to_retry();
    }

    async fn a_disabled_provider_serves_nobody_but_is_still_configured(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let there = server.admin().add_endpoint(endpoint(&provider.id, "e", "http://127.0.0.1:1/v1")).await;
        let off = v1::UpdateProviderStatusRequest { id: provider.id.clone(), is_active: Some(false), ..Default::default() };
        server.providers().update_provider_status(off).await.unwrap();
        server.endpoints().pick_endpoint(pick(&provider.id, &[])).await.refused(Code::FailedPrecondition, "PROVIDER_DISABLED");
        assert_eq!(change(server, &there.id, v1::Endpoint { weight: Some(3), ..Default::default() }).await.weight(), 3);
        let missing = v1::UpdateProviderStatusRequest { id: provider.id, ..Default::default() };
        server.providers().update_provider_status(missing).await.refused(Code::InvalidArgument, "INVALID_FIELD").names(&["is_active"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_background_checks_find_out_by_themselves() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let server = Server::start_with(engine, |settings| settings.health.enabled = true).await;
        let vendor = Vendor::start().await;
        let provider = server.admin().add_provider("p", ProviderKind::OpenaiCompatible).await;
        let policy = v1::HealthCheckPolicy {
            interval: seconds(1),
            timeout: seconds(1),
            unhealthy_threshold: Some(2),
            ..Default::default()
        };
        let there = v1::Endpoint { health_check: Some(policy), ..endpoint(&provider.id, "e", &vendor.url()) };
        let there = server.admin().add_endpoint(there).await;
        let turns = async |wanted: HealthStatus| {
            let what = format!("{} on {engine:?}", wanted.as_str_name());
            eventually(&what, || async {
                let health = server.admin().get_endpoint(&there.id).await.health.unwrap();
                (health.status() == wanted).then_some(health)
            })
            .await
        };
        turns(HealthStatus::Healthy).await;
        vendor.set_mode(Mode::Failing(500));
        let down = turns(HealthStatus::Unhealthy).await;
        assert!(down.consecutive_failures >= 2, "{down:?}");
        vendor.set_mode(Mode::Ok);
        turns(HealthStatus::Healthy).await;
        assert_eq!(server.admin().get_endpoint(&there.id).await.revision, there.revision);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_inside_the_network_is_saved_and_never_called_for_a_public_vendor() {
    let server = Server::start_with(Engine::Sqlite, |settings| settings.egress.allow_private = false).await;
    let vendor = Vendor::start().await;
    let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
    let own = server.admin().add_provider("own", ProviderKind::Vllm).await;
    for url in [vendor.url(), "http://169.254.169.254/latest".into(), "http://[::ffff:127.0.0.1]:1/v1".into()] {
        let there = server.admin().add_endpoint(endpoint(&provider.id, &url, &url)).await;
        let health = check(&server, &there.id).await;
        assert_eq!(health.cause(), HealthCause::AddressRefused, "{url}: {health:?}");
        assert!(!health.message.contains("127.0.0.1") && !health.message.contains("169.254"), "{}", health.message);
    }
    assert_eq!(vendor.seen().len(), 0);
    let metadata = server.admin().add_endpoint(endpoint(&own.id, "m", "http://169.254.169.254/latest")).await;
    assert_eq!(check(&server, &metadata.id).await.cause(), HealthCause::AddressRefused);
    let local = server.admin().add_endpoint(endpoint(&own.id, "l", &vendor.url())).await;
    assert_ne!(check(&server, &local.id).await.cause(), HealthCause::AddressRefused);
}
