//! A log that gets its revisions from a sequence, without a lock: what the follower must find. With the lock of a
//! counter, the same log stands.

use std::time::Duration;

use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use tokio_postgres::{Client, NoTls};

use crate::support::Engine;
use crate::support::database::Database;
use crate::support::follower::{Follower, Line, Source};

const WRITERS: usize = 8;
const WRITES: usize = 25;
const TABLES: &str = "CREATE TABLE counter (value bigint NOT NULL); INSERT INTO counter VALUES (0);
    CREATE SEQUENCE revisions;
    CREATE TABLE log (revision bigint PRIMARY KEY, hash bytea NOT NULL, payload bytea NOT NULL)";

/// Where revisions come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    Sequence,
    LockedCounter,
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn chain(before: &[u8], revision: i64, payload: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(before).chain_update(revision.to_be_bytes()).chain_update(payload).finalize().into()
}

struct Table(Client);

impl Source for Table {
    async fn after(&self, revision: i64) -> Vec<Line> {
        let query = "SELECT revision, hash, payload FROM log WHERE revision > $1 ORDER BY revision LIMIT 1000";
        let rows = self.0.query(query, &[&revision]).await.unwrap();
        let line = |row: &tokio_postgres::Row| Line {
            revision: row.get(0),
            ordinal: 0,
            hash: row.get::<_, Vec<u8>>(1).try_into().unwrap(),
            payload: row.get::<_, Vec<u8>>(2).into(),
        };
        rows.iter().map(line).collect()
    }

    fn hash(&self, before: &[u8; 32], line: &Line) -> [u8; 32] {
        chain(before, line.revision, &line.payload)
    }
}

async fn write(url: String, numbers: Numbers) {
    let mut client = connect(&url).await;
    for number in 0..WRITES {
        let transaction = client.transaction().await.unwrap();
        let next = match numbers {
            Numbers::Sequence => "SELECT nextval('revisions')",
            Numbers::LockedCounter => "UPDATE counter SET value = value + 1 RETURNING value",
        };
        let revision: i64 = transaction.query_one(next, &[]).await.unwrap().get(0);
        let last = transaction.query_opt("SELECT hash FROM log ORDER BY revision DESC LIMIT 1", &[]).await.unwrap();
        let before = last.map_or(vec![0; 32], |row| row.get(0));
        let payload = number.to_be_bytes().to_vec();
        let hash = chain(&before, revision, &payload).to_vec();
        transaction.execute("INSERT INTO log VALUES ($1, $2, $3)", &[&revision, &hash, &payload]).await.unwrap();
        tokio::time::sleep(Duration::from_micros(fastrand::u64(0..3000))).await;
        transaction.commit().await.unwrap();
    }
}

/// How far the follower came, and its complaints.
async fn follow(numbers: Numbers) -> (i64, Vec<String>) {
    let database = Database::unmigrated(Engine::Postgres);
    let reader = connect(database.url()).await;
    reader.batch_execute(TABLES).await.unwrap();
    let mut follower = Follower::new(Table(reader));
    let writers: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(write(database.url().to_owned(), numbers))).collect();
    let work = async { join_all(writers).await.into_iter().for_each(Result::unwrap) };
    follower.until(work).await;
    (follower.revision, follower.complaints)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_revisions_from_a_sequence_are_found() {
    let (_, complaints) = follow(Numbers::Sequence).await;
    assert!(complaints.iter().any(|complaint| complaint.ends_with("skipped or reordered")), "{complaints:#?}");
    assert!(complaints.iter().any(|complaint| complaint.ends_with("the chain of hashes is broken")), "{complaints:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_revisions_from_a_locked_counter_stand() {
    let (revision, complaints) = follow(Numbers::LockedCounter).await;
    assert_eq!(complaints, Vec::<String>::new());
    assert_eq!(revision, i64::try_from(WRITERS * WRITES).unwrap());
}
