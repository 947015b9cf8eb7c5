//! Smooth weighted round-robin as a cyclic schedule: in each cycle everyone is served as often as its weight says, and
//! the turns of one are spread over the cycle instead of following each other.

use crate::domain::id::EndpointId;

/// One cycle over a set of (endpoint, weight). In any stretch as long as the cycle the weights are met exactly.
#[derive(Debug, Default)]
pub struct Schedule {
    members: Vec<(EndpointId, i32)>,
    /// Places in `members`, in order of service.
    cycle: Vec<usize>,
}

impl Schedule {
    /// At each turn everyone gains its weight, the one that has most is served and pays what all gained together; among
    /// equals the first. Weights are divided by what they have in common, so equal weights make a cycle of one turn
    /// each.
    pub fn new(members: impl IntoIterator<Item = (EndpointId, i32)>) -> Self {
        let members: Vec<_> = members.into_iter().collect();
        let divisor = members.iter().map(|(_, weight)| at_least_one(*weight)).fold(0, greatest_common_divisor).max(1);
        let gains: Vec<i64> = members.iter().map(|(_, weight)| at_least_one(*weight) / divisor).collect();
        let total: i64 = gains.iter().sum();
        let mut credit = vec![0; members.len()];
        let mut cycle = Vec::new();
        for _ in 0..total {
            let mut best: Option<(usize, i64)> = None;
            for (place, (credit, gain)) in credit.iter_mut().zip(&gains).enumerate() {
                *credit += gain;
                if best.is_none_or(|(_, most)| *credit > most) {
                    best = Some((place, *credit));
                }
            }
            if let Some((place, _)) = best {
                credit.iter_mut().skip(place).take(1).for_each(|credit| *credit -= total);
                cycle.push(place);
            }
        }
        Self { members, cycle }
    }

    /// Whether this is the schedule of exactly these members in this order.
    pub fn is_of(&self, members: impl Iterator<Item = (EndpointId, i32)>) -> bool {
        self.members.iter().copied().eq(members)
    }

    /// Who is served at `turn` or, where that one is not allowed, at the first turn after it; with the turn that comes
    /// next.
    pub fn serve(&self, turn: u64, allowed: impl Fn(EndpointId) -> bool) -> Option<(EndpointId, u64)> {
        let length = self.cycle.len();
        let first = usize::try_from(turn.checked_rem(u64::try_from(length).ok()?)?).ok()?;
        let turns = self.cycle.iter().cycle().skip(first).take(length);
        turns.zip(turn..).find_map(|(place, turn)| {
            let (id, _) = *self.members.get(*place)?;
            allowed(id).then_some((id, turn.wrapping_add(1)))
        })
    }
}

/// A stored weight is at least 1; a mistake must not stop the service.
fn at_least_one(weight: i32) -> i64 {
    i64::from(weight.max(1))
}

const fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::fixtures::id;

    fn schedule(weights: &[i32]) -> Schedule {
        Schedule::new((1..).map(id).zip(weights.iter().copied()))
    }

    fn served(schedule: &Schedule, turns: usize, without: &[u128]) -> Vec<u128> {
        let mut turn = 0;
        (0..turns)
            .map(|_| {
                let allowed = |id: EndpointId| !without.contains(&id.uuid().as_u128());
                let (id, next) = schedule.serve(turn, allowed).unwrap();
                turn = next;
                id.uuid().as_u128()
            })
            .collect()
    }

    #[test]
    fn heavy_ones_do_not_take_their_turns_in_a_row() {
        assert_eq!(served(&schedule(&[5, 1, 1]), 14, &[]), [1, 1, 2, 1, 3, 1, 1, 1, 1, 2, 1, 3, 1, 1]);
        assert_eq!(served(&schedule(&[2, 1]), 6, &[]), [1, 2, 1, 1, 2, 1]);
    }

    #[test]
    fn equal_weights_take_turns_whatever_their_size() {
        assert_eq!(served(&schedule(&[100, 100, 100]), 6, &[]), [1, 2, 3, 1, 2, 3]);
        assert_eq!(schedule(&[100, 50]).cycle.len(), 3);
    }

    #[test]
    fn who_is_not_allowed_is_passed_over_and_the_others_share_as_before() {
        assert_eq!(served(&schedule(&[5, 1, 1]), 4, &[1]), [2, 3, 2, 3]);
        assert!(schedule(&[5, 1]).serve(3, |_| false).is_none());
        assert!(schedule(&[]).serve(3, |_| true).is_none());
    }

    proptest! {
        #[test]
        fn any_stretch_as_long_as_the_cycle_meets_the_weights(
            weights in prop::collection::vec(1..20_i32, 1..6),
            start in any::<u64>(),
        ) {
            let schedule = schedule(&weights);
            let length = schedule.cycle.len();
            let mut turn = start;
            let mut counts = vec![0; weights.len()];
            for _ in 0..length {
                let (id, next) = schedule.serve(turn % (1 << 40), |_| true).unwrap();
                counts[usize::try_from(id.uuid().as_u128()).unwrap() - 1] += 1;
                turn = next;
            }
            let total: i32 = weights.iter().sum();
            let factor = total / i32::try_from(length).unwrap();
            prop_assert_eq!(counts.iter().map(|count| count * factor).collect::<Vec<_>>(), weights);
        }
    }
}
