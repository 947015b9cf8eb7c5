//! Compares a snapshot with the database at the same revision: a difference means that a change was lost.
//!
//! The database comes in pages in order of the ids, and of what is missing only the number grows.

use std::ops::Bound;
use std::sync::Arc;

use super::entry::Entry;
use super::state::Snapshot;
use super::table::{Child, Entries, Table};
use crate::domain::binding::Binding;
use crate::domain::credential::Credential;
use crate::domain::endpoint::Endpoint;
use crate::domain::id::{CredentialId, Id};
use crate::domain::image::Page;
use crate::domain::keyring::Keyring;
use crate::domain::model::Model;
use crate::domain::provider::Provider;
use crate::domain::revision::Head;
use crate::domain::secret::SealedSecret;
use crate::domain::token::Token;

/// How many differences are described.
const SHOWN: usize = 5;
/// How many differences in wrapping are looked at again.
const REWRAPPED: usize = 10_000;

/// What differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    pub count: usize,
    /// The first few, one line each. Lines name resources and versions, never their content.
    pub lines: Vec<String>,
    /// Secrets that differ only in the wrapping of their data keys, which changes without a revision: they may be about
    /// to agree. Not counted.
    pub rewrapped: Vec<(CredentialId, i64)>,
}

impl Differences {
    pub fn add(&mut self, line: impl FnOnce() -> String) {
        self.count += 1;
        if self.lines.len() < SHOWN {
            self.lines.push(line());
        }
    }
}

/// A comparison under way. It holds on to the snapshot that it began with.
#[derive(Debug)]
pub struct Check {
    snapshot: Arc<Snapshot>,
    found: Differences,
    providers: Begin<Id<Provider>>,
    endpoints: Begin<Id<Endpoint>>,
    credentials: Begin<Id<Credential>>,
    models: Begin<Id<Model>>,
    bindings: Begin<Id<Binding>>,
    tokens: Begin<Id<Token>>,
    sealed: Begin<(CredentialId, i64)>,
}

/// Where the part of a table begins that was not compared yet.
type Begin<K> = Bound<K>;

impl Check {
    /// Begins to compare with a database that stands at `head`.
    #[must_use]
    pub fn begin(snapshot: Arc<Snapshot>, head: Head, keyring: &Keyring) -> Self {
        let mut found = Differences::default();
        if snapshot.head != head {
            let (held, stored) = (snapshot.head.revision, head.revision);
            found.add(|| format!("head: snapshot at {held}, database at {stored}"));
        }
        if *snapshot.keyring != *keyring {
            found.add(|| "keyring: differs".to_owned());
        }
        Self {
            snapshot,
            found,
            providers: Bound::Unbounded,
            endpoints: Bound::Unbounded,
            credentials: Bound::Unbounded,
            models: Bound::Unbounded,
            bindings: Bound::Unbounded,
            tokens: Bound::Unbounded,
            sealed: Bound::Unbounded,
        }
    }

    /// Compares the next rows of a table.
    pub fn page(&mut self, page: &Page) {
        if !page.is_empty() {
            self.span(page);
        }
    }

    /// Compares up to the last row of `page`; to the end of the table, where it has none.
    fn span(&mut self, page: &Page) {
        let Self { snapshot, found, .. } = self;
        match page {
            Page::Providers(rows) => {
                let held = [snapshot.providers.live(), snapshot.providers.hidden()];
                compare("provider", &held, &mut self.providers, rows, |row| row.id, found);
            }
            Page::Endpoints(rows) => {
                compare("endpoint", &sides(&snapshot.endpoints), &mut self.endpoints, rows, |row| row.id, found);
            }
            Page::Credentials(rows) => {
                compare("credential", &sides(&snapshot.credentials), &mut self.credentials, rows, |row| row.id, found);
            }
            Page::Models(rows) => {
                compare("model", &sides(&snapshot.models), &mut self.models, rows, |row| row.id, found);
            }
            Page::Bindings(rows) => {
                compare("binding", &[snapshot.bindings.all()], &mut self.bindings, rows, |row| row.id, found);
            }
            Page::Tokens(rows) => {
                compare("token", &[&snapshot.tokens], &mut self.tokens, rows, |row| row.id, found);
            }
            Page::Sealed(rows) => self.compare_sealed(rows),
        }
    }

    /// Ends the comparison: what was not met by now is missing in the database.
    #[must_use]
    pub fn finish(mut self) -> Differences {
        let rest = [
            Page::Providers(Vec::new()),
            Page::Endpoints(Vec::new()),
            Page::Credentials(Vec::new()),
            Page::Models(Vec::new()),
            Page::Bindings(Vec::new()),
            Page::Tokens(Vec::new()),
            Page::Sealed(Vec::new()),
        ];
        for page in &rest {
            self.span(page);
        }
        self.found
    }

    /// Superseded secrets may already be swept from the database: they are not missed.
    fn compare_sealed(&mut self, rows: &[SealedSecret]) {
        let found = &mut self.found;
        for stored in rows {
            match self.snapshot.sealed(stored.credential_id, stored.version) {
                None if stored.expire_time.is_some() => {}
                None => found.add(|| format!("{stored:?}: missing in the snapshot")),
                Some(held) if ***held == *stored => {}
                Some(held) if is_rewrapped(held, stored) => {
                    if found.rewrapped.len() < REWRAPPED {
                        found.rewrapped.push((stored.credential_id, stored.version));
                    }
                }
                Some(_) => found.add(|| format!("{stored:?}: differs")),
            }
        }
        let key = |row: &SealedSecret| (row.credential_id, row.version);
        let end = rows.last().map_or(Bound::Unbounded, |row| Bound::Included(key(row)));
        for held in self.snapshot.sealed.range(self.sealed, end) {
            if held.expire_time.is_none() && rows.binary_search_by_key(&key(held), key).is_err() {
                found.add(|| format!("{:?}: missing in the database", ***held));
            }
        }
        self.sealed = behind(end);
    }
}

/// Whether only the wrapping of the data key differs.
fn is_rewrapped(held: &SealedSecret, stored: &SealedSecret) -> bool {
    let unwrapped = |secret: &SealedSecret| SealedSecret {
        master_key_id: String::new(),
        wrapped_key: Arc::default(),
        ..SealedSecret::clone(secret)
    };
    unwrapped(held) == unwrapped(stored)
}

fn sides<T: Child + PartialEq>(table: &Table<T>) -> [&Entries<T>; 2] {
    [table.live(), table.hidden()]
}

fn behind<K>(end: Bound<K>) -> Bound<K> {
    match end {
        Bound::Included(key) => Bound::Excluded(key),
        other => other,
    }
}

/// Compares a span of a table: from where the last one ended to the last of `rows`, to the table's end without any.
fn compare<T: PartialEq>(
    noun: &str,
    held: &[&Entries<T>],
    from: &mut Begin<Id<T>>,
    rows: &[Arc<T>],
    id: fn(&T) -> Id<T>,
    found: &mut Differences,
) {
    for row in rows {
        let id = id(row);
        match held.iter().find_map(|entries| entries.get(&id)).map(|entry: &Arc<Entry<T>>| entry.value()) {
            None => found.add(|| format!("{noun} {id}: missing in the snapshot")),
            Some(value) if value == row => {}
            Some(_) => found.add(|| format!("{noun} {id}: differs")),
        }
    }
    let end = rows.last().map_or(Bound::Unbounded, |row| Bound::Included(id(row)));
    for (key, _) in held.iter().flat_map(|entries| entries.range((*from, end))) {
        if rows.binary_search_by_key(key, |row| id(row)).is_err() {
            found.add(|| format!("{noun} {key}: missing in the database"));
        }
    }
    *from = behind(end);
}

#[cfg(test)]
mod tests;
