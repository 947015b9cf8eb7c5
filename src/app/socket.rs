//! The optional Unix socket: its rights say who may connect, a stale one is replaced, and it is gone when the server
//! stops.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::config::Server;

/// A socket that is open; its file is removed when this is dropped.
pub struct Socket {
    listener: UnixListener,
    file: File,
}

/// Who may connect to a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access<'a> {
    /// The rights of the file: who may write to it may connect.
    pub mode: u32,
    /// The group that the file is given to, by name or number; none: the process's own.
    pub group: Option<&'a str>,
}

impl<'a> Access<'a> {
    #[must_use]
    pub fn of(settings: &'a Server) -> Self {
        Self { mode: settings.unix_socket_mode.0, group: settings.unix_socket_group.as_deref() }
    }
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
    /// When another process serves there, something that is no socket has the name, or the group cannot have it.
    pub fn bind(path: &Path, access: &Access<'_>) -> anyhow::Result<Self> {
        let group = access.group.map(group_id).transpose()?;
        refuse_taken(path)?;
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        }
        // Made under another name: at its own it never stands with wider rights, and it replaces a stale one at once.
        let draft = path.with_extension(format!("{}.new", std::process::id()));
        let cannot = || format!("cannot listen on the socket {}", path.display());
        // What a killed process left that had the same number, as in a container each has. Usually there is none.
        let _ = fs::remove_file(&draft);
        let listener = UnixListener::bind(&draft).with_context(cannot)?;
        let made = File(draft);
        if let Some(group) = group {
            let refused = || format!("cannot give the socket {} to the group {group}", path.display());
            chown(&made.0, None, Some(group)).with_context(refused)?;
        }
        fs::set_permissions(&made.0, fs::Permissions::from_mode(access.mode)).with_context(cannot)?;
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

/// The number of a group. Names are those of this machine's own file: an image without one has numbers alone.
fn group_id(group: &str) -> anyhow::Result<u32> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    let text = fs::read_to_string("/etc/group").unwrap_or_default();
    let known = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (name == group).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    known.with_context(|| format!("/etc/group has no group {group}; give the setting unix_socket_group another one"))
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
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    const OWNER: Access<'static> = Access { mode: 0o600, group: None };

    #[test]
    fn a_socket_is_its_owners_alone_and_gone_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/api.sock");
        let socket = Socket::bind(&path, &OWNER).unwrap();
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
        let live = Socket::bind(&path, &OWNER).unwrap();
        assert!(Socket::bind(&path, &OWNER).is_err());
        UnixStream::connect(&path).unwrap();
        drop(live);
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes.txt");
        fs::write(&path, "precious").unwrap();
        assert!(Socket::bind(&path, &OWNER).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_socket_has_the_rights_and_the_group_that_it_is_given() {
        let directory = tempfile::tempdir().unwrap();
        // As another group needs root, the test's own has to do; on most machines tests run as root anyway.
        let own = fs::metadata(directory.path()).unwrap().gid();
        for (mode, group) in [(0o660, own.to_string()), (0o666, own.to_string()), (0o600, own.to_string())] {
            let path = directory.path().join("api.sock");
            let socket = Socket::bind(&path, &Access { mode, group: Some(&group) }).unwrap();
            let found = fs::metadata(&path).unwrap();
            assert_eq!((found.mode() & 0o777, found.gid()), (mode, own));
            drop(socket);
        }
        assert_eq!(group_id("root").unwrap(), 0);
        let path = directory.path().join("none.sock");
        let refused = Socket::bind(&path, &Access { mode: 0o600, group: Some("no such group") }).map(drop);
        assert!(refused.unwrap_err().to_string().contains("unix_socket_group"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
