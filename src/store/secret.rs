//! Reading sealed secrets. They are opened elsewhere.

use diesel::dsl::count_star;
use diesel::{ExpressionMethods as _, QueryDsl as _, SelectableHelper as _};
use diesel_async::RunQueryDsl as _;

use super::Store;
use super::conn::{Conn, on_conn};
use super::error::Result;
use super::row::secret::SecretRow;
use super::schema::credential_secrets as table;
use super::value::DbId;
use crate::domain::CredentialId;
use crate::domain::secret::SealedSecret;

/// Ids in one statement; SQLite allows 32,766 values.
const AT_ONCE: usize = 10_000;

impl Store {
    /// The named versions of secrets; those that do not exist are left out.
    ///
    /// # Errors
    /// What the database says.
    pub async fn secrets_of(&self, versions: &[(CredentialId, i64)]) -> Result<Vec<SealedSecret>> {
        if versions.is_empty() {
            return Ok(Vec::new());
        }
        let mut held = self.reader().await?;
        let mut found = Vec::with_capacity(versions.len());
        for part in versions.chunks(AT_ONCE) {
            let ids: Vec<DbId> = part.iter().map(|(id, _)| (*id).into()).collect();
            let secrets = of_credentials(held.conn()?, ids).await;
            found.extend(held.note(secrets)?);
        }
        let wanted: std::collections::HashSet<_> = versions.iter().copied().collect();
        found.retain(|secret| wanted.contains(&(secret.credential_id, secret.version)));
        Ok(found)
    }

    /// Secrets whose data key is wrapped by another master key than this one, in order of their ids.
    ///
    /// # Errors
    /// What the database says.
    pub async fn secrets_under_other_keys(&self, active_key_id: &str, limit: i64) -> Result<Vec<SealedSecret>> {
        let mut held = self.reader().await?;
        let secrets = under_other_keys(held.conn()?, active_key_id, limit).await;
        held.note(secrets)
    }

    /// How many secrets each master key wraps.
    ///
    /// # Errors
    /// What the database says.
    pub async fn count_secrets_by_key(&self) -> Result<Vec<(String, i64)>> {
        let mut held = self.reader().await?;
        let counts = count_by_key(held.conn()?).await;
        held.note(counts)
    }
}

async fn of_credentials(conn: Conn<'_>, ids: Vec<DbId>) -> Result<Vec<SealedSecret>> {
    let query = table::table.filter(table::credential_id.eq_any(ids));
    let rows: Vec<SecretRow> = on_conn!(conn, |c| query.select(SecretRow::as_select()).load(c).await)?;
    Ok(rows.into_iter().map(Into::into).collect())
}

async fn under_other_keys(conn: Conn<'_>, key_id: &str, limit: i64) -> Result<Vec<SealedSecret>> {
    let query =
        table::table.filter(table::master_key_id.ne(key_id)).order((table::credential_id, table::version)).limit(limit);
    let rows: Vec<SecretRow> = on_conn!(conn, |c| query.select(SecretRow::as_select()).load(c).await)?;
    Ok(rows.into_iter().map(Into::into).collect())
}

async fn count_by_key(conn: Conn<'_>) -> Result<Vec<(String, i64)>> {
    let query = table::table.group_by(table::master_key_id).select((table::master_key_id, count_star()));
    Ok(on_conn!(conn, |c| query.load(c).await)?)
}
