//! A credential only reaches the hosts that it is bound to.
//!
//! Each way to move the target begins with a provider that works: its key, a canary, arrives at its vendor. Then an
//! editor or the vendor moves the target, everything that sends keys is asked for, and two hosts that keep every byte
//! are searched: nothing of the canary may be at the other host, and nothing at the vendor under another name than the
//! one that is allowed.

mod names;
mod special;
mod ways;

use futures_util::stream::{self, StreamExt as _};
use modelward::proto::v1::{self, ProviderKind, Role};
use tempfile::TempDir;

use self::ways::{Way, ways};
use super::report;
use super::s1::canary::{Canary, Finder};
use crate::support::process::Process;
use crate::support::recorder::Recorder;
use crate::support::resources::{credential, endpoint, model, provider};
use crate::support::server::Caller;
use crate::support::{Engine, Server};

/// Ways at a time.
const AT_ONCE: usize = 8;

/// A provider that works, and another host.
pub struct Stage {
    pub admin: Caller,
    pub editor: Caller,
    /// Where the key may go.
    pub vendor: Recorder,
    /// Where it may not.
    pub other: Recorder,
    pub provider: String,
    pub endpoint: String,
    pub credential: String,
    pub model: String,
    canary: Canary,
    /// What is tried before it is stored is bound to the same hosts. Absent where an editor may name others, because the
    /// secret is then his own.
    tried_first: Option<Canary>,
}

impl Stage {
    async fn new(admin: Caller, editor: Caller, way: &Way) -> Self {
        let (vendor, other) = (Recorder::start().await, Recorder::start_everywhere().await);
        let kind = way.kind();
        let provider = admin.try_provider(provider(&format!("p{}", fastrand::u64(..)), kind)).await.unwrap().id;
        let at = hasty(endpoint(&provider, "first", &format!("http://{}/v1", vendor.address)));
        let endpoint = admin.add_endpoint(at).await.id;
        let (canary, tried_first) = (Canary::new(), Canary::new());
        let mut wanted = credential(&provider, "c", &canary.0);
        // Whatever was given explicitly stays; what was not follows the endpoints of admins.
        if way.lists_hosts() {
            wanted.allowed_hosts = vec![format!("http://{}", vendor.address)];
        }
        wanted.secret.as_mut().unwrap().secret_key = Some(canary.0.clone());
        let credential = admin.add_credential(wanted).await.id;
        let model = admin.add_model(model(&provider, &way.model_id(&vendor, &other))).await.id;
        let tried_first = (!way.replaces_the_secret()).then_some(tried_first);
        Self { admin, editor, vendor, other, provider, endpoint, credential, model, canary, tried_first }
    }

    /// Everything that sends keys.
    pub async fn ask(&self) {
        for caller in [&self.admin, &self.editor] {
            let sync = v1::SyncModelsRequest { provider_id: self.provider.clone(), force: true, ..Default::default() };
            drop(caller.models().sync_models(sync).await);
            let validate = v1::ValidateCredentialRequest { id: self.credential.clone() };
            drop(caller.credentials().validate_credential(validate).await);
            let test = v1::TestModelRequest { id: self.model.clone() };
            drop(caller.models().test_model(test).await);
        }
        if let Some(Canary(key)) = &self.tried_first {
            let (api_key, secret_key) = (Some(key.clone()), Some(key.clone()));
            let rotate = v1::RotateCredentialRequest {
                id: self.credential.clone(),
                secret: Some(v1::CredentialSecret { api_key, secret_key, ..Default::default() }),
                validate_first: true,
                validate_only: true,
                ..Default::default()
            };
            drop(self.admin.credentials().rotate_credential(rotate).await);
        }
        let list = v1::ListEndpointsRequest { provider_id: self.provider.clone(), ..Default::default() };
        if let Ok(endpoints) = self.admin.endpoints().list_endpoints(list).await {
            for endpoint in endpoints.into_inner().endpoints {
                let check = v1::CheckEndpointHealthRequest { id: endpoint.id };
                drop(self.editor.endpoints().check_endpoint_health(check).await);
            }
        }
    }

    fn finder(&self) -> Finder {
        let mut finder = Finder::default();
        finder.add("the key", &self.canary);
        if let Some(canary) = &self.tried_first {
            finder.add("the key that is tried first", canary);
        }
        finder
    }

    /// Whether the key has arrived where it belongs.
    fn works(&self) -> bool {
        let finder = self.finder();
        self.vendor.arrived().iter().any(|bytes| finder.find(bytes).is_some())
    }

    /// What arrived where it does not belong.
    fn leaks(&self) -> Vec<String> {
        let finder = self.finder();
        let elsewhere = self.other.arrived();
        let allowed = format!("\r\nhost: {}\r\n", self.vendor.address);
        let is_allowed = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).to_ascii_lowercase().contains(&allowed);
        let renamed = self.vendor.arrived().into_iter().filter(|bytes| !is_allowed(bytes));
        elsewhere.into_iter().chain(renamed).filter_map(|bytes| finder.find(&bytes)).collect()
    }
}

fn hasty(mut endpoint: v1::Endpoint) -> v1::Endpoint {
    let brief = |nanos| Some(prost_types::Duration { seconds: 0, nanos });
    endpoint.connect_timeout = brief(200_000_000);
    endpoint.read_timeout = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    endpoint.region = Some("us-east-1".into());
    let (initial_backoff, max_backoff) = (brief(1_000_000), brief(1_000_000));
    endpoint.retry = Some(v1::RetryPolicy { max_attempts: Some(2), initial_backoff, max_backoff });
    let timeout = brief(500_000_000);
    endpoint.health_check = Some(v1::HealthCheckPolicy { timeout, ..Default::default() });
    endpoint
}

/// Goes a way; what leaked, and whether anything came to the other host.
async fn go(admin: Caller, editor: Caller, way: &Way) -> (Vec<String>, usize) {
    let stage = Stage::new(admin, editor, way).await;
    stage.ask().await;
    assert!(stage.works(), "{way:?} begins with a provider that works");
    way.go(&stage).await;
    stage.ask().await;
    (stage.leaks(), stage.other.connections())
}

async fn nothing_gets_out(engine: Engine) {
    let server = Server::start_with(engine, |settings| settings.health.enabled = true).await;
    let (admin, editor) = (server.admin().clone(), server.as_role(Role::Editor).await);
    let ways = ways();
    assert!(ways.len() >= 50);
    let went = ways.iter().map(|way| {
        let (admin, editor) = (admin.clone(), editor.clone());
        async move { (way, go(admin, editor, way).await) }
    });
    let went: Vec<_> = stream::iter(went).buffer_unordered(AT_ONCE).collect().await;
    let leaks: Vec<_> = went.iter().filter(|(_, (leaks, _))| !leaks.is_empty()).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    let visited = went.iter().filter(|(_, (_, connections))| *connections > 0).count();
    // Probes carry no key and go to wherever an endpoint is: the other host does record.
    assert!(visited > 10, "{visited}");
    report(&format!("h2 on {engine:?}: {} ways, {visited} of them visited the other host: 0 keys", went.len()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_no_key_leaves_its_hosts_on_sqlite() {
    nothing_gets_out(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_no_key_leaves_its_hosts_on_postgres() {
    nothing_gets_out(Engine::Postgres).await;
}

/// What an admin moves takes the key along: the same search finds it there, and under another name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_the_search_finds_a_key_that_was_taken_along() {
    let server = Server::start(Engine::Sqlite).await;
    for (url, kind) in [
        ("http://{b}/v1", ProviderKind::OpenaiCompatible),
        ("http://{b}", ProviderKind::Anthropic),
        ("http://{b}", ProviderKind::AwsBedrock),
        ("http://localhost:{pa}/v1", ProviderKind::Gemini),
    ] {
        let way = Way::AdminMovesTo(kind, url);
        let (leaks, _) = go(server.admin().clone(), server.admin().clone(), &way).await;
        assert!(!leaks.is_empty(), "{way:?}");
    }
}

/// No proxy of the environment is asked, for any kind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_no_proxy_of_the_environment_gets_a_key() {
    let proxy = Recorder::start().await;
    let url = format!("http://{}", proxy.address);
    let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "PROXY"];
    let mut variables: Vec<_> = names.iter().map(|name| (*name, url.as_str())).collect();
    variables.extend([("NO_PROXY", ""), ("MODELWARD_EGRESS__ALLOW_PRIVATE", "true")]);
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &variables);
    for kind in [ProviderKind::Openai, ProviderKind::Anthropic, ProviderKind::Gemini, ProviderKind::AwsBedrock] {
        let stage = Stage::new(process.admin(), process.admin(), &Way::AdminMovesTo(kind, "")).await;
        stage.ask().await;
        assert!(stage.works(), "{kind:?}");
    }
    assert_eq!(proxy.connections(), 0);
}
