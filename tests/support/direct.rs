//! The guarded client without a server around it: adapters are asked directly, with a resolver of the test.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use modelward::adapter::{Authority, Catalogue, Client, ClientConfig, Pending, Resolve, Subject, Target, for_kind};
use modelward::domain::credential::AllowedHosts;
use modelward::domain::endpoint::{BaseUrl, Endpoint, HealthCheckPolicy, Host, RetryPolicy};
use modelward::domain::health::HealthCause;
use modelward::domain::model::ModelType;
use modelward::domain::provider::ProviderKind;
use modelward::domain::secret::{CredentialSecret, SecretText};
use modelward::domain::{Id, Meta, SystemClock};
use tokio::time::Instant;
use uuid::Uuid;

/// Answers these, one after the other, then from the beginning again.
struct Scripted(Mutex<VecDeque<Vec<SocketAddr>>>);

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, _name: &'a str, _port: u16) -> Pending<'a, io::Result<Vec<SocketAddr>>> {
        let mut script = self.0.lock().unwrap();
        script.rotate_left(1);
        let answer = script.back().cloned().unwrap_or_default();
        Box::pin(async move { Ok(answer) })
    }
}

/// A client for which every name resolves to the next answer of the script.
pub fn client(script: &[&[&str]], port: u16, allow_private: bool) -> Client {
    let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), port);
    let script = script.iter().map(|answer| answer.iter().map(address).collect()).collect();
    let config = ClientConfig { allow_private, ..ClientConfig::default() };
    Client::with_resolver(&config, Arc::new(SystemClock), Arc::new(Scripted(Mutex::new(script)))).unwrap()
}

fn endpoint(url: &str) -> Endpoint {
    let brief = Duration::from_millis(1);
    Endpoint {
        id: Id::new(Uuid::from_u128(1)),
        provider_id: Id::new(Uuid::from_u128(1)),
        meta: Meta::default(),
        name: "e".into(),
        base_url: BaseUrl::parse(url).unwrap(),
        api_version: String::new(),
        region: "us-east-1".into(),
        connect_timeout: Duration::from_millis(20),
        read_timeout: Duration::from_secs(1),
        retry: RetryPolicy { max_attempts: 3, initial_backoff: brief, max_backoff: brief },
        is_default: true,
        is_active: true,
        priority: 0,
        weight: 1,
        health_check: HealthCheckPolicy { timeout: Duration::from_millis(50), ..HealthCheckPolicy::default() },
    }
}

/// Asks everything in the name of a kind, with a key that may be sent to `host`; the cause that the probe tells.
pub async fn ask(client: &Client, kind: ProviderKind, url: &str, key: &str, host: &Host) -> HealthCause {
    let endpoint = endpoint(url);
    let text = |text: &str| Some(SecretText::new(text.into()));
    let secret = CredentialSecret { api_key: text(key), secret_key: text(key), ..CredentialSecret::default() };
    let hosts = AllowedHosts::new([host.clone()], true);
    let authority = Some(Authority::new(&secret, &hosts, Id::new(Uuid::from_u128(1))));
    let target = Target { kind, endpoint: &endpoint, authority, deadline: Instant::now() + Duration::from_secs(5) };
    let (adapter, catalogue) = (for_kind(kind), Catalogue::builtin().unwrap());
    adapter.validate(client, &target).await;
    drop(adapter.list_models(client, &catalogue, &target).await);
    adapter.test_model(client, &target, Subject { model_id: "m", model_type: ModelType::Chat }).await;
    adapter.probe(client, &endpoint).await.cause
}

/// The host of a base URL.
pub fn host_of(url: &str) -> Host {
    BaseUrl::parse(url).unwrap().host().clone()
}
