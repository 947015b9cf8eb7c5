//! What a caller may say about a credential, checked field by field. No message ever quotes a secret.

use std::sync::Arc;
use std::time::Duration;

use super::{
    ALIAS, Credential, DESCRIPTION, MAX_ALLOWED_HOSTS, MAX_GRACE_PERIOD, MIN_QUOTA, Quota, QuotaPeriod, QuotaUnit,
};
use crate::domain::endpoint::Host;
use crate::domain::error::{Error, Result, Violations};
use crate::domain::id::ProviderId;
use crate::domain::mask::{Mask, Presence};
use crate::domain::meta::{Labels, check_labels};
use crate::domain::secret::{CredentialSecret, SecretText};
use crate::domain::text::Text;
use crate::domain::time::Timestamp;

/// The carried fields of a credential; empty labels and hosts count as not carried.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CredentialInput {
    pub provider_id: Option<ProviderId>,
    pub alias: Option<String>,
    pub description: Option<String>,
    pub secret: Option<Arc<CredentialSecret>>,
    pub allowed_hosts: Vec<String>,
    /// At creation: an explicit empty list of hosts. A field of the request, beside the credential.
    pub deny_all_hosts: bool,
    pub expire_time: Option<Timestamp>,
    pub quota: Option<QuotaInput>,
    pub is_active: Option<bool>,
    pub labels: Labels,
}

/// The carried fields of a quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuotaInput {
    pub limit: Option<i64>,
    pub unit: Option<QuotaUnit>,
    pub period: Option<QuotaPeriod>,
}

/// Paths that an update mask may name.
pub const SETTABLE: &[&str] = &[
    "alias",
    "description",
    "secret",
    "allowed_hosts",
    "expire_time",
    "quota",
    "quota.limit",
    "quota.unit",
    "quota.period",
    "is_active",
    "labels",
];
/// All other fields.
pub const FIXED: &[&str] = &[
    "id",
    "revision",
    "create_time",
    "update_time",
    "created_by",
    "updated_by",
    "provider_id",
    "hint",
    "fingerprint",
    "decryptable",
    "secret_version",
    "allowed_hosts_explicit",
    "usage",
    "revoke_time",
    "state",
    "validation",
    "rotate_time",
    "previous_secret_expire_time",
];

/// Whether an update names a field itself; `*` does not count.
#[must_use]
pub fn names_itself(mask: &Mask, path: &str) -> bool {
    matches!(mask, Mask::Paths(_)) && mask.names(path)
}

impl CredentialInput {
    /// Adds what is wrong with the shape of the input at `field`, whatever is stored. `required`: the fields of the
    /// secret without which it is of no use to the provider's kind.
    pub fn check(&self, field: &str, presence: Presence<'_>, required: &[&str], violations: &mut Violations) {
        let path = |name: &str| format!("{field}.{name}");
        if self.provider_id.is_none() && presence == Presence::Create {
            violations.add(path("provider_id"), "required");
        }
        ALIAS.check_option(&path("alias"), self.alias.as_deref(), presence.requires("alias"), violations);
        DESCRIPTION.check_option(&path("description"), self.description.as_deref(), false, violations);
        if let Presence::Create | Presence::Update(Mask::Paths(_)) = presence
            && presence.requires("secret")
        {
            check_secret(&path("secret"), self.secret.as_deref(), required, violations);
        }
        check_hosts(&path("allowed_hosts"), &self.allowed_hosts, violations);
        if self.deny_all_hosts && !self.allowed_hosts.is_empty() {
            violations.add("deny_all_hosts", format!("excludes {}; send one of them", path("allowed_hosts")));
        }
        if let Some(quota) = &self.quota {
            match quota.limit {
                Some(limit) if limit < MIN_QUOTA => {
                    violations.add(path("quota.limit"), format!("at least {MIN_QUOTA}, found {limit}"));
                }
                None if presence.requires("quota.limit") => violations.add(path("quota.limit"), "required"),
                Some(_) | None => {}
            }
        }
        check_labels(&path("labels"), &self.labels, violations);
    }

    /// Takes over into `credential` what `mask` lets through, but for the secret and the allowed hosts, which have
    /// rules of their own.
    ///
    /// # Errors
    /// [`Error::InvalidField`] for a quota that ends up without a limit.
    pub(super) fn merge_into(&self, credential: &mut Credential, mask: &Mask) -> Result<()> {
        mask.merge("alias", &mut credential.alias, self.alias.clone(), String::new());
        mask.merge("description", &mut credential.description, self.description.clone(), String::new());
        mask.merge("expire_time", &mut credential.expire_time, self.expire_time.map(Some), None);
        mask.merge("is_active", &mut credential.is_active, self.is_active, true);
        mask.merge_many("labels", &mut credential.meta.labels, &self.labels);
        credential.quota = self.merged_quota(credential.quota, mask)?;
        Ok(())
    }

    fn merged_quota(&self, stored: Option<Quota>, mask: &Mask) -> Result<Option<Quota>> {
        if mask.names("quota") && self.quota.is_none() {
            return Ok(None);
        }
        let carried = self.quota.unwrap_or_default();
        let mut limit = stored.map(|quota| quota.limit);
        let mut unit = stored.map(|quota| quota.unit);
        let mut period = stored.map(|quota| quota.period);
        mask.merge("quota.limit", &mut limit, carried.limit.map(Some), None);
        mask.merge("quota.unit", &mut unit, carried.unit.map(Some), None);
        mask.merge("quota.period", &mut period, carried.period.map(Some), None);
        match limit {
            Some(limit) => {
                Ok(Some(Quota { limit, unit: unit.unwrap_or_default(), period: period.unwrap_or_default() }))
            }
            None if stored.is_none() && unit.is_none() && period.is_none() && !mask.names("quota.limit") => Ok(None),
            None => Err(Error::field("credential.quota.limit", "required")),
        }
    }
}

/// Adds what is wrong with a secret at `field`.
pub fn check_secret(field: &str, secret: Option<&CredentialSecret>, required: &[&str], violations: &mut Violations) {
    let blank = CredentialSecret::default();
    let fields = secret.unwrap_or(&blank).fields();
    let empty = |value: Option<&SecretText>| value.is_none_or(|text| text.expose().is_empty());
    if fields.iter().all(|(_, value, _)| empty(*value)) {
        violations.add(field, "required, at least one of its fields must not be empty");
        return;
    }
    for (name, value, max) in fields {
        let path = format!("{field}.{name}");
        Text::optional(max).check_option(&path, value.map(SecretText::expose), false, violations);
        if required.contains(&name) && empty(value) {
            violations.add(path, "required by this kind of provider");
        }
    }
}

/// Refuses what a client was shown instead of a secret: hints, too, begin with the mask.
///
/// # Errors
/// [`Error::SecretLooksMasked`], naming the field.
pub fn refuse_masked(field: &str, secret: &CredentialSecret) -> Result<()> {
    let masked = |value: Option<&SecretText>| value.is_some_and(|text| text.expose().starts_with("****"));
    match secret.fields().into_iter().find(|(_, value, _)| masked(*value)) {
        Some((name, ..)) => Err(Error::SecretLooksMasked { field: format!("{field}.{name}") }),
        None => Ok(()),
    }
}

/// Adds what is wrong with a list of allowed hosts at `field`.
pub fn check_hosts(field: &str, hosts: &[String], violations: &mut Violations) {
    if hosts.len() > MAX_ALLOWED_HOSTS {
        violations.add(field, format!("at most {MAX_ALLOWED_HOSTS} hosts, found {}", hosts.len()));
    }
    for (place, host) in hosts.iter().enumerate() {
        if let Err(problem) = Host::parse(host) {
            violations.add(format!("{field}[{place}]"), problem);
        }
    }
}

/// Reads a list of allowed hosts that was checked.
///
/// # Errors
/// [`Error::InvalidField`] for what [`check_hosts`] would have found.
pub fn parse_hosts(hosts: &[String]) -> Result<Vec<Host>> {
    let parsed = hosts.iter().map(|host| Host::parse(host)).collect::<Result<_, _>>();
    parsed.map_err(|problem| Error::field("allowed_hosts", problem))
}

/// Adds what is wrong with the time for which an old secret stays readable.
pub fn check_grace_period(field: &str, grace_period: Duration, violations: &mut Violations) {
    if grace_period > MAX_GRACE_PERIOD {
        violations.add(field, "at most 366 days");
    }
}
