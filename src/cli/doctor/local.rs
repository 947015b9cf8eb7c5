//! What can be told without a server: the files of the data directory, the master keys, the database and its schema.
//!
//! Nothing is made that is not there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tokio::time::timeout;
use zeroize::Zeroizing;

use super::finding::{Finding, LIMIT, Report};
use super::problem_of;
use crate::app;
use crate::changes::cluster;
use crate::config::Settings;
use crate::secrets::{KeyRing, KeySource};
use crate::store::{MigrationState, Store, StoreError};

pub async fn examine(settings: &Settings, report: &mut Report) {
    let fresh = settings.sqlite_file().is_some_and(|file| !file.exists());
    files(settings, report);
    let ring = keys(settings, fresh, report);
    if fresh {
        report.add(Finding::skip("database", "there is none yet; `modelward serve` makes it"));
        return;
    }
    let store = match timeout(LIMIT.saturating_mul(2), app::open_store(settings)).await {
        Ok(Ok(store)) => store,
        Ok(Err(error)) => return report.add(unopened(&error)),
        Err(_) => return report.add(silent()),
    };
    report.add(Finding::ok("database", format!("{} is opened", store.address())));
    report.add(schema(&store).await);
    if let Some(ring) = ring {
        report.add(match_keys(&store, &ring).await);
    }
}

fn silent() -> Finding {
    Finding::fail("database", "the database does not answer in time", "look whether it is frozen, or a firewall drops")
}

fn unopened(error: &anyhow::Error) -> Finding {
    match error.downcast_ref() {
        Some(StoreError::Locked { .. }) => Finding::warn(
            "database",
            "a server uses it, so it cannot be looked into",
            "ask that server: `modelward doctor` without --offline",
        ),
        _ => Finding::fail(
            "database",
            problem_of(error),
            "start the database, or correct the URL in MODELWARD_DATABASE_URL, the file's path or its permissions",
        ),
    }
}

/// The secret files are for their owner alone; Kubernetes mounts some for the group of the pod.
fn files(settings: &Settings, report: &mut Report) {
    let directory = &settings.server.data_dir;
    let database = settings.sqlite_file();
    let secret = [Some(settings.master_key_file()), Some(settings.admin_token_file()), database];
    let mut open = Vec::new();
    let mut seen = 0;
    for path in secret.into_iter().flatten() {
        let Ok(metadata) = fs::metadata(&path) else { continue };
        seen += 1;
        if metadata.permissions().mode() & 0o007 != 0 {
            open.push(path.display().to_string());
        }
    }
    report.add(match (open.is_empty(), seen) {
        (true, 0) => Finding::skip("files", format!("there are none yet in {}", directory.display())),
        (true, _) => Finding::ok("files", format!("{seen} files with secrets are closed to other users")),
        (false, _) => Finding::fail(
            "files",
            format!("other users of the machine may use {}", open.join(", ")),
            format!("chmod o-rwx {}", open.join(" ")),
        ),
    });
    if directory.exists() && !is_writable(directory) {
        let remedy = "give the directory to the user that the server runs as";
        report.add(Finding::fail("directory", format!("{} cannot be written", directory.display()), remedy));
    }
}

/// By its mode: trying would leave a trace.
fn is_writable(directory: &Path) -> bool {
    fs::metadata(directory).is_ok_and(|metadata| metadata.is_dir() && metadata.permissions().mode() & 0o222 != 0)
}

fn keys(settings: &Settings, fresh: bool, report: &mut Report) -> Option<KeyRing> {
    let source = match &settings.secrets.master_keys {
        Some(keys) => KeySource::Text(Zeroizing::new(keys.expose().to_owned())),
        None => KeySource::File(settings.master_key_file()),
    };
    if fresh && matches!(&source, KeySource::File(path) if !path.exists()) {
        report.add(Finding::skip("keys", "there are none yet; `modelward serve` makes one"));
        return None;
    }
    match KeyRing::load(source) {
        Ok(ring) => {
            report.add(Finding::ok("keys", "the master keys can be read"));
            Some(ring)
        }
        Err(error) => {
            let remedy = "put back the file with the keys of this database, named by master_key_file, with mode 0600";
            report.add(Finding::fail("keys", error, remedy));
            None
        }
    }
}

async fn schema(store: &Store) -> Finding {
    let states = match timeout(LIMIT, store.migration_status()).await {
        Ok(Ok(states)) => states,
        Ok(Err(error)) => return Finding::fail("schema", error, "the log of the database tells more"),
        Err(_) => return silent(),
    };
    let count = |wanted: fn(&MigrationState) -> bool| states.iter().filter(|state| wanted(state)).count();
    let (newer, pending) = (count(|state| !state.known), count(|state| !state.applied));
    match (newer, pending) {
        (0, 0) => Finding::ok("schema", format!("all {} migrations ran", states.len())),
        (0, pending) => Finding::warn(
            "schema",
            format!("it is older: {pending} of {} migrations did not run", states.len()),
            "back up, then start a server of this version, or run `modelward migrate`",
        ),
        (newer, _) => Finding::fail(
            "schema",
            format!("it is newer than this program: {newer} migrations are unknown here"),
            "use the newer program, or migrate down with it first",
        ),
    }
}

async fn match_keys(store: &Store, ring: &KeyRing) -> Finding {
    match timeout(LIMIT, store.cluster_before_migrations()).await {
        Ok(Ok(Some(row))) => match cluster::unlock(ring, &row) {
            Ok(_) => {
                Finding::ok("key match", format!("the active key {} opens the database's own keys", row.active_key_id))
            }
            Err(error) => Finding::fail(
                "key match",
                error,
                "put the key that sealed this database into the key file; without it no stored secret can be read",
            ),
        },
        Ok(Ok(None)) => Finding::skip("key match", "the database was not used yet"),
        Ok(Err(error)) => Finding::fail("key match", error, "the log of the database tells more"),
        Err(_) => silent(),
    }
}
