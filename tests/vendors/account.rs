//! A provider at a simulated vendor, and everything that can be asked about it.

use modelward::domain::provider::ProviderKind as Kind;
use tonic::Status;

use super::{Caller, Outcome, Refusal, Row, credential, endpoint, model, provider, v1};

/// The key that the vendor takes; also the id of Bedrock's.
pub const KEY: &str = "AKIA0123456789abcdefXYZ";
/// What Bedrock's calls are signed with.
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

pub struct Account {
    admin: Caller,
    provider: String,
    endpoint: String,
    credential: String,
    model: &'static str,
}

/// The kind as the API names it.
pub fn kind_of(kind: Kind) -> v1::ProviderKind {
    v1::ProviderKind::from_str_name(&format!("PROVIDER_KIND_{}", kind.name().to_ascii_uppercase()))
        .expect("a kind of the API")
}

fn millis(millis: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds: 0, nanos: millis * 1_000_000 })
}

impl Account {
    pub async fn new(admin: &Caller, row: &'static Row, url: &str) -> Self {
        let provider = provider(&format!("p{}", fastrand::u64(..)), kind_of(row.kind));
        let provider = admin.try_provider(provider).await.unwrap().id;
        let retry = v1::RetryPolicy { max_attempts: Some(2), initial_backoff: millis(1), max_backoff: millis(1) };
        let endpoint = admin
            .add_endpoint(v1::Endpoint {
                api_version: Some(row.api_version.to_owned()),
                region: (row.key_header == "sigv4").then(|| "us-east-1".to_owned()),
                connect_timeout: millis(500),
                read_timeout: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
                retry: Some(retry),
                health_check: Some(v1::HealthCheckPolicy { timeout: millis(500), ..Default::default() }),
                ..endpoint(&provider, "e", url)
            })
            .await
            .id;
        let mut wanted = credential(&provider, "c", KEY);
        if row.key_header == "sigv4" {
            wanted.secret.as_mut().unwrap().secret_key = Some(SECRET_KEY.into());
        }
        let credential = admin.add_credential(wanted).await.id;
        Self { admin: admin.clone(), provider, endpoint, credential, model: row.model }
    }

    /// A test of a model that was entered by hand, before its vendor's list has it.
    pub async fn ask_all(&self) -> Outcome {
        let health = self.check().await;
        let validation = self.validate().await;
        let made = self.admin.add_model(model(&self.provider, self.model)).await;
        let availability = self.test(&made.id).await;
        let sync = self.sync().await.map_err(|status| Refusal::of(&status));
        Outcome { sync, validation, health, availability }
    }

    pub async fn sync(&self) -> Result<v1::SyncModelsResponse, Status> {
        let request = v1::SyncModelsRequest { provider_id: self.provider.clone(), ..Default::default() };
        self.admin.models().sync_models(request).await.map(tonic::Response::into_inner)
    }

    pub async fn validate(&self) -> v1::CredentialValidation {
        let request = v1::ValidateCredentialRequest { id: self.credential.clone() };
        let answer = self.admin.credentials().validate_credential(request).await.unwrap();
        answer.into_inner().credential.unwrap().validation.unwrap()
    }

    pub async fn check(&self) -> v1::EndpointHealth {
        let request = v1::CheckEndpointHealthRequest { id: self.endpoint.clone() };
        let answer = self.admin.endpoints().check_endpoint_health(request).await.unwrap();
        answer.into_inner().endpoint.unwrap().health.unwrap()
    }

    pub async fn test(&self, id: &str) -> v1::ModelAvailability {
        let request = v1::TestModelRequest { id: id.to_owned() };
        let answer = self.admin.models().test_model(request).await.unwrap();
        answer.into_inner().model.unwrap().availability.unwrap()
    }

    /// As if it were of another type.
    pub async fn test_as(&self, id: &str, wanted: v1::ModelType) -> v1::ModelAvailability {
        let change = v1::Model { id: id.to_owned(), r#type: Some(wanted.into()), ..Default::default() };
        let request = v1::UpdateModelRequest { model: Some(change), ..Default::default() };
        self.admin.models().update_model(request).await.unwrap();
        self.test(id).await
    }

    pub async fn models(&self) -> Vec<v1::Model> {
        let request = v1::ListModelsRequest { provider_id: self.provider.clone(), ..Default::default() };
        self.admin.models().list_models(request).await.unwrap().into_inner().models
    }
}
