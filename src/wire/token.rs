//! Tokens. The hash of their secret is no part of the message: it travels beside it where it has to.

use super::enums::{WireEnum as _, wire_enum};
use super::{WireError, enums, id, time};
use crate::domain::{Revision, Role, Roles, Timestamp, Violations, token::Token};
use crate::proto::v1;
use crate::proto::v1::Token as Message;

wire_enum!(Role, v1::Role { Viewer => Viewer, Consumer => Consumer, Editor => Editor, Admin => Admin });

/// The configuration fields.
#[must_use]
pub fn config(token: &Token) -> Message {
    Message {
        id: id::write(token.id.uuid()),
        revision: token.revision.0,
        create_time: time::write_set(token.create_time),
        created_by: token.created_by.clone(),
        name: token.name.clone(),
        roles: token.roles.iter().map(Role::number).collect(),
        expire_time: token.expire_time.map(time::write),
        last_use_time: None,
        revoke_time: token.revoke_time.map(time::write),
    }
}

#[must_use]
pub fn full(token: &Token, last_use_time: Option<Timestamp>) -> Message {
    Message { last_use_time: last_use_time.map(time::write), ..config(token) }
}

/// # Errors
/// The field that this program would not have written so.
pub fn read(message: Message, secret_hash: [u8; 32]) -> Result<Token, WireError> {
    Ok(Token {
        id: id::read("token.id", &message.id)?,
        revision: Revision(message.revision),
        name: message.name,
        roles: message.roles.iter().map(|role| enums::read("token.roles", *role)).collect::<Result<_, _>>()?,
        create_time: time::read_set("token.create_time", message.create_time)?,
        created_by: message.created_by,
        expire_time: time::read("token.expire_time", message.expire_time)?,
        revoke_time: time::read("token.revoke_time", message.revoke_time)?,
        secret_hash,
    })
}

/// Reads the roles that a caller wants for a token.
pub fn roles(field: &str, numbers: &[i32], violations: &mut Violations) -> Roles {
    enums::list(field, numbers, violations).into_iter().collect()
}
