//! Models by what they can do, so that the best for a requirement is found without looking at each: of a million models
//! a few hundred differ in their profile.

use std::cmp::Reverse;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::entry::Entry;
use super::models::{ByRank, RankKey};
use crate::domain::model::requirement::Requirement;
use crate::domain::model::{Capability, Model, ModelStatus, ModelType, Score};

/// What a requirement asks about, packed: the score of each capability, the type, and how the model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Profile(u64);

/// How willingly a model is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Offered,
    Deprecated,
    /// Disabled or in maintenance: only to tell why.
    Withheld,
}

const SCORE_BITS: u32 = 4;
const TYPE_SHIFT: u32 = 48;
const STANDING_SHIFT: u32 = 56;

impl Profile {
    fn of(model: &Model) -> Self {
        let scores = model.capabilities.iter().fold(0, |bits, (capability, score)| {
            bits | (u64::try_from(*score).unwrap_or(0) + 1) << (*capability as u32 * SCORE_BITS)
        });
        let standing = match model.status {
            _ if super::usable::offered(model).is_err() => Standing::Withheld,
            ModelStatus::Deprecated => Standing::Deprecated,
            _ => Standing::Offered,
        };
        Self(scores | (model.model_type as u64) << TYPE_SHIFT | (standing as u64) << STANDING_SHIFT)
    }

    /// The score of a capability; nothing for one that the model has not.
    fn score(self, capability: Capability) -> Option<Score> {
        let bits = self.0 >> (capability as u32 * SCORE_BITS) & 0xf;
        Score::try_from(bits).ok()?.checked_sub(1).filter(|score| *score >= 0)
    }

    const fn is_of(self, model_type: ModelType) -> bool {
        self.0 >> TYPE_SHIFT & 0xff == model_type as u64
    }

    const fn standing(self) -> u64 {
        self.0 >> STANDING_SHIFT
    }

    /// The sum of the scores that are asked for; nothing if one is missing or too low.
    fn total(self, requirement: &Requirement) -> Option<Score> {
        if requirement.model_type.is_some_and(|wanted| !self.is_of(wanted)) {
            return None;
        }
        let scores = requirement.capabilities.iter().map(|capability| self.score(*capability));
        scores.map(|score| score.filter(|score| *score >= requirement.min_score)).sum()
    }
}

/// The live models, by profile in order of rank.
#[derive(Debug, Clone)]
pub struct Profiles(OrdMap<Profile, OrdSet<ByRank>>);

impl Profiles {
    pub fn new() -> Self {
        Self(OrdMap::new())
    }

    pub fn insert(&mut self, entry: &Arc<Entry<Model>>) {
        self.0.entry(Profile::of(entry.value())).or_default().insert(ByRank::new(entry));
    }

    pub fn remove(&mut self, entry: &Arc<Entry<Model>>) {
        let profile = Profile::of(entry.value());
        if let Some(set) = self.0.get_mut(&profile) {
            set.remove(&ByRank::new(entry));
            if set.is_empty() {
                self.0.remove(&profile);
            }
        }
    }

    /// The models that meet a requirement, best first: highest total score over its capabilities, then lowest price of
    /// input, then name, then id. Deprecated ones come after all others, and those that are not offered at the end.
    pub fn best<'a>(&'a self, requirement: &'a Requirement) -> impl Iterator<Item = &'a Arc<Entry<Model>>> {
        let groups = self.0.iter().filter_map(|(profile, set)| {
            let total = profile.total(requirement)?;
            Some(Group { rank: (profile.standing(), Reverse(total)), set, head: set.get_min() })
        });
        let mut groups: Vec<_> = groups.collect();
        groups.sort_unstable_by_key(|group| group.rank);
        Best { groups, from: 0 }.filter(|entry| requirement.has_room(entry.value()))
    }
}

struct Group<'a> {
    rank: (u64, Reverse<Score>),
    set: &'a OrdSet<ByRank>,
    /// Its first that was not answered yet.
    head: Option<&'a ByRank>,
}

/// Merges groups of the same rank, one rank after the other.
struct Best<'a> {
    groups: Vec<Group<'a>>,
    from: usize,
}

impl<'a> Iterator for Best<'a> {
    type Item = &'a Arc<Entry<Model>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rank = self.groups.get(self.from)?.rank;
            let equals = self.groups.iter_mut().skip(self.from).take_while(|group| group.rank == rank);
            let mut count = 0;
            let first =
                equals.inspect(|_| count += 1).filter(|group| group.head.is_some()).min_by_key(|group| group.head);
            let Some(group) = first else {
                self.from += count;
                continue;
            };
            let head = group.head?;
            let behind = (std::ops::Bound::Excluded(head.key()), std::ops::Bound::Unbounded);
            group.head = group.set.range::<_, RankKey<'_>>(behind).next();
            return Some(head.entry());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::fixtures;

    fn entry(number: u128, price: i64, scores: &[(Capability, Score)], status: ModelStatus) -> Arc<Entry<Model>> {
        let capabilities = scores.iter().copied().collect();
        let pricing = Some(fixtures::pricing(price));
        Arc::new(Entry::new(Arc::new(Model { pricing, capabilities, status, ..fixtures::model(number, 1) })))
    }

    fn numbers(profiles: &Profiles, requirement: &Requirement) -> Vec<u128> {
        profiles.best(requirement).map(|entry| entry.id.uuid().as_u128()).collect()
    }

    #[test]
    fn the_highest_total_comes_first_then_the_price_then_the_name_and_deprecated_ones_last() {
        use Capability::{Chat, Reasoning};
        let all = [
            entry(1, 9, &[(Chat, 5), (Reasoning, 1)], ModelStatus::Available),
            entry(2, 5, &[(Chat, 4), (Reasoning, 4)], ModelStatus::Available),
            entry(3, 4, &[(Chat, 3), (Reasoning, 5)], ModelStatus::Available),
            entry(4, 4, &[(Chat, 4), (Reasoning, 4)], ModelStatus::Available),
            entry(5, 1, &[(Chat, 5), (Reasoning, 5)], ModelStatus::Deprecated),
            entry(6, 1, &[(Chat, 5)], ModelStatus::Available),
            entry(7, 1, &[(Chat, 5), (Reasoning, 5)], ModelStatus::Maintenance),
            entry(8, 1, &[(Chat, 0), (Reasoning, 0)], ModelStatus::Available),
        ];
        let mut profiles = Profiles::new();
        for entry in &all {
            profiles.insert(entry);
        }
        let both = Requirement { capabilities: vec![Chat, Reasoning], ..Requirement::default() };
        assert_eq!(numbers(&profiles, &both), [3, 4, 2, 1, 8, 5, 7]);
        assert_eq!(numbers(&profiles, &Requirement { min_score: 3, ..both.clone() }), [3, 4, 2, 5, 7]);
        assert_eq!(numbers(&profiles, &Requirement::default()), [6, 8, 3, 4, 2, 1, 5, 7]);
        let embedding = Requirement { model_type: Some(ModelType::Embedding), ..Requirement::default() };
        assert_eq!(numbers(&profiles, &embedding), [0; 0]);
        profiles.remove(&all[2]);
        assert_eq!(numbers(&profiles, &both), [4, 2, 1, 8, 5, 7]);
        for entry in &all {
            profiles.remove(entry);
        }
        assert!(profiles.0.is_empty());
    }

    #[test]
    fn a_window_that_is_not_known_meets_no_least_window() {
        let mut profiles = Profiles::new();
        for (number, context_window) in [(1, None), (2, Some(1000)), (3, Some(1001))] {
            let model = Model { context_window, ..fixtures::model(number, 1) };
            profiles.insert(&Arc::new(Entry::new(Arc::new(model))));
        }
        let least = |window| Requirement { min_context_window: window, ..Requirement::default() };
        assert_eq!(numbers(&profiles, &least(Some(1001))), [3]);
        assert_eq!(numbers(&profiles, &least(None)), [1, 2, 3]);
    }
}
