//! The fields that every resource has.

use std::collections::BTreeMap;

use super::{WireError, time};
use crate::domain::{Meta, Revision};

/// Fills the common fields of a message of a resource; the rest keeps its default.
macro_rules! message_with_meta {
    ($message:ident, $resource:expr; $($field:ident $(: $value:expr)?),+ $(,)?) => {
        $message {
            id: $crate::wire::id::write($resource.id.uuid()),
            revision: $resource.meta.revision.0,
            create_time: $crate::wire::time::write_set($resource.meta.create_time),
            update_time: $crate::wire::time::write_set($resource.meta.update_time),
            created_by: $resource.meta.created_by.clone(),
            updated_by: $resource.meta.updated_by.clone(),
            labels: $resource.meta.labels.clone(),
            $($field $(: $value)?,)+
            ..$message::default()
        }
    };
}
pub(super) use message_with_meta;

/// Takes the common fields out of a message of a resource.
macro_rules! read_meta {
    ($message:ident) => {
        $crate::wire::meta::read(
            $message.revision,
            [$message.create_time, $message.update_time],
            [$message.created_by, $message.updated_by],
            $message.labels,
        )
    };
}
pub(super) use read_meta;

pub(super) fn read(
    revision: i64,
    [create_time, update_time]: [Option<prost_types::Timestamp>; 2],
    [created_by, updated_by]: [String; 2],
    labels: BTreeMap<String, String>,
) -> Result<Meta, WireError> {
    Ok(Meta {
        revision: Revision(revision),
        create_time: time::read_set("create_time", create_time)?,
        update_time: time::read_set("update_time", update_time)?,
        created_by,
        updated_by,
        labels,
    })
}
