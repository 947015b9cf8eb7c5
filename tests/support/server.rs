//! A server in the test's own process, on free ports, with a database of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use modelward::app::{Api, App, Parts};
use modelward::config::{self, DatabaseUrl, Settings};
use modelward::domain::secret::SecretText;
use modelward::proto::v1;
use modelward::proto::v1::admin_service_client::AdminServiceClient;
use modelward::proto::v1::audit_service_client::AuditServiceClient;
use modelward::proto::v1::binding_service_client::BindingServiceClient;
use modelward::proto::v1::credential_service_client::CredentialServiceClient;
use modelward::proto::v1::endpoint_service_client::EndpointServiceClient;
use modelward::proto::v1::model_service_client::ModelServiceClient;
use modelward::proto::v1::provider_service_client::ProviderServiceClient;
use modelward::proto::v1::routing_service_client::RoutingServiceClient;
use modelward::proto::v1::watch_service_client::WatchServiceClient;
use modelward::store::StoreError;
use modelward::telemetry::Metrics;
use tempfile::TempDir;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::Engine;
use super::database::{Database, run_on_file};
use super::eventually;
use super::postgres::Cluster;
use super::scrape::Scrape;

/// A master key for tests.
pub const MASTER_KEYS: &str = "test:o1rfunDf/cWXVRSBFlFwYq+Rq37dAxaj4gsLBawB80Y=";

/// A running server. It ends with the test's runtime.
pub struct Server {
    /// On the heap: it carries all settings.
    app: Box<App>,
    admin: Caller,
    settings: Settings,
    directory: Arc<TempDir>,
}

impl Server {
    pub async fn start(engine: Engine) -> Self {
        Self::start_with(engine, |_| {}).await
    }

    /// Starts one with other settings than tests have.
    pub async fn start_with(engine: Engine, change: impl FnOnce(&mut Settings)) -> Self {
        let directory = Arc::new(TempDir::new().unwrap());
        let mut settings = settings(directory.path());
        if engine == Engine::Postgres {
            on_postgres(&mut settings, Database::new(engine).await.url().to_owned());
        }
        change(&mut settings);
        Self::run(settings, directory).await
    }

    /// Starts one on a PostgreSQL database that may be another server's, too.
    pub async fn start_on(url: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let directory = Arc::new(TempDir::new().unwrap());
        let mut settings = settings(directory.path());
        on_postgres(&mut settings, url.to_owned());
        change(&mut settings);
        Self::run(settings, directory).await
    }

    /// Starts a second replica beside this one; callers of one are callers of the other.
    pub async fn replica(&self) -> Self {
        let directory = Arc::new(TempDir::new().unwrap());
        let mut settings = self.settings.clone();
        directory.path().clone_into(&mut settings.server.data_dir);
        Self::run(settings, directory).await.with_token_of(self)
    }

    /// The same, with callers that are callers of another server on the same database.
    pub fn with_token_of(mut self, other: &Self) -> Self {
        self.admin.token.clone_from(&other.admin.token);
        self
    }

    async fn run(settings: Settings, directory: Arc<TempDir>) -> Self {
        // On the heap: the futures of a start are large.
        let app = Box::new(Box::pin(started(&settings)).await);
        let scheme = if settings.tls.files().is_some() { "https" } else { "http" };
        let channel = Endpoint::from_shared(format!("{scheme}://{}", app.address)).unwrap().connect_lazy();
        // A replica that found a database with tokens has made none.
        let token = std::fs::read_to_string(settings.admin_token_file()).map(|text| text.trim().to_owned()).ok();
        Self { app, admin: Caller { channel, token }, settings, directory }
    }

    /// Stops it and starts another one on the same database and directory.
    pub async fn restart(self) -> Self {
        Box::pin(self.restart_after(|_| {})).await
    }

    /// The same; something is done to the directory meanwhile.
    pub async fn restart_after(self, meanwhile: impl FnOnce(&Path)) -> Self {
        let Self { app, settings, directory, .. } = self;
        Box::pin(app.stop()).await;
        meanwhile(directory.path());
        Box::pin(Self::run(settings, directory)).await
    }

    pub async fn stop(self) {
        Box::pin(self.app.stop()).await;
    }

    pub fn address(&self) -> SocketAddr {
        self.app.address
    }

    pub fn ops_address(&self) -> SocketAddr {
        self.app.ops_address.unwrap()
    }

    /// What its metrics tell now.
    pub fn scrape(&self) -> Scrape {
        tokio::task::block_in_place(|| Scrape::of(self.ops_address()))
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it is made of: for checks that look behind its API.
    pub fn parts(&self) -> &Parts {
        self.app.parts()
    }

    /// The API without a connection.
    pub fn api(&self) -> Api {
        self.app.api()
    }

    /// Runs SQL behind the store's back.
    pub fn sql(&self, sql: &str) {
        match &self.settings.database.url {
            DatabaseUrl::Postgres(url) => drop(Cluster::shared().sql(url.expose().rsplit('/').next().unwrap(), sql)),
            _ => run_on_file(&self.settings.sqlite_file().unwrap(), sql),
        }
    }

    pub fn admin(&self) -> &Caller {
        &self.admin
    }

    /// A connection that nobody else uses.
    pub fn new_channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.app.address)).unwrap().connect_lazy()
    }

    /// A caller with this text as token.
    pub fn bearer(&self, token: &str) -> Caller {
        Caller { channel: self.admin.channel.clone(), token: Some(token.to_owned()) }
    }

    /// A caller with a new token of this role.
    pub async fn as_role(&self, role: v1::Role) -> Caller {
        let request = v1::CreateTokenRequest {
            name: Some(format!("{} for tests", role.as_str_name())),
            roles: vec![role.into()],
            ..Default::default()
        };
        let answer = self.admin.tokens().create_token(request).await.unwrap().into_inner();
        self.bearer(&answer.secret)
    }

    pub fn providers(&self) -> ProviderServiceClient<Authorized> {
        self.admin.providers()
    }

    pub fn endpoints(&self) -> EndpointServiceClient<Authorized> {
        self.admin.endpoints()
    }

    pub fn credentials(&self) -> CredentialServiceClient<Authorized> {
        self.admin.credentials()
    }

    pub fn models(&self) -> ModelServiceClient<Authorized> {
        self.admin.models()
    }

    pub fn audit(&self) -> AuditServiceClient<Authorized> {
        self.admin.audit()
    }

    pub fn bindings(&self) -> BindingServiceClient<Authorized> {
        self.admin.bindings()
    }

    pub fn routing(&self) -> RoutingServiceClient<Authorized> {
        self.admin.routing()
    }

    pub fn tokens(&self) -> AdminServiceClient<Authorized> {
        self.admin.tokens()
    }

    pub fn watches(&self) -> WatchServiceClient<Authorized> {
        self.admin.watches()
    }
}

/// Starts it; on a file that was just closed as [`Database::open`] does.
async fn started(settings: &Settings) -> App {
    eventually("the server starts", || async {
        // On the heap: settings are large, and moved from hand to hand.
        match Box::pin(App::start(settings.clone(), Metrics::new())).await {
            Err(error) if matches!(error.downcast_ref(), Some(StoreError::Locked { .. })) => None,
            started => Some(started.unwrap_or_else(|error| panic!("{error:#}"))),
        }
    })
    .await
}

/// What tests run with: free ports, no probes in the background, vendors on the loopback interface.
pub fn settings(directory: &Path) -> Settings {
    let mut settings = config::defaults().unwrap();
    directory.clone_into(&mut settings.server.data_dir);
    settings.server.listen = "127.0.0.1:0".parse().unwrap();
    settings.server.ops_listen = Some("127.0.0.1:0".parse().unwrap());
    settings.health.enabled = false;
    settings.sync.enabled = false;
    settings.usage.flush_interval = std::time::Duration::from_millis(200);
    settings.egress.allow_private = true;
    settings
}

fn on_postgres(settings: &mut Settings, url: String) {
    settings.database.url = DatabaseUrl::Postgres(SecretText::new(url));
    settings.secrets.master_keys = Some(SecretText::new(MASTER_KEYS.to_owned()));
}

pub type Authorized = InterceptedService<Channel, Bearer>;

/// A connection and a token.
#[derive(Clone)]
pub struct Caller {
    channel: Channel,
    token: Option<String>,
}

impl Caller {
    pub const fn new(channel: Channel, token: Option<String>) -> Self {
        Self { channel, token }
    }

    /// On a connection that nobody else uses.
    pub fn at(address: SocketAddr, token: Option<String>) -> Self {
        Self::new(Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy(), token)
    }

    fn authorized(&self) -> Authorized {
        InterceptedService::new(self.channel.clone(), Bearer::new(self.token.as_deref()))
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    pub fn providers(&self) -> ProviderServiceClient<Authorized> {
        ProviderServiceClient::new(self.authorized())
    }

    pub fn endpoints(&self) -> EndpointServiceClient<Authorized> {
        EndpointServiceClient::new(self.authorized())
    }

    pub fn credentials(&self) -> CredentialServiceClient<Authorized> {
        CredentialServiceClient::new(self.authorized())
    }

    pub fn models(&self) -> ModelServiceClient<Authorized> {
        ModelServiceClient::new(self.authorized())
    }

    pub fn audit(&self) -> AuditServiceClient<Authorized> {
        AuditServiceClient::new(self.authorized())
    }

    pub fn bindings(&self) -> BindingServiceClient<Authorized> {
        BindingServiceClient::new(self.authorized())
    }

    pub fn routing(&self) -> RoutingServiceClient<Authorized> {
        RoutingServiceClient::new(self.authorized())
    }

    pub fn tokens(&self) -> AdminServiceClient<Authorized> {
        AdminServiceClient::new(self.authorized())
    }

    pub fn watches(&self) -> WatchServiceClient<Authorized> {
        WatchServiceClient::new(self.authorized())
    }
}

/// Sends the token with every call.
#[derive(Clone)]
pub struct Bearer(Option<AsciiMetadataValue>);

impl Bearer {
    pub fn new(token: Option<&str>) -> Self {
        Self(token.map(|token| format!("Bearer {token}").parse().unwrap()))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// The revision that came with an answer.
#[track_caller]
pub fn revision_of(metadata: &MetadataMap) -> i64 {
    metadata.get("modelward-revision").expect("modelward-revision").to_str().unwrap().parse().unwrap()
}
