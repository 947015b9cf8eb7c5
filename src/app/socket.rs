//! The optional Unix socket: only its owner may connect, a stale one is replaced, and it is gone when the server stops.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// A socket that is open; its file is removed when this is dropped.
pub struct Socket {
    listener: UnixListener,
    file: File,
}

/// The file of a socket, removed when this is dropped.
pub struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        // What is not there any more need not be removed.
        let _ = fs::remove_file(&self.0);
    }
}

impl Socket {
    /// Opens the socket at `path`.
    ///
    /// # Errors
    /// When another process serves there, or something that is no socket has the name.
    pub fn bind(path: &Path) -> anyhow::Result<Self> {
        refuse_taken(path)?;
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        }
        // Made under another name: at its own it never stands with wider rights, and it replaces a stale one at once.
        let draft = path.with_extension(format!("{}.new", std::process::id()));
        let cannot = || format!("cannot listen on the socket {}", path.display());
        let listener = UnixListener::bind(&draft).with_context(cannot)?;
        let made = File(draft);
        fs::set_permissions(&made.0, fs::Permissions::from_mode(0o600)).with_context(cannot)?;
        fs::rename(&made.0, path).with_context(cannot)?;
        let file = File(path.to_owned());
        listener.set_nonblocking(true)?;
        Ok(Self { listener, file })
    }

    #[must_use]
    pub fn into_parts(self) -> (UnixListener, File) {
        (self.listener, self.file)
    }
}

/// Lets a socket be replaced that nobody listens to, and nothing else.
fn refuse_taken(path: &Path) -> anyhow::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot use the socket {}", path.display())),
    };
    if !kind.is_socket() {
        bail!("{} is no socket; remove it, or choose another path for the setting unix_socket", path.display());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        _ => bail!("another process listens on the socket {}; stop it, or choose another path", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_its_owners_alone_and_gone_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/api.sock");
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let live = Socket::bind(&path).unwrap();
        assert!(Socket::bind(&path).is_err());
        UnixStream::connect(&path).unwrap();
        drop(live);
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes.txt");
        fs::write(&path, "precious").unwrap();
        assert!(Socket::bind(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
