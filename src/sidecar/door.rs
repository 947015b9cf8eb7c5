//! Who may call a sidecar: whoever can open its socket, and over TCP whoever presents the local token.
//!
//! It knows no tokens of Modelward. Who comes in has the role viewer, and consumer where secrets are served; what needs
//! more is for the control plane to judge, by the token that such a call brings itself.
//!
//! Invariant: the local token opens this door and nothing else: it never leaves with a call that is passed on.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use subtle::ConstantTimeEq as _;

use super::text_file::TextFile;
use crate::domain::{Caller, Error, Result, Role, Roles};

/// Carries the local token where `authorization` carries the caller's own, for the control plane.
pub const LOCAL_TOKEN: HeaderName = HeaderName::from_static("modelward-local-token");

/// What the settings say.
#[derive(Debug, Clone)]
pub struct DoorConfig {
    pub listen: SocketAddr,
    pub has_socket: bool,
    pub local_token_file: Option<PathBuf>,
    /// Whoever reaches the address may call.
    pub open: bool,
    /// The address may be one that other machines reach.
    pub any_address: bool,
    /// What whoever comes in may do: [`Door::roles`].
    pub roles: Roles,
}

/// Settings that would let in nobody, or more than was meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    #[error(
        "nobody could call this sidecar; give --unix-socket or --local-token-file, or set sidecar.open_loopback to true \
         to let in every process of this machine"
    )]
    Nobody,
    #[error(
        "other machines reach {0}, where the local token would be all that protects the sidecar; listen on the loopback, \
         or set sidecar.any_address to true"
    )]
    AnyMachine(SocketAddr),
    #[error("sidecar.open_loopback would let in every machine that reaches {0}; give --local-token-file instead")]
    OpenToAnyMachine(SocketAddr),
}

/// How a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    Socket,
    Tcp,
}

/// The door that stands for all listeners.
pub struct Door {
    roles: Roles,
    tcp: Tcp,
}

enum Tcp {
    Closed,
    Open,
    Token(TextFile),
}

impl Door {
    /// # Errors
    /// Where the settings let in nobody, or every machine.
    pub fn build(config: &DoorConfig) -> Result<Self, DoorError> {
        let local = config.listen.ip().is_loopback();
        let tcp = match &config.local_token_file {
            Some(path) if local || config.any_address => Tcp::Token(TextFile::new(path.clone())),
            Some(_) => return Err(DoorError::AnyMachine(config.listen)),
            None if config.open && local => Tcp::Open,
            None if config.open => return Err(DoorError::OpenToAnyMachine(config.listen)),
            None if config.has_socket => Tcp::Closed,
            None => return Err(DoorError::Nobody),
        };
        Ok(Self { roles: config.roles.clone(), tcp })
    }

    /// Viewer, and consumer where secrets are served.
    #[must_use]
    pub fn roles(serve_secrets: bool) -> Roles {
        [Role::Viewer].into_iter().chain(serve_secrets.then_some(Role::Consumer)).collect()
    }

    /// Whether the TCP address is to be listened to at all: with a socket alone it is not.
    #[must_use]
    pub const fn serves_tcp(&self) -> bool {
        !matches!(self.tcp, Tcp::Closed)
    }

    /// Lets a caller in. What opened the door is taken out of the headers; what is left in `authorization` is the
    /// caller's own, for the control plane.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`].
    pub fn admit(&self, came: Came, headers: &mut HeaderMap) -> Result<Caller> {
        let shown = headers.remove(LOCAL_TOKEN);
        match (came, &self.tcp) {
            (Came::Socket, tcp) => {
                if let Tcp::Token(file) = tcp {
                    take_out(file, headers);
                }
                Ok(self.caller("socket"))
            }
            (Came::Tcp, Tcp::Open) => Ok(self.caller("loopback")),
            (Came::Tcp, Tcp::Closed) => Err(Error::Unauthenticated { problem: "this sidecar serves a socket alone" }),
            (Came::Tcp, Tcp::Token(file)) => {
                let shown = match &shown {
                    Some(shown) => Some(shown.as_bytes()),
                    None => bearer(headers),
                };
                check(file, shown)?;
                take_out(file, headers);
                Ok(self.caller("local"))
            }
        }
    }

    fn caller(&self, name: &str) -> Caller {
        Caller { identity: name.to_owned(), name: name.to_owned(), roles: self.roles.clone(), token: None, pass: None }
    }
}

/// What follows `Bearer `.
pub fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    token_in(headers.get(header::AUTHORIZATION)?)
}

/// The local token must not reach the control plane, wherever it stands.
fn take_out(file: &TextFile, headers: &mut HeaderMap) {
    let is_local = |value: &HeaderValue| token_in(value).is_some_and(|token| check(file, Some(token)).is_ok());
    if headers.get_all(header::AUTHORIZATION).iter().any(is_local) {
        headers.remove(header::AUTHORIZATION);
    }
}

fn token_in(value: &HeaderValue) -> Option<&[u8]> {
    let value = value.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then_some(token)
}

fn check(file: &TextFile, shown: Option<&[u8]>) -> Result<()> {
    const NONE: Error = Error::Unauthenticated { problem: "no local token of this sidecar in the metadata" };
    const REFUSED: Error = Error::Unauthenticated { problem: "the local token of this sidecar is another one" };
    let shown = shown.ok_or(NONE)?;
    let same = |known: &[u8]| bool::from(known.ct_eq(shown));
    // A file that is gone or empty lets nobody in.
    let known = file.text().ok_or(REFUSED)?;
    if same(known.expose().as_bytes()) { Ok(()) } else { Err(REFUSED) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn config() -> DoorConfig {
        DoorConfig {
            listen: "127.0.0.1:1".parse().unwrap(),
            has_socket: false,
            local_token_file: None,
            open: false,
            any_address: false,
            roles: Door::roles(false),
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn with_token(text: &str) -> (TempDir, Door) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, text).unwrap();
        (directory, Door::build(&DoorConfig { local_token_file: Some(path), ..config() }).unwrap())
    }

    #[test]
    fn settings_that_let_in_nobody_or_every_machine_are_refused() {
        let refused = |config: DoorConfig| Door::build(&config).map(|door| door.serves_tcp());
        let anywhere: SocketAddr = "0.0.0.0:1".parse().unwrap();
        let token = || Some("token".into());
        assert_eq!(refused(config()), Err(DoorError::Nobody));
        assert_eq!(refused(DoorConfig { has_socket: true, ..config() }), Ok(false));
        assert_eq!(refused(DoorConfig { open: true, ..config() }), Ok(true));
        assert_eq!(refused(DoorConfig { local_token_file: token(), ..config() }), Ok(true));
        let remote = DoorConfig { listen: anywhere, local_token_file: token(), ..config() };
        assert_eq!(refused(remote.clone()), Err(DoorError::AnyMachine(anywhere)));
        assert_eq!(refused(DoorConfig { any_address: true, ..remote }), Ok(true));
        for any_address in [false, true] {
            let open = DoorConfig { listen: anywhere, open: true, any_address, ..config() };
            assert_eq!(refused(open), Err(DoorError::OpenToAnyMachine(anywhere)));
        }
    }

    #[test]
    fn who_comes_in_is_viewer_and_consumer_only_where_secrets_are_served() {
        for (serve_secrets, expected) in [(false, vec![Role::Viewer]), (true, vec![Role::Viewer, Role::Consumer])] {
            let door =
                Door::build(&DoorConfig { has_socket: true, roles: Door::roles(serve_secrets), ..config() }).unwrap();
            let caller = door.admit(Came::Socket, &mut HeaderMap::new()).unwrap();
            assert_eq!(caller.roles.iter().collect::<Vec<_>>(), expected);
            assert!(!caller.roles.allow(Role::Editor) && !caller.roles.allow(Role::Admin));
        }
    }

    #[test]
    fn over_tcp_the_local_token_opens_and_a_changed_one_closes_at_the_next_look() {
        let (directory, door) = with_token("first\n");
        let admit = |pairs: &[(&'static str, &str)]| door.admit(Came::Tcp, &mut headers(pairs)).is_ok();
        assert!(admit(&[("authorization", "Bearer first")]));
        assert!(admit(&[("authorization", "bearer  first ")]));
        assert!(admit(&[("modelward-local-token", "first")]));
        for bad in ["Bearer firs", "Bearer firstly", "Bearer ", "first", "Basic first", "Bearer second"] {
            assert!(!admit(&[("authorization", bad)]), "{bad}");
        }
        assert!(!admit(&[]));
        assert!(!admit(&[("modelward-local-token", "x"), ("authorization", "Bearer first")]), "the one that was meant");
        fs::write(directory.path().join("token"), "second").unwrap();
        let Tcp::Token(file) = &door.tcp else { unreachable!() };
        file.read_again();
        assert!(admit(&[("authorization", "Bearer second")]) && !admit(&[("authorization", "Bearer first")]));
        fs::write(directory.path().join("token"), "").unwrap();
        file.read_again();
        assert!(!admit(&[("authorization", "Bearer second")]) && !admit(&[("authorization", "Bearer ")]));
    }

    #[test]
    fn the_local_token_is_taken_out_and_the_callers_own_is_left() {
        let (_directory, door) = with_token("local");
        for (shown, left) in [
            (vec![("authorization", "Bearer local")], None),
            (vec![("modelward-local-token", "local"), ("authorization", "Bearer own")], Some("Bearer own")),
            (vec![("modelward-local-token", "local"), ("authorization", "Bearer local")], None),
        ] {
            let mut headers = headers(&shown);
            door.admit(Came::Tcp, &mut headers).unwrap();
            let found = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap());
            assert_eq!((found, headers.contains_key(LOCAL_TOKEN)), (left, false));
        }
        let mut twice = headers(&[("modelward-local-token", "local"), ("authorization", "Bearer own")]);
        twice.append(header::AUTHORIZATION, "Bearer local".parse().unwrap());
        door.admit(Came::Tcp, &mut twice).unwrap();
        assert!(twice.is_empty(), "{twice:?}");
        for (shown, left) in [("Bearer own", 1), ("Bearer local", 0)] {
            let mut headers = headers(&[("modelward-local-token", "x"), ("authorization", shown)]);
            door.admit(Came::Socket, &mut headers).unwrap();
            assert_eq!(headers.len(), left, "{headers:?}");
        }
    }
}
