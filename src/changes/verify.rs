//! Proof that nobody rewrote the log: every line against the hash before it, every copied column against what is
//! hashed, the first line against where the log begins, the last one against the head and an anchor from elsewhere.
//!
//! Who has the chain's key and the database can make a new log; only an anchor that was written down elsewhere finds
//! that.

use std::fmt;
use std::str::FromStr;

use crate::domain::{ChainHash, Change, Head, Revision};
use crate::secrets::Secrets;
use crate::store::{LogAnchor, LogCopy, Store, StoreError};
use crate::wire;

/// Revisions that are read at a time.
const PAGE: i64 = 1000;
/// How many findings are told; one line that was removed has many.
const TOLD: usize = 20;

/// A place in the log that was written down elsewhere: `REVISION:HASH`, as `GetServerInfo` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor(pub Head);

impl FromStr for Anchor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("must be REVISION:HASH, the hash in 64 hexadecimal digits: {text:.100}");
        let (revision, hash) = text.trim().split_once(':').ok_or_else(bad)?;
        let revision = revision.parse().ok().filter(|revision| *revision >= 0).ok_or_else(bad)?;
        let hash = hex::decode(hash).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(bad)?;
        Ok(Self(Head { revision: Revision(revision), hash: ChainHash(hash) }))
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Where the kept log begins: the last revision that was removed from it on purpose, 0 if none was.
    pub begins_after: Revision,
    pub head: Head,
    pub lines: usize,
    pub count: usize,
    /// The first findings, one line each. They name places and columns, never what stands there.
    pub findings: Vec<String>,
}

impl Verdict {
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.count == 0
    }

    fn add(&mut self, finding: impl fmt::Display) {
        self.count += 1;
        if self.findings.len() < TOLD {
            self.findings.push(finding.to_string());
        }
    }
}

/// Reads the whole log, as it was when this began; once more when its beginning was removed meanwhile.
///
/// # Errors
/// What the database says.
pub async fn verify(store: &Store, secrets: &Secrets, anchor: Option<Anchor>) -> Result<Verdict, StoreError> {
    loop {
        let begin = store.log_anchor().await?;
        let verdict = walk(store, secrets, begin.as_ref(), anchor).await?;
        if store.log_anchor().await? == begin {
            return Ok(verdict);
        }
    }
}

async fn walk(
    store: &Store,
    secrets: &Secrets,
    begin: Option<&LogAnchor>,
    anchor: Option<Anchor>,
) -> Result<Verdict, StoreError> {
    let mut verdict = Verdict { head: store.head().await?, ..Verdict::default() };
    let mut walk = Walk { secrets, anchor, at: Head::default(), expected: None };
    if let Some(LogAnchor { head, seal }) = begin {
        walk.at = *head;
        verdict.begins_after = head.revision;
        if secrets.seal_anchor(head) != *seal {
            verdict.add(format!("up to revision {}: removed, and not by this program", head.revision));
        }
    }
    walk.compare(&mut verdict);
    let mut from = walk.at.revision;
    for stray in store.log_copies(Revision(i64::MIN), from).await? {
        verdict.add(format!("{}/{}: lies before the beginning of the log", stray.revision, stray.ordinal));
    }
    while from < verdict.head.revision {
        let until = Revision(from.0.saturating_add(PAGE).min(verdict.head.revision.0));
        for copy in store.log_copies(from, until).await? {
            verdict.lines += 1;
            walk.line(&copy, &mut verdict);
        }
        from = until;
    }
    walk.end(&mut verdict);
    Ok(verdict)
}

/// A walk through the log.
struct Walk<'a> {
    secrets: &'a Secrets,
    anchor: Option<Anchor>,
    /// The last line that was read, by the hash that it carries: one bad line is one finding.
    at: Head,
    /// The ordinal that follows in this revision.
    expected: Option<u32>,
}

impl Walk<'_> {
    fn line(&mut self, copy: &LogCopy, verdict: &mut Verdict) {
        let LogCopy { revision, ordinal, hash, payload, .. } = copy;
        let place = format!("{revision}/{ordinal}");
        let begins = *ordinal == 0 && *revision == self.at.revision.next();
        let goes_on = *revision == self.at.revision && self.expected == Some(*ordinal);
        if !begins && !goes_on {
            verdict.add(format!("{place}: does not follow the line before it"));
        }
        if self.secrets.chain(*revision, *ordinal, &self.at.hash, payload) != *hash {
            verdict.add(format!("{place}: its hash is not that of its content after the line before it"));
        }
        match wire::log::decode(payload) {
            Ok(change) => columns(copy, &change, &place, verdict),
            Err(error) => verdict.add(format!("{place}: its content does not decode: {error}")),
        }
        if *revision > self.at.revision {
            self.compare(verdict);
        }
        self.at = Head { revision: *revision, hash: *hash };
        self.expected = ordinal.checked_add(1);
    }

    /// Compares with the anchor where a revision has ended.
    fn compare(&mut self, verdict: &mut Verdict) {
        let Some(Anchor(anchor)) = self.anchor.filter(|anchor| anchor.0.revision == self.at.revision) else { return };
        self.anchor = None;
        if anchor.hash != self.at.hash {
            verdict.add(format!("{}: another log than the one that the anchor is of", anchor.revision));
        }
    }

    fn end(&mut self, verdict: &mut Verdict) {
        self.compare(verdict);
        if self.at != verdict.head {
            let (ends, head) = (self.at.revision, verdict.head.revision);
            verdict.add(format!("the log ends at {ends}, and its head stands at {head} with another hash"));
        }
        match self.anchor {
            Some(Anchor(anchor)) if anchor.revision > self.at.revision => {
                verdict.add(format!("the log ends at {}, before the anchor {}", self.at.revision, anchor.revision));
            }
            Some(Anchor(anchor)) => {
                verdict
                    .add(format!("the anchor {} lies where the log was shortened; use a later one", anchor.revision));
            }
            None => {}
        }
    }
}

/// Compares the copies beside the payload with what is hashed.
fn columns(copy: &LogCopy, change: &Change, place: &str, verdict: &mut Verdict) {
    let same = [
        ("revision", copy.revision == change.revision),
        ("ordinal", copy.ordinal == change.ordinal),
        ("resource_kind", copy.resource_kind == change.resource_kind.noun()),
        ("resource_id", copy.resource_id == change.resource_id),
        ("operation", copy.operation == change.operation.name()),
        ("actor", copy.actor == change.actor),
        ("rpc", copy.rpc == change.rpc),
        ("request_id", copy.request_id == change.request_id),
        ("time", copy.time == change.time),
    ];
    for (column, _) in same.into_iter().filter(|(_, same)| !same) {
        verdict.add(format!("{place}: the column {column} is not what was hashed"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_read_as_it_is_told() {
        let head = Head { revision: Revision(7), hash: ChainHash([0xab; 32]) };
        let told = format!("{}:{}", head.revision, head.hash);
        assert_eq!(told.parse(), Ok(Anchor(head)));
        for bad in ["", "7", "7:", "x:00", "-1:00", &told[..told.len() - 2], &format!("{told}00")] {
            assert!(bad.parse::<Anchor>().is_err(), "{bad}");
        }
    }
}
