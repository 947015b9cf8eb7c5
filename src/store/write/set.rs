//! The statements of a write set, in the order that never meets a constraint half-way: deletes (children first), rows
//! that give up a unique value, rows as they are to be (parents first), ciphertexts, log, answers, counter.

use std::ops::Range;

use super::WriteSet;
use super::net::{Effect, Net};
use crate::domain::{CredentialId, Head};
use crate::store::conn::Conn;
use crate::store::row::binding::BindingRow;
use crate::store::row::cluster::CounterRow;
use crate::store::row::credential::CredentialRow;
use crate::store::row::endpoint::EndpointRow;
use crate::store::row::log::{ChangeRow, RequestRow};
use crate::store::row::model::ModelRow;
use crate::store::row::provider::ProviderRow;
use crate::store::row::secret::SecretRow;
use crate::store::row::token::TokenRow;
use crate::store::statement::{Bind, Existing, Part, Statement, by_ids, insert};
use crate::store::value::DbId;

/// A unique text that no name can have, since names hold no control characters.
const PARKED_PG: &str = "chr(1) || id::text";
const PARKED_LITE: &str = "char(1) || hex(id)";

/// What writes a set.
pub(super) struct Statements {
    pub list: Vec<Statement>,
    /// Which of them append to the log.
    pub log: Range<usize>,
}

pub(super) fn statements(set: &WriteSet, locked: Head, conn: &Conn<'_>) -> Statements {
    let postgres = matches!(conn, Conn::Pg(_));
    let effect = Effect::of(&set.log);
    let mut list = Vec::new();
    remove(&mut list, &effect);
    park(&mut list, &effect, if postgres { PARKED_PG } else { PARKED_LITE });
    put(&mut list, &effect);
    secrets(&mut list, set, &effect);
    let before = list.len();
    insert(&mut list, set.log.iter().map(ChangeRow::from).collect(), Existing::Refuse);
    let log = before..list.len();
    insert(&mut list, set.requests.iter().map(RequestRow::from).collect(), Existing::Replace);
    if set.head != locked {
        insert(&mut list, vec![CounterRow::from(set.head)], Existing::Replace);
    }
    if set.notify && postgres {
        list.push(Statement::of([Part::Sql("NOTIFY modelward_changes")]));
    }
    Statements { list, log }
}

/// Ciphertexts go with their credential.
fn remove(list: &mut Vec<Statement>, effect: &Effect) {
    by_ids(list, "DELETE FROM bindings WHERE id", &effect.bindings.remove);
    // They are written again with what they point to then.
    by_ids(list, "DELETE FROM bindings WHERE id", &effect.bindings.park);
    by_ids(list, "DELETE FROM models WHERE id", &effect.models.remove);
    by_ids(list, "DELETE FROM credentials WHERE id", &effect.credentials.remove);
    by_ids(list, "DELETE FROM endpoints WHERE id", &effect.endpoints.remove);
    by_ids(list, "DELETE FROM providers WHERE id", &effect.providers.remove);
    by_ids(list, "DELETE FROM tokens WHERE id", &effect.tokens.remove);
}

fn park(list: &mut Vec<Statement>, effect: &Effect, parked: &str) {
    let providers = format!("UPDATE providers SET name_key = {parked} WHERE id");
    by_ids(list, &providers, &effect.providers.park);
    let endpoints = format!("UPDATE endpoints SET name_key = {parked}, is_default = false WHERE id");
    by_ids(list, &endpoints, &effect.endpoints.park);
    let credentials = format!("UPDATE credentials SET alias = {parked} WHERE id");
    by_ids(list, &credentials, &effect.credentials.park);
}

fn put(list: &mut Vec<Statement>, effect: &Effect) {
    put_rows::<_, ProviderRow>(list, &effect.providers);
    put_rows::<_, EndpointRow>(list, &effect.endpoints);
    put_rows::<_, CredentialRow>(list, &effect.credentials);
    put_rows::<_, ModelRow>(list, &effect.models);
    put_rows::<_, BindingRow>(list, &effect.bindings);
    put_rows::<_, TokenRow>(list, &effect.tokens);
    if let Some(keyring) = &effect.keyring {
        list.push(Statement::of([
            Part::Sql("UPDATE cluster SET active_key_id = "),
            Part::Text(keyring.active_key_id.clone()),
            Part::Sql(", revision = "),
            Part::Int(keyring.revision.0),
            Part::Sql(", update_time = "),
            Part::Time(keyring.update_time.into()),
            Part::Sql(", updated_by = "),
            Part::Text(keyring.updated_by.clone()),
        ]));
    }
}

fn put_rows<T, R>(list: &mut Vec<Statement>, net: &Net<T>)
where
    R: for<'a> From<&'a T> + Bind<diesel::pg::Pg> + Bind<diesel::sqlite::Sqlite>,
{
    insert(list, net.put.iter().map(|resource| R::from(resource)).collect(), Existing::Replace);
}

/// Destroys, seals and ends secrets. Those of credentials that are gone were never there.
fn secrets(list: &mut Vec<Statement>, set: &WriteSet, effect: &Effect) {
    let gone = |id: CredentialId| effect.credentials.remove.contains(&id.into());
    let (whole, single): (Vec<_>, Vec<_>) = set.destroy.iter().copied().partition(|(_, version)| version.is_none());
    let whole: Vec<DbId> = whole.into_iter().map(|(id, _)| id.into()).collect();
    by_ids(list, "DELETE FROM credential_secrets WHERE credential_id", &whole);
    let kept = set.sealed.iter().filter(|secret| !gone(secret.credential_id));
    insert(list, kept.map(SecretRow::from).collect(), Existing::Refuse);
    for (id, version, end) in set.expire.iter().filter(|(id, ..)| !gone(*id)) {
        list.push(Statement::of([
            Part::Sql("UPDATE credential_secrets SET expire_time = "),
            Part::Time((*end).into()),
            Part::Sql(" WHERE credential_id = "),
            Part::Id((*id).into()),
            Part::Sql(" AND version = "),
            Part::Int(*version),
        ]));
    }
    for (id, version) in single {
        list.push(Statement::of([
            Part::Sql("DELETE FROM credential_secrets WHERE credential_id = "),
            Part::Id(id.into()),
            Part::Sql(" AND version = "),
            Part::Int(version.unwrap_or_default()),
        ]));
    }
}
