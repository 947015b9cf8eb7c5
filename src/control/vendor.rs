//! Our own calls to vendors: synchronisation, validation and tests share how they find their way, how long they may take,
//! and what becomes of what they learn about the endpoints.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Control;
use super::secret_use::current;
use crate::adapter::{Ailment, Authority};
use crate::domain::credential::Credential;
use crate::domain::endpoint::Endpoint;
use crate::domain::provider::Provider;
use crate::domain::secret::CredentialSecret;
use crate::domain::{CallContext, Error, Result};
use crate::routing::{self, Missing};
use crate::snapshot::{Sealed, Snapshot};

mod sync;
mod trial;
mod validate;

/// What is left for the answer when the caller's own deadline is near.
const RESERVE: Duration = Duration::from_millis(100);

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
    /// Passes on that an endpoint failed a call of ours that began at `begun`. Silence counts only where it was longer
    /// than a probe would have waited: the caller may have had little time.
    fn tell_of(&self, endpoint: &Endpoint, ailment: Option<Ailment>, begun: Instant) {
        let counts = match ailment {
            Some(Ailment::Failing) => true,
            Some(Ailment::Silent) => begun.elapsed() >= endpoint.health_check.timeout,
            None => false,
        };
        if counts {
            // Of many failures few act.
            let _ = self.parts.failures.try_send(endpoint.id);
        }
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
        self.reads.parts.vault.open(credential, version, snapshot)
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

/// Until when one endpoint is asked: half of the time that is left, where another one could be asked after it.
fn share(deadline: Instant, is_last: bool) -> Instant {
    let now = Instant::now();
    if is_last { deadline } else { now + deadline.saturating_duration_since(now) / 2 }
}

fn active(provider: Arc<Provider>) -> Result<Arc<Provider>> {
    if provider.is_active { Ok(provider) } else { Err(Error::ProviderDisabled { provider_id: provider.id.uuid() }) }
}
