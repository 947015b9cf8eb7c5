//! What each peer holds of the server, and how much of it one may: a single client cannot take what all need.
//!
//! A peer is an address; of IPv6 its /64, which is what one machine is given. Invariant: a peer is in the book exactly
//! while it has a connection. Who has no address, on the Unix socket, is not limited here.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{Error, Result};

/// How much one peer may hold at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub connections: usize,
    /// Calls that are not finished: on their way in, at work, or answered and not read.
    pub calls: usize,
    /// Bytes of requests that are not complete and of answers that are not read.
    pub bytes: usize,
}

/// The book of all peers; clones share it.
#[derive(Debug, Clone)]
pub struct Peers {
    allowance: Allowance,
    book: Arc<Mutex<HashMap<IpAddr, Arc<Held>>>>,
}

/// What one peer holds.
#[derive(Debug, Default)]
struct Held {
    connections: AtomicUsize,
    calls: AtomicUsize,
    bytes: AtomicUsize,
    /// Whether the log has it that this peer was refused a connection.
    told: AtomicBool,
}

impl Peers {
    #[must_use]
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, book: Arc::default() }
    }

    /// A connection from this address; `None` when the peer has as many as it may.
    #[must_use]
    pub fn connect(&self, address: IpAddr) -> Option<Seat> {
        let key = key(address);
        let mut book = self.book();
        let held = book.entry(key).or_default();
        if held.connections.load(Ordering::Relaxed) >= self.allowance.connections {
            if !held.told.swap(true, Ordering::Relaxed) {
                let limit = self.allowance.connections;
                tracing::warn!(peer = %address, limit, "a peer wants more connections than one may have");
            }
            return None;
        }
        held.connections.fetch_add(1, Ordering::Relaxed);
        Some(Seat { peers: self.clone(), key })
    }

    /// A call from this address.
    ///
    /// # Errors
    /// [`Error::TooManyStreams`] when the peer has as many under way as it may, or reads no answers.
    pub fn call(&self, address: Option<IpAddr>) -> Result<Share> {
        let held = address.and_then(|address| self.book().get(&key(address)).map(Arc::clone));
        let share = Share { counted: held.map(|held| Counted { held, allowance: self.allowance }) };
        let Some(Counted { held, allowance }) = &share.counted else { return Ok(share) };
        let before = held.calls.fetch_add(1, Ordering::Relaxed);
        let full = before >= allowance.calls || held.bytes.load(Ordering::Relaxed) >= allowance.bytes;
        if full { Err(Error::TooManyStreams { limit: allowance.calls }) } else { Ok(share) }
    }

    fn book(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Held>>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among those of its peer.
#[derive(Debug)]
pub struct Seat {
    peers: Peers,
    key: IpAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut book = self.peers.book();
        let left = book.get(&self.key).map(|held| held.connections.fetch_sub(1, Ordering::Relaxed));
        if left == Some(1) {
            book.remove(&self.key);
        }
    }
}

/// A call among those of its peer, until it is dropped.
#[derive(Debug, Default)]
pub struct Share {
    counted: Option<Counted>,
}

#[derive(Debug, Clone)]
struct Counted {
    held: Arc<Held>,
    allowance: Allowance,
}

impl Share {
    /// Room for a part of the call, nothing at first.
    #[must_use]
    pub fn room(&self) -> Room {
        Room { counted: self.counted.clone(), bytes: 0 }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(Counted { held, .. }) = &self.counted {
            held.calls.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Bytes that are held in memory for a peer, until this is dropped.
#[derive(Debug, Default)]
pub struct Room {
    counted: Option<Counted>,
    bytes: usize,
}

impl Room {
    /// Takes room for so many bytes more.
    ///
    /// # Errors
    /// [`Error::TooManyStreams`] when the peer has no room left.
    pub fn take(&mut self, bytes: usize) -> Result<()> {
        let Some(Counted { held, allowance }) = &self.counted else { return Ok(()) };
        self.bytes = self.bytes.saturating_add(bytes);
        let before = held.bytes.fetch_add(bytes, Ordering::Relaxed);
        // What comes first always fits, or a message beyond the allowance could never be sent.
        let full = before > 0 && before.saturating_add(bytes) > allowance.bytes;
        if full { Err(Error::TooManyStreams { limit: allowance.calls }) } else { Ok(()) }
    }

    pub fn release(&mut self) {
        if let Some(Counted { held, .. }) = &self.counted {
            held.bytes.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.release();
    }
}

/// The address that stands for a peer.
fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers() -> Peers {
        Peers::new(Allowance { connections: 2, calls: 3, bytes: 100 })
    }

    fn one() -> IpAddr {
        "192.0.2.1".parse().unwrap()
    }

    #[test]
    fn a_peer_has_so_many_connections_and_another_one_its_own() {
        let peers = peers();
        let first = peers.connect(one()).unwrap();
        let _second = peers.connect("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert!(peers.connect(one()).is_none());
        assert!(peers.connect("192.0.2.2".parse().unwrap()).is_some());
        drop(first);
        assert!(peers.connect(one()).is_some());
    }

    #[test]
    fn a_machine_with_many_addresses_is_one_peer() {
        let peers = peers();
        let _held = ["2001:db8::1", "2001:db8::2"].map(|address| peers.connect(address.parse().unwrap()).unwrap());
        assert!(peers.connect("2001:db8::ffff".parse().unwrap()).is_none());
        assert!(peers.connect("2001:db8:0:1::1".parse().unwrap()).is_some());
    }

    #[test]
    fn a_peer_is_forgotten_with_its_last_connection() {
        let peers = peers();
        drop(peers.connect(one()).unwrap());
        assert!(peers.book().is_empty());
    }

    #[test]
    fn calls_are_counted_until_they_are_dropped() {
        let peers = peers();
        let _seat = peers.connect(one()).unwrap();
        let mut calls: Vec<_> = (0..3).map(|_| peers.call(Some(one())).unwrap()).collect();
        assert_eq!(peers.call(Some(one())).unwrap_err(), Error::TooManyStreams { limit: 3 });
        assert!(peers.call(None).is_ok(), "who has no address is not limited");
        calls.pop();
        assert!(peers.call(Some(one())).is_ok());
    }

    #[test]
    fn bytes_are_counted_over_all_calls_of_a_peer() {
        let peers = peers();
        let _seat = peers.connect(one()).unwrap();
        let call = peers.call(Some(one())).unwrap();
        let (mut first, mut second) = (call.room(), call.room());
        first.take(60).unwrap();
        assert!(second.take(60).is_err());
        second.release();
        second.take(40).unwrap();
        assert!(peers.call(Some(one())).is_err(), "a call more would hold more");
        drop(second);
        first.release();
        first.take(1000).unwrap();
    }
}
