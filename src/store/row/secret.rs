//! Rows of `credential_secrets`: one sealed version of a credential's secret each.

use super::{instant, time};
use crate::domain::secret::SealedSecret;
use crate::store::statement::row;
use crate::store::value::{DbId, Instant};

row! {
    SecretRow in credential_secrets (credential_id, version) {
        credential_id: DbId,
        version: i64,
        master_key_id: String,
        wrapped_key: Vec<u8>,
        ciphertext: Vec<u8>,
        create_time: Instant,
        expire_time: Option<Instant>,
        status_revision: i64,
    }
}

impl From<&SealedSecret> for SecretRow {
    /// As it is first written: not wrapped anew yet, so it has no status revision.
    fn from(secret: &SealedSecret) -> Self {
        Self {
            credential_id: secret.credential_id.into(),
            version: secret.version,
            master_key_id: secret.master_key_id.clone(),
            wrapped_key: secret.wrapped_key.to_vec(),
            ciphertext: secret.ciphertext.to_vec(),
            create_time: secret.create_time.into(),
            expire_time: instant(secret.expire_time),
            status_revision: 0,
        }
    }
}

impl From<SecretRow> for SealedSecret {
    fn from(row: SecretRow) -> Self {
        Self {
            credential_id: row.credential_id.into(),
            version: row.version,
            master_key_id: row.master_key_id,
            wrapped_key: row.wrapped_key.into(),
            ciphertext: row.ciphertext.into(),
            create_time: row.create_time.into(),
            expire_time: time(row.expire_time),
        }
    }
}
