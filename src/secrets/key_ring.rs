//! The key ring: the master keys this process can use now, replaced as a whole when they are read again.
//!
//! What a master key wraps is bound to that key's id besides its own context, so a wrapped key cannot be passed off
//! as another master key's.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::cipher::{Context, Key};
use super::error::{KeyError, SecretError};
use super::key_file::KeyFile;
use super::master_keys::MasterKeys;

/// Where the master keys come from.
#[derive(Clone)]
pub enum KeySource {
    File(PathBuf),
    /// The text of `MODELWARD_MASTER_KEYS`, which cannot change while the process runs.
    Text(Zeroizing<String>),
}

impl KeySource {
    /// # Errors
    /// The keys cannot be read or used.
    pub fn load(&self) -> Result<MasterKeys, KeyError> {
        match self {
            Self::File(path) => KeyFile::read(path),
            Self::Text(text) => MasterKeys::parse_list(text),
        }
    }
}

/// The master keys, shared: every clone sees a reload.
#[derive(Clone)]
pub struct KeyRing(Arc<Shared>);

struct Shared {
    keys: ArcSwap<MasterKeys>,
    /// 1, 2, …
    generation: AtomicU64,
    /// Held while reading, so that an older reading never replaces a newer one.
    source: Mutex<KeySource>,
}

impl KeyRing {
    /// Reads the keys for the first time. Blocks while a file is read.
    ///
    /// # Errors
    /// The keys cannot be read or used.
    pub fn load(source: KeySource) -> Result<Self, KeyError> {
        let keys = ArcSwap::from_pointee(source.load()?);
        Ok(Self(Arc::new(Shared { keys, generation: AtomicU64::new(1), source: Mutex::new(source) })))
    }

    /// Reads the keys again and answers their ids. Blocks while a file is read.
    ///
    /// # Errors
    /// The keys cannot be read or used, or one has other bytes under an id that is known; the ring stays as it was.
    pub fn reload(&self) -> Result<Vec<String>, KeyError> {
        let source = self.0.source.lock().unwrap_or_else(PoisonError::into_inner);
        let (old, new) = (self.0.keys.load(), source.load()?);
        for (id, key) in new.iter() {
            if old.get(id).is_some_and(|known| !bool::from(known.bytes()[..].ct_eq(&key.bytes()[..]))) {
                return Err(KeyError::Replaced { id: id.to_owned() });
            }
        }
        let ids = new.ids();
        self.0.keys.store(Arc::new(new));
        self.0.generation.fetch_add(1, Ordering::AcqRel);
        Ok(ids)
    }

    /// The ids of all keys, in the order given.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.0.keys.load().ids()
    }

    /// The key that an empty database begins with: the first one given.
    #[must_use]
    pub fn first_id(&self) -> String {
        self.ids().into_iter().next().unwrap_or_default()
    }

    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.0.keys.load().contains(id)
    }

    /// # Errors
    /// [`SecretError::MissingKey`] if the ring does not hold it.
    pub fn require(&self, key_id: &str) -> Result<(), SecretError> {
        if self.contains(key_id) { Ok(()) } else { Err(self.missing(key_id)) }
    }

    /// Rises with every reload: what was found out about a key in one generation may be wrong in another.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    pub(super) fn wrap(&self, key_id: &str, context: &Context, key: &Key) -> Result<Vec<u8>, SecretError> {
        let keys = self.0.keys.load();
        let master = keys.get(key_id).ok_or_else(|| missing(&keys, key_id))?;
        master.seal(&context.clone().with(key_id.as_bytes()), Zeroizing::new(key.bytes().to_vec()))
    }

    pub(super) fn unwrap(&self, key_id: &str, context: &Context, wrapped: &[u8]) -> Result<Key, Unwrap> {
        let keys = self.0.keys.load();
        let master = keys.get(key_id).ok_or(Unwrap::Missing)?;
        let plain = master.open(&context.clone().with(key_id.as_bytes()), wrapped).ok_or(Unwrap::Refused)?;
        Key::from_slice(&plain).ok_or(Unwrap::Refused)
    }

    pub(super) fn missing(&self, key_id: &str) -> SecretError {
        missing(&self.0.keys.load(), key_id)
    }
}

/// Why a wrapped key does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwrap {
    /// The ring does not hold the master key.
    Missing,
    /// It is altered, moved, or another master key's.
    Refused,
}

fn missing(keys: &MasterKeys, key_id: &str) -> SecretError {
    SecretError::MissingKey { key_id: key_id.to_owned(), held: keys.ids() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::key_file::generate_key_line;
    use super::*;

    fn file(directory: &tempfile::TempDir, lines: &[&str]) -> PathBuf {
        let path = directory.path().join("keys");
        fs::write(&path, lines.join("\n")).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    #[test]
    fn a_reload_reaches_every_clone_and_keeps_what_was_wrapped_readable() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (generate_key_line(Some("a")).unwrap(), generate_key_line(Some("b")).unwrap());
        let ring = KeyRing::load(KeySource::File(file(&directory, &[&a]))).unwrap_or_else(|error| panic!("{error}"));
        let clone = ring.clone();
        let (context, key) = (Context::new("test"), Key::random().unwrap());
        let wrapped = ring.wrap("a", &context, &key).unwrap();
        assert!(matches!(clone.wrap("b", &context, &key), Err(SecretError::MissingKey { .. })));

        file(&directory, &[&b, &a]);
        assert_eq!(ring.reload().unwrap(), ["b", "a"]);
        assert_eq!((clone.first_id(), clone.contains("a")), ("b".into(), true));
        assert!(clone.unwrap("a", &context, &wrapped).is_ok_and(|read| read.bytes() == key.bytes()));
        assert!(clone.wrap("b", &context, &key).is_ok());
    }

    #[test]
    fn a_reload_that_fails_leaves_the_ring_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let (a, other) = (generate_key_line(Some("a")).unwrap(), generate_key_line(Some("a")).unwrap());
        let ring = KeyRing::load(KeySource::File(file(&directory, &[&a]))).unwrap_or_else(|error| panic!("{error}"));
        let (context, key) = (Context::new("test"), Key::random().unwrap());
        let wrapped = ring.wrap("a", &context, &key).unwrap();

        file(&directory, &[&other]);
        let refused = ring.reload().unwrap_err();
        assert!(matches!(&refused, KeyError::Replaced { id } if id == "a"), "{refused}");
        file(&directory, &["# empty"]);
        assert!(matches!(ring.reload(), Err(KeyError::Empty)));
        assert!(ring.unwrap("a", &context, &wrapped).is_ok());
    }
}
