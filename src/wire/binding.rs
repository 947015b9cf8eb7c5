//! Bindings. They have no status: the configuration is the whole.

use bytes::Bytes;
use prost::Message as _;

use super::meta::{message_with_meta, read_meta};
use super::model::parameters;
use super::{WireError, id, required};
use crate::domain::Violations;
use crate::domain::binding::input::BindingInput;
use crate::domain::binding::{Binding, Target};
use crate::proto::v1::Binding as Message;
use crate::proto::v1::binding::Target as TargetMessage;

/// The configuration fields.
#[must_use]
pub fn config(binding: &Binding) -> Message {
    let named = message_with_meta!(Message, binding;
        consumer: Some(binding.consumer.clone()),
        purpose: Some(binding.purpose.clone()),
        target: Some(write_target(binding.target)),
    );
    Message { parameters: binding.parameters.as_ref().map(parameters::write), ..named }
}

fn write_target(target: Target) -> TargetMessage {
    match target {
        Target::Model(model) => TargetMessage::ModelId(id::write(model.uuid())),
        Target::Provider(provider) => TargetMessage::ProviderId(id::write(provider.uuid())),
    }
}

#[must_use]
pub fn config_bytes(binding: &Binding) -> Bytes {
    config(binding).encode_to_vec().into()
}

/// # Errors
/// The field that this program would not have written so.
pub fn read(message: Message) -> Result<Binding, WireError> {
    let parameters = message.parameters.map(|found| parameters::read("binding.parameters", found));
    Ok(Binding {
        id: id::read("binding.id", &message.id)?,
        consumer: required("binding.consumer", message.consumer)?,
        purpose: required("binding.purpose", message.purpose)?,
        target: match required("binding.target", message.target)? {
            TargetMessage::ModelId(text) => Target::Model(id::read("binding.model_id", &text)?),
            TargetMessage::ProviderId(text) => Target::Provider(id::read("binding.provider_id", &text)?),
        },
        parameters: parameters.transpose()?,
        meta: read_meta!(message)?,
    })
}

/// Reads what a caller sent at `field`. Fields that nobody sets are ignored.
pub fn input(message: Message, field: &str, violations: &mut Violations) -> BindingInput {
    let path = |name: &str| format!("{field}.{name}");
    let target = message.target.map(|target| match target {
        TargetMessage::ModelId(text) => Target::Model(id::parse(&path("model_id"), &text, violations)),
        TargetMessage::ProviderId(text) => Target::Provider(id::parse(&path("provider_id"), &text, violations)),
    });
    let given = message.parameters.unwrap_or_default();
    BindingInput {
        consumer: message.consumer,
        purpose: message.purpose,
        target,
        parameters: parameters::input(given, &path("parameters"), violations),
        labels: message.labels,
    }
}
