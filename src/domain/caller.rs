//! Who calls, what they may do, and what the log says of a call.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::error::{Error, Result};
use super::id::TokenId;
use super::time::Timestamp;

/// What an identity may do. An identity holds any number of them; no role, no access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Viewer,
    Consumer,
    Editor,
    Admin,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Consumer, Self::Editor, Self::Admin];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Consumer => "consumer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether this role includes all that `other` may do.
    #[must_use]
    pub const fn includes(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Admin, _) | (_, Self::Viewer) | (Self::Consumer, Self::Consumer) | (Self::Editor, Self::Editor)
        )
    }
}

/// A set of roles, sorted and without duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles(Vec<Role>);

impl Roles {
    #[must_use]
    pub fn allow(&self, needed: Role) -> bool {
        self.0.iter().any(|role| role.includes(needed))
    }

    pub fn iter(&self) -> impl Iterator<Item = Role> + '_ {
        self.0.iter().copied()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        let mut roles: Vec<_> = roles.into_iter().collect();
        roles.sort_unstable();
        roles.dedup();
        Self(roles)
    }
}

/// An authenticated identity.
#[derive(Debug, Clone)]
pub struct Caller {
    /// What keeps request ids of different callers apart; stable for the life of the identity.
    pub identity: String,
    /// The token's or identity's name, as `created_by` and the audit log show it.
    pub name: String,
    pub roles: Roles,
    /// The token it came with, if it came with one of this server's.
    pub token: Option<TokenId>,
    /// What it came with otherwise: a token of an issuer, a certificate.
    pub pass: Option<Pass>,
}

/// The right to call of an identity that another one vouches for: it ends by itself, or with what vouches for it.
#[derive(Debug, Clone)]
pub struct Pass {
    pub until: Timestamp,
    pub voucher: Voucher,
}

impl Pass {
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        now < self.until && !self.voucher.is_withdrawn()
    }
}

/// What vouches for identities: a key of an issuer, authorities of certificates. Clones are withdrawn together.
#[derive(Debug, Clone, Default)]
pub struct Voucher(Arc<AtomicBool>);

impl Voucher {
    pub fn withdraw(&self) {
        self.0.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Caller {
    /// The server acting by itself: retention, scheduled sync, bootstrap.
    #[must_use]
    pub fn system() -> Self {
        let roles = Roles::from_iter([Role::Admin]);
        Self { identity: "system".into(), name: "system".into(), roles, token: None, pass: None }
    }

    /// Refuses a caller who lacks `needed`.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming the role.
    pub fn require(&self, needed: Role) -> Result<()> {
        if self.roles.allow(needed) { Ok(()) } else { Err(Error::Forbidden { role: needed }) }
    }
}

/// One call, as the log and the audit records describe it.
#[derive(Debug, Clone)]
pub struct CallContext {
    pub caller: Arc<Caller>,
    /// The RPC's full name, `modelward.v1.ProviderService/CreateProvider`.
    pub rpc: &'static str,
    /// The id of this call in logs and answers; not the idempotency key.
    pub trace_id: Arc<str>,
    pub peer_address: Option<IpAddr>,
    /// At most 512 characters.
    pub user_agent: String,
    /// Until when the caller waits.
    pub deadline: Option<Instant>,
}

impl CallContext {
    #[must_use]
    pub fn system(rpc: &'static str) -> Self {
        Self {
            caller: Arc::new(Caller::system()),
            rpc,
            trace_id: "".into(),
            peer_address: None,
            user_agent: String::new(),
            deadline: None,
        }
    }
}
