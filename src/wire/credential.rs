//! Credentials. Their secret is no part of these messages on the way out; where a method hands one out, it is a field
//! of its own.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::enums::{WireEnum as _, wire_enum};
use super::meta::{message_with_meta, read_meta};
use super::{WireError, enums, id, required, time};
use crate::domain::credential::input::{CredentialInput, QuotaInput};
use crate::domain::credential::{
    AllowedHosts, Credential, CredentialState, Quota, QuotaPeriod, QuotaUnit, Validation, ValidationCause,
    ValidationStatus,
};
use crate::domain::endpoint::Host;
use crate::domain::secret::{CredentialSecret, SecretText};
use crate::domain::usage::{CredentialUsage, Window};
use crate::domain::{Timestamp, Violations};
use crate::proto::v1;
use crate::proto::v1::Credential as Message;

wire_enum!(CredentialState, v1::CredentialState {
    Revoked => Revoked,
    Disabled => Disabled,
    Expired => Expired,
    Exhausted => Exhausted,
    Active => Active,
});

wire_enum!(QuotaUnit, v1::QuotaUnit { Requests => Requests, Tokens => Tokens });

wire_enum!(QuotaPeriod, v1::QuotaPeriod { Total => Total, Day => Day, Month => Month });

wire_enum!(ValidationStatus, v1::ValidationStatus {
    Unknown => Unknown,
    Valid => Valid,
    Invalid => Invalid,
    Unreachable => Unreachable,
    Unsupported => Unsupported,
});

wire_enum!(ValidationCause, v1::ValidationCause {
    BadKey => BadKey,
    NoPermission => NoPermission,
    NoCredit => NoCredit,
    RateLimited => RateLimited,
    Network => Network,
    ServerError => ServerError,
    UnexpectedAnswer => UnexpectedAnswer,
    HostNotAllowed => HostNotAllowed,
    NoEndpoint => NoEndpoint,
    SecretUnreadable => SecretUnreadable,
} or None);

/// What is shown beside the configuration of a credential.
#[derive(Debug, Clone, Copy)]
pub struct Status<'a> {
    /// As of now, see [`Credential::state`].
    pub state: CredentialState,
    pub decryptable: bool,
    pub validation: Option<&'a Validation>,
    pub usage: Option<&'a CredentialUsage>,
    /// The credential's own: how much of it was used at `now` is told with the usage.
    pub quota: Option<Quota>,
    pub now: Timestamp,
}

/// The configuration fields.
#[must_use]
pub fn config(credential: &Credential) -> Message {
    message_with_meta!(Message, credential;
        provider_id: Some(id::write(credential.provider_id.uuid())),
        alias: Some(credential.alias.clone()),
        description: Some(credential.description.clone()),
        hint: credential.hint.clone(),
        fingerprint: credential.fingerprint.clone(),
        secret_version: credential.secret_version,
        allowed_hosts: credential.allowed_hosts.hosts.iter().map(Host::to_string).collect(),
        allowed_hosts_explicit: credential.allowed_hosts.explicit,
        expire_time: credential.expire_time.map(time::write),
        quota: credential.quota.as_ref().map(write_quota),
        is_active: Some(credential.is_active),
        revoke_time: credential.revoke_time.map(time::write),
        rotate_time: credential.rotate_time.map(time::write),
        previous_secret_expire_time: credential.previous_secret_expire_time.map(time::write),
    )
}

fn write_quota(quota: &Quota) -> v1::CredentialQuota {
    v1::CredentialQuota {
        limit: Some(quota.limit),
        unit: Some(quota.unit.number()),
        period: Some(quota.period.number()),
    }
}

#[must_use]
pub fn config_bytes(credential: &Credential) -> Bytes {
    config(credential).encode_to_vec().into()
}

/// The vendor's verdict; of a credential that was never validated: unknown.
#[must_use]
pub fn validation(validation: Option<&Validation>) -> v1::CredentialValidation {
    let Some(validation) = validation else {
        let status = ValidationStatus::Unknown.number();
        return v1::CredentialValidation { status, ..v1::CredentialValidation::default() };
    };
    v1::CredentialValidation {
        status: validation.status.number(),
        cause: validation.cause.number(),
        message: validation.message.clone(),
        last_validate_time: validation.last_validate_time.map(time::write),
        secret_version: validation.secret_version,
    }
}

/// The usage; of a credential that was never used: zero.
#[must_use]
pub fn usage(usage: Option<&CredentialUsage>, quota: Option<Quota>, now: Timestamp) -> v1::CredentialUsage {
    let window_start_time = quota.and_then(|quota| quota.period.start(now)).map(time::write);
    let unused = || v1::CredentialUsage { window_start_time, ..v1::CredentialUsage::default() };
    usage.map_or_else(unused, |usage| v1::CredentialUsage {
        used: quota.map_or(0, |quota| usage.used(quota, now)),
        window_start_time,
        total_requests: usage.total_requests,
        total_failures: usage.total_failures,
        total_tokens: usage.total_tokens,
        last_use_time: usage.last_use_time.map(time::write),
    })
}

/// The status fields.
#[must_use]
pub fn status(status: Status<'_>) -> Message {
    with_status(Message::default(), status)
}

fn with_status(message: Message, status: Status<'_>) -> Message {
    Message {
        state: status.state.number(),
        decryptable: status.decryptable,
        validation: Some(validation(status.validation)),
        usage: Some(usage(status.usage, status.quota, status.now)),
        ..message
    }
}

#[must_use]
pub fn status_bytes(shown: Status<'_>) -> Bytes {
    status(shown).encode_to_vec().into()
}

#[must_use]
pub fn full(credential: &Credential, status: Status<'_>) -> Message {
    with_status(config(credential), status)
}

/// # Errors
/// The field that this program would not have written so.
pub fn read(message: Message) -> Result<Credential, WireError> {
    let hosts: Result<Vec<_>, _> = message.allowed_hosts.iter().map(|host| Host::parse(host)).collect();
    let hosts = hosts.map_err(|problem| WireError::at("credential.allowed_hosts", &problem))?;
    Ok(Credential {
        id: id::read("credential.id", &message.id)?,
        provider_id: id::read("credential.provider_id", message.provider_id.as_deref().unwrap_or_default())?,
        alias: required("credential.alias", message.alias)?,
        description: required("credential.description", message.description)?,
        hint: message.hint,
        fingerprint: message.fingerprint,
        secret_version: message.secret_version,
        allowed_hosts: AllowedHosts::new(hosts, message.allowed_hosts_explicit),
        expire_time: time::read("credential.expire_time", message.expire_time)?,
        quota: message.quota.map(read_quota).transpose()?,
        is_active: required("credential.is_active", message.is_active)?,
        revoke_time: time::read("credential.revoke_time", message.revoke_time)?,
        rotate_time: time::read("credential.rotate_time", message.rotate_time)?,
        previous_secret_expire_time: time::read(
            "credential.previous_secret_expire_time",
            message.previous_secret_expire_time,
        )?,
        meta: read_meta!(message)?,
    })
}

fn read_quota(quota: v1::CredentialQuota) -> Result<Quota, WireError> {
    Ok(Quota {
        limit: required("credential.quota.limit", quota.limit)?,
        unit: enums::read("credential.quota.unit", quota.unit.unwrap_or_default())?,
        period: enums::read("credential.quota.period", quota.period.unwrap_or_default())?,
    })
}

/// # Errors
/// The field that this program would not have written so.
pub(super) fn read_validation(validation: v1::CredentialValidation) -> Result<Validation, WireError> {
    Ok(Validation {
        status: enums::read("validation.status", validation.status)?,
        cause: enums::read("validation.cause", validation.cause)?,
        message: validation.message,
        last_validate_time: time::read("validation.last_validate_time", validation.last_validate_time)?,
        secret_version: validation.secret_version,
    })
}

/// How much was used in the latest day or month; of a credential that was never used nothing.
#[must_use]
pub fn window(window: Option<&Window>) -> Option<v1::UsageWindow> {
    let window = window.filter(|window| window.start_time.is_some())?;
    let start_time = window.start_time.map(time::write);
    Some(v1::UsageWindow { start_time, requests: window.requests, tokens: window.tokens })
}

/// Reads the usage that was shown; what was used of a quota follows from the windows.
///
/// # Errors
/// The field that this program would not have written so.
pub(super) fn read_usage(
    usage: v1::CredentialUsage,
    day: Option<v1::UsageWindow>,
    month: Option<v1::UsageWindow>,
) -> Result<CredentialUsage, WireError> {
    let window = |window: Option<v1::UsageWindow>| {
        let window = window.unwrap_or_default();
        let start_time = time::read("usage.start_time", window.start_time)?;
        Ok(Window { start_time, requests: window.requests, tokens: window.tokens })
    };
    Ok(CredentialUsage {
        day: window(day)?,
        month: window(month)?,
        total_requests: usage.total_requests,
        total_failures: usage.total_failures,
        total_tokens: usage.total_tokens,
        last_use_time: time::read("usage.last_use_time", usage.last_use_time)?,
    })
}

/// Reads what a caller sent at `field`. Fields that nobody sets are ignored; `deny_all_hosts` is a field of the
/// request and stays false.
pub fn input(message: Message, field: &str, violations: &mut Violations) -> CredentialInput {
    let path = |name: &str| format!("{field}.{name}");
    CredentialInput {
        provider_id: id::input(&path("provider_id"), message.provider_id.as_deref(), violations),
        alias: message.alias,
        description: message.description,
        secret: message.secret.map(|secret| Arc::new(read_secret(secret))),
        allowed_hosts: message.allowed_hosts,
        deny_all_hosts: false,
        expire_time: time::input(&path("expire_time"), message.expire_time, violations),
        quota: message.quota.map(|quota| quota_input(quota, &path("quota"), violations)),
        is_active: message.is_active,
        labels: message.labels,
    }
}

fn quota_input(quota: v1::CredentialQuota, field: &str, violations: &mut Violations) -> QuotaInput {
    QuotaInput {
        limit: quota.limit,
        unit: enums::input(&format!("{field}.unit"), quota.unit, violations),
        period: enums::input(&format!("{field}.period"), quota.period, violations),
    }
}

/// Takes a secret that a caller sent into text that is wiped. An empty field holds no secret.
#[must_use]
pub fn read_secret(message: v1::CredentialSecret) -> CredentialSecret {
    let text = |text: Option<String>| text.filter(|text| !text.is_empty()).map(SecretText::new);
    CredentialSecret {
        api_key: text(message.api_key),
        secret_key: text(message.secret_key),
        access_token: text(message.access_token),
        session_token: text(message.session_token),
    }
}

/// The plain secret, for the methods that hand it out.
#[must_use]
pub fn secret(secret: &CredentialSecret) -> v1::CredentialSecret {
    let text = |text: &Option<SecretText>| text.as_ref().map(|text| text.expose().to_owned());
    v1::CredentialSecret {
        api_key: text(&secret.api_key),
        secret_key: text(&secret.secret_key),
        access_token: text(&secret.access_token),
        session_token: text(&secret.session_token),
    }
}
