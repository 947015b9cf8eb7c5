//! Rows of `tokens`.

use super::{Place, instant, json, time};
use crate::domain::caller::Role;
use crate::domain::token::Token;
use crate::domain::{Revision, Roles};
use crate::store::error::{Result, StoreError};
use crate::store::statement::row;
use crate::store::value::{DbId, Instant, JsonText};

row! {
    TokenRow in tokens (id) {
        id: DbId,
        revision: i64,
        name: String,
        roles: JsonText,
        create_time: Instant,
        created_by: String,
        expire_time: Option<Instant>,
        revoke_time: Option<Instant>,
        secret_hash: Vec<u8>,
    }
}

impl From<&Token> for TokenRow {
    fn from(token: &Token) -> Self {
        Self {
            id: token.id.into(),
            revision: token.revision.0,
            name: token.name.clone(),
            roles: json(token.roles.iter().map(Role::name).collect::<Vec<_>>()),
            create_time: token.create_time.into(),
            created_by: token.created_by.clone(),
            expire_time: instant(token.expire_time),
            revoke_time: instant(token.revoke_time),
            secret_hash: token.secret_hash.to_vec(),
        }
    }
}

impl TryFrom<TokenRow> for Token {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self> {
        let place = Place::of("tokens", row.id);
        let names: Vec<String> = place.json("roles", &row.roles)?;
        let roles: Option<Roles> = names.iter().map(|name| Role::parse(name)).collect();
        Ok(Self {
            id: row.id.into(),
            revision: Revision(row.revision),
            name: row.name,
            roles: place.some("roles", roles)?,
            create_time: row.create_time.into(),
            created_by: row.created_by,
            expire_time: time(row.expire_time),
            revoke_time: time(row.revoke_time),
            secret_hash: place.hash("secret_hash", &row.secret_hash)?,
        })
    }
}
