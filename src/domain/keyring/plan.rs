//! What a change of the active master key would do. Keys are known by their ids; who reads which is given as data.

use std::sync::Arc;

use super::Keyring;
use crate::domain::change::{Resource, ResourceKind};
use crate::domain::error::{Error, Result};
use crate::domain::plan::{Answer, Edit, Plan, PlanContext, check_revision};
use crate::domain::revision::Revision;
use crate::domain::view::View;

/// Which master keys can be read, and by whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readers {
    /// The ids of the keys that this replica reads, the newest last.
    pub here: Vec<String>,
    /// Every live replica with the ids of the keys that it reads.
    pub replicas: Vec<(String, Vec<String>)>,
}

/// Makes a master key the active one; an empty id: the newest readable one that is not active.
///
/// # Errors
/// [`Error::InvalidField`] for a key that this replica does not read, [`Error::RevisionMismatch`],
/// [`Error::KeyNotEverywhere`].
pub fn rotate(
    key_id: &str,
    readers: &Readers,
    expected: Option<Revision>,
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    let current = view.keyring();
    check_revision(ResourceKind::Keyring, current.id, expected, current.revision)?;
    let next_id = choose(key_id, readers, &current.active_key_id)?;
    if *next_id == current.active_key_id {
        return Ok(Plan::unchanged(Answer::Resource(Resource::Keyring(current))));
    }
    let blind = readers.replicas.iter().filter(|(_, ids)| !ids.contains(next_id));
    let replicas: Vec<_> = blind.map(|(replica, _)| replica.clone()).collect();
    if !replicas.is_empty() {
        return Err(Error::KeyNotEverywhere { key_id: next_id.clone(), replicas });
    }
    let next = Keyring {
        id: current.id,
        revision: context.revision,
        active_key_id: next_id.clone(),
        update_time: context.now,
        updated_by: context.actor().to_owned(),
    };
    let next = Resource::Keyring(Arc::new(next));
    let edit = Edit::update(Resource::Keyring(current), next.clone(), vec!["active_key_id".into()]);
    Ok(Plan::of(vec![edit], Answer::Resource(next)))
}

fn choose<'a>(key_id: &str, readers: &'a Readers, active: &str) -> Result<&'a String> {
    let wanted = |id: &&String| if key_id.is_empty() { *id != active } else { *id == key_id };
    readers.here.iter().rev().find(wanted).ok_or_else(|| {
        let problem = if key_id.is_empty() {
            "no other key than the active one can be read; add one to the key file"
        } else {
            "this server cannot read such a key; add it to the key file"
        };
        Error::field("key_id", problem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::view::memory::{World, answered, story};

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    fn readers(other: &[&str]) -> Readers {
        let here = ids(&["k1", "k2", "k3"]);
        Readers { here: here.clone(), replicas: vec![("a".into(), here), ("b".into(), ids(other))] }
    }

    fn turn(world: &mut World, key_id: &str, readers: &Readers) -> Result<Plan> {
        world.write(|view, context| rotate(key_id, readers, None, view, context))
    }

    #[test]
    fn the_newest_key_becomes_active_when_none_is_named() {
        let mut world = World::default();
        let plan = turn(&mut world, "", &readers(&["k1", "k3"])).unwrap();
        assert_eq!(story(&plan), ["update keyring active_key_id"]);
        let Resource::Keyring(keyring) = answered(&plan) else { panic!("no key ring") };
        assert_eq!((keyring.active_key_id.as_str(), keyring.revision), ("k3", Revision(1)));
        let plan = turn(&mut world, "", &readers(&["k2"])).unwrap();
        assert_eq!(story(&plan), ["update keyring active_key_id"]);
    }

    #[test]
    fn a_key_that_a_replica_cannot_read_is_refused() {
        let mut world = World::default();
        let error = turn(&mut world, "k2", &readers(&["k1"])).err().unwrap();
        assert_eq!(error, Error::KeyNotEverywhere { key_id: "k2".into(), replicas: ids(&["b"]) });
    }

    #[test]
    fn an_unknown_key_is_a_wrong_field() {
        let mut world = World::default();
        let error = turn(&mut world, "k9", &readers(&["k9"])).err().unwrap();
        assert!(matches!(error, Error::InvalidField { violations } if violations[0].field == "key_id"));
        let alone = Readers { here: ids(&["k1"]), replicas: Vec::new() };
        assert!(matches!(turn(&mut world, "", &alone), Err(Error::InvalidField { .. })));
    }

    #[test]
    fn the_active_key_stays_without_a_revision() {
        let mut world = World::default();
        assert!(turn(&mut world, "k1", &readers(&[])).unwrap().edits.is_empty());
        let stale = world.plan(|view, context| rotate("k1", &readers(&[]), Some(Revision(5)), view, context));
        assert!(matches!(stale, Err(Error::RevisionMismatch { .. })));
    }
}
