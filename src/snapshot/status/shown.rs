//! Status that another process shows: it has looked whether secrets open, which this one cannot, and what it shows last
//! is the newest.

use super::{Board, Changed, StatusBoard};
use crate::domain::id::CredentialId;
use crate::domain::image::{StatusRevision, StatusValue};
use crate::snapshot::changed::StatusKey;

/// What another process shows of the status.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Whether this is all; else it is what has changed.
    pub anew: bool,
    pub values: Vec<StatusValue>,
    /// Whether the secrets of credentials open.
    pub opens: Vec<(CredentialId, bool)>,
}

impl StatusBoard {
    /// Takes in what another process shows.
    pub fn mirror(&self, shown: &Shown) {
        self.change(|board| board.mirror(shown));
    }

    /// Notes up to where the other process has shown its status.
    pub fn mirrored_until(&self, seen: StatusRevision) {
        self.change(|board| board.seen = seen);
    }
}

impl Board {
    /// Whether the secret of a credential is known not to open.
    #[must_use]
    pub fn is_locked(&self, id: CredentialId) -> bool {
        self.locked.contains(&id)
    }

    fn mirror(&mut self, shown: &Shown) {
        if shown.anew {
            *self = Self { seen: self.seen, changed: Changed::after(&self.changed), ..Self::default() };
        }
        // The other process counts in a way of its own, which is not shown with each value.
        self.mirrored = StatusRevision(self.mirrored.0.saturating_add(1));
        let at = self.mirrored;
        shown.values.iter().for_each(|value| self.put(value.clone(), at));
        for (id, opens) in &shown.opens {
            let turned = if *opens { self.locked.remove(id).is_some() } else { self.locked.insert(*id).is_none() };
            if turned {
                self.changed.note(StatusKey::Credential(*id), at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::{EndpointHealth, HealthStatus};
    use crate::snapshot::fixtures::id;

    fn shown(anew: bool, status: HealthStatus, opens: bool) -> Shown {
        let health = EndpointHealth { status, ..EndpointHealth::default() };
        Shown { anew, values: vec![StatusValue::Health(id(1), health)], opens: vec![(id(2), opens)] }
    }

    #[test]
    fn what_is_shown_last_counts_and_what_has_turned_is_told() {
        let board = StatusBoard::default();
        board.mirror(&shown(true, HealthStatus::Healthy, false));
        let first = board.load();
        assert!(first.is_locked(id(2)) && first.health_status(id(1)) == HealthStatus::Healthy);
        board.mirror(&shown(false, HealthStatus::Unhealthy, true));
        let second = board.load();
        assert!(!second.is_locked(id(2)) && second.health_status(id(1)) == HealthStatus::Unhealthy);
        let told: Vec<_> = second.changed_since(first.changes()).map(|(_, mark)| mark.key).collect();
        assert_eq!(told, [StatusKey::Endpoint(id(1)), StatusKey::Credential(id(2))]);
    }

    #[test]
    fn a_state_that_is_taken_anew_leaves_nothing_of_the_former_one() {
        let board = StatusBoard::default();
        board.mirror(&shown(true, HealthStatus::Unhealthy, false));
        board.mirror(&Shown { anew: true, ..Shown::default() });
        let now = board.load();
        assert!(!now.is_locked(id(2)) && now.health(id(1)).is_none());
    }
}
