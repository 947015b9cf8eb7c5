//! A client in Rust: the README's path from a provider to picking an endpoint, then it removes what it made.
//!
//! ```text
//! cargo run -- serve                  # in one terminal
//! cargo run --example mock_vendor     # in another
//! cargo run --example rust
//! ```

#![expect(clippy::print_stdout, reason = "a program's output")]

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context as _;
use clap::Parser;
use modelward::proto::v1::credential_service_client::CredentialServiceClient;
use modelward::proto::v1::endpoint_service_client::EndpointServiceClient;
use modelward::proto::v1::model_service_client::ModelServiceClient;
use modelward::proto::v1::provider_service_client::ProviderServiceClient;
use modelward::proto::v1::{
    Capability, CheckEndpointHealthRequest, CreateCredentialRequest, CreateEndpointRequest, CreateProviderRequest,
    Credential, CredentialSecret, DeleteProviderRequest, Endpoint, HealthStatus, ListModelsRequest,
    PickEndpointRequest, Provider, ProviderKind, SyncModelsRequest, ValidateCredentialRequest, ValidationStatus,
};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

#[derive(Parser)]
struct Options {
    /// The server's URL.
    #[arg(long, default_value = "http://127.0.0.1:50051")]
    server: String,
    /// A file with an admin's token.
    #[arg(long, default_value = "modelward-data/admin.token")]
    token_file: PathBuf,
    /// The base URL of a server that speaks OpenAI's API.
    #[arg(long, default_value = "http://127.0.0.1:18080/v1")]
    base_url: String,
    /// The key that it wants.
    #[arg(long, default_value = "sk-mock-1234567890abcd")]
    key: String,
}

/// Sends the token with every call.
#[derive(Clone)]
struct Token(MetadataValue<Ascii>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

type Connection = InterceptedService<Channel, Token>;

struct Client {
    providers: ProviderServiceClient<Connection>,
    endpoints: EndpointServiceClient<Connection>,
    credentials: CredentialServiceClient<Connection>,
    models: ModelServiceClient<Connection>,
}

impl Client {
    /// One connection carries all services.
    async fn connect(options: &Options) -> anyhow::Result<Self> {
        let token = std::fs::read_to_string(&options.token_file)
            .with_context(|| format!("cannot read the token in {}", options.token_file.display()))?;
        let token = Token(format!("Bearer {}", token.trim()).parse()?);
        let channel = Channel::from_shared(options.server.clone())?.connect().await?;
        let connection = || InterceptedService::new(channel.clone(), token.clone());
        Ok(Self {
            providers: ProviderServiceClient::new(connection()),
            endpoints: EndpointServiceClient::new(connection()),
            credentials: CredentialServiceClient::new(connection()),
            models: ModelServiceClient::new(connection()),
        })
    }

    async fn make_provider(&mut self) -> Result<String, Status> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        let provider = Provider {
            name: Some(format!("rust-client-{now}")),
            kind: Some(ProviderKind::OpenaiCompatible.into()),
            ..Provider::default()
        };
        // With a request id the call can be repeated after a lost answer: the provider is made once.
        let request_id = format!("rust-client-{now}");
        let request = CreateProviderRequest { provider: Some(provider), request_id, ..Default::default() };
        let made = self.providers.create_provider(request).await?.into_inner().provider.unwrap_or_default();
        println!("provider {} has the id {}", made.name(), made.id);
        Ok(made.id)
    }

    async fn add_endpoint(&mut self, provider_id: &str, base_url: &str) -> Result<(), Status> {
        let endpoint = Endpoint {
            provider_id: Some(provider_id.to_owned()),
            name: Some("local".to_owned()),
            base_url: Some(base_url.to_owned()),
            ..Endpoint::default()
        };
        let request = CreateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
        let made = self.endpoints.create_endpoint(request).await?.into_inner().endpoint.unwrap_or_default();
        let check = CheckEndpointHealthRequest { id: made.id };
        let checked = self.endpoints.check_endpoint_health(check).await?.into_inner().endpoint.unwrap_or_default();
        let (url, health) = (checked.base_url().to_owned(), checked.health.unwrap_or_default());
        println!("endpoint {url}: {} {}", health.status().as_str_name(), health.message);
        expect(health.status() == HealthStatus::Healthy, "the endpoint is healthy")
    }

    async fn add_credential(&mut self, provider_id: &str, key: &str) -> Result<(), Status> {
        let secret = CredentialSecret { api_key: Some(key.to_owned()), ..CredentialSecret::default() };
        let credential = Credential {
            provider_id: Some(provider_id.to_owned()),
            alias: Some("main".to_owned()),
            secret: Some(secret),
            ..Credential::default()
        };
        let request = CreateCredentialRequest { credential: Some(credential), ..Default::default() };
        let made = self.credentials.create_credential(request).await?.into_inner().credential.unwrap_or_default();
        let request = ValidateCredentialRequest { id: made.id };
        let answer = self.credentials.validate_credential(request).await?.into_inner();
        let verdict = answer.credential.unwrap_or_default().validation.unwrap_or_default();
        println!("credential {}: {} {}", made.hint, verdict.status().as_str_name(), verdict.message);
        expect(verdict.status() == ValidationStatus::Valid, "the credential is valid")
    }

    async fn list_models(&mut self, provider_id: &str) -> Result<(), Status> {
        let request = SyncModelsRequest { provider_id: provider_id.to_owned(), ..Default::default() };
        let synced = self.models.sync_models(request).await?.into_inner();
        println!("{} models were added", synced.added);
        let request = ListModelsRequest {
            provider_id: provider_id.to_owned(),
            capabilities: vec![Capability::FunctionCalling.into()],
            usable: Some(true),
            ..Default::default()
        };
        let able = self.models.list_models(request).await?.into_inner();
        for model in &able.models {
            println!("  {} can call functions, window {}", model.model_id(), model.context_window());
        }
        expect(!able.models.is_empty(), "a model can call functions")
    }

    async fn pick(&mut self, provider_id: &str) -> Result<(), Status> {
        let request = PickEndpointRequest { provider_id: provider_id.to_owned(), ..Default::default() };
        let picked = self.endpoints.pick_endpoint(request).await?.into_inner().endpoint.unwrap_or_default();
        println!("use {}", picked.base_url());
        Ok(())
    }

    async fn path(&mut self, provider_id: &str, options: &Options) -> Result<(), Status> {
        self.add_endpoint(provider_id, &options.base_url).await?;
        self.add_credential(provider_id, &options.key).await?;
        self.list_models(provider_id).await?;
        self.pick(provider_id).await
    }

    async fn remove(&mut self, provider_id: String) -> Result<(), Status> {
        let request = DeleteProviderRequest { id: provider_id, purge: true, ..Default::default() };
        self.providers.delete_provider(request).await.map(drop)
    }
}

fn expect(holds: bool, what: &str) -> Result<(), Status> {
    if holds { Ok(()) } else { Err(Status::failed_precondition(format!("expected that {what}"))) }
}

/// Every error of the server has a reason that programs can rely on; the message is for people.
fn told(status: &Status) -> anyhow::Error {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    anyhow::anyhow!("{:?} {reason}: {}", status.code(), status.message())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut client = Client::connect(&options).await?;
    let provider_id = client.make_provider().await.map_err(|status| told(&status))?;
    let walked = client.path(&provider_id, &options).await;
    client.remove(provider_id).await.map_err(|status| told(&status))?;
    walked.map_err(|status| told(&status))?;
    println!("done");
    Ok(())
}
