//! What the Watch of another server shows, read back. It is another program that wrote this: what it should not have
//! written is an error.

use crate::domain::image::StatusValue;
use crate::domain::{Change, CredentialId, Resource};
use crate::proto::v1;
use crate::proto::v1::resource_status::Status;
use crate::snapshot::Shown;
use crate::wire::{WireError, change, credential, endpoint, id, model, provider, required, resource};

/// A change, as far as Watch shows it.
///
/// # Errors
/// What a server would not have written so.
pub fn changed(message: v1::Change) -> Result<Change, WireError> {
    change::read(message, [0; 32])
}

/// A resource of the state.
///
/// # Errors
/// What a server would not have written so.
pub fn state_of(message: v1::Change) -> Result<Resource, WireError> {
    resource::read(required("change.after", message.after)?, [0; 32])
}

/// Adds the status of a resource.
///
/// # Errors
/// What a server would not have written so.
pub fn shown(message: v1::ResourceStatus, into: &mut Shown) -> Result<(), WireError> {
    let of = &message.resource_id;
    let values = &mut into.values;
    match required("status", message.status)? {
        Status::Provider(status) => {
            let of = id::read("status.resource_id", of)?;
            let sync = status.sync.map(provider::read_sync).transpose()?;
            values.extend(sync.map(|sync| StatusValue::Sync(of, sync)));
        }
        Status::Endpoint(status) => {
            let of = id::read("status.resource_id", of)?;
            let health = endpoint::read_health(required("status.health", status.health)?)?;
            values.push(StatusValue::Health(of, health));
        }
        Status::Credential(status) => {
            let of: CredentialId = id::read("status.resource_id", of)?;
            into.opens.push((of, status.decryptable));
            let validation = credential::read_validation(required("status.validation", status.validation)?)?;
            values.push(StatusValue::Validation(of, validation));
            let usage = credential::read_usage(required("status.usage", status.usage)?, status.day, status.month)?;
            values.push(StatusValue::CredentialUsage(of, usage));
        }
        Status::Model(status) => {
            let of = id::read("status.resource_id", of)?;
            let available = model::read_availability(required("status.availability", status.availability)?)?;
            values.push(StatusValue::Availability(of, available));
            let usage = model::read_usage(required("status.usage", status.usage)?)?;
            values.push(StatusValue::ModelUsage(of, usage));
        }
    }
    Ok(())
}
