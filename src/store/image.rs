//! Reading the configuration as a whole: one transaction, one moment, page by page in order of the ids, so that what is
//! in memory at a time does not grow with the tables.

use std::sync::Arc;

use diesel::{BoolExpressionMethods as _, ExpressionMethods as _, QueryDsl as _, SelectableHelper as _};
use diesel_async::RunQueryDsl as _;

use super::Store;
use super::conn::{Conn, Purpose, Transaction, on_conn};
use super::error::{Result, StoreError};
use super::log;
use super::row::binding::BindingRow;
use super::row::cluster::ClusterDbRow;
use super::row::credential::CredentialRow;
use super::row::endpoint::EndpointRow;
use super::row::model::ModelRow;
use super::row::provider::ProviderRow;
use super::row::secret::SecretRow;
use super::row::token::TokenRow;
use super::schema::{bindings, cluster, credential_secrets, credentials, endpoints, models, providers, tokens};
use super::value::DbId;
use crate::domain::Head;
use crate::domain::image::{Image, Page, RowKey};
use crate::domain::keyring::Keyring;

/// How many rows are read at a time.
const PAGE: u16 = 1000;

impl Store {
    /// Begins to read all configuration at one revision.
    ///
    /// # Errors
    /// [`StoreError::NotInitialised`] in an empty database.
    pub async fn read_image(&self) -> Result<ImageReader> {
        let mut transaction = Transaction::begin(self.reader().await?, Purpose::Read).await?;
        let first = first(transaction.conn()?).await;
        let (head, keyring) = transaction.note(first)?;
        Ok(ImageReader { transaction, head, keyring, table: Some(Table::Providers), from: RowKey::default() })
    }

    /// All configuration at once: for those who know that it is small.
    ///
    /// # Errors
    /// As [`read_image`](Self::read_image); [`StoreError::Corrupt`] for a value that no resource has.
    pub async fn load_image(&self) -> Result<Image> {
        let mut reader = self.read_image().await?;
        let mut image = Image::new(reader.head(), Arc::clone(reader.keyring()));
        while let Some(page) = reader.next().await? {
            image.add(page);
        }
        reader.close().await?;
        Ok(image)
    }
}

/// The configuration at one revision, on its way out of the database. Its transaction stays open until
/// [`close`](Self::close), or until it is dropped.
pub struct ImageReader {
    transaction: Transaction<'static>,
    head: Head,
    keyring: Arc<Keyring>,
    table: Option<Table>,
    /// The first key of this table that was not read yet.
    from: RowKey,
}

impl ImageReader {
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    #[must_use]
    pub const fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// The next rows: parents before children, each table in order of its key; none when all were read.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a value that no resource has.
    pub async fn next(&mut self) -> Result<Option<Page>> {
        while let Some(table) = self.table {
            let page = table.read(self.transaction.conn()?, self.from).await;
            let page = self.transaction.note(page)?;
            let next = page.next().filter(|_| page.len() >= PAGE.into());
            (self.table, self.from) = next.map_or((table.next(), RowKey::default()), |from| (Some(table), from));
            if !page.is_empty() {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    /// Ends the transaction.
    ///
    /// # Errors
    /// What the database says.
    pub async fn close(self) -> Result<()> {
        self.transaction.commit().await
    }
}

async fn first(mut conn: Conn<'_>) -> Result<(Head, Arc<Keyring>)> {
    let head = log::head(conn.again()).await?;
    let query = cluster::table.order(cluster::singleton);
    let rows: Vec<ClusterDbRow> = on_conn!(conn, |c| query.select(ClusterDbRow::as_select()).load(c).await)?;
    let [keyring] = rows.as_slice() else { return Err(StoreError::NotInitialised) };
    Ok((head, Arc::new(Keyring::from(keyring))))
}

#[derive(Debug, Clone, Copy)]
enum Table {
    Providers,
    Endpoints,
    Credentials,
    Models,
    Bindings,
    Tokens,
    Secrets,
}

/// Reads a page of a table whose key is one id.
macro_rules! page {
    ($conn:expr, $from:expr, $table:ident: $row:ident => $page:ident) => {{
        let query = $table::table.filter($table::id.ge($from)).order($table::id).limit(PAGE.into());
        let rows: Vec<$row> = on_conn!($conn, |c| query.select($row::as_select()).load(c).await)?;
        Page::$page(rows.into_iter().map(|row| row.try_into().map(Arc::new)).collect::<Result<_>>()?)
    }};
}

impl Table {
    async fn read(self, conn: Conn<'_>, from: RowKey) -> Result<Page> {
        let id = DbId(from.id);
        Ok(match self {
            Self::Providers => page!(conn, id, providers: ProviderRow => Providers),
            Self::Endpoints => page!(conn, id, endpoints: EndpointRow => Endpoints),
            Self::Credentials => page!(conn, id, credentials: CredentialRow => Credentials),
            Self::Models => page!(conn, id, models: ModelRow => Models),
            Self::Bindings => page!(conn, id, bindings: BindingRow => Bindings),
            Self::Tokens => page!(conn, id, tokens: TokenRow => Tokens),
            Self::Secrets => {
                use credential_secrets as table;
                let later = table::credential_id.gt(id).or(table::version.ge(from.version));
                let query = table::table
                    .filter(table::credential_id.ge(id))
                    .filter(later)
                    .order((table::credential_id, table::version))
                    .limit(PAGE.into());
                let rows: Vec<SecretRow> = on_conn!(conn, |c| query.select(SecretRow::as_select()).load(c).await)?;
                Page::Sealed(rows.into_iter().map(Into::into).collect())
            }
        })
    }

    const fn next(self) -> Option<Self> {
        match self {
            Self::Providers => Some(Self::Endpoints),
            Self::Endpoints => Some(Self::Credentials),
            Self::Credentials => Some(Self::Models),
            Self::Models => Some(Self::Bindings),
            Self::Bindings => Some(Self::Tokens),
            Self::Tokens => Some(Self::Secrets),
            Self::Secrets => None,
        }
    }
}
