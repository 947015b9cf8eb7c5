//! Callers whose signature or certificate was verified, so that it is not verified on every call. Bounded; only what was
//! verified gets in, and nothing stays beyond its end or its voucher's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{Caller, Timestamp};

/// How many there are at most: about 10 MB.
const MAX: usize = 10_000;

/// What stands for a token or a certificate.
pub type Digest = [u8; 32];

#[derive(Debug, Default)]
pub struct Cache(Mutex<HashMap<Digest, Arc<Caller>>>);

impl Cache {
    pub fn get(&self, digest: &Digest, now: Timestamp) -> Option<Arc<Caller>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let caller = known.get(digest)?;
        if is_good(caller, now) {
            return Some(Arc::clone(caller));
        }
        known.remove(digest);
        None
    }

    pub fn put(&self, digest: Digest, caller: &Arc<Caller>, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX {
            known.retain(|_, caller| is_good(caller, now));
        }
        if known.len() >= MAX {
            // Which of them does not matter: who comes again is verified again.
            let mut keep = false;
            known.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        known.insert(digest, Arc::clone(caller));
    }
}

fn is_good(caller: &Caller, now: Timestamp) -> bool {
    caller.pass.as_ref().is_some_and(|pass| pass.is_good(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Pass, Voucher};

    fn caller(until: i64, voucher: &Voucher) -> Arc<Caller> {
        let pass = Pass { until: Timestamp::from_micros(until), voucher: voucher.clone() };
        Arc::new(Caller { pass: Some(pass), ..Caller::system() })
    }

    #[test]
    fn nothing_stays_beyond_its_end_or_its_voucher() {
        let (cache, voucher) = (Cache::default(), Voucher::default());
        let at = Timestamp::from_micros;
        cache.put([1; 32], &caller(10, &voucher), at(1));
        assert!(cache.get(&[1; 32], at(9)).is_some());
        assert!(cache.get(&[1; 32], at(10)).is_none());
        cache.put([1; 32], &caller(10, &voucher), at(1));
        voucher.withdraw();
        assert!(cache.get(&[1; 32], at(1)).is_none());
    }

    #[test]
    fn there_are_never_more_than_the_limit() {
        let (cache, voucher) = (Cache::default(), Voucher::default());
        for number in 0..3 * MAX {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_be_bytes());
            cache.put(digest, &caller(10, &voucher), Timestamp::default());
            assert!(cache.0.lock().unwrap().len() <= MAX);
        }
    }
}
