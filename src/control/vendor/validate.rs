//! Asking vendors about keys.

use std::sync::Arc;

use tokio::time::Instant;

use super::{active, share};
use crate::adapter::{self, Authority, KeyVerdict, Target};
use crate::control::Control;
use crate::domain::credential::{Credential, Validation, ValidationCause};
use crate::domain::image::StatusValue;
use crate::domain::provider::Provider;
use crate::domain::secret::CredentialSecret;
use crate::domain::{CallContext, CredentialId, Result, View as _};
use crate::routing::{self, Prefer};
use crate::snapshot::Snapshot;

impl Control {
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
    pub(in crate::control) async fn ask_with(
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
        let mut route = route.into_iter();
        while let Some(endpoint) = route.next() {
            let (begun, until) = (Instant::now(), share(deadline, route.len() == 0));
            let authority = Some(authority);
            let target = Target { kind: provider.kind, endpoint: &endpoint, authority, deadline: until };
            last = adapter.validate(&self.parts.client, &target).await;
            self.tell_of(&endpoint, last.ailment, begun);
            if !last.try_elsewhere || Instant::now() >= deadline {
                break;
            }
        }
        last
    }
}
