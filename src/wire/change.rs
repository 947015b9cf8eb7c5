//! Changes, as the audit log shows them and as Watch does.

use super::enums::{WireEnum as _, wire_enum};
use super::{WireError, enums, id, number, resource, time};
use crate::domain::{Change, Operation, ResourceKind, Revision};
use crate::proto::v1;
use crate::proto::v1::Change as Message;

wire_enum!(Operation, v1::Operation {
    Create => Create,
    Update => Update,
    Delete => Delete,
    Undelete => Undelete,
    Access => Access,
});

/// The whole change.
#[must_use]
pub fn write(change: &Change) -> Message {
    Message {
        actor: change.actor.clone(),
        request_id: change.request_id.clone(),
        reason: change.reason.clone(),
        peer_address: change.peer_address.clone(),
        user_agent: change.user_agent.clone(),
        before: change.before.as_ref().map(resource::config),
        ..watched(change)
    }
}

/// The change without what only the audit log shows: who did it, from where, why, and what was before.
#[must_use]
pub fn watched(change: &Change) -> Message {
    Message {
        revision: change.revision.0,
        ordinal: number::from_u32(change.ordinal),
        resource_kind: change.resource_kind.number(),
        resource_id: change.resource_id.to_string(),
        operation: change.operation.number(),
        rpc: change.rpc.clone(),
        time: Some(time::write(change.time)),
        after: change.after.as_ref().map(resource::config),
        changed_fields: change.changed_fields.clone(),
        ..Message::default()
    }
}

/// Reads a change; `token_hash` is that of the token's secret, if it is one of a token.
///
/// # Errors
/// What this program would not have written so.
pub(super) fn read(message: Message, token_hash: [u8; 32]) -> Result<Change, WireError> {
    let resource = |message| resource::read(message, token_hash);
    Ok(Change {
        revision: Revision(message.revision),
        ordinal: number::read_u32("change.ordinal", message.ordinal)?,
        resource_kind: enums::read("change.resource_kind", message.resource_kind)?,
        resource_id: id::read_uuid("change.resource_id", &message.resource_id)?,
        operation: enums::read("change.operation", message.operation)?,
        actor: message.actor,
        rpc: message.rpc,
        request_id: message.request_id,
        reason: message.reason,
        peer_address: message.peer_address,
        user_agent: message.user_agent,
        time: time::read_set("change.time", message.time)?,
        before: message.before.map(resource).transpose()?,
        after: message.after.map(resource).transpose()?,
        changed_fields: message.changed_fields,
    })
}

/// Whether Watch shows the change at all: tokens, key rings and uses of secrets are for the audit log alone.
#[must_use]
pub fn is_watched(change: &Change) -> bool {
    change.operation != Operation::Access
        && !matches!(change.resource_kind, ResourceKind::Token | ResourceKind::Keyring)
}
