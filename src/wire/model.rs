//! Models.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use prost::Message as _;

use super::enums::{WireEnum as _, wire_enum};
use super::meta::{message_with_meta, read_meta};
use super::{WireError, duration, enums, id, number, required, time};
use crate::domain::Violations;
use crate::domain::model::input::{CapabilityInput, ModelInput, PricingInput};
use crate::domain::model::{
    Availability, AvailabilityCause, AvailabilityStatus, Capability, FieldSource, Model, ModelSource, ModelStatus,
    ModelType, Price, Pricing, Score,
};
use crate::domain::usage::ModelUsage;
use crate::proto::v1;
use crate::proto::v1::Model as Message;

pub mod parameters;

wire_enum!(ModelType, v1::ModelType {
    Chat => Chat,
    Completion => Completion,
    Embedding => Embedding,
    Vision => Vision,
    Image => Image,
    Audio => Audio,
    Rerank => Rerank,
    Moderation => Moderation,
});

wire_enum!(Capability, v1::Capability {
    TextGeneration => TextGeneration,
    Chat => Chat,
    CodeGeneration => CodeGeneration,
    FunctionCalling => FunctionCalling,
    Vision => Vision,
    Embedding => Embedding,
    StructuredOutput => StructuredOutput,
    Streaming => Streaming,
    Reasoning => Reasoning,
    PromptCaching => PromptCaching,
    Audio => Audio,
});

wire_enum!(ModelStatus, v1::ModelStatus {
    Available => Available,
    Maintenance => Maintenance,
    Deprecated => Deprecated,
});

wire_enum!(ModelSource, v1::ModelSource { Synced => Synced, Manual => Manual });

wire_enum!(FieldSource, v1::FieldSource { Vendor => Vendor, Catalogue => Catalogue, Person => Person });

wire_enum!(AvailabilityStatus, v1::AvailabilityStatus {
    Unknown => Unknown,
    Available => Available,
    Unavailable => Unavailable,
});

wire_enum!(AvailabilityCause, v1::AvailabilityCause {
    Credential => Credential,
    NoCredit => NoCredit,
    Permission => Permission,
    UnknownModel => UnknownModel,
    RateLimited => RateLimited,
    Network => Network,
    ServerError => ServerError,
    UnexpectedAnswer => UnexpectedAnswer,
    HostNotAllowed => HostNotAllowed,
    NoEndpoint => NoEndpoint,
    NoCredential => NoCredential,
    NotTested => NotTested,
} or None);

/// The configuration fields.
#[must_use]
pub fn config(model: &Model) -> Message {
    message_with_meta!(Message, model;
        provider_id: Some(id::write(model.provider_id.uuid())),
        model_id: Some(model.model_id.clone()),
        name: Some(model.name.clone()),
        description: Some(model.description.clone()),
        version: Some(model.version.clone()),
        r#type: Some(model.model_type.number()),
        context_window: model.context_window.map(number::from_i64),
        max_output_tokens: model.max_output_tokens.map(number::from_i64),
        pricing: model.pricing.as_ref().map(write_pricing),
        capabilities: model.capabilities.iter().map(write_capability).collect(),
        recommended_uses: model.recommended_uses.clone(),
        default_parameters: model.default_parameters.as_ref().map(parameters::write),
        is_active: Some(model.is_active),
        status: Some(model.status.number()),
        source: model.source.number(),
        pinned_fields: model.pinned_fields.iter().cloned().collect(),
        field_sources: model.field_sources.iter().map(|(field, source)| (field.clone(), source.number())).collect(),
        is_default: model.is_default,
    )
}

fn write_pricing(pricing: &Pricing) -> v1::Pricing {
    v1::Pricing {
        input_per_1k: pricing.input_per_1k.as_ref().map(Price::to_string),
        output_per_1k: pricing.output_per_1k.as_ref().map(Price::to_string),
        currency: Some(pricing.currency.clone()),
    }
}

fn write_capability((capability, score): (&Capability, &Score)) -> v1::ModelCapability {
    v1::ModelCapability { capability: Some(capability.number()), score: Some(*score) }
}

#[must_use]
pub fn config_bytes(model: &Model) -> Bytes {
    config(model).encode_to_vec().into()
}

/// The verdict of the last test; of a model that was never tested: unknown.
#[must_use]
pub fn availability(availability: Option<&Availability>) -> v1::ModelAvailability {
    let Some(availability) = availability else {
        let status = AvailabilityStatus::Unknown.number();
        return v1::ModelAvailability { status, ..v1::ModelAvailability::default() };
    };
    v1::ModelAvailability {
        status: availability.status.number(),
        cause: availability.cause.number(),
        latency: availability.latency.map(duration::write),
        message: availability.message.clone(),
        last_test_time: availability.last_test_time.map(time::write),
    }
}

/// The usage; of a model that was never used: zero.
#[must_use]
pub fn usage(usage: Option<&ModelUsage>) -> v1::ModelUsage {
    usage.map_or_else(v1::ModelUsage::default, |usage| v1::ModelUsage {
        total_requests: usage.total_requests,
        total_failures: usage.total_failures,
        total_input_tokens: usage.total_input_tokens,
        total_output_tokens: usage.total_output_tokens,
        last_use_time: usage.last_use_time.map(time::write),
    })
}

/// The status fields.
#[must_use]
pub fn status(available: Option<&Availability>, used: Option<&ModelUsage>) -> Message {
    Message { availability: Some(availability(available)), usage: Some(usage(used)), ..Message::default() }
}

#[must_use]
pub fn status_bytes(available: Option<&Availability>, used: Option<&ModelUsage>) -> Bytes {
    /// Of a model that was never tested or used.
    static UNKNOWN: LazyLock<Bytes> = LazyLock::new(|| status(None, None).encode_to_vec().into());
    if available.is_none() && used.is_none() {
        return UNKNOWN.clone();
    }
    status(available, used).encode_to_vec().into()
}

#[must_use]
pub fn full(model: &Model, available: Option<&Availability>, used: Option<&ModelUsage>) -> Message {
    Message { availability: Some(availability(available)), usage: Some(usage(used)), ..config(model) }
}

/// # Errors
/// The field that this program would not have written so.
pub fn read(message: Message) -> Result<Model, WireError> {
    Ok(Model {
        id: id::read("model.id", &message.id)?,
        provider_id: id::read("model.provider_id", message.provider_id.as_deref().unwrap_or_default())?,
        model_id: required("model.model_id", message.model_id)?,
        name: required("model.name", message.name)?,
        description: required("model.description", message.description)?,
        version: required("model.version", message.version)?,
        model_type: enums::read("model.type", message.r#type.unwrap_or_default())?,
        context_window: message.context_window.map(i64::from),
        max_output_tokens: message.max_output_tokens.map(i64::from),
        pricing: message.pricing.map(read_pricing).transpose()?,
        capabilities: message.capabilities.iter().map(read_capability).collect::<Result<_, _>>()?,
        recommended_uses: message.recommended_uses,
        default_parameters: message
            .default_parameters
            .map(|found| parameters::read("model.default_parameters", found))
            .transpose()?,
        is_active: required("model.is_active", message.is_active)?,
        status: enums::read("model.status", message.status.unwrap_or_default())?,
        source: enums::read("model.source", message.source)?,
        pinned_fields: message.pinned_fields.into_iter().collect(),
        field_sources: read_sources(message.field_sources)?,
        is_default: message.is_default,
        meta: read_meta!(message)?,
    })
}

fn read_pricing(pricing: v1::Pricing) -> Result<Pricing, WireError> {
    let price = |text: Option<String>| text.map(|text| Price::parse(&text)).transpose();
    let at = |problem: String| WireError::at("model.pricing", &problem);
    Ok(Pricing {
        input_per_1k: price(pricing.input_per_1k).map_err(at)?,
        output_per_1k: price(pricing.output_per_1k).map_err(at)?,
        currency: required("model.pricing.currency", pricing.currency)?,
    })
}

fn read_capability(message: &v1::ModelCapability) -> Result<(Capability, Score), WireError> {
    let capability = enums::read("model.capabilities.capability", message.capability.unwrap_or_default())?;
    Ok((capability, message.score.unwrap_or_default()))
}

fn read_sources(sources: BTreeMap<String, i32>) -> Result<BTreeMap<String, FieldSource>, WireError> {
    let read = |(field, number)| Ok((field, enums::read("model.field_sources", number)?));
    sources.into_iter().map(read).collect()
}

/// # Errors
/// The field that this program would not have written so.
pub(super) fn read_availability(availability: v1::ModelAvailability) -> Result<Availability, WireError> {
    let latency = availability.latency.map(|latency| duration::read("availability.latency", Some(latency)));
    Ok(Availability {
        status: enums::read("availability.status", availability.status)?,
        cause: enums::read("availability.cause", availability.cause)?,
        latency: latency.transpose()?,
        message: availability.message,
        last_test_time: time::read("availability.last_test_time", availability.last_test_time)?,
    })
}

/// # Errors
/// The field that this program would not have written so.
pub(super) fn read_usage(usage: v1::ModelUsage) -> Result<ModelUsage, WireError> {
    Ok(ModelUsage {
        total_requests: usage.total_requests,
        total_failures: usage.total_failures,
        total_input_tokens: usage.total_input_tokens,
        total_output_tokens: usage.total_output_tokens,
        last_use_time: time::read("usage.last_use_time", usage.last_use_time)?,
    })
}

/// Reads what a caller sent at `field`. Fields that nobody sets are ignored.
pub fn input(message: Message, field: &str, violations: &mut Violations) -> ModelInput {
    let path = |name: &str| format!("{field}.{name}");
    let pricing = message.pricing.unwrap_or_default();
    let given = message.default_parameters.unwrap_or_default();
    ModelInput {
        provider_id: id::input(&path("provider_id"), message.provider_id.as_deref(), violations),
        model_id: message.model_id,
        name: message.name,
        description: message.description,
        version: message.version,
        model_type: enums::input(&path("type"), message.r#type, violations),
        context_window: message.context_window.map(i64::from),
        max_output_tokens: message.max_output_tokens.map(i64::from),
        pricing: PricingInput {
            input_per_1k: pricing.input_per_1k,
            output_per_1k: pricing.output_per_1k,
            currency: pricing.currency,
        },
        capabilities: capabilities_input(&message.capabilities, &path("capabilities"), violations),
        recommended_uses: message.recommended_uses,
        default_parameters: parameters::input(given, &path("default_parameters"), violations),
        is_active: message.is_active,
        status: enums::input(&path("status"), message.status, violations),
        labels: message.labels,
    }
}

fn capabilities_input(
    messages: &[v1::ModelCapability],
    field: &str,
    violations: &mut Violations,
) -> Vec<CapabilityInput> {
    let read = |(place, message): (usize, &v1::ModelCapability)| CapabilityInput {
        capability: enums::input(&format!("{field}[{place}].capability"), message.capability, violations),
        score: message.score,
    };
    messages.iter().enumerate().map(read).collect()
}
