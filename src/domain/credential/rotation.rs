//! How a secret gives way to another one.
//!
//! At most two versions of a secret exist: the current one, and for a while the one before.

use std::sync::Arc;
use std::time::Duration;

use super::input::parse_hosts;
use super::plan::changed;
use super::{AllowedHosts, Credential};
use crate::domain::change::ResourceKind;
use crate::domain::error::Result;
use crate::domain::id::CredentialId;
use crate::domain::plan::{Plan, PlanContext, SealOrder, check_revision};
use crate::domain::revision::Revision;
use crate::domain::secret::CredentialSecret;
use crate::domain::view::View;

/// A secret on its way in, with what only the holder of the fingerprint key can tell of it.
#[derive(Clone)]
pub struct NewSecret {
    pub secret: Arc<CredentialSecret>,
    pub fingerprint: String,
}

/// What a rotation is to do.
#[derive(Clone)]
pub struct Rotation {
    pub secret: NewSecret,
    /// How long the old secret stays readable; zero: not at all.
    pub grace_period: Duration,
    /// A new explicit list; empty: the list stays as it is.
    pub allowed_hosts: Vec<String>,
}

/// Replaces the secret of a credential, revoked or not. The new one serves at once.
///
/// # Errors
/// [`Error::NotFound`](crate::domain::Error::NotFound),
/// [`Error::RevisionMismatch`](crate::domain::Error::RevisionMismatch).
pub fn rotate(
    id: CredentialId,
    rotation: &Rotation,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let current = view.live_credential(id)?;
    check_revision(ResourceKind::Credential, id.uuid(), expected, current.meta.revision)?;
    let mut next = Credential::clone(&current);
    if !rotation.allowed_hosts.is_empty() {
        // Who brings the secret may say where it goes.
        next.allowed_hosts = AllowedHosts::new(parse_hosts(&rotation.allowed_hosts)?, true);
    }
    Ok(replace_secret(current, next, &rotation.secret, rotation.grace_period, context))
}

/// Completes `next`, a changed `current`, with a new secret.
pub(super) fn replace_secret(
    current: Arc<Credential>,
    mut next: Credential,
    new: &NewSecret,
    grace_period: Duration,
    context: &PlanContext<'_>,
) -> Plan {
    let (id, old) = (current.id, current.secret_version);
    next.secret_version = old.saturating_add(1);
    next.hint = new.secret.hint();
    next.rotate_time = Some(context.now);
    // The secret that was revoked does not become good by being stored again.
    if new.fingerprint != current.fingerprint {
        next.revoke_time = None;
    }
    next.fingerprint.clone_from(&new.fingerprint);
    let end = (!grace_period.is_zero()).then(|| context.now.after(grace_period));
    next.previous_secret_expire_time = end;
    let older = current.previous_secret_expire_time.is_some().then(|| (id, Some(old.saturating_sub(1))));
    let replaced = end.is_none().then_some((id, Some(old)));
    let seal = SealOrder { credential_id: id, version: next.secret_version, secret: new.secret.clone() };
    Plan {
        seals: vec![seal],
        destroy: older.into_iter().chain(replaced).collect(),
        expire: end.map(|end| (id, old, end)).into_iter().collect(),
        ..changed(current, next, context)
    }
}
