//! Everything that leaves the server about one base URL: a check, a synchronisation, a validation, a test.

use modelward::proto::v1::{self, HealthCause, ProviderKind};
use tonic::Status;

use crate::support::resources::{credential, endpoint, model, provider};
use crate::support::server::Caller;

/// What came of it.
#[derive(Debug)]
pub enum Asked {
    /// The base URL was refused when it was to be saved.
    Unwritable,
    All(Box<Answers>),
}

#[derive(Debug)]
pub struct Answers {
    pub health: v1::EndpointHealth,
    pub sync: Result<v1::SyncModelsResponse, Box<Status>>,
    pub validation: v1::CredentialValidation,
    pub availability: v1::ModelAvailability,
}

impl Asked {
    pub fn was_refused(&self) -> bool {
        matches!(self, Self::All(answers) if answers.health.cause() == HealthCause::AddressRefused)
    }
}

/// A provider with one endpoint, a credential and a model.
pub struct Subject {
    admin: Caller,
    provider: String,
    /// Absent where no such endpoint may be.
    rest: Option<Rest>,
}

struct Rest {
    endpoint: String,
    credential: String,
    model: String,
}

/// Short times: what may be connected to and is not there costs a tenth of a second.
fn hasty(mut endpoint: v1::Endpoint) -> v1::Endpoint {
    let brief = Some(prost_types::Duration { seconds: 0, nanos: 100_000_000 });
    endpoint.connect_timeout = brief;
    endpoint.read_timeout = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    endpoint.region = Some("us-east-1".into());
    endpoint.retry = Some(v1::RetryPolicy { max_attempts: Some(1), ..Default::default() });
    let timeout = Some(prost_types::Duration { seconds: 0, nanos: 300_000_000 });
    endpoint.health_check = Some(v1::HealthCheckPolicy { timeout, ..Default::default() });
    endpoint
}

impl Subject {
    pub async fn new(admin: &Caller, kind: ProviderKind, base_url: &str) -> Self {
        let name = format!("p{}", fastrand::u64(..));
        let provider = admin.try_provider(provider(&name, kind)).await.unwrap().id;
        let request = v1::CreateEndpointRequest {
            endpoint: Some(hasty(endpoint(&provider, "e", base_url))),
            ..Default::default()
        };
        let rest = match admin.endpoints().create_endpoint(request).await {
            Err(refused) => {
                let refusal = crate::support::Refusal::of(&refused);
                refusal.names(&["endpoint.base_url"]);
                None
            }
            Ok(created) => {
                let mut wanted = credential(&provider, "c", "AKIA0123456789abcdef");
                wanted.secret.as_mut().unwrap().secret_key = Some("0123456789abcdef0123456789abcdef".into());
                let credential = admin.add_credential(wanted).await.id;
                let model = admin.add_model(model(&provider, "some-model")).await.id;
                Some(Rest { endpoint: created.into_inner().endpoint.unwrap().id, credential, model })
            }
        };
        Self { admin: admin.clone(), provider, rest }
    }

    pub async fn ask(&self) -> Asked {
        let Some(Rest { endpoint, credential, model }) = &self.rest else { return Asked::Unwritable };
        let admin = &self.admin;
        let request = v1::CheckEndpointHealthRequest { id: endpoint.clone() };
        let checked = admin.endpoints().check_endpoint_health(request).await.unwrap().into_inner();
        let request = v1::SyncModelsRequest { provider_id: self.provider.clone(), ..Default::default() };
        let sync = admin.models().sync_models(request).await;
        let request = v1::ValidateCredentialRequest { id: credential.clone() };
        let validated = admin.credentials().validate_credential(request).await.unwrap().into_inner();
        let request = v1::TestModelRequest { id: model.clone() };
        let tested = admin.models().test_model(request).await.unwrap().into_inner();
        Asked::All(Box::new(Answers {
            health: checked.endpoint.unwrap().health.unwrap(),
            sync: sync.map(tonic::Response::into_inner).map_err(Box::new),
            validation: validated.credential.unwrap().validation.unwrap(),
            availability: tested.model.unwrap().availability.unwrap(),
        }))
    }
}
