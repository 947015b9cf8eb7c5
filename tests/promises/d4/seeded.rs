//! The checker is worth something: streams with the faults that a server might have do not pass.

use modelward::proto::v1::{self, WatchEvent};

use crate::support::watching::Checker;

/// A stream of ten revisions of two changes each, as it has to be, and the log that it is of.
fn sound() -> (Vec<v1::WatchResponse>, Vec<v1::Change>) {
    let changes = |revision| {
        (0..2).map(move |ordinal| v1::Change { revision, ordinal, ..Default::default() }).collect::<Vec<_>>()
    };
    let message = |revision| v1::WatchResponse {
        event: WatchEvent::Changes.into(),
        changes: changes(revision),
        revision,
        last_of_revision: true,
        resume_token: format!("token {revision}"),
        ..Default::default()
    };
    ((1..=10).map(message).collect(), (1..=10).flat_map(changes).collect())
}

fn bookmark(revision: i64) -> v1::WatchResponse {
    v1::WatchResponse {
        event: WatchEvent::Bookmark.into(),
        revision,
        last_of_revision: true,
        resume_token: format!("token {revision}"),
        ..Default::default()
    }
}

fn verdict(messages: &[v1::WatchResponse]) -> Vec<String> {
    let mut checker = Checker::after(0);
    for message in messages {
        checker.take(message);
    }
    checker.verdict(&sound().1)
}

#[track_caller]
fn is_caught(messages: &[v1::WatchResponse]) {
    assert_ne!(verdict(messages), Vec::<String>::new());
}

#[test]
fn d4_a_sound_stream_passes() {
    let (mut messages, _) = sound();
    messages.insert(4, bookmark(4));
    messages.push(bookmark(10));
    assert_eq!(verdict(&messages), Vec::<String>::new());
    // A revision in parts, and a stream that ends within one.
    let (mut checker, (messages, log)) = (Checker::after(0), sound());
    let half = v1::WatchResponse {
        changes: messages[0].changes[..1].to_vec(),
        last_of_revision: false,
        resume_token: String::new(),
        ..messages[0].clone()
    };
    checker.take(&half);
    checker.reconnect();
    for message in &messages {
        checker.take(message);
    }
    assert_eq!(checker.verdict(&log), Vec::<String>::new());
}

#[test]
fn d4_a_duplicate_is_caught() {
    let (mut messages, _) = sound();
    messages.insert(5, messages[4].clone());
    is_caught(&messages);
    let (mut messages, _) = sound();
    let again = messages[4].changes[1].clone();
    messages[4].changes.push(again);
    is_caught(&messages);
}

#[test]
fn d4_changes_that_compaction_dropped_are_caught() {
    let (mut messages, _) = sound();
    messages.drain(2..5);
    is_caught(&messages);
    let (mut messages, _) = sound();
    messages[3].changes.pop();
    is_caught(&messages);
}

#[test]
fn d4_a_bookmark_before_its_event_is_caught() {
    let (mut messages, _) = sound();
    messages.insert(4, bookmark(5));
    is_caught(&messages);
}

#[test]
fn d4_a_step_back_in_time_after_a_reconnect_is_caught() {
    let (mut checker, (messages, log)) = (Checker::after(0), sound());
    for message in &messages[..6] {
        checker.take(message);
    }
    checker.reconnect();
    for message in &messages[4..] {
        checker.take(message);
    }
    assert_ne!(checker.verdict(&log), Vec::<String>::new());
}

#[test]
fn d4_a_reordered_pair_and_a_token_too_early_are_caught() {
    let (mut messages, _) = sound();
    messages.swap(3, 4);
    is_caught(&messages);
    let (mut messages, _) = sound();
    messages[3].changes.swap(0, 1);
    is_caught(&messages);
    let (mut messages, _) = sound();
    messages[3].last_of_revision = false;
    is_caught(&messages);
}
