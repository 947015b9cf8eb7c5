//! An acknowledged write survives kill -9 of the process, and was on disk before its answer.
//!
//! Lives of a server: it starts on what the last one left, writers use every RPC that changes something until it is
//! killed, and what is stored then is compared with what they were told.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection};
use futures_util::future::join_all;
use modelward::failpoint::VARIABLE;
use modelward::secrets::{KeyRing, KeySource};
use tokio::task::block_in_place;
use zeroize::Zeroizing;

use super::{effort, report};
use crate::support::Engine;
use crate::support::follower::check_chain;
use crate::support::ledger::Ledger;
use crate::support::listing::Listing;
use crate::support::load::{Attempt, Outcome, Writer, books};
use crate::support::place::Place;
use crate::support::postgres::Cluster;
use crate::support::process::Process;
use crate::support::server::MASTER_KEYS;
use crate::support::stage::{self, Stage};

mod settings;
mod trace;

const WRITERS: usize = 8;
/// Lives on one database: what is checked after each of them grows with every one.
const LIVES: usize = 20;

/// How a life ends.
#[derive(Debug, Clone, Copy)]
enum End {
    AtAnyMoment,
    AtPoint(&'static str),
    /// The database goes first, comes back, and the server follows some time after.
    DatabaseThenServer,
    Both,
}

const ANYWHERE: [End; 6] = [
    End::AtAnyMoment,
    End::AtPoint("writer.locked"),
    End::AtPoint("writer.written"),
    End::AtAnyMoment,
    End::AtPoint("writer.committed"),
    End::AtPoint("writer.answering"),
];
const WITH_THE_DATABASE: [End; 8] = [
    End::AtAnyMoment,
    End::AtPoint("writer.locked"),
    End::DatabaseThenServer,
    End::AtPoint("writer.written"),
    End::Both,
    End::AtPoint("writer.committed"),
    End::AtAnyMoment,
    End::AtPoint("writer.answering"),
];

impl Place {
    fn ring(&self) -> KeyRing {
        let file = self.directory.path().join("data/master.key");
        let text = || KeySource::Text(Zeroizing::new(MASTER_KEYS.to_owned()));
        KeyRing::load(if self.cluster.is_some() { text() } else { KeySource::File(file) }).unwrap()
    }

    /// Ends a server.
    fn end(&self, mut process: Process, end: End) {
        let some_time = || std::thread::sleep(Duration::from_millis(fastrand::u64(20..200)));
        let cluster = self.cluster.as_ref().map(|(cluster, _)| cluster);
        match (end, cluster) {
            (End::AtPoint(_), _) => drop(process.wait()),
            (End::DatabaseThenServer, Some(cluster)) => {
                some_time();
                cluster.kill();
                cluster.restart();
                some_time();
                process.kill();
            }
            (End::Both, Some(cluster)) => {
                some_time();
                cluster.kill();
                process.kill();
                cluster.restart();
            }
            _ => {
                some_time();
                process.kill();
            }
        }
    }

    /// What is wrong with what is stored.
    async fn complaints(&self, book: &[Attempt]) -> (Ledger, Vec<String>) {
        let store = self.store().await;
        let ledger = Ledger::read(&store).await;
        let mut complaints = ledger.complaints();
        complaints.extend(ledger.differs_from(book));
        complaints.extend(check_chain(&store, self.ring()).await);
        drop(store);
        if self.cluster.is_none() {
            complaints.extend(check_file(&self.file()));
        }
        (ledger, complaints)
    }
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// What SQLite itself finds wrong with the file.
fn check_file(path: &std::path::Path) -> Vec<String> {
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
    let words: Vec<Word> =
        diesel::sql_query("SELECT integrity_check AS word FROM pragma_integrity_check").load(&mut connection).unwrap();
    let stray = diesel::sql_query("SELECT count(*) AS count FROM pragma_foreign_key_check")
        .get_result::<Count>(&mut connection)
        .unwrap();
    let mut found: Vec<_> = words.into_iter().map(|word| word.word).filter(|word| word != "ok").collect();
    found.extend((stray.count > 0).then(|| format!("{} rows without what they belong to", stray.count)));
    found
}

/// What PostgreSQL itself finds wrong with its tables and indexes.
fn check_cluster(cluster: &Cluster, url: &str) -> String {
    let database = url.rsplit('/').next().unwrap();
    cluster.sql(
        database,
        "CREATE EXTENSION IF NOT EXISTS amcheck; \
         SELECT bt_index_check(oid, true) FROM pg_class WHERE relkind = 'i' AND relam = 403 AND \
         relnamespace = 'public'::regnamespace; \
         SELECT c.relname, v.msg FROM pg_class c, LATERAL verify_heapam(c.oid) v WHERE c.relkind = 'r' AND \
         c.relnamespace = 'public'::regnamespace",
    )
}

/// One server from start to end: what its writers were told.
async fn live(place: &Place, life: usize, end: End, last: Option<&Ledger>) -> Vec<Attempt> {
    let points = match end {
        End::AtPoint(point) => format!("{point}=kill@{}", fastrand::u8(1..40)),
        _ => String::new(),
    };
    let process = block_in_place(|| place.start((VARIABLE, &points)));
    if let Some(last) = last {
        let shown = Listing::read(&process.admin(), last.image.head.revision.0).await;
        assert_eq!(shown.differences(&last.image), Vec::<String>::new(), "life {life}");
    }
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let mut writer = Writer::new(process.admin(), format!("k{life}w{writer}"), None);
            tokio::spawn(async move {
                writer.until_the_end().await;
                writer
            })
        })
        .collect();
    block_in_place(|| place.end(process, end));
    let writers: Vec<_> = join_all(writers).await.into_iter().map(Result::unwrap).collect();
    books(&writers)
}

async fn what_was_acknowledged_survives(engine: Engine, kills: usize) {
    let ends: &[End] = if engine == Engine::Postgres { &WITH_THE_DATABASE } else { &ANYWHERE };
    let (mut done, mut acknowledged, mut open) = (0, 0, 0);
    while done < kills {
        let place = block_in_place(|| Place::new(engine));
        let (mut book, mut last) = (Vec::new(), None);
        for life in 0..LIVES.min(kills - done) {
            // The first one also sets everything up.
            let end = if life == 0 { End::AtAnyMoment } else { ends[(done + life) % ends.len()] };
            book.extend(live(&place, life, end, last.as_ref()).await);
            let (ledger, complaints) = place.complaints(&book).await;
            assert_eq!(complaints, Vec::<String>::new(), "life {life} ended {end:?}");
            last = Some(ledger);
        }
        done += LIVES;
        acknowledged += book.iter().filter(|attempt| attempt.must_have_changed()).count();
        open += book.iter().filter(|attempt| matches!(attempt.outcome, Outcome::Unknown)).count();
        if let Some((cluster, url)) = &place.cluster {
            assert_eq!(block_in_place(|| check_cluster(cluster, url)).trim(), "");
        }
    }
    report(&format!("{engine}: {kills} kills, {acknowledged} writes acknowledged and {open} left open"));
    assert!(acknowledged > kills * WRITERS, "the writers were at work: {acknowledged}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_an_acknowledged_write_survives_a_kill_on_sqlite() {
    what_was_acknowledged_survives(Engine::Sqlite, effort(60, 200)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_an_acknowledged_write_survives_a_kill_on_postgres() {
    what_was_acknowledged_survives(Engine::Postgres, effort(24, 100)).await;
}

/// Seeded bugs: what a server would have left that loses its last write, or half of it.
const LOSE_TOKEN: &str = "DELETE FROM tokens WHERE revision = (SELECT max(revision) FROM changes)";
const LOSE_RECORDS: &str = "DELETE FROM changes WHERE revision = (SELECT max(revision) FROM changes); \
    UPDATE revision_counter SET value = value - 1, \
    head_hash = (SELECT hash FROM changes ORDER BY revision DESC, ordinal DESC LIMIT 1)";
const HALF_RECORDS: &str = "DELETE FROM changes WHERE revision = (SELECT max(revision) FROM changes) AND ordinal > 0";
const HALF_ROWS: &str = "UPDATE providers SET delete_time = NULL, purge_time = NULL";

async fn a_lost_write_is_found(engine: Engine) {
    for (last, bug, finding) in [
        ("CreateToken", [LOSE_TOKEN, LOSE_RECORDS].join("; "), "done and not recorded"),
        ("DeleteProvider", HALF_RECORDS.to_owned(), "and not at its head"),
        ("DeleteProvider", HALF_ROWS.to_owned(), "not as its last record says"),
    ] {
        let stage = Stage::start(engine).await;
        let mut writers = stage.writers(1);
        for rpc in ["CreateProvider", "CreateEndpoint", "CreateCredential", last] {
            assert!(writers[0].attempt(rpc).await);
        }
        let store = &stage.server.parts().store;
        let complaints = async || {
            let ledger = Ledger::read(store).await;
            let ring = KeyRing::load(KeySource::Text(Zeroizing::new(stage::MASTER_KEYS.to_owned()))).unwrap();
            [ledger.complaints(), ledger.differs_from(&books(&writers)), check_chain(store, ring).await].concat()
        };
        assert_eq!(complaints().await, Vec::<String>::new());
        stage.database.sql(&bug);
        let found = complaints().await;
        assert!(found.iter().any(|complaint| complaint.contains(finding)), "{bug}: {found:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_the_checker_finds_a_lost_and_a_half_write_on_sqlite() {
    Box::pin(a_lost_write_is_found(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_the_checker_finds_a_lost_and_a_half_write_on_postgres() {
    Box::pin(a_lost_write_is_found(Engine::Postgres)).await;
}
