//! The file of master keys: reading it with its mode checked, making it with one fresh key.
//!
//! A file that every user of the machine can read or write is refused. Its group may read it: Kubernetes mounts
//! secrets for a non-root pod with mode 0440 or 0640 (`fsGroup`), and there the group is the pod's own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use super::cipher::Key;
use super::error::{KeyError, SecretError};
use super::master_keys::{MasterKeys, derived_id, encode_key, is_id};

/// Hundreds of keys; more is some other file.
const MAX_SIZE: u64 = 64 * 1024;

/// One new random key as a line of a key file, `<id>:<base64>`, without the line's end. The id follows from the key
/// when none is given.
///
/// # Errors
/// [`KeyError::BadId`], or the system's random source fails.
pub fn generate_key_line(id: Option<&str>) -> Result<Zeroizing<String>, KeyError> {
    if id.is_some_and(|id| !is_id(id)) {
        return Err(KeyError::BadId);
    }
    let key = Key::random()?;
    let id = id.map_or_else(|| derived_id(&key), ToOwned::to_owned);
    let text = encode_key(&key);
    // Long enough from the start: growing would leave a copy of the key in freed memory.
    let mut line = Zeroizing::new(String::with_capacity(id.len() + 1 + text.len()));
    line.push_str(&id);
    line.push(':');
    line.push_str(&text);
    Ok(line)
}

/// Reading and making key files. Both block for the time of a small file.
pub struct KeyFile;

impl KeyFile {
    /// Reads the keys of a file.
    ///
    /// # Errors
    /// The file cannot be read, is too open, or holds no usable keys.
    pub fn read(path: &Path) -> Result<MasterKeys, KeyError> {
        let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        // Of the open file, so that what is checked is what is read.
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() > MAX_SIZE {
            return Err(KeyError::NotAKeyFile { path: path.to_owned() });
        }
        check_mode(path, &metadata)?;
        let size = usize::try_from(metadata.len()).unwrap_or_default();
        // One byte more than the file has, so that reading to its end never makes the buffer grow.
        let mut text = Zeroizing::new(String::with_capacity(size + 1));
        file.take(metadata.len()).read_to_string(&mut text).map_err(unreadable)?;
        MasterKeys::parse_lines(&text)
    }

    /// Makes a file with one fresh key, readable by its owner only, and answers the key's id. Never overwrites.
    ///
    /// # Errors
    /// The file exists already, or cannot be written; a half-written one is removed.
    pub fn create(path: &Path) -> Result<String, KeyError> {
        let unwritable = |source| KeyError::Unwritable { path: path.to_owned(), source };
        let line = generate_key_line(None)?;
        let (id, _) = line.split_once(':').ok_or(SecretError::System)?;
        let mut file = create_private(path).map_err(unwritable)?;
        let written = file
            .write_all(line.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.sync_all())
            // The name too: a database that outlives its only key is lost.
            .and_then(|()| sync_directory(path));
        if let Err(source) = written {
            // The first failure is the one to tell.
            let _ = fs::remove_file(path);
            return Err(unwritable(source));
        }
        Ok(id.to_owned())
    }
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), KeyError> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
    match mode & 0o007 {
        0 => Ok(()),
        _ => Err(KeyError::TooOpen { path: path.to_owned(), mode }),
    }
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<(), KeyError> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_created_file_is_private_holds_one_line_and_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        let id = KeyFile::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.lines().count() == 1 && text.ends_with('\n') && text.starts_with(&format!("{id}:")));
        assert_eq!(KeyFile::read(&path).ok().map(|keys| keys.ids()), Some(vec![id]));

        let again = KeyFile::create(&path).unwrap_err();
        assert!(matches!(again, KeyError::Unwritable { .. }), "{again}");
        assert!(fs::read_to_string(&path).unwrap() == text);
    }

    #[test]
    fn a_file_open_to_everybody_is_refused_and_one_open_to_its_group_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        fs::write(&path, generate_key_line(Some("a")).unwrap().as_bytes()).unwrap();
        for (mode, fine) in [
            (0o400, true),
            (0o440, true),
            (0o600, true),
            (0o640, true),
            (0o604, false),
            (0o644, false),
            (0o602, false),
            (0o601, false),
            (0o666, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match KeyFile::read(&path) {
                Ok(_) => assert!(fine, "{mode:o} was accepted"),
                Err(KeyError::TooOpen { mode: told, .. }) => assert!(!fine && told == mode, "{mode:o} was refused"),
                Err(other) => panic!("{mode:o}: {other}"),
            }
        }
    }

    #[test]
    fn what_is_not_a_key_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        assert!(matches!(KeyFile::read(&missing), Err(KeyError::Unreadable { .. })));
        let folder = directory.path().join("folder");
        fs::create_dir(&folder).unwrap();
        assert!(matches!(KeyFile::read(&folder), Err(KeyError::NotAKeyFile { .. })));
        let large = directory.path().join("large");
        fs::write(&large, vec![b'#'; 65 * 1024]).unwrap();
        fs::set_permissions(&large, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(KeyFile::read(&large), Err(KeyError::NotAKeyFile { .. })));
    }

    #[test]
    fn generated_lines_carry_the_id_asked_for_and_a_key_of_their_own() {
        let (one, two) = (generate_key_line(Some("prod-1")).unwrap(), generate_key_line(Some("prod-1")).unwrap());
        assert!(one.starts_with("prod-1:") && !one.contains('\n'));
        assert!(one != two);
        assert!(MasterKeys::parse_lines(&one).is_ok());
        let derived = generate_key_line(None).unwrap();
        let (id, bare) = derived.split_once(':').unwrap();
        assert_eq!(MasterKeys::parse_lines(bare).ok().map(|keys| keys.ids()), Some(vec![id.to_owned()]));
        for bad in ["", "a b", "a:b", "ä", &"a".repeat(65)] {
            assert!(matches!(generate_key_line(Some(bad)), Err(KeyError::BadId)), "{bad}");
        }
    }
}
