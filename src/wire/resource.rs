//! Any resource: the `oneof` of the log and of answers.

use std::sync::Arc;

use super::enums::wire_enum;
use super::{WireError, binding, credential, endpoint, keyring, model, provider, required, token};
use crate::domain::{Resource, ResourceKind};
use crate::proto::v1;
use crate::proto::v1::get_resource_at_response::Resource as Former;
use crate::proto::v1::resource::Resource as Message;

wire_enum!(ResourceKind, v1::ResourceKind {
    Provider => Provider,
    Endpoint => Endpoint,
    Credential => Credential,
    Model => Model,
    Binding => Binding,
    Token => Token,
    Keyring => Keyring,
});

/// The configuration fields.
#[must_use]
pub fn config(resource: &Resource) -> v1::Resource {
    let message = match resource {
        Resource::Provider(resource) => Message::Provider(provider::config(resource)),
        Resource::Endpoint(resource) => Message::Endpoint(endpoint::config(resource)),
        Resource::Credential(resource) => Message::Credential(credential::config(resource)),
        Resource::Model(resource) => Message::Model(model::config(resource)),
        Resource::Binding(resource) => Message::Binding(binding::config(resource)),
        Resource::Token(resource) => Message::Token(token::config(resource)),
        Resource::Keyring(resource) => Message::Keyring(keyring::config(resource)),
    };
    v1::Resource { resource: Some(message) }
}

/// The number of the field that holds a resource of this kind.
#[must_use]
pub const fn tag(kind: ResourceKind) -> u32 {
    match kind {
        ResourceKind::Provider => 1,
        ResourceKind::Endpoint => 2,
        ResourceKind::Credential => 3,
        ResourceKind::Model => 4,
        ResourceKind::Binding => 5,
        ResourceKind::Token => 6,
        ResourceKind::Keyring => 7,
    }
}

/// The same as `GetResourceAt` answers it.
#[must_use]
pub fn former(resource: &Resource) -> Former {
    match resource {
        Resource::Provider(resource) => Former::Provider(provider::config(resource)),
        Resource::Endpoint(resource) => Former::Endpoint(endpoint::config(resource)),
        Resource::Credential(resource) => Former::Credential(credential::config(resource)),
        Resource::Model(resource) => Former::Model(model::config(resource)),
        Resource::Binding(resource) => Former::Binding(binding::config(resource)),
        Resource::Token(resource) => Former::Token(token::config(resource)),
        Resource::Keyring(resource) => Former::Keyring(keyring::config(resource)),
    }
}

/// # Errors
/// The field that this program would not have written so.
pub fn read(message: v1::Resource, token_hash: [u8; 32]) -> Result<Resource, WireError> {
    Ok(match required("resource", message.resource)? {
        Message::Provider(message) => Resource::Provider(Arc::new(provider::read(message)?)),
        Message::Endpoint(message) => Resource::Endpoint(Arc::new(endpoint::read(message)?)),
        Message::Credential(message) => Resource::Credential(Arc::new(credential::read(message)?)),
        Message::Model(message) => Resource::Model(Arc::new(model::read(message)?)),
        Message::Binding(message) => Resource::Binding(Arc::new(binding::read(message)?)),
        Message::Token(message) => Resource::Token(Arc::new(token::read(message, token_hash)?)),
        Message::Keyring(message) => Resource::Keyring(Arc::new(keyring::read(message)?)),
    })
}
