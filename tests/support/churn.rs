//! Writes at random, of every kind of resource: load under which promises are looked at.

use modelward::proto::v1::{self, ProviderKind};
use tonic::{Code, Status};

use super::Refusal;
use super::resources::{credential, endpoint, mask, model, provider, secret};
use super::server::Caller;

/// One writer. Its resources are its own, but for the defaults, over which all writers quarrel.
pub struct Churn {
    caller: Caller,
    name: String,
    random: fastrand::Rng,
    providers: Vec<String>,
    endpoints: Vec<String>,
    credentials: Vec<String>,
    models: Vec<String>,
    made: usize,
}

impl Churn {
    pub fn new(caller: Caller, name: impl Into<String>, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        let (name, none) = (name.into(), Vec::new);
        Self {
            caller,
            name,
            random,
            providers: none(),
            endpoints: none(),
            credentials: none(),
            models: none(),
            made: 0,
        }
    }

    /// One write; whether it was acknowledged. What the rules refuse counts as not, and so does what a database that a busy
    /// machine starves did not do in time; everything else is a failure.
    ///
    /// # Panics
    /// When the server fails.
    pub async fn step(&mut self) -> bool {
        match self.write().await {
            Ok(()) => true,
            Err(status) => {
                let by_rule = [Code::NotFound, Code::AlreadyExists, Code::FailedPrecondition, Code::ResourceExhausted];
                let is_late =
                    ["STORE_UNAVAILABLE", "DEADLINE_EXCEEDED"].contains(&Refusal::of(&status).reason.as_str());
                assert!(is_late || by_rule.contains(&status.code()), "{status:?}");
                false
            }
        }
    }

    async fn write(&mut self) -> Result<(), Status> {
        let dice = self.random.u32(..100);
        if self.providers.is_empty() || (dice < 6 && self.providers.len() < 6) {
            return self.new_provider().await;
        }
        match dice {
            0..20 => self.new_endpoint().await,
            20..35 => self.new_credential().await,
            35..55 => self.new_model().await,
            55..90 => self.change().await,
            _ => self.remove().await,
        }
    }

    fn fresh(&mut self) -> String {
        self.made += 1;
        format!("{}-{}", self.name, self.made)
    }

    fn any(&mut self, which: fn(&Self) -> &Vec<String>) -> String {
        let number = self.random.usize(..which(self).len().max(1));
        which(self).get(number).cloned().unwrap_or_else(|| uuid::Uuid::max().to_string())
    }

    async fn new_provider(&mut self) -> Result<(), Status> {
        let kind = if self.random.bool() { ProviderKind::Openai } else { ProviderKind::Ollama };
        let provider = provider(&self.fresh(), kind);
        let made = self.caller.try_provider(provider).await?;
        self.providers.push(made.id);
        Ok(())
    }

    async fn new_endpoint(&mut self) -> Result<(), Status> {
        let (provider, name) = (self.any(|s| &s.providers), self.fresh());
        let host = self.random.u8(..);
        let endpoint = Some(endpoint(&provider, &name, &format!("http://127.0.0.{host}:1/v1")));
        let request = v1::CreateEndpointRequest { endpoint, set_default: self.random.bool(), ..Default::default() };
        let made = self.caller.endpoints().create_endpoint(request).await?.into_inner();
        self.endpoints.push(made.endpoint.unwrap().id);
        Ok(())
    }

    async fn new_credential(&mut self) -> Result<(), Status> {
        let (provider, alias) = (self.any(|s| &s.providers), self.fresh());
        let credential = Some(credential(&provider, &alias, &format!("sk-{alias}-0123456789")));
        let request = v1::CreateCredentialRequest { credential, ..Default::default() };
        let made = self.caller.credentials().create_credential(request).await?.into_inner();
        self.credentials.push(made.credential.unwrap().id);
        Ok(())
    }

    async fn new_model(&mut self) -> Result<(), Status> {
        let (provider, name) = (self.any(|s| &s.providers), self.fresh());
        let model = Some(model(&provider, &name));
        let request = v1::CreateModelRequest { model, set_default: self.random.bool(), ..Default::default() };
        let made = self.caller.models().create_model(request).await?.into_inner();
        self.models.push(made.model.unwrap().id);
        Ok(())
    }

    async fn change(&mut self) -> Result<(), Status> {
        let fresh = self.fresh();
        let text = Some(fresh.clone());
        match self.random.u32(..8) {
            0 => {
                let id = self.any(|s| &s.providers);
                let provider = Some(v1::Provider { id, description: text, ..Default::default() });
                let request = v1::UpdateProviderRequest { provider, ..Default::default() };
                self.caller.providers().update_provider(request).await.map(drop)
            }
            1 => {
                let (id, is_active) = (self.any(|s| &s.providers), Some(self.random.bool()));
                let request = v1::UpdateProviderStatusRequest { id, is_active, ..Default::default() };
                self.caller.providers().update_provider_status(request).await.map(drop)
            }
            2 => {
                let endpoint = v1::Endpoint { id: self.any(|s| &s.endpoints), region: text, ..Default::default() };
                let request = v1::UpdateEndpointRequest { endpoint: Some(endpoint), ..Default::default() };
                self.caller.endpoints().update_endpoint(request).await.map(drop)
            }
            3 => {
                let request = v1::SetDefaultEndpointRequest { id: self.any(|s| &s.endpoints), ..Default::default() };
                self.caller.endpoints().set_default_endpoint(request).await.map(drop)
            }
            4 => {
                let secret = Some(secret(&format!("sk-{fresh}-9876543210")));
                let grace_period = super::resources::seconds(i64::from(self.random.u8(..2)) * 3600);
                let id = self.any(|s| &s.credentials);
                let request = v1::RotateCredentialRequest { id, secret, grace_period, ..Default::default() };
                self.caller.credentials().rotate_credential(request).await.map(drop)
            }
            5 => {
                let id = self.any(|s| &s.credentials);
                let request = v1::AccessCredentialRequest { id, ..Default::default() };
                self.caller.credentials().access_credential(request).await.map(drop)
            }
            6 => {
                let model = Some(v1::Model { id: self.any(|s| &s.models), description: text, ..Default::default() });
                let update_mask = mask(&["description", "version"]);
                let request = v1::UpdateModelRequest { model, update_mask, ..Default::default() };
                self.caller.models().update_model(request).await.map(drop)
            }
            _ => {
                let request = v1::SetDefaultModelRequest { id: self.any(|s| &s.models), ..Default::default() };
                self.caller.models().set_default_model(request).await.map(drop)
            }
        }
    }

    async fn remove(&mut self) -> Result<(), Status> {
        match self.random.u32(..8) {
            0..2 => {
                let id = self.any(|s| &s.endpoints);
                let request = v1::DeleteEndpointRequest { id, ..Default::default() };
                self.caller.endpoints().delete_endpoint(request).await.map(drop)
            }
            2..4 => {
                let id = self.any(|s| &s.credentials);
                let request = v1::DeleteCredentialRequest { id, ..Default::default() };
                self.caller.credentials().delete_credential(request).await.map(drop)
            }
            4..6 => {
                let request = v1::DeleteModelRequest { id: self.any(|s| &s.models), ..Default::default() };
                self.caller.models().delete_model(request).await.map(drop)
            }
            6 => {
                let request = v1::DeleteProviderRequest { id: self.any(|s| &s.providers), ..Default::default() };
                self.caller.providers().delete_provider(request.clone()).await?;
                if self.random.bool() {
                    let request = v1::UndeleteProviderRequest { id: request.id, ..Default::default() };
                    return self.caller.providers().undelete_provider(request).await.map(drop);
                }
                self.providers.retain(|provider| *provider != request.id);
                Ok(())
            }
            _ => {
                let id = self.any(|s| &s.providers);
                let request = v1::DeleteProviderRequest { id: id.clone(), purge: true, ..Default::default() };
                self.caller.providers().delete_provider(request).await?;
                self.providers.retain(|provider| *provider != id);
                Ok(())
            }
        }
    }
}
