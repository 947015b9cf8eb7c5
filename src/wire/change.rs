//! Changes, as the audit log shows them and as Watch does.

use super::enums::{WireEnum as _, wire_enum};
use super::{number, resource, time};
use crate::domain::{Change, Operation, ResourceKind};
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

/// Whether Watch shows the change at all: tokens, key rings and uses of secrets are for the audit log alone.
#[must_use]
pub fn is_watched(change: &Change) -> bool {
    change.operation != Operation::Access
        && !matches!(change.resource_kind, ResourceKind::Token | ResourceKind::Keyring)
}
