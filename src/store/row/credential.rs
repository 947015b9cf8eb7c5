//! Rows of `credentials`.

use super::{Place, instant, json, labels_json, meta_of, time};
use crate::domain::credential::{AllowedHosts, Credential, Quota};
use crate::domain::endpoint::Host;
use crate::store::error::{Result, StoreError};
use crate::store::names::Named as _;
use crate::store::statement::row;
use crate::store::value::{DbId, Instant, JsonText};

row! {
    CredentialRow in credentials (id) {
        id: DbId,
        provider_id: DbId,
        revision: i64,
        create_time: Instant,
        update_time: Instant,
        created_by: String,
        updated_by: String,
        labels: JsonText,
        alias: String,
        description: String,
        hint: String,
        fingerprint: String,
        secret_version: i64,
        allowed_hosts: JsonText,
        allowed_hosts_explicit: bool,
        expire_time: Option<Instant>,
        quota_limit: Option<i64>,
        quota_unit: Option<String>,
        quota_period: Option<String>,
        is_active: bool,
        revoke_time: Option<Instant>,
        rotate_time: Option<Instant>,
        previous_secret_expire_time: Option<Instant>,
    }
}

impl From<&Credential> for CredentialRow {
    fn from(credential: &Credential) -> Self {
        let (meta, quota) = (&credential.meta, &credential.quota);
        Self {
            id: credential.id.into(),
            provider_id: credential.provider_id.into(),
            revision: meta.revision.0,
            create_time: meta.create_time.into(),
            update_time: meta.update_time.into(),
            created_by: meta.created_by.clone(),
            updated_by: meta.updated_by.clone(),
            labels: labels_json(&meta.labels),
            alias: credential.alias.clone(),
            description: credential.description.clone(),
            hint: credential.hint.clone(),
            fingerprint: credential.fingerprint.clone(),
            secret_version: credential.secret_version,
            allowed_hosts: json(credential.allowed_hosts.hosts.iter().map(Host::to_string).collect::<Vec<_>>()),
            allowed_hosts_explicit: credential.allowed_hosts.explicit,
            expire_time: instant(credential.expire_time),
            quota_limit: quota.map(|quota| quota.limit),
            quota_unit: quota.map(|quota| quota.unit.word().into()),
            quota_period: quota.map(|quota| quota.period.word().into()),
            is_active: credential.is_active,
            revoke_time: instant(credential.revoke_time),
            rotate_time: instant(credential.rotate_time),
            previous_secret_expire_time: instant(credential.previous_secret_expire_time),
        }
    }
}

/// The quota, which stands in three columns that are NULL together.
fn quota(place: &Place<DbId>, row: &CredentialRow) -> Result<Option<Quota>> {
    let Some(limit) = row.quota_limit else { return Ok(None) };
    Ok(Some(Quota {
        limit,
        unit: place.word("quota_unit", row.quota_unit.as_deref().unwrap_or_default())?,
        period: place.word("quota_period", row.quota_period.as_deref().unwrap_or_default())?,
    }))
}

fn hosts(place: &Place<DbId>, row: &CredentialRow) -> Result<AllowedHosts> {
    let texts: Vec<String> = place.json("allowed_hosts", &row.allowed_hosts)?;
    let hosts: Option<Vec<_>> = texts.iter().map(|text| Host::parse(text).ok()).collect();
    Ok(AllowedHosts::new(place.some("allowed_hosts", hosts)?, row.allowed_hosts_explicit))
}

impl TryFrom<CredentialRow> for Credential {
    type Error = StoreError;

    fn try_from(row: CredentialRow) -> Result<Self> {
        let place = Place::of("credentials", row.id);
        Ok(Self {
            id: row.id.into(),
            provider_id: row.provider_id.into(),
            allowed_hosts: hosts(&place, &row)?,
            quota: quota(&place, &row)?,
            meta: meta_of!(place, row),
            alias: row.alias,
            description: row.description,
            hint: row.hint,
            fingerprint: row.fingerprint,
            secret_version: row.secret_version,
            expire_time: time(row.expire_time),
            is_active: row.is_active,
            revoke_time: time(row.revoke_time),
            rotate_time: time(row.rotate_time),
            previous_secret_expire_time: time(row.previous_secret_expire_time),
        })
    }
}
