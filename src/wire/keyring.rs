//! The key ring.

use super::{WireError, id, time};
use crate::domain::{Revision, keyring::Keyring};
use crate::proto::v1::Keyring as Message;

/// The configuration fields. The keys and the progress of wrapping are status.
#[must_use]
pub fn config(keyring: &Keyring) -> Message {
    Message {
        id: id::write(keyring.id),
        revision: keyring.revision.0,
        update_time: time::write_set(keyring.update_time),
        updated_by: keyring.updated_by.clone(),
        active_key_id: keyring.active_key_id.clone(),
        ..Message::default()
    }
}

/// # Errors
/// The field that this program would not have written so.
pub fn read(message: Message) -> Result<Keyring, WireError> {
    Ok(Keyring {
        id: id::read_uuid("keyring.id", &message.id)?,
        revision: Revision(message.revision),
        active_key_id: message.active_key_id,
        update_time: time::read_set("keyring.update_time", message.update_time)?,
        updated_by: message.updated_by,
    })
}
