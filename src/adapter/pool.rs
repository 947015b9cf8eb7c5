//! Connections kept open between calls to the same host.
//!
//! Invariant: a connection is only reused with the reach that it was opened with, so a call that may go to public
//! addresses alone never travels on one that was opened to a private address.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::address::Reach;
use super::connection::Connection;
use crate::domain::endpoint::Host;

/// Servers usually close idle connections after a minute or so.
const MAX_IDLE: Duration = Duration::from_secs(30);
const MAX_PER_HOST: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) host: Host,
    pub(super) reach: Reach,
}

struct Idle {
    since: Instant,
    connection: Connection,
}

#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<Key, Vec<Idle>>>,
}

impl Pool {
    /// The connection that was used last.
    pub(super) fn take(&self, key: &Key) -> Option<Connection> {
        let mut idle = self.lock();
        drop_stale(&mut idle);
        idle.get_mut(key)?.pop().map(|idle| idle.connection)
    }

    pub(super) fn put(&self, key: Key, connection: Connection) {
        let mut idle = self.lock();
        drop_stale(&mut idle);
        let kept = idle.entry(key).or_default();
        if kept.len() < MAX_PER_HOST {
            kept.push(Idle { since: Instant::now(), connection });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drop_stale(idle: &mut HashMap<Key, Vec<Idle>>) {
    idle.retain(|_, kept| {
        kept.retain(|idle| idle.since.elapsed() < MAX_IDLE && idle.connection.is_open());
        !kept.is_empty()
    });
}
