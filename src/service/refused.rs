//! Refused calls in the log: told, and never a flood. A peer that knocks all the time has a few lines a second, the
//! next of which says how many were left out; the metric counts them all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lines that one peer has in a second.
const LINES: u32 = 5;
const SECOND: Duration = Duration::from_secs(1);
/// Peers that are told apart; those beyond share one place.
const PEERS: usize = 1024;

/// Who was told lately; callers without an address share a place.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<Option<IpAddr>, Lately>>);

#[derive(Debug)]
struct Lately {
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl Refusals {
    /// Whether a refusal of this peer gets a line; then how many before it got none.
    pub fn tell(&self, peer: Option<IpAddr>, now: Instant) -> Option<u64> {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if book.len() >= PEERS && !book.contains_key(&peer) {
            book.retain(|_, lately| now.duration_since(lately.since) < SECOND);
        }
        let key = if book.len() >= PEERS && !book.contains_key(&peer) { None } else { peer };
        let lately = book.entry(key).or_insert(Lately { since: now, lines: 0, left_out: 0 });
        if now.duration_since(lately.since) >= SECOND {
            (lately.since, lately.lines) = (now, 0);
        }
        if lately.lines >= LINES {
            lately.left_out = lately.left_out.saturating_add(1);
            return None;
        }
        lately.lines += 1;
        Some(std::mem::take(&mut lately.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn a_peer_has_a_few_lines_a_second_and_the_next_one_tells_of_the_rest() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let told: Vec<_> = (0..100).filter_map(|_| refusals.tell(Some(peer(1)), now)).collect();
        assert_eq!(told, [0; 5]);
        assert_eq!(refusals.tell(Some(peer(2)), now), Some(0), "another peer has its own");
        assert_eq!(refusals.tell(Some(peer(1)), now + SECOND), Some(95));
        assert_eq!(refusals.tell(Some(peer(1)), now + SECOND), Some(0));
    }

    #[test]
    fn endless_peers_take_no_endless_room() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let told = (0..100_000).filter(|number| refusals.tell(Some(peer(*number)), now).is_some()).count();
        assert!(told <= PEERS + 5, "{told}");
        assert!(refusals.0.lock().unwrap().len() <= PEERS + 1);
    }
}
