//! Tampering with the log is detectable: edits, deletions, insertions, reorders, a log that ends or begins elsewhere.

use std::fmt::Write as _;

use modelward::changes::verify::{Anchor, Verdict, verify};
use modelward::domain::Revision;
use modelward::store::{LogCopy, Store};

use super::{effort, report};
use crate::support::load::Writer;
use crate::support::{Engine, Server};

/// A log to tamper with, and the way back to what it was.
struct Scene {
    server: Server,
    rows: Vec<LogCopy>,
    anchor: Anchor,
}

impl Scene {
    async fn new(engine: Engine) -> Self {
        let server = Server::start(engine).await;
        Writer::new(server.admin().clone(), "w", None).steps(120).await;
        let store = &server.parts().store;
        let head = store.head().await.unwrap();
        let rows = store.log_copies(Revision(0), head.revision).await.unwrap();
        assert!(rows.len() > 60, "{} lines", rows.len());
        server.sql("CREATE TABLE kept AS SELECT * FROM changes");
        let request = modelward::proto::v1::GetServerInfoRequest {};
        let info = server.tokens().get_server_info(request).await.unwrap().into_inner().server_info.unwrap();
        Self { server, rows, anchor: info.audit_anchor.parse().unwrap() }
    }

    fn store(&self) -> &Store {
        &self.server.parts().store
    }

    async fn verify(&self, anchor: Option<Anchor>) -> Verdict {
        verify(self.store(), &self.server.parts().secrets, anchor).await.unwrap()
    }

    /// Bytes as the engine writes them.
    fn bytes(&self, bytes: &[u8]) -> String {
        match self.store().engine() {
            Engine::Sqlite => format!("X'{}'", hex::encode(bytes)),
            Engine::Postgres => format!("'\\x{}'::bytea", hex::encode(bytes)),
        }
    }

    fn restored(&self) -> String {
        let Anchor(head) = self.anchor;
        let hash = self.bytes(&head.hash.0);
        format!(
            "DELETE FROM changes; INSERT INTO changes SELECT * FROM kept; DELETE FROM log_anchor; \
             UPDATE revision_counter SET value = {}, head_hash = {hash};",
            head.revision
        )
    }

    fn any(&self) -> &LogCopy {
        fastrand::choice(&self.rows).unwrap()
    }

    fn edit(&self) -> String {
        let row = self.any();
        let mut payload = row.payload.to_vec();
        let place = fastrand::usize(..payload.len());
        payload[place] ^= 1 << fastrand::u8(..8);
        let mut hash = row.hash.0;
        hash[fastrand::usize(..32)] ^= 1 << fastrand::u8(..8);
        let set = match fastrand::u8(..9) {
            0..3 => format!("payload = {}", self.bytes(&payload)),
            3 => format!("hash = {}", self.bytes(&hash)),
            // Whoever does not know the key can only guess the hash of what he writes.
            4 => format!("payload = {}, hash = {}", self.bytes(&payload), self.bytes(&[fastrand::u8(..); 32])),
            5 => "actor = actor || 'x'".into(),
            6 => "request_id = request_id || 'x', rpc = 'other'".into(),
            7 => format!("resource_kind = '{}'", if row.resource_kind == "model" { "token" } else { "model" }),
            _ => format!("operation = '{}'", if row.operation == "update" { "delete" } else { "update" }),
        };
        format!("UPDATE changes SET {set} WHERE {}", place_of(row))
    }

    fn removal(&self) -> String {
        let from = fastrand::usize(..self.rows.len());
        let until = (from + fastrand::usize(1..4)).min(self.rows.len());
        self.rows[from..until].iter().fold(String::new(), |mut sql, row| {
            write!(sql, "DELETE FROM changes WHERE {};", place_of(row)).unwrap();
            sql
        })
    }

    /// Two lines change places, each with its hash.
    fn reorder(&self) -> String {
        let one = fastrand::usize(..self.rows.len() - 1);
        let other = fastrand::usize(one + 1..self.rows.len());
        let (one, other) = (&self.rows[one], &self.rows[other]);
        let moved = |from: &LogCopy, to: (i64, u32)| {
            format!("UPDATE changes SET revision = {}, ordinal = {} WHERE {};", to.0, to.1, place_of(from))
        };
        let aside = LogCopy { revision: Revision(-1), ordinal: 0, ..one.clone() };
        [
            moved(one, (-1, 0)),
            moved(other, (one.revision.0, one.ordinal)),
            moved(&aside, (other.revision.0, other.ordinal)),
        ]
        .concat()
    }

    /// The end is cut off, the head with it: only an anchor from elsewhere knows better.
    fn truncation(&self) -> String {
        let whole = |place: &usize| self.rows[*place].revision != self.rows[*place + 1].revision;
        let ends: Vec<_> = (0..self.rows.len() - 1).filter(whole).collect();
        let last = &self.rows[*fastrand::choice(&ends).unwrap()];
        format!(
            "DELETE FROM changes WHERE revision > {revision}; \
             UPDATE revision_counter SET value = {revision}, head_hash = {}",
            self.bytes(&last.hash.0),
            revision = last.revision
        )
    }

    /// The beginning is cut off, as if it had been removed on purpose.
    fn beheading(&self) -> String {
        let last = &self.rows[fastrand::usize(..self.rows.len() - 2)];
        format!(
            "DELETE FROM changes WHERE revision <= {revision}; INSERT INTO log_anchor VALUES (1, {revision}, {}, {})",
            self.bytes(&last.hash.0),
            self.bytes(&[fastrand::u8(..); 32]),
            revision = last.revision
        )
    }

    /// A line that nobody wrote, at the end or before the beginning.
    fn addition(&self) -> String {
        let (row, Anchor(head)) = (self.any(), self.anchor);
        let hash = self.bytes(&[fastrand::u8(..); 32]);
        if fastrand::bool() {
            return format!(
                "INSERT INTO changes SELECT 0, 0, {hash}, payload, resource_kind, resource_id, operation, actor, rpc, \
                 request_id, time FROM kept WHERE {}",
                place_of(row),
            );
        }
        format!(
            "INSERT INTO changes SELECT {next}, 0, {hash}, payload, resource_kind, resource_id, operation, actor, rpc, \
             request_id, time FROM kept WHERE {}; UPDATE revision_counter SET value = {next}, head_hash = {hash}",
            place_of(row),
            next = head.revision.next(),
        )
    }
}

fn place_of(row: &LogCopy) -> String {
    format!("revision = {} AND ordinal = {}", row.revision, row.ordinal)
}

async fn tampering_is_found(engine: Engine) {
    let scene = Scene::new(engine).await;
    let whole = scene.verify(Some(scene.anchor)).await;
    assert!(whole.is_intact() && whole.lines == scene.rows.len(), "{whole:?}");
    let times = effort(200, 2000);
    for time in 0..times {
        let (what, sql) = match time % 10 {
            0..4 => ("edit", scene.edit()),
            4 | 5 => ("deletion", scene.removal()),
            6 | 7 => ("reorder", scene.reorder()),
            8 => ("truncation", scene.truncation()),
            _ if time % 20 == 9 => ("beginning", scene.beheading()),
            _ => ("addition", scene.addition()),
        };
        scene.server.sql(&format!("{} {sql}", scene.restored()));
        let verdict = scene.verify(Some(scene.anchor)).await;
        assert!(!verdict.is_intact(), "{what} {time} was not found: {sql}");
        if what == "truncation" {
            assert!(scene.verify(None).await.is_intact(), "what the anchor is for");
        }
    }
    scene.server.sql(&scene.restored());
    assert_eq!(scene.verify(Some(scene.anchor)).await, whole, "and back");
    report(&format!("{engine}: {times} of {times} found in a log of {} lines", scene.rows.len()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_every_edit_deletion_and_reorder_is_found_on_sqlite() {
    Box::pin(tampering_is_found(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_every_edit_deletion_and_reorder_is_found_on_postgres() {
    Box::pin(tampering_is_found(Engine::Postgres)).await;
}

/// A log whose beginning was removed by the server itself is as good as a whole one.
async fn a_shortened_log_is_verified(engine: Engine) {
    let scene = Scene::new(engine).await;
    let control = &scene.server.parts().control;
    control.shorten_log(scene.rows[scene.rows.len() / 2].time).await.unwrap();
    let verdict = scene.verify(Some(scene.anchor)).await;
    assert!(verdict.is_intact(), "{verdict:?}");
    assert!(verdict.begins_after > Revision(0) && verdict.lines < scene.rows.len(), "{verdict:?}");
    let removed = scene.rows.iter().find(|row| row.revision < verdict.begins_after).unwrap();
    let old: Anchor = format!("{}:{}", removed.revision, removed.hash).parse().unwrap();
    assert!(scene.verify(Some(old)).await.findings[0].contains("use a later one"));
    Writer::new(scene.server.admin().clone(), "later", None).steps(10).await;
    control.shorten_log(control.now()).await.unwrap();
    let verdict = scene.verify(None).await;
    assert!(verdict.is_intact() && verdict.begins_after == Revision(verdict.head.revision.0 - 1), "{verdict:?}");
    scene.server.sql("UPDATE log_anchor SET revision = revision - 1");
    assert!(!scene.verify(None).await.is_intact());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_a_shortened_log_is_verified_on_sqlite() {
    Box::pin(a_shortened_log_is_verified(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_a_shortened_log_is_verified_on_postgres() {
    Box::pin(a_shortened_log_is_verified(Engine::Postgres)).await;
}
