//! Round-robin over the providers of one model.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use imbl::HashMap;

/// A turn for each of the vendors' identifiers that several providers know.
#[derive(Debug, Default)]
pub struct Turns {
    known: ArcSwap<HashMap<Arc<str>, Arc<AtomicU64>>>,
}

impl Turns {
    /// The next turn of `name`. Now and then those for which `exists` does not hold are forgotten.
    pub fn next(&self, name: &str, exists: impl Fn(&str) -> bool) -> u64 {
        if let Some(turn) = self.known.load().get(name) {
            return turn.fetch_add(1, Ordering::Relaxed);
        }
        let (key, new) = (Arc::<str>::from(name), Arc::new(AtomicU64::new(0)));
        self.known.rcu(|known| {
            let mut known = HashMap::clone(known);
            if known.len().is_power_of_two() {
                known.retain(|name, _| exists(name));
            }
            known.entry(Arc::clone(&key)).or_insert_with(|| Arc::clone(&new));
            known
        });
        self.known.load().get(name).map_or(0, |turn| turn.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_turns_of_its_own_and_those_that_are_gone_are_forgotten() {
        let turns = Turns::default();
        assert_eq!([0; 3].map(|_| turns.next("a", |_| true)), [0, 1, 2]);
        assert_eq!(turns.next("b", |_| true), 0);
        assert_eq!(turns.next("a", |_| true), 3);
        for number in 0..1000 {
            turns.next(&number.to_string(), |name| name == "a");
        }
        assert!(turns.known.load().len() <= 1 + 512, "{}", turns.known.load().len());
        assert_eq!(turns.next("a", |_| true), 4);
    }
}
