//! The verification of the log: reads the database, beside servers that run or alone, and writes nothing.

use anyhow::{Context as _, ensure};

use super::keys;
use crate::changes::cluster;
use crate::changes::verify::{Anchor, Verdict, verify};
use crate::config::Settings;
use crate::secrets::Secrets;

/// Reads the log of the database that the settings name.
///
/// # Errors
/// When the database or its master keys cannot be used, or its schema is an older one.
pub async fn verify_log(settings: &Settings, anchor: Option<Anchor>) -> anyhow::Result<Verdict> {
    if let Some(file) = settings.sqlite_file() {
        ensure!(file.exists(), "there is no database at {}; name another --data-dir", file.display());
    }
    let (store, ring) = keys::open(settings).await?;
    let pending = store.migration_status().await?.into_iter().any(|migration| !migration.applied);
    ensure!(!pending, "the database has an older schema; bring it up to date with `modelward migrate`");
    let row = store.cluster().await?.context("the database is empty; start a server on it first")?;
    let opened = cluster::unlock(&ring, &row).map_err(|error| keys::with_remedy(error.into()))?;
    Ok(verify(&store, &Secrets::new(ring, opened, row.cluster_id), anchor).await?)
}
