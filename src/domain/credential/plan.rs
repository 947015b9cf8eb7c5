//! What writes to credentials would do; rotation has its own file.
//!
//! No ordinary write takes the last usable credential from a provider whose kind needs one. Revocation may.

use std::sync::Arc;
use std::time::Duration;

use super::hosts::{self, VendorHosts};
use super::input::{CredentialInput, names_itself, parse_hosts};
use super::rotation::{NewSecret, replace_secret};
use super::{AllowedHosts, Credential};
use crate::domain::caller::Role;
use crate::domain::change::{Operation, Resource, ResourceKind};
use crate::domain::error::{Error, Result};
use crate::domain::id::{CredentialId, Id};
use crate::domain::mask::Mask;
use crate::domain::meta::Meta;
use crate::domain::plan::{Answer, Edit, Plan, PlanContext, SealOrder, changed_fields, changed_within, check_revision};
use crate::domain::provider::Provider;
use crate::domain::revision::Revision;
use crate::domain::text::name_key;
use crate::domain::view::View;

/// Creates a credential and has its secret sealed. The input was checked.
///
/// # Errors
/// [`Error::NotFound`] for the provider, [`Error::LimitExceeded`], [`Error::AlreadyExists`].
pub fn create(
    input: &CredentialInput,
    secret: &NewSecret,
    vendors: &dyn VendorHosts,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let provider_id = input.provider_id.ok_or_else(|| Error::field("credential.provider_id", "required"))?;
    let provider = view.live_provider(provider_id)?;
    let explicit = input.deny_all_hosts || !input.allowed_hosts.is_empty();
    let allowed_hosts = if explicit {
        AllowedHosts::new(parse_hosts(&input.allowed_hosts)?, true)
    } else {
        hosts::implicit(&provider, vendors, view)
    };
    let mut credential = fresh(&provider, secret, allowed_hosts, context);
    input.merge_into(&mut credential, &Mask::Carried)?;
    let siblings = view.credentials_of(provider_id);
    let limit = context.limits.credentials_per_provider;
    if siblings.len() >= limit {
        let (what, setting) = ("credentials of a provider", "limits.credentials_per_provider");
        return Err(Error::LimitExceeded { what, limit, setting });
    }
    check_alias(&credential, &siblings)?;
    let seal =
        SealOrder { credential_id: credential.id, version: credential.secret_version, secret: secret.secret.clone() };
    let resource = Resource::Credential(Arc::new(credential));
    let edits = vec![Edit::create(resource.clone())];
    Ok(Plan { seals: vec![seal], ..Plan::of(edits, Answer::Resource(resource)) })
}

fn fresh(
    provider: &Provider,
    secret: &NewSecret,
    allowed_hosts: AllowedHosts,
    context: &PlanContext<'_>,
) -> Credential {
    Credential {
        id: Id::new(context.ids.next()),
        provider_id: provider.id,
        meta: Meta::created(context),
        alias: String::new(),
        description: String::new(),
        hint: secret.secret.hint(),
        fingerprint: secret.fingerprint.clone(),
        secret_version: 1,
        allowed_hosts,
        expire_time: None,
        quota: None,
        is_active: true,
        revoke_time: None,
        rotate_time: None,
        previous_secret_expire_time: None,
    }
}

/// Changes the fields that `mask` names or `input` carries. `secret` is the input's, given if the mask names it
/// itself: it replaces the stored one, which is destroyed.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`], [`Error::AlreadyExists`], [`Error::LastCredential`];
/// [`Error::Forbidden`] for allowed hosts that neither an admin nor who brings the secret changes;
/// [`Error::InvalidField`] for another provider than the stored one, or a quota that ends up without a limit.
pub fn update(
    id: CredentialId,
    input: &CredentialInput,
    mask: &Mask,
    secret: Option<&NewSecret>,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let current = view.live_credential(id)?;
    check_revision(ResourceKind::Credential, id.uuid(), expected, current.meta.revision)?;
    if *mask == Mask::Carried && input.provider_id.is_some_and(|provider| provider != current.provider_id) {
        return Err(Error::field("credential.provider_id", "cannot be changed; create another credential"));
    }
    let secret = secret.filter(|_| names_itself(mask, "secret"));
    let mut next = Credential::clone(&current);
    input.merge_into(&mut next, mask)?;
    if let Some(hosts) = named_hosts(&current, input, mask)? {
        if !context.is_admin() && secret.is_none() {
            return Err(Error::Forbidden { role: Role::Admin });
        }
        next.allowed_hosts = hosts;
    }
    check_last(&current, Some(&next), view, context)?;
    check_alias(&next, &view.credentials_of(current.provider_id))?;
    Ok(match secret {
        Some(secret) => replace_secret(current, next, secret, Duration::ZERO, context),
        None => changed(current, next, context),
    })
}

/// The list of hosts that an update asks for, if that differs from the stored one. Without a mask or with `*` a list
/// that merely comes back as it was read asks for nothing.
fn named_hosts(current: &Credential, input: &CredentialInput, mask: &Mask) -> Result<Option<AllowedHosts>> {
    let asked = AllowedHosts::new(parse_hosts(&input.allowed_hosts)?, true);
    let asks = match mask {
        Mask::Paths(_) => mask.names("allowed_hosts"),
        Mask::Carried | Mask::Full => !asked.hosts.is_empty() && asked.hosts != current.allowed_hosts.hosts,
    };
    Ok(Some(asked).filter(|asked| asks && *asked != current.allowed_hosts))
}

pub(in crate::domain) fn changed(current: Arc<Credential>, mut next: Credential, context: &PlanContext<'_>) -> Plan {
    let mut fields = changed_fields!(current, next;
        "alias" => alias, "description" => description, "hint" => hint, "fingerprint" => fingerprint,
        "secret_version" => secret_version, "allowed_hosts" => allowed_hosts, "expire_time" => expire_time,
        "is_active" => is_active, "revoke_time" => revoke_time, "rotate_time" => rotate_time,
        "previous_secret_expire_time" => previous_secret_expire_time, "labels" => meta.labels,
    );
    let (old, new) = (current.quota.as_ref(), next.quota.as_ref());
    fields.extend(changed_within!("quota", old, new; limit, unit, period));
    if fields.is_empty() {
        return Plan::unchanged(Answer::Resource(Resource::Credential(current)));
    }
    next.meta.touch(context);
    let next = Resource::Credential(Arc::new(next));
    Plan::of(vec![Edit::update(Resource::Credential(current), next.clone(), fields)], Answer::Resource(next))
}

/// The emergency stop: works on the last credential and under a deleted provider, too. Destroys nothing.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`].
pub fn revoke(
    id: CredentialId,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let current = view.credential(id).ok_or_else(|| Error::not_found(ResourceKind::Credential, id))?;
    check_revision(ResourceKind::Credential, id.uuid(), expected, current.meta.revision)?;
    let mut next = Credential::clone(&current);
    next.revoke_time = current.revoke_time.or(Some(context.now));
    Ok(changed(current, next, context))
}

/// Deletes a credential for good; its ciphertexts are destroyed with its row.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`], [`Error::LastCredential`].
pub fn delete(
    id: CredentialId,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let current = view.live_credential(id)?;
    check_revision(ResourceKind::Credential, id.uuid(), expected, current.meta.revision)?;
    check_last(&current, None, view, context)?;
    Ok(Plan::of(vec![Edit::destroy(Resource::Credential(current))], Answer::Empty))
}

/// Records that a secret is handed out: the current version for 0, or the one before within its grace period. Leaves
/// the credential as it is, its revision too. An admin may read a revoked secret: to find out where it is in use.
///
/// # Errors
/// [`Error::NotFound`], also for a version that cannot be read any more.
pub fn access(id: CredentialId, version: i64, view: &dyn View, context: &PlanContext<'_>) -> Result<Plan> {
    let credential = view.live_credential(id)?;
    if !credential.is_readable(version, context.now) {
        let id = format!("{id}, version {version} of its secret");
        return Err(Error::NotFound { kind: ResourceKind::Credential, id });
    }
    let resource = Resource::Credential(credential);
    let edit = Edit {
        operation: Operation::Access,
        before: Some(resource.clone()),
        after: Some(resource.clone()),
        changed_fields: Vec::new(),
    };
    Ok(Plan::of(vec![edit], Answer::Resource(resource)))
}

/// Refuses to turn a usable credential into an unusable one, or none, when its provider needs it.
pub(in crate::domain) fn check_last(
    current: &Credential,
    next: Option<&Credential>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<()> {
    let lost = current.is_usable(context.now) && !next.is_some_and(|next| next.is_usable(context.now));
    if !lost || !view.live_provider(current.provider_id)?.kind.requires_credential() {
        return Ok(());
    }
    let siblings = view.credentials_of(current.provider_id);
    if siblings.iter().any(|other| other.id != current.id && other.is_usable(context.now)) {
        return Ok(());
    }
    Err(Error::LastCredential { credential_id: current.id.uuid(), provider_id: current.provider_id.uuid() })
}

pub(in crate::domain) fn check_alias(credential: &Credential, siblings: &[Arc<Credential>]) -> Result<()> {
    let key = name_key(&credential.alias);
    match siblings.iter().find(|other| other.id != credential.id && name_key(&other.alias) == key) {
        Some(holder) => Err(Error::AlreadyExists {
            kind: ResourceKind::Credential,
            field: "alias",
            value: credential.alias.clone(),
            holder: holder.id.uuid(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
