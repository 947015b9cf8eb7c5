//! Providers.

use bytes::Bytes;
use prost::Message as _;

use super::enums::{WireEnum as _, wire_enum};
use super::meta::{message_with_meta, read_meta};
use super::{WireError, duration, enums, id, number, required, time};
use crate::domain::Violations;
use crate::domain::provider::input::ProviderInput;
use crate::domain::provider::{Provider, ProviderKind, SyncPolicy, SyncResult, SyncStatus};
use crate::proto::v1;
use crate::proto::v1::Provider as Message;

wire_enum!(ProviderKind, v1::ProviderKind {
    OpenAi => Openai,
    Anthropic => Anthropic,
    AwsBedrock => AwsBedrock,
    AzureOpenAi => AzureOpenai,
    Tongyi => Tongyi,
    Baidu => Baidu,
    Ollama => Ollama,
    Vllm => Vllm,
    DeepSeek => Deepseek,
    Doubao => Doubao,
    Zhipu => Zhipu,
    Moonshot => Moonshot,
    Gemini => Gemini,
    Mistral => Mistral,
    OpenAiCompatible => OpenaiCompatible,
});

wire_enum!(SyncResult, v1::SyncResult { Succeeded => Succeeded, Failed => Failed });

/// The configuration fields.
#[must_use]
pub fn config(provider: &Provider) -> Message {
    message_with_meta!(Message, provider;
        name: Some(provider.name.clone()),
        kind: Some(provider.kind.number()),
        description: Some(provider.description.clone()),
        is_active: Some(provider.is_active),
        sync_policy: Some(v1::SyncPolicy {
            enabled: Some(provider.sync_policy.enabled),
            interval: Some(duration::write(provider.sync_policy.interval)),
        }),
        delete_time: provider.delete_time.map(time::write),
        purge_time: provider.purge_time.map(time::write),
    )
}

#[must_use]
pub fn config_bytes(provider: &Provider) -> Bytes {
    config(provider).encode_to_vec().into()
}

#[must_use]
pub fn sync(sync: &SyncStatus) -> v1::SyncStatus {
    v1::SyncStatus {
        last_time: Some(time::write(sync.last_time)),
        result: sync.result.number(),
        message: sync.message.clone(),
        added: number::from_u32(sync.added),
        updated: number::from_u32(sync.updated),
        deprecated: number::from_u32(sync.deprecated),
        restored: number::from_u32(sync.restored),
        unchanged: number::from_u32(sync.unchanged),
    }
}

/// The status fields. A provider that was never synchronised has none.
#[must_use]
pub fn status(status: Option<&SyncStatus>) -> Message {
    Message { sync: status.map(sync), ..Message::default() }
}

#[must_use]
pub fn status_bytes(sync: Option<&SyncStatus>) -> Bytes {
    status(sync).encode_to_vec().into()
}

#[must_use]
pub fn full(provider: &Provider, status: Option<&SyncStatus>) -> Message {
    Message { sync: status.map(sync), ..config(provider) }
}

/// # Errors
/// The field that this program would not have written so.
pub fn read(message: Message) -> Result<Provider, WireError> {
    let policy = required("provider.sync_policy", message.sync_policy)?;
    Ok(Provider {
        id: id::read("provider.id", &message.id)?,
        name: required("provider.name", message.name)?,
        kind: enums::read("provider.kind", required("provider.kind", message.kind)?)?,
        description: required("provider.description", message.description)?,
        is_active: required("provider.is_active", message.is_active)?,
        sync_policy: SyncPolicy {
            enabled: required("provider.sync_policy.enabled", policy.enabled)?,
            interval: duration::read("provider.sync_policy.interval", policy.interval)?,
        },
        delete_time: time::read("provider.delete_time", message.delete_time)?,
        purge_time: time::read("provider.purge_time", message.purge_time)?,
        meta: read_meta!(message)?,
    })
}

/// # Errors
/// The field that this program would not have written so.
pub(super) fn read_sync(sync: v1::SyncStatus) -> Result<SyncStatus, WireError> {
    Ok(SyncStatus {
        last_time: time::read_set("sync.last_time", sync.last_time)?,
        result: enums::read("sync.result", sync.result)?,
        message: sync.message,
        added: number::read_u32("sync.added", sync.added)?,
        updated: number::read_u32("sync.updated", sync.updated)?,
        deprecated: number::read_u32("sync.deprecated", sync.deprecated)?,
        restored: number::read_u32("sync.restored", sync.restored)?,
        unchanged: number::read_u32("sync.unchanged", sync.unchanged)?,
    })
}

/// Reads what a caller sent at `field`. Fields that nobody sets are ignored.
pub fn input(message: Message, field: &str, violations: &mut Violations) -> ProviderInput {
    let policy = message.sync_policy.unwrap_or_default();
    ProviderInput {
        name: message.name,
        kind: enums::input(&format!("{field}.kind"), message.kind, violations),
        description: message.description,
        is_active: message.is_active,
        sync_enabled: policy.enabled,
        sync_interval: duration::input(&format!("{field}.sync_policy.interval"), policy.interval, violations),
        labels: message.labels,
    }
}
