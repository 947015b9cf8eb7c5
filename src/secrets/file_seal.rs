//! A seal for what a process keeps in a file of its own: one key, in a file beside it or elsewhere.
//!
//! It protects a copy of the sealed file that got somewhere without its key. Who has both has everything.

use std::path::Path;

use zeroize::Zeroizing;

use super::cipher::{Context, Key};
use super::encoding;
use super::error::{KeyError, SecretError};
use super::key_file::KeyFile;
use crate::domain::secret::CredentialSecret;

/// A key that seals files. Each kind of content is sealed for its purpose alone and opens for no other.
pub struct FileSeal(Key);

impl FileSeal {
    /// Takes the first key of the file; where there is no file, makes one (0600) with a new key. Blocks for the time of
    /// a small file. Answers whether it was made.
    ///
    /// # Errors
    /// The file cannot be read or made, others may read it, or it holds no usable key.
    pub fn open_or_create(path: &Path) -> Result<(Self, bool), KeyError> {
        let made = match KeyFile::create(path) {
            Ok(_) => true,
            Err(KeyError::Unwritable { .. }) if path.exists() => false,
            Err(error) => return Err(error),
        };
        let keys = KeyFile::read(path)?;
        let key = keys.iter().next().and_then(|(_, key)| Key::from_slice(key.bytes()));
        Ok((Self(key.ok_or(KeyError::Empty)?), made))
    }

    /// Seals bytes, encrypting them in their own buffer.
    ///
    /// # Errors
    /// The system's random source or cipher fails.
    pub fn seal(&self, purpose: &str, plain: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, SecretError> {
        self.0.seal(&Context::new(purpose), plain)
    }

    /// What was sealed with this key for this purpose; none for anything else.
    #[must_use]
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.0.open(&Context::new(purpose), sealed)
    }
}

/// A secret as bytes, to be sealed at once.
#[must_use]
pub fn secret_bytes(secret: &CredentialSecret) -> Zeroizing<Vec<u8>> {
    encoding::encode(secret)
}

/// The secret, if these are bytes that [`secret_bytes`] makes.
#[must_use]
pub fn secret_from_bytes(bytes: &[u8]) -> Option<CredentialSecret> {
    encoding::decode(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn plain() -> Zeroizing<Vec<u8>> {
        Zeroizing::new(b"plain".to_vec())
    }

    #[test]
    fn a_key_is_made_once_and_opens_what_it_sealed_for_the_same_purpose() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache.key");
        let (seal, made) = FileSeal::open_or_create(&path).unwrap();
        assert!(made);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let sealed = seal.seal("one", plain()).unwrap();
        let (again, made) = FileSeal::open_or_create(&path).unwrap();
        assert!(!made);
        assert_eq!(again.open("one", &sealed), Some(plain()));
        assert_eq!(again.open("two", &sealed), None);
        let (other, _) = FileSeal::open_or_create(&directory.path().join("other.key")).unwrap();
        assert_eq!(other.open("one", &sealed), None);
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache.key");
        FileSeal::open_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(FileSeal::open_or_create(&path), Err(KeyError::TooOpen { .. })));
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(FileSeal::open_or_create(&path), Err(KeyError::Empty)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        let nowhere = directory.path().join("missing/cache.key");
        assert!(matches!(FileSeal::open_or_create(&nowhere), Err(KeyError::Unwritable { .. })));
    }
}
