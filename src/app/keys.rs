//! The database and the master keys at start: both are found, and found to belong together, before anything is written.
//!
//! A start with a key that is missing, unusable or another database's leaves that database as it was: no migration, no
//! row, and beside an embedded database no file either.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use zeroize::Zeroizing;

use super::parts::open_store;
use crate::changes::cluster::{self, ClusterError};
use crate::config::{DatabaseUrl, Settings};
use crate::secrets::{KeyFile, KeyRing, KeySource};
use crate::store::{ClusterRow, Store};

/// Opens the database and the master keys. The schema may still be an older one, or none.
///
/// # Errors
/// When one of them cannot be used, or they do not belong together. The message names key ids only.
pub async fn open(settings: &Settings) -> anyhow::Result<(Store, KeyRing)> {
    // Key material first: what is unusable by itself must not even make an empty database.
    let given = given(settings)?;
    let store = open_store(settings).await?;
    let known = store.cluster_before_migrations().await?;
    let ring = match given {
        Some(ring) => ring,
        None => made(&settings.master_key_file(), known.as_ref())?,
    };
    if let Some(known) = &known {
        cluster::unlock(&ring, known).map_err(|error| with_remedy(error.into()))?;
    }
    Ok((store, ring))
}

/// What to do when the keys at hand are not those of this database.
pub fn with_remedy(error: ClusterError) -> anyhow::Error {
    match error {
        ClusterError::Secrets(error) => {
            anyhow!("{error}; give this server the right key with --master-key-file or MODELWARD_MASTER_KEYS")
        }
        ClusterError::Store(error) => error.into(),
    }
}

/// The master keys that the operator has provided. None: an embedded database, which may have a key made for it. A
/// shared database needs them given, because a key that only one of its servers has is a key that is easily lost.
fn given(settings: &Settings) -> anyhow::Result<Option<KeyRing>> {
    if let Some(keys) = &settings.secrets.master_keys {
        return Ok(Some(KeyRing::load(KeySource::Text(Zeroizing::new(keys.expose().to_owned())))?));
    }
    let path = settings.master_key_file();
    let embedded = !matches!(settings.database.url, DatabaseUrl::Postgres(_));
    if !path.exists() && embedded && settings.secrets.master_key_file.is_none() {
        return Ok(None);
    }
    anyhow::ensure!(
        path.exists(),
        "no master key: {} does not exist; make one with `modelward keys generate` and name it with --master-key-file or MODELWARD_MASTER_KEYS",
        path.display()
    );
    Ok(Some(KeyRing::load(KeySource::File(path))?))
}

/// Makes a master key for an embedded database that was never used.
fn made(path: &Path, known: Option<&ClusterRow>) -> anyhow::Result<KeyRing> {
    if let Some(known) = known {
        // A new key beside old secrets would only hide what is missing.
        anyhow::bail!(
            "no master key: {} does not exist, and the database was made with one; put back the file that holds the key {}",
            path.display(),
            known.active_key_id
        );
    }
    let cannot = || format!("cannot make {}", path.display());
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        // The database made it, unless it stands elsewhere.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).with_context(cannot)?;
    }
    let id = KeyFile::create(path).with_context(cannot)?;
    tracing::info!(file = %path.display(), key.id = id, "a master key was made; without it no secret can be read, so keep a copy");
    Ok(KeyRing::load(KeySource::File(path.to_owned()))?)
}
