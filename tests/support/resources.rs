//! Resources as tests need them: the shortest request that makes one.

use modelward::proto::v1::{self, ProviderKind};

use super::server::Caller;
use super::vendor::{KEY, Vendor};

pub fn provider(name: &str, kind: ProviderKind) -> v1::Provider {
    v1::Provider { name: Some(name.to_owned()), kind: Some(kind.into()), ..Default::default() }
}

pub fn endpoint(provider_id: &str, name: &str, base_url: &str) -> v1::Endpoint {
    v1::Endpoint {
        provider_id: Some(provider_id.to_owned()),
        name: Some(name.to_owned()),
        base_url: Some(base_url.to_owned()),
        ..Default::default()
    }
}

pub fn secret(api_key: &str) -> v1::CredentialSecret {
    v1::CredentialSecret { api_key: Some(api_key.to_owned()), ..Default::default() }
}

pub fn credential(provider_id: &str, alias: &str, api_key: &str) -> v1::Credential {
    v1::Credential {
        provider_id: Some(provider_id.to_owned()),
        alias: Some(alias.to_owned()),
        secret: Some(secret(api_key)),
        ..Default::default()
    }
}

pub fn model(provider_id: &str, model_id: &str) -> v1::Model {
    v1::Model { provider_id: Some(provider_id.to_owned()), model_id: Some(model_id.to_owned()), ..Default::default() }
}

pub fn to_model(id: &str) -> Option<v1::binding::Target> {
    Some(v1::binding::Target::ModelId(id.to_owned()))
}

pub fn to_provider(id: &str) -> Option<v1::binding::Target> {
    Some(v1::binding::Target::ProviderId(id.to_owned()))
}

pub fn binding(consumer: &str, target: Option<v1::binding::Target>) -> v1::Binding {
    v1::Binding { consumer: Some(consumer.to_owned()), target, ..Default::default() }
}

pub fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().map(ToString::to_string).collect() })
}

pub const fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// The time so many seconds from now.
#[expect(clippy::disallowed_methods, reason = "a request is about the real time")]
pub fn in_seconds(seconds: i64) -> Option<prost_types::Timestamp> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Some(prost_types::Timestamp { seconds: i64::try_from(now.as_secs()).unwrap() + seconds, nanos: 0 })
}

impl Caller {
    pub async fn add_provider(&self, name: &str, kind: ProviderKind) -> v1::Provider {
        self.try_provider(provider(name, kind)).await.unwrap()
    }

    pub async fn try_provider(&self, provider: v1::Provider) -> Result<v1::Provider, tonic::Status> {
        let request = v1::CreateProviderRequest { provider: Some(provider), ..Default::default() };
        Ok(self.providers().create_provider(request).await?.into_inner().provider.unwrap())
    }

    pub async fn get_provider(&self, id: &str) -> v1::Provider {
        let request = v1::GetProviderRequest { id: id.to_owned() };
        self.providers().get_provider(request).await.unwrap().into_inner().provider.unwrap()
    }

    pub async fn add_endpoint(&self, endpoint: v1::Endpoint) -> v1::Endpoint {
        let request = v1::CreateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
        self.endpoints().create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap()
    }

    pub async fn get_endpoint(&self, id: &str) -> v1::Endpoint {
        let request = v1::GetEndpointRequest { id: id.to_owned() };
        self.endpoints().get_endpoint(request).await.unwrap().into_inner().endpoint.unwrap()
    }

    pub async fn add_credential(&self, credential: v1::Credential) -> v1::Credential {
        let request = v1::CreateCredentialRequest { credential: Some(credential), ..Default::default() };
        self.credentials().create_credential(request).await.unwrap().into_inner().credential.unwrap()
    }

    pub async fn get_credential(&self, id: &str) -> v1::Credential {
        let request = v1::GetCredentialRequest { id: id.to_owned() };
        self.credentials().get_credential(request).await.unwrap().into_inner().credential.unwrap()
    }

    pub async fn add_model(&self, model: v1::Model) -> v1::Model {
        let request = v1::CreateModelRequest { model: Some(model), ..Default::default() };
        self.models().create_model(request).await.unwrap().into_inner().model.unwrap()
    }

    pub async fn get_model(&self, id: &str) -> v1::Model {
        let request = v1::GetModelRequest { id: id.to_owned() };
        self.models().get_model(request).await.unwrap().into_inner().model.unwrap()
    }

    pub async fn add_binding(&self, binding: v1::Binding) -> v1::Binding {
        let request = v1::CreateBindingRequest { binding: Some(binding), ..Default::default() };
        self.bindings().create_binding(request).await.unwrap().into_inner().binding.unwrap()
    }

    pub async fn get_binding(&self, id: &str) -> v1::Binding {
        let request = v1::GetBindingRequest { id: id.to_owned() };
        self.bindings().get_binding(request).await.unwrap().into_inner().binding.unwrap()
    }

    /// A provider of this kind with an endpoint at the vendor and the vendor's key.
    pub async fn add_account(&self, name: &str, kind: ProviderKind, vendor: &Vendor) -> Account {
        let provider = self.add_provider(name, kind).await;
        self.add_endpoint(endpoint(&provider.id, "main", &vendor.url())).await;
        let credential = self.add_credential(credential(&provider.id, "main", KEY)).await;
        Account { provider, credential }
    }
}

/// A provider that works.
pub struct Account {
    pub provider: v1::Provider,
    pub credential: v1::Credential,
}
