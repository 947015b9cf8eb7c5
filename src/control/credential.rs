//! Mutations of credentials. Secrets pass through on their way to the writer, which seals them.

use std::sync::Arc;

use super::{Control, Mutation, expect_answer};
use crate::adapter;
use crate::changes::keys::opens;
use crate::domain::credential::input::{CredentialInput, parse_hosts};
use crate::domain::credential::rotation::{self, NewSecret, Rotation};
use crate::domain::credential::{AllowedHosts, Credential, ValidationStatus, plan};
use crate::domain::plan::check_revision;
use crate::domain::secret::CredentialSecret;
use crate::domain::{CallContext, CredentialId, Error, Mask, ResourceKind, Result, Revision, View as _};
use crate::snapshot::Sealed;

/// A request to replace a secret; its shape was checked.
pub struct RotationRequest {
    pub secret: CredentialSecret,
    pub grace_period: std::time::Duration,
    /// Asks the vendor first, and changes nothing when it refuses.
    pub validate_first: bool,
    pub allowed_hosts: Vec<String>,
}

impl Control {
    /// # Errors
    /// As [`plan::create`], and what the writer meets.
    pub async fn create_credential(&self, mutation: Mutation, input: CredentialInput) -> Result<Arc<Credential>> {
        let secret = input.secret.clone().ok_or_else(|| Error::field("credential.secret", "required"))?;
        let secret = self.new_secret(secret);
        expect_answer!(
            self.write(mutation, move |view, context| plan::create(&input, &secret, adapter::hosts(), view, context))
                .await?,
            Credential
        )
    }

    /// # Errors
    /// As [`plan::update`], and what the writer meets.
    pub async fn update_credential(
        &self,
        mutation: Mutation,
        id: CredentialId,
        input: CredentialInput,
        mask: Mask,
        expected: Option<Revision>,
    ) -> Result<Arc<Credential>> {
        let secret = input.secret.clone().map(|secret| self.new_secret(secret));
        expect_answer!(
            self.write(mutation, move |view, context| plan::update(
                id,
                &input,
                &mask,
                secret.as_ref(),
                expected,
                view,
                context
            ))
            .await?,
            Credential
        )
    }

    /// # Errors
    /// [`Error::SecretRefused`], [`Error::ProviderError`]; as [`rotation::rotate`]; what the writer meets.
    pub async fn rotate_credential(
        &self,
        mutation: Mutation,
        id: CredentialId,
        request: RotationRequest,
        expected: Option<Revision>,
    ) -> Result<Arc<Credential>> {
        let secret = Arc::new(request.secret);
        if request.validate_first {
            if let Some(answer) = self.answered(&mutation).await? {
                return expect_answer!(answer, Credential);
            }
            self.try_secret(&mutation.call, id, &secret, &request.allowed_hosts, expected).await?;
        }
        let rotation = Rotation {
            secret: self.new_secret(secret),
            grace_period: request.grace_period,
            allowed_hosts: request.allowed_hosts,
        };
        expect_answer!(
            self.write(mutation, move |view, context| rotation::rotate(id, &rotation, expected, view, context)).await?,
            Credential
        )
    }

    /// Asks the vendor about a secret before it is stored.
    async fn try_secret(
        &self,
        call: &CallContext,
        id: CredentialId,
        secret: &CredentialSecret,
        allowed_hosts: &[String],
        expected: Option<Revision>,
    ) -> Result<()> {
        let snapshot = self.snapshot().load();
        let mut credential = Credential::clone(&*snapshot.live_credential(id)?);
        check_revision(ResourceKind::Credential, id.uuid(), expected, credential.meta.revision)?;
        if !allowed_hosts.is_empty() {
            credential.allowed_hosts = AllowedHosts::new(parse_hosts(allowed_hosts)?, true);
        }
        let provider = snapshot.live_provider(credential.provider_id)?;
        let verdict = self.ask_with(&provider, &credential, secret, self.deadline(call), &snapshot).await;
        match verdict.status {
            Some(ValidationStatus::Valid | ValidationStatus::Unsupported) => Ok(()),
            Some(ValidationStatus::Invalid) => {
                Err(Error::SecretRefused { cause: verdict.cause.name(), message: verdict.message })
            }
            _ => Err(Error::ProviderError { http_status: verdict.http_status, message: verdict.message }),
        }
    }

    /// # Errors
    /// As [`plan::revoke`], and what the writer meets.
    pub async fn revoke_credential(
        &self,
        mutation: Mutation,
        id: CredentialId,
        expected: Option<Revision>,
    ) -> Result<Arc<Credential>> {
        expect_answer!(
            self.write(mutation, move |view, context| plan::revoke(id, expected, view, context)).await?,
            Credential
        )
    }

    /// # Errors
    /// As [`plan::delete`], and what the writer meets.
    pub async fn delete_credential(
        &self,
        mutation: Mutation,
        id: CredentialId,
        expected: Option<Revision>,
    ) -> Result<()> {
        self.write(mutation, move |view, context| plan::delete(id, expected, view, context)).await.map(drop)
    }

    /// Hands out a secret: first the record of it is committed, then the secret is opened. Version 0 is the current
    /// one.
    ///
    /// # Errors
    /// As [`plan::access`]; [`Error::SecretUnreadable`]; what the writer meets.
    pub async fn access_credential(
        &self,
        mutation: Mutation,
        id: CredentialId,
        version: i64,
    ) -> Result<(CredentialSecret, i64)> {
        let before = self.snapshot().load();
        let call = mutation.call.clone();
        let credential = expect_answer!(
            self.write(mutation, move |view, context| plan::access(id, version, view, context)).await?,
            Credential
        )?;
        let version = if version == 0 { credential.secret_version } else { version };
        let after = self.snapshot().load();
        // A rotation right behind the access may have taken the version away, which the record is of.
        let snapshot = if after.sealed(id, version).is_some() { after } else { before };
        let secret = self.open(&credential, version, &snapshot)?;
        self.record_secret_uses(&call, std::iter::once((credential.id, version))).await?;
        Ok((secret, version))
    }

    /// Whether this process can open a stored secret: it holds the master key, and the secret is what was sealed here.
    #[must_use]
    pub fn opens(&self, sealed: &Sealed) -> bool {
        opens(self.secrets(), sealed)
    }

    fn new_secret(&self, secret: Arc<CredentialSecret>) -> NewSecret {
        let fingerprint = self.secrets().fingerprint(&secret);
        NewSecret { secret, fingerprint }
    }
}
