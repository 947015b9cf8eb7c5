//! The copy of the last good state on disk, with which a sidecar starts and serves while its control plane is away.
//!
//! Invariant: the file is a whole copy or it is not used. It is written beside itself, flushed and renamed, so neither a
//! kill nor a full disk leaves a half; and it is sealed, so nothing that was altered, cut off or made elsewhere opens.
//! The seal protects a file that was copied away, not a directory that was stolen with its key.
//!
//! Loop: every [`INTERVAL`] what has changed is written, and once more at the stop; every [`CONFIRMED`] a copy that has
//! not changed is written again, so that it does not look older than it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::last_good::LastGood;
use crate::domain::Timestamp;
use crate::failpoint;
use crate::secrets::{FileSeal, KeyError};

/// How often a copy is written at most.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// How often a copy that has not changed is written again.
pub const CONFIRMED: Duration = Duration::from_mins(1);
/// A confirmation that is newer by less is the same one.
const NEWER: Duration = Duration::from_secs(1);
/// Larger states are not kept: some hundred thousand models.
const MAX_SIZE: u64 = 256 * 1024 * 1024;
/// How a copy begins; then comes its format.
const MAGIC: &[u8] = b"modelward copy ";
const FORMAT: u8 = b'1';
const PURPOSE: &str = "modelward sidecar copy 1";

/// The file and the key of its seal.
pub struct Cache {
    path: PathBuf,
    seal: FileSeal,
    with_secrets: bool,
}

/// Why a file is no copy that can be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("every user of this machine can use it (mode {0:04o})")]
    TooOpen(u32),
    #[error("it is too large")]
    TooLarge,
    #[error("it is no copy of a sidecar")]
    Foreign,
    #[error("it has another version's format")]
    OtherFormat,
    #[error("it was sealed with another key, altered or cut off")]
    Sealed,
}

impl Cache {
    /// Opens the key, or makes one.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn open(path: PathBuf, key_file: &Path, with_secrets: bool) -> Result<Self, KeyError> {
        for file in [&path, key_file] {
            if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
                // Where it cannot be made, using it fails and tells why.
                let _ = fs::create_dir_all(directory);
            }
        }
        let (seal, made) = FileSeal::open_or_create(key_file)?;
        if made {
            tracing::info!(file = %key_file.display(), "made a key for the copy of the configuration on disk");
        }
        Ok(Self { path, seal, with_secrets })
    }

    /// The copy, if there is one that can be used. One that cannot is told in the log, and will be written anew.
    #[must_use]
    pub fn load(&self) -> Option<LastGood> {
        match self.read() {
            Ok(copy) => copy,
            Err(problem) => {
                tracing::warn!(
                    file = %self.path.display(), problem = %problem,
                    "the copy of the configuration on disk is not used; it will be written anew"
                );
                None
            }
        }
    }

    fn read(&self) -> Result<Option<LastGood>, Unusable> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Unusable::Unreadable(error)),
        };
        // Of the open file, so that what is checked is what is read.
        let metadata = file.metadata().map_err(Unusable::Unreadable)?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o007 != 0 {
            return Err(Unusable::TooOpen(mode));
        }
        if metadata.len() > MAX_SIZE {
            return Err(Unusable::TooLarge);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
        file.take(MAX_SIZE).read_to_end(&mut bytes).map_err(Unusable::Unreadable)?;
        let (format, sealed) = bytes.strip_prefix(MAGIC).and_then(<[u8]>::split_first).ok_or(Unusable::Foreign)?;
        if *format != FORMAT {
            return Err(Unusable::OtherFormat);
        }
        let plain = self.seal.open(PURPOSE, sealed).ok_or(Unusable::Sealed)?;
        drop(bytes);
        let mut copy = LastGood::decode(&plain).ok_or(Unusable::OtherFormat)?;
        if !self.with_secrets {
            copy.secrets.clear();
        }
        Ok(Some(copy))
    }

    /// Writes a copy over the former one. Blocks for the time of the disk.
    ///
    /// # Errors
    /// When it cannot be written; the former one is still there then.
    pub fn store(&self, copy: &LastGood) -> io::Result<()> {
        let plain =
            if self.with_secrets { copy.encode() } else { LastGood { secrets: Vec::new(), ..copy.clone() }.encode() };
        if plain.len() as u64 > MAX_SIZE / 2 {
            return Err(io::Error::other("the state is too large to be kept"));
        }
        self.replace(plain)
    }

    fn replace(&self, plain: Zeroizing<Vec<u8>>) -> io::Result<()> {
        let sealed = self.seal.seal(PURPOSE, plain).map_err(io::Error::other)?;
        let mut draft = self.path.clone().into_os_string();
        draft.push(".new");
        let draft = PathBuf::from(draft);
        // What a killed process left. That there is none is the usual case.
        let _ = fs::remove_file(&draft);
        let written = write_new(&draft, &sealed).and_then(|()| {
            failpoint::reach_blocking("sidecar.copied");
            fs::rename(&draft, &self.path)
        });
        if written.is_err() {
            // The first failure is the one to tell.
            let _ = fs::remove_file(&draft);
        }
        written?;
        // The name too; a file system that cannot do that has its reasons, and the copy is there.
        let directory = self.path.parent().filter(|directory| !directory.as_os_str().is_empty());
        let _ = File::open(directory.unwrap_or(Path::new("."))).and_then(|directory| directory.sync_all());
        Ok(())
    }
}

fn write_new(path: &Path, sealed: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(MAGIC)?;
    file.write_all(&[FORMAT])?;
    file.write_all(sealed)?;
    file.sync_all()
}

/// What is to be kept.
pub trait Source: Send + Sync {
    /// Another number whenever a copy would hold something else; no matter which.
    fn version(&self) -> u64;

    /// When the control plane last confirmed what there is.
    fn confirmed(&self) -> Timestamp;

    /// The state now; none before there is one.
    fn last_good(&self) -> Option<LastGood>;
}

/// Keeps the copy up to date.
pub struct CacheWriter {
    cache: Arc<Cache>,
    source: Arc<dyn Source>,
    interval: Duration,
    /// Told after each attempt whether it worked: for metrics.
    observer: Box<dyn Fn(bool) + Send>,
    /// What was written last, and when that was.
    written: Option<(u64, Timestamp, Instant)>,
    failing: bool,
}

impl CacheWriter {
    #[must_use]
    pub fn new(cache: Arc<Cache>, source: Arc<dyn Source>, observer: Box<dyn Fn(bool) + Send>) -> Self {
        Self { cache, source, interval: INTERVAL, observer, written: None, failing: false }
    }

    /// Writes until it is told to stop, and then what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(self.interval);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.write(false).await,
                () = stop.cancelled() => break,
            }
        }
        self.write(true).await;
    }

    /// Writes if there is something new. Without `last` a mere confirmation waits for its time.
    async fn write(&mut self, last: bool) {
        let (version, confirmed) = (self.source.version(), self.source.confirmed());
        if let Some((written, at, since)) = self.written
            && written == version
            && (confirmed.since(at) < NEWER || !last && since.elapsed() < CONFIRMED)
        {
            return;
        }
        let (cache, source) = (Arc::clone(&self.cache), Arc::clone(&self.source));
        // A large state takes a while, to be told as well as to be written.
        let store = move || source.last_good().map(|copy| cache.store(&copy));
        let outcome = match tokio::task::spawn_blocking(store).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => return,
            Err(error) => Err(io::Error::other(error)),
        };
        (self.observer)(outcome.is_ok());
        match outcome {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the copy of the configuration is written to disk again");
                }
                self.written = Some((version, confirmed, Instant::now()));
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    let file = self.cache.path.display();
                    tracing::error!(file = %file, error = %error, "the copy of the configuration cannot be written");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
