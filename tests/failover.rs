//! Our own calls to vendors: which endpoint is asked first, which next, and what is learnt of them on the way.

use std::time::Duration;

use modelward::proto::v1::{self, HealthCause, HealthStatus, ProviderKind, ValidationStatus};
use tonic::{Code, Response, Status};

use crate::support::resources::{credential, endpoint, model, seconds};
use crate::support::vendor::{KEY, Mode, Vendor};
use crate::support::{Engine, Refused as _, Server, eventually, for_each_engine};

/// A provider whose endpoints are at these vendors, in these tiers; the first is its default.
struct Account {
    provider: String,
    endpoints: Vec<v1::Endpoint>,
    credential: String,
}

async fn account(server: &Server, vendors: &[(&Vendor, i32)]) -> Account {
    let provider = server.admin().add_provider("p", ProviderKind::OpenaiCompatible).await.id;
    let mut endpoints = Vec::new();
    for (number, (vendor, tier)) in vendors.iter().enumerate() {
        let wanted = v1::Endpoint {
            priority: Some(*tier),
            retry: Some(v1::RetryPolicy { max_attempts: Some(1), ..Default::default() }),
            health_check: Some(v1::HealthCheckPolicy { timeout: tenths(5), ..Default::default() }),
            ..endpoint(&provider, &format!("e{number}"), &vendor.url())
        };
        endpoints.push(server.admin().add_endpoint(wanted).await);
    }
    let credential = server.admin().add_credential(credential(&provider, "c", KEY)).await.id;
    Account { provider, endpoints, credential }
}

const fn tenths(tenths: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds: 0, nanos: tenths * 100_000_000 })
}

/// How often a vendor was asked for something with the key.
fn asked(vendor: &Vendor) -> usize {
    vendor.seen().iter().filter(|seen| seen.authorization().is_some()).count()
}

async fn sync(server: &Server, account: &Account) -> Result<Response<v1::SyncModelsResponse>, Status> {
    let request = v1::SyncModelsRequest { provider_id: account.provider.clone(), ..Default::default() };
    server.models().sync_models(request).await
}

async fn validate(server: &Server, account: &Account) -> ValidationStatus {
    let request = v1::ValidateCredentialRequest { id: account.credential.clone() };
    let answer = server.credentials().validate_credential(request).await.unwrap().into_inner();
    answer.credential.unwrap().validation.unwrap().status()
}

async fn health(server: &Server, endpoint: &v1::Endpoint) -> Option<v1::EndpointHealth> {
    server.admin().get_endpoint(&endpoint.id).await.health.filter(|health| health.status() != HealthStatus::Unknown)
}

async fn becomes_degraded(server: &Server, endpoint: &v1::Endpoint) -> v1::EndpointHealth {
    eventually("it is degraded", || async {
        health(server, endpoint).await.filter(|health| health.status() == HealthStatus::Degraded)
    })
    .await
}

for_each_engine! {
    async fn a_synchronisation_asks_the_default_first_and_then_as_routing_would(server: &Server) {
        let (default, last, second) = (Vendor::start().await, Vendor::start().await, Vendor::start().await);
        let account = account(server, &[(&default, 9), (&last, 5), (&second, 1)]).await;
        for vendor in [&default, &last, &second] {
            vendor.list(&["m"]);
        }
        sync(server, &account).await.unwrap();
        assert_eq!([asked(&default), asked(&second), asked(&last)], [1, 0, 0]);
        default.set_mode(Mode::Failing(503));
        sync(server, &account).await.unwrap();
        assert_eq!([asked(&default), asked(&second), asked(&last)], [2, 1, 0]);
        // Now it is known to fail, and is not the first any more.
        becomes_degraded(server, &account.endpoints[0]).await;
        second.set_mode(Mode::Failing(500));
        sync(server, &account).await.unwrap();
        assert_eq!([asked(&default), asked(&second), asked(&last)], [2, 2, 1]);
        becomes_degraded(server, &account.endpoints[2]).await;
        last.set_mode(Mode::Failing(502));
        sync(server, &account).await.refused(Code::Unavailable, "PROVIDER_ERROR");
        assert_eq!([asked(&default), asked(&second), asked(&last)], [3, 3, 2], "all were tried");
    }

    async fn validation_and_tests_go_as_routing_would_from_the_start(server: &Server) {
        let (default, first) = (Vendor::start().await, Vendor::start().await);
        let account = account(server, &[(&default, 9), (&first, 1)]).await;
        default.list(&["m"]);
        first.list(&["m"]);
        assert_eq!(validate(server, &account).await, ValidationStatus::Valid);
        let id = server.admin().add_model(model(&account.provider, "m")).await.id;
        let test = async || {
            let request = v1::TestModelRequest { id: id.clone() };
            let answer = server.models().test_model(request).await.unwrap().into_inner();
            answer.model.unwrap().availability.unwrap().status()
        };
        assert_eq!(test().await, v1::AvailabilityStatus::Available);
        assert_eq!([asked(&first), asked(&default)], [2, 0]);
        // Nobody is there any more: the other one decides.
        first.stop().await;
        assert_eq!(validate(server, &account).await, ValidationStatus::Valid);
        assert_eq!(test().await, v1::AvailabilityStatus::Available);
        assert_eq!(asked(&default), 2);
        let health = becomes_degraded(server, &account.endpoints[1]).await;
        assert!(health.consecutive_failures <= 1, "one probe at most: {health:?}");
    }

    async fn what_is_about_the_key_leaves_the_health_of_the_endpoint_alone(server: &Server) {
        let (vendor, other) = (Vendor::start().await, Vendor::start().await);
        let account = account(server, &[(&vendor, 1)]).await;
        for (status, verdict) in [(401, ValidationStatus::Invalid), (403, ValidationStatus::Valid), (402, ValidationStatus::Valid)] {
            vendor.set_mode(Mode::Failing(status));
            assert_eq!(validate(server, &account).await, verdict, "{status}");
            sync(server, &account).await.refused(Code::Unavailable, "PROVIDER_ERROR");
        }
        // What is reported later is shown, what is about the key is not.
        other.set_mode(Mode::Failing(500));
        let wanted = endpoint(&account.provider, "other", &other.url());
        let later = server.admin().add_endpoint(v1::Endpoint { priority: Some(0), ..wanted }).await;
        validate(server, &account).await;
        becomes_degraded(server, &later).await;
        assert_eq!(health(server, &account.endpoints[0]).await, None);
    }

    async fn a_vendor_that_asks_to_be_spared_is_degraded_and_never_down(server: &Server) {
        let vendor = Vendor::start().await;
        let account = account(server, &[(&vendor, 0)]).await;
        vendor.set_mode(Mode::Failing(429));
        for _ in 0..5 {
            validate(server, &account).await;
        }
        let limited = eventually("a probe has found it so", || async {
            health(server, &account.endpoints[0]).await.filter(|health| health.cause() == HealthCause::RateLimited)
        })
        .await;
        assert_eq!((limited.status(), limited.consecutive_failures), (HealthStatus::Degraded, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_default_that_hangs_leaves_time_for_the_next() {
    let server =
        Server::start_with(Engine::Sqlite, |settings| settings.egress.call_budget = Duration::from_secs(4)).await;
    let (hanging, sound) = (Vendor::start().await, Vendor::start().await);
    let account = account(&server, &[(&hanging, 0), (&sound, 1)]).await;
    hanging.set_mode(Mode::Slow(Duration::from_mins(5)));
    sound.list(&["m"]);
    assert_eq!(sync(&server, &account).await.unwrap().into_inner().added, 1);
    assert_eq!(account.endpoints[0].read_timeout, seconds(60), "its own timeout is far away");
    becomes_degraded(&server, &account.endpoints[0]).await;
    assert_eq!(health(&server, &account.endpoints[1]).await, None);
}
