use std::time::Duration;

use super::*;
use crate::changes::testing::{create, idle, names, planner, provider_name, secrets, under, write};
use crate::domain::credential::rotation::{self, NewSecret, Rotation};
use crate::domain::keyring::plan::{self as keyring, Readers};
use crate::domain::secret::{CredentialSecret, SecretText};
use crate::domain::{Caller, CredentialId};
use crate::snapshot::fixtures;

struct Stand {
    planner: Planner,
    base: Snapshot,
}

impl Stand {
    fn new() -> Self {
        Self { planner: planner(&secrets(&["k1", "k2"])), base: Snapshot::from_image(fixtures::image()) }
    }

    /// A configuration that has a provider with a credential.
    fn with_credential() -> Self {
        let mut image = fixtures::image();
        image.providers.push(Arc::new(fixtures::provider(1)));
        image.credentials.push(Arc::new(fixtures::credential(2, 1)));
        Self { base: Snapshot::from_image(image), ..Self::new() }
    }

    fn plan(&self, writes: &[Write]) -> Batch {
        self.planner.plan(writes, &self.base, Vec::new())
    }

    /// The head that the log of a batch leads to, computed anew.
    fn chained(&self, from: Head, log: &[LogLine]) -> Head {
        log.iter().fold(from, |head, line| {
            let (revision, ordinal) = (line.change.revision, line.change.ordinal);
            let hash = self.planner.secrets.chain(revision, ordinal, &head.hash, &line.payload);
            assert_eq!(hash, line.hash);
            Head { revision, hash }
        })
    }
}

fn rotate(id: CredentialId, text: &str) -> Write {
    let secret =
        Arc::new(CredentialSecret { api_key: Some(SecretText::new(text.to_owned())), ..CredentialSecret::default() });
    let rotation = Rotation {
        secret: NewSecret { secret, fingerprint: text.to_owned() },
        grace_period: Duration::ZERO,
        allowed_hosts: Vec::new(),
    };
    write(move |view, context| rotation::rotate(id, &rotation, None, view, context))
}

fn activate(key: &'static str) -> Write {
    let keys = vec!["k1".to_owned(), "k2".to_owned(), "lost".to_owned()];
    let readers = Readers { here: keys.clone(), replicas: vec![("one".into(), keys)] };
    write(move |view, context| keyring::rotate(key, &readers, None, view, context))
}

fn revisions(batch: &Batch) -> Vec<Result<i64, &'static str>> {
    let revision = |result: &Result<Committed>| match result {
        Ok(committed) => Ok(committed.revision.0),
        Err(error) => Err(error.reason()),
    };
    batch.results.iter().map(revision).collect()
}

#[test]
fn revisions_have_no_gaps_and_what_fails_or_changes_nothing_takes_none() {
    let stand = Stand::new();
    let batch = stand.plan(&[create("a"), create("A"), idle(), create("b"), create("c")]);
    assert_eq!(revisions(&batch), [Ok(1), Err("ALREADY_EXISTS"), Ok(1), Ok(2), Ok(3)]);
    let logged: Vec<_> = batch.set.log.iter().map(|line| (line.change.revision.0, line.change.ordinal)).collect();
    assert_eq!(logged, [(1, 0), (2, 0), (3, 0)]);
    assert_eq!((batch.head.revision, batch.set.head), (Revision(3), batch.head));
    assert!(batch.set.notify && !batch.is_empty());
}

#[test]
fn a_batch_that_changes_nothing_writes_nothing_and_tells_nobody() {
    let batch = Stand::new().plan(&[idle(), write(|_, _| Err(Error::StoreFull))]);
    assert_eq!(revisions(&batch), [Ok(0), Err("STORE_FULL")]);
    assert!(batch.is_empty() && !batch.set.notify);
    assert_eq!(batch.head, Head::default());
}

#[test]
fn the_chain_goes_on_from_line_to_line_and_from_batch_to_batch() {
    let mut stand = Stand::new();
    let first = stand.plan(&[create("a"), create("b")]);
    assert_eq!(stand.chained(Head::default(), &first.set.log), first.head);
    stand.base = stand.base.apply(&first.changes, &first.sealed, first.head);
    assert_eq!(stand.base.head(), first.head);
    // Several changes in one revision: the provider and its credential disappear together.
    let id = stand.base.providers()[0].id;
    let delete = write(move |view, context| crate::domain::provider::plan::delete(id, None, view, context));
    let second = stand.plan(&[create("c"), delete]);
    assert_eq!(stand.chained(first.head, &second.set.log), second.head);
    assert_eq!(second.head.revision, Revision(4));
}

#[test]
fn a_request_id_that_comes_twice_in_a_batch_is_answered_with_the_first_answer() {
    let batch = Stand::new().plan(&[
        under("r", 1, create("a")),
        under("r", 1, create("a")),
        under("r", 2, create("b")),
        create("c"),
    ]);
    assert_eq!(revisions(&batch), [Ok(1), Ok(1), Err("REQUEST_ID_REUSED"), Ok(2)]);
    let [first, second, ..] = &batch.results[..] else { panic!("two results") };
    let (first, second) = (first.as_ref().unwrap(), second.as_ref().unwrap());
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(first.answer, second.answer);
    assert_eq!((batch.set.log.len(), batch.set.requests.len()), (2, 1));
}

#[test]
fn a_stored_answer_is_sent_again_and_nothing_is_planned() {
    let stand = Stand::new();
    let earlier = stand.plan(&[under("r", 1, create("a"))]);
    let again = under("r", 1, write(|_, _| panic!("planned")));
    let other = under("r", 9, write(|_, _| panic!("planned")));
    let batch = stand.planner.plan([&again, &other], &stand.base, earlier.set.requests.clone());
    assert_eq!(revisions(&batch), [Ok(1), Err("REQUEST_ID_REUSED")]);
    assert_eq!(provider_name(&batch.results[0].as_ref().unwrap().answer), "a");
    assert!(batch.is_empty());
}

#[test]
fn a_failure_is_not_remembered_and_a_write_that_changes_nothing_is() {
    let batch = Stand::new().plan(&[
        under("failed", 1, write(|_, _| Err(Error::StoreFull))),
        under("failed", 2, create("a")),
        under("idle", 1, idle()),
    ]);
    assert_eq!(revisions(&batch), [Err("STORE_FULL"), Ok(1), Ok(1)]);
    let kept: Vec<_> = batch.set.requests.iter().map(|request| request.key.request_id.as_str()).collect();
    assert_eq!(kept, ["failed", "idle"]);
    let only_idle = Stand::new().plan(&[under("idle", 1, idle())]);
    assert!(!only_idle.is_empty() && !only_idle.set.notify);
    assert_eq!(only_idle.set.head, Head::default());
}

#[test]
fn request_ids_of_different_callers_are_different() {
    let mut other = under("r", 2, create("b"));
    other.call.caller = Arc::new(Caller { identity: "somebody else".into(), ..Caller::system() });
    let batch = Stand::new().plan(&[under("r", 1, create("a")), other]);
    assert_eq!(revisions(&batch), [Ok(1), Ok(2)]);
}

#[test]
fn a_secret_is_sealed_under_the_key_that_is_active_where_it_stands_in_the_batch() {
    let stand = Stand::with_credential();
    let id = fixtures::id(2);
    let batch = stand.plan(&[rotate(id, "sk-first"), activate("k2"), rotate(id, "sk-second")]);
    assert_eq!(revisions(&batch), [Ok(1), Ok(2), Ok(3)]);
    let sealed: Vec<_> = batch.set.sealed.iter().map(|one| (one.version, one.master_key_id.as_str())).collect();
    assert_eq!(sealed, [(2, "k1"), (3, "k2")]);
    let opened = stand.planner.secrets.open(&batch.sealed[1]).ok().and_then(|secret| secret.api_key);
    assert_eq!(opened.as_ref().map(SecretText::expose), Some("sk-second"));
}

#[test]
fn a_secret_that_cannot_be_sealed_fails_its_own_write_alone() {
    let stand = Stand::with_credential();
    let batch = stand.plan(&[activate("lost"), rotate(fixtures::id(2), "sk-x"), create("a")]);
    assert_eq!(revisions(&batch), [Ok(1), Err("INTERNAL"), Ok(2)]);
    assert!(batch.sealed.is_empty() && batch.set.destroy.is_empty());
}

#[test]
fn a_plan_that_panics_fails_its_own_write_alone() {
    let stand = Stand::new();
    let batch = stand.plan(&[create("a"), write(|_, _| panic!("seeded")), create("b")]);
    assert_eq!(revisions(&batch), [Ok(1), Err("INTERNAL"), Ok(2)]);
    let after = stand.base.apply(&batch.changes, &batch.sealed, batch.head);
    assert_eq!(names(&after), ["a", "b"]);
}

#[test]
fn a_rehearsal_answers_what_would_be_and_leaves_nothing() {
    let stand = Stand::new();
    let answer = stand.planner.rehearse(&under("r", 1, create("a")), &stand.base).unwrap();
    assert_eq!(provider_name(&answer), "a");
    assert_eq!(names(&stand.base), Vec::<String>::new());
    assert_eq!(revisions(&stand.plan(&[create("a")])), [Ok(1)]);
}
