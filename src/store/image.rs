//! Reading the configuration as a whole: one transaction, one moment.

use std::sync::Arc;

use diesel::{QueryDsl as _, SelectableHelper as _};
use diesel_async::RunQueryDsl as _;

use super::Store;
use super::conn::{Conn, Purpose, Transaction, on_conn};
use super::error::{Result, StoreError};
use super::log;
use super::row::cluster::ClusterDbRow;
use super::row::credential::CredentialRow;
use super::row::endpoint::EndpointRow;
use super::row::model::ModelRow;
use super::row::provider::ProviderRow;
use super::row::secret::SecretRow;
use super::row::token::TokenRow;
use super::schema::{cluster, credential_secrets, credentials, endpoints, models, providers, tokens};
use crate::domain::image::Image;
use crate::domain::keyring::Keyring;

impl Store {
    /// All configuration, at one revision.
    ///
    /// # Errors
    /// [`StoreError::NotInitialised`] in an empty database; [`StoreError::Corrupt`] for a value that no resource has.
    pub async fn load_image(&self) -> Result<Image> {
        let mut transaction = Transaction::begin(self.reader().await?, Purpose::Read).await?;
        let image = load(transaction.conn()?).await;
        let image = transaction.note(image)?;
        transaction.commit().await?;
        Ok(image)
    }
}

/// Reads a whole table, in order of its key.
macro_rules! all {
    ($conn:expr, $table:ident by $key:expr => $row:ident) => {{
        let query = $table::table.order($key);
        let rows: Vec<$row> = on_conn!($conn.again(), |c| query.select($row::as_select()).load(c).await)?;
        rows
    }};
}

fn read<R, T: TryFrom<R, Error = StoreError>>(rows: Vec<R>) -> Result<Vec<Arc<T>>> {
    rows.into_iter().map(|row| T::try_from(row).map(Arc::new)).collect()
}

async fn load(mut conn: Conn<'_>) -> Result<Image> {
    let head = log::head(conn.again()).await?;
    let rows = all!(conn, cluster by cluster::singleton => ClusterDbRow);
    let [keyring] = rows.as_slice() else { return Err(StoreError::NotInitialised) };
    Ok(Image {
        head,
        providers: read(all!(conn, providers by providers::id => ProviderRow))?,
        endpoints: read(all!(conn, endpoints by endpoints::id => EndpointRow))?,
        credentials: read(all!(conn, credentials by credentials::id => CredentialRow))?,
        models: read(all!(conn, models by models::id => ModelRow))?,
        tokens: read(all!(conn, tokens by tokens::id => TokenRow))?,
        keyring: Arc::new(Keyring::from(keyring)),
        sealed: {
            let key = (credential_secrets::credential_id, credential_secrets::version);
            all!(conn, credential_secrets by key => SecretRow).into_iter().map(Into::into).collect()
        },
    })
}
