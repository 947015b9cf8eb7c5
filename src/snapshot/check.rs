//! Compares a snapshot with an image of the database at the same revision: a difference means that a change was lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::entry::Entry;
use super::state::Snapshot;
use super::table::{Child, Entries, Table};
use crate::domain::id::Id;
use crate::domain::image::Image;

impl Snapshot {
    /// What differs, one line each; empty when nothing does. Lines name resources and versions, never their content.
    /// Superseded secrets may already be swept from the database: they are not missed.
    #[must_use]
    pub fn diff(&self, image: &Image) -> Vec<String> {
        let mut lines = Vec::new();
        if self.head != image.head {
            lines.push(format!("head: snapshot at {}, database at {}", self.head.revision, image.head.revision));
        }
        if self.keyring != image.keyring {
            lines.push("keyring: differs".to_owned());
        }
        let providers = [self.providers.live(), self.providers.hidden()];
        compare("provider", &providers, image.providers.iter().map(|r| (r.id, r)), &mut lines);
        compare("endpoint", &sides(&self.endpoints), image.endpoints.iter().map(|r| (r.id, r)), &mut lines);
        compare("credential", &sides(&self.credentials), image.credentials.iter().map(|r| (r.id, r)), &mut lines);
        compare("model", &sides(&self.models), image.models.iter().map(|r| (r.id, r)), &mut lines);
        compare("token", &[&self.tokens], image.tokens.iter().map(|r| (r.id, r)), &mut lines);
        self.compare_sealed(image, &mut lines);
        lines
    }

    fn compare_sealed(&self, image: &Image, lines: &mut Vec<String>) {
        let mut seen = BTreeSet::new();
        for stored in &image.sealed {
            seen.insert((stored.credential_id, stored.version));
            match self.sealed(stored.credential_id, stored.version) {
                None if stored.expire_time.is_some() => {}
                None => lines.push(format!("{stored:?}: missing in the snapshot")),
                Some(held) if **held == *stored => {}
                Some(_) => lines.push(format!("{stored:?}: differs")),
            }
        }
        for held in self.all_sealed() {
            if held.expire_time.is_none() && !seen.contains(&(held.credential_id, held.version)) {
                lines.push(format!("{held:?}: missing in the database"));
            }
        }
    }
}

fn sides<T: Child + PartialEq>(table: &Table<T>) -> [&Entries<T>; 2] {
    [table.live(), table.hidden()]
}

fn compare<'a, T: PartialEq + 'a>(
    noun: &str,
    held: &[&Entries<T>],
    stored: impl Iterator<Item = (Id<T>, &'a Arc<T>)>,
    lines: &mut Vec<String>,
) {
    let mut seen = BTreeSet::new();
    for (id, row) in stored {
        seen.insert(id);
        match held.iter().find_map(|entries| entries.get(&id)).map(|entry: &Arc<Entry<T>>| entry.value()) {
            None => lines.push(format!("{noun} {id}: missing in the snapshot")),
            Some(value) if value == row => {}
            Some(_) => lines.push(format!("{noun} {id}: differs")),
        }
    }
    let extra = held.iter().flat_map(|entries| entries.keys()).filter(|id| !seen.contains(id));
    lines.extend(extra.map(|id| format!("{noun} {id}: missing in the database")));
}
