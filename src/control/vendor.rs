//! Our own calls to vendors: synchronisation, validation and tests share how they find their way and how long they
//! may take.

use std::sync::Arc;

use tokio::time::Instant;

use super::secret_use::current;
use super::{Control, Mutation};
use crate::adapter::{self, Authority, KeyVerdict, ModelVerdict, Subject, Target};
use crate::domain::credential::{Credential, Validation, ValidationCause};
use crate::domain::endpoint::Endpoint;
use crate::domain::image::StatusValue;
use crate::domain::model::sync::Listing;
use crate::domain::model::{Availability, AvailabilityCause, Model, SyncSummary, sync};
use crate::domain::provider::{Provider, SyncResult, SyncStatus};
use crate::domain::secret::CredentialSecret;
use crate::domain::{
    Answer, CallContext, CredentialId, Error, ModelId, ProviderId, ResourceKind, Result, Revision, View as _,
    plan::check_revision,
};
use crate::routing::{self, Missing, Prefer};
use crate::snapshot::{Sealed, Snapshot};

/// What is left for the answer when the caller's own deadline is near.
const RESERVE: std::time::Duration = std::time::Duration::from_millis(100);

/// A credential with its secret, opened for one call.
struct Opened {
    credential: Arc<Credential>,
    secret: CredentialSecret,
}

impl Opened {
    fn authority(&self) -> Authority<'_> {
        Authority::new(&self.secret, &self.credential.allowed_hosts, self.credential.id)
    }
}

impl Control {
    /// Fetches the provider's models and takes them over, or only tells what that would do.
    ///
    /// # Errors
    /// [`Error::UnsupportedByProvider`], [`Error::ProviderDisabled`], [`Error::NoEndpoint`],
    /// [`Error::HostNotAllowed`], [`Error::ProviderError`]; as [`sync::sync`]; what the writer meets.
    pub async fn sync_models(
        &self,
        mutation: Mutation,
        id: ProviderId,
        force: bool,
        expected: Option<Revision>,
    ) -> Result<SyncSummary> {
        if let Some(answer) = self.answered(&mutation).await? {
            return summary(answer);
        }
        let snapshot = self.snapshot().load();
        let provider = snapshot.live_provider(id)?;
        check_revision(ResourceKind::Provider, id.uuid(), expected, provider.meta.revision)?;
        let rehearsal = mutation.validate_only;
        let deadline = self.deadline(&mutation.call);
        let claim = mutation.claim.clone();
        let result = self.sync_now(mutation, &provider, force, expected, deadline, &snapshot).await;
        // What a person got wrong says nothing about the vendor.
        if !rehearsal && !matches!(result, Err(Error::ProviderDisabled { .. })) {
            let status = StatusValue::Sync(id, self.sync_status(&result));
            self.parts.statuses.record_under(claim.as_ref(), vec![status]).await;
        }
        result.map(|(summary, _)| summary)
    }

    /// What was done, and what is to be said about the vendor's list.
    async fn sync_now(
        &self,
        mutation: Mutation,
        provider: &Provider,
        force: bool,
        expected: Option<Revision>,
        deadline: Instant,
        snapshot: &Snapshot,
    ) -> Result<(SyncSummary, String)> {
        let listing = self.list_models(&mutation.call, provider, deadline, snapshot).await?;
        let (id, message) = (provider.id, listing.message());
        // The provider may have changed while the vendor was asked: its revision counts when the models are written.
        let plan = self.write(mutation, move |view, context| sync::sync(id, &listing, force, expected, view, context));
        Ok((summary(plan.await?)?, message))
    }

    /// The vendor's list, from the first endpoint that gives one.
    async fn list_models(
        &self,
        call: &CallContext,
        provider: &Provider,
        deadline: Instant,
        snapshot: &Snapshot,
    ) -> Result<Listing> {
        let adapter = adapter::for_kind(provider.kind);
        let mut failed = None;
        for endpoint in routing::order(snapshot, &self.board().load(), provider.id, Prefer::Default)? {
            let opened = match self.open_for(call, provider, &endpoint, snapshot).await {
                Ok(opened) => opened,
                Err(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            };
            let authority = opened.as_ref().map(Opened::authority);
            let target = Target { kind: provider.kind, endpoint: &endpoint, authority, deadline };
            match adapter.list_models(&self.parts.client, &self.parts.catalogue, &target).await {
                Ok(models) => return Ok(Listing::new(models)),
                Err(error) => {
                    let elsewhere = error.is_about_the_endpoint();
                    failed = Some(error.into());
                    if !elsewhere || Instant::now() >= deadline {
                        break;
                    }
                }
            }
        }
        Err(failed.unwrap_or(Error::NoEndpoint { provider_id: provider.id.uuid() }))
    }

    fn sync_status(&self, result: &Result<(SyncSummary, String)>) -> SyncStatus {
        let last_time = self.parts.clock.now();
        match result {
            Ok((summary, message)) => SyncStatus {
                last_time,
                result: SyncResult::Succeeded,
                message: message.clone(),
                added: summary.added,
                updated: summary.updated,
                deprecated: summary.deprecated,
                restored: summary.restored,
                unchanged: summary.unchanged,
            },
            Err(error) => SyncStatus {
                last_time,
                result: SyncResult::Failed,
                message: format!("{:.500}", error.to_string()),
                added: 0,
                updated: 0,
                deprecated: 0,
                restored: 0,
                unchanged: 0,
            },
        }
    }

    /// Asks the vendor about a credential's secret and keeps the verdict.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::ProviderDisabled`]. All else is a verdict.
    pub async fn validate_credential(
        &self,
        call: &CallContext,
        id: CredentialId,
    ) -> Result<(Arc<Credential>, Validation)> {
        let snapshot = self.snapshot().load();
        let credential = snapshot.live_credential(id)?;
        let provider = active(snapshot.live_provider(credential.provider_id)?)?;
        let board = self.board().load();
        let former = board.validation(id).map(|entry| Validation::clone(&***entry)).unwrap_or_default();
        let verdict = self.ask_about(call, &provider, &credential, &snapshot).await;
        let validation = verdict.over(&former, credential.secret_version, self.parts.clock.now());
        self.parts.statuses.record(vec![StatusValue::Validation(id, validation.clone())]).await;
        Ok((credential, validation))
    }

    async fn ask_about(
        &self,
        call: &CallContext,
        provider: &Provider,
        credential: &Arc<Credential>,
        snapshot: &Snapshot,
    ) -> KeyVerdict {
        if credential.revoke_time.is_some() {
            return KeyVerdict::undecided(
                ValidationCause::None,
                "the credential is revoked: its secret is sent nowhere",
            );
        }
        let secret = match self.open_to_send(call, credential, snapshot).await {
            Ok(secret) => secret,
            Err(error) => return KeyVerdict::undecided(ValidationCause::SecretUnreadable, error.to_string()),
        };
        self.ask_with(provider, credential, &secret, self.deadline(call), snapshot).await
    }

    /// Asks the vendor about `secret`, which may not be stored yet, as if it were the credential's.
    pub(super) async fn ask_with(
        &self,
        provider: &Provider,
        credential: &Credential,
        secret: &CredentialSecret,
        deadline: Instant,
        snapshot: &Snapshot,
    ) -> KeyVerdict {
        let adapter = adapter::for_kind(provider.kind);
        let Ok(route) = routing::order(snapshot, &self.board().load(), provider.id, Prefer::Priority) else {
            return KeyVerdict::undecided(ValidationCause::NoEndpoint, "the provider has no active endpoint");
        };
        let authority = Authority::new(secret, &credential.allowed_hosts, credential.id);
        let mut last = KeyVerdict::undecided(ValidationCause::NoEndpoint, "the provider has no active endpoint");
        for endpoint in route {
            let target = Target { kind: provider.kind, endpoint: &endpoint, authority: Some(authority), deadline };
            last = adapter.validate(&self.parts.client, &target).await;
            if !last.try_elsewhere || Instant::now() >= deadline {
                break;
            }
        }
        last
    }

    /// Lets the vendor run a model once, minimally, and keeps the verdict.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::ProviderDisabled`]. All else is a verdict.
    pub async fn test_model(&self, call: &CallContext, id: ModelId) -> Result<(Arc<Model>, Availability)> {
        let snapshot = self.snapshot().load();
        let model = snapshot.live_model(id)?;
        let provider = active(snapshot.live_provider(model.provider_id)?)?;
        let board = self.board().load();
        let former = board.availability(id).map(|entry| Availability::clone(&***entry)).unwrap_or_default();
        let verdict = self.try_model(call, &provider, &model, &snapshot).await;
        let availability = verdict.over(&former, self.parts.clock.now());
        self.parts.statuses.record(vec![StatusValue::Availability(id, availability.clone())]).await;
        Ok((model, availability))
    }

    async fn try_model(
        &self,
        call: &CallContext,
        provider: &Provider,
        model: &Model,
        snapshot: &Snapshot,
    ) -> ModelVerdict {
        let deadline = self.deadline(call);
        let adapter = adapter::for_kind(provider.kind);
        let subject = Subject { model_id: &model.model_id, model_type: model.model_type };
        let mut last = ModelVerdict::undecided(AvailabilityCause::NoEndpoint, "the provider has no active endpoint");
        let Ok(route) = routing::order(snapshot, &self.board().load(), provider.id, Prefer::Priority) else {
            return last;
        };
        for endpoint in route {
            let opened = match self.open_for(call, provider, &endpoint, snapshot).await {
                Ok(opened) => opened,
                Err(Error::HostNotAllowed { host, .. }) => {
                    let message = format!("no credential may be sent to {host}");
                    last = ModelVerdict::undecided(AvailabilityCause::HostNotAllowed, message);
                    continue;
                }
                Err(error) => return ModelVerdict::undecided(AvailabilityCause::NoCredential, error.to_string()),
            };
            let authority = opened.as_ref().map(Opened::authority);
            let target = Target { kind: provider.kind, endpoint: &endpoint, authority, deadline };
            last = adapter.test_model(&self.parts.client, &target, subject).await;
            if !last.try_elsewhere || Instant::now() >= deadline {
                break;
            }
        }
        last
    }

    /// A credential that may be used at this endpoint, opened; none where the kind works without.
    async fn open_for(
        &self,
        call: &CallContext,
        provider: &Provider,
        endpoint: &Endpoint,
        snapshot: &Snapshot,
    ) -> Result<Option<Opened>> {
        let host = endpoint.base_url.host();
        let board = self.board().load();
        let opens = |sealed: &Sealed| self.opens(sealed);
        let found = routing::credential_for(snapshot, &board, self.now(), provider.id, host, opens)?;
        match found {
            Ok(None) => Ok(None),
            Ok(Some(credential)) => {
                let secret = self.open_to_send(call, &credential, snapshot).await?;
                Ok(Some(Opened { credential, secret }))
            }
            Err(Missing::HostNotAllowed { host, credential_id }) => {
                Err(Error::HostNotAllowed { host: host.to_string(), credential_id: credential_id.uuid() })
            }
            Err(Missing::Unreadable { credential_id, key_id }) => {
                Err(Error::SecretUnreadable { credential_id: credential_id.uuid(), key_id })
            }
            Err(Missing::NoneUsable) => Err(Error::ProviderError {
                http_status: None,
                message: "the provider has no usable credential; create one, or enable one".into(),
            }),
        }
    }

    /// Opens the current secret to send it to a vendor, which is recorded.
    async fn open_to_send(
        &self,
        call: &CallContext,
        credential: &Credential,
        snapshot: &Snapshot,
    ) -> Result<CredentialSecret> {
        let secret = self.open(credential, credential.secret_version, snapshot)?;
        self.record_secret_uses(call, std::iter::once(current(credential))).await?;
        Ok(secret)
    }

    /// Opens a version of a credential's secret.
    pub(super) fn open(&self, credential: &Credential, version: i64, snapshot: &Snapshot) -> Result<CredentialSecret> {
        let unreadable =
            |key_id: &str| Error::SecretUnreadable { credential_id: credential.id.uuid(), key_id: key_id.to_owned() };
        let sealed = snapshot.sealed(credential.id, version).ok_or_else(|| unreadable("unknown"))?;
        self.parts.secrets.open(sealed).map_err(|error| {
            tracing::error!(credential.id = %credential.id, error = %error, "a stored secret does not open");
            error.into()
        })
    }

    /// Until when all vendor calls of one request have to be done.
    pub(super) fn deadline(&self, call: &CallContext) -> Instant {
        let budget = Instant::now() + self.parts.call_budget;
        match call.deadline.and_then(|deadline| deadline.checked_sub(RESERVE)) {
            Some(deadline) => budget.min(Instant::from_std(deadline)),
            None => budget,
        }
    }
}

fn summary(answer: Answer) -> Result<SyncSummary> {
    if let Answer::Sync(summary) = answer {
        return Ok(summary);
    }
    tracing::error!("a synchronisation was answered with something else");
    Err(Error::internal())
}

fn active(provider: Arc<Provider>) -> Result<Arc<Provider>> {
    if provider.is_active { Ok(provider) } else { Err(Error::ProviderDisabled { provider_id: provider.id.uuid() }) }
}
