//! Every configuration change has its record in the same transaction.
//!
//! The insert of the records is made to fail in the database itself, in all ways in which a database fails, while all
//! RPCs that write are at work. The checker compares tables, log and what callers were told.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use modelward::proto::v1::{self, ProviderKind};

use super::report;
use crate::support::ledger::Ledger;
use crate::support::load::{Attempt, Outcome, RPCS, Writer, books};
use crate::support::resources::{model, provider};
use crate::support::stage::Stage;
use crate::support::{Engine, Refusal, dynamic, eventually};

/// The failures that the promise asks for, on each engine.
const FAILURES: usize = 200;
const WRITERS: usize = 8;
/// Attempts of a writer in one kind of failure; far more than are needed.
const PATIENCE: usize = 400;

/// A way to fail, as a trigger.
struct Sabotage {
    /// Which records fail.
    when: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
    /// What the callers are told.
    reason: &'static str,
}

const AT_RANDOM: &str = "random";
const ANYTHING: &[Sabotage] = &[
    Sabotage {
        when: AT_RANDOM,
        sqlite: "SELECT RAISE(ABORT, 'no')",
        postgres: "RAISE EXCEPTION 'no'",
        reason: "INTERNAL",
    },
    Sabotage {
        when: "NEW.ordinal > 0",
        sqlite: "SELECT RAISE(FAIL, 'no')",
        postgres: "RAISE EXCEPTION 'no'",
        reason: "INTERNAL",
    },
    Sabotage {
        when: "NEW.resource_kind = 'endpoint'",
        sqlite: "SELECT RAISE(ROLLBACK, 'no')",
        postgres: "RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'",
        reason: "INTERNAL",
    },
    Sabotage {
        when: "NEW.operation = 'delete'",
        sqlite: "SELECT RAISE(IGNORE)",
        postgres: "RETURN NULL",
        reason: "INTERNAL",
    },
    Sabotage {
        when: AT_RANDOM,
        sqlite: "SELECT RAISE(ABORT, 'database or disk is full')",
        postgres: "RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'",
        reason: "STORE_FULL",
    },
    Sabotage {
        when: AT_RANDOM,
        sqlite: "SELECT RAISE(ABORT, 'disk I/O error')",
        postgres: "RAISE EXCEPTION 'no' USING ERRCODE = 'serialization_failure'",
        reason: "STORE_UNAVAILABLE",
    },
    Sabotage {
        when: AT_RANDOM,
        sqlite: "SELECT RAISE(ROLLBACK, 'database is locked')",
        postgres: "PERFORM pg_terminate_backend(pg_backend_pid())",
        reason: "STORE_UNAVAILABLE",
    },
];
/// At COMMIT, where SQLite has no triggers.
const AT_COMMIT: &[Sabotage] = &[
    Sabotage { when: AT_RANDOM, sqlite: "", postgres: "RAISE EXCEPTION 'no'", reason: "STORE_UNAVAILABLE" },
    Sabotage {
        when: AT_RANDOM,
        sqlite: "",
        postgres: "PERFORM pg_terminate_backend(pg_backend_pid())",
        reason: "STORE_UNAVAILABLE",
    },
];

impl Sabotage {
    fn begin(&self, engine: Engine, at_commit: bool) -> String {
        if engine == Engine::Sqlite {
            let when = if self.when == AT_RANDOM { "random() % 4 = 0" } else { self.when };
            return format!("CREATE TRIGGER sabotage BEFORE INSERT ON changes WHEN {when} BEGIN {}; END", self.sqlite);
        }
        let when = if self.when == AT_RANDOM { "random() < 0.25" } else { self.when };
        let (kind, time) = if at_commit { ("CONSTRAINT TRIGGER", "AFTER") } else { ("TRIGGER", "BEFORE") };
        let deferred = if at_commit { "DEFERRABLE INITIALLY DEFERRED" } else { "" };
        format!(
            "CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {}; RETURN NEW; END $$; \
             CREATE {kind} sabotage {time} INSERT ON changes {deferred} FOR EACH ROW WHEN ({when}) \
             EXECUTE FUNCTION sabotage()",
            self.postgres
        )
    }

    const fn end(engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => "DROP TRIGGER sabotage",
            Engine::Postgres => "DROP FUNCTION sabotage CASCADE",
        }
    }
}

/// Lets the writers work until they were refused often enough for this reason.
async fn until_refused(writers: &mut [Writer], reason: &str, count: usize) -> usize {
    let share = count.div_ceil(writers.len());
    let work = async |writer: &mut Writer| {
        let mut refused = 0;
        for _ in 0..PATIENCE {
            if refused >= share {
                break;
            }
            refused += usize::from(writer.step().await.refusal().is_some_and(|refusal| refusal.reason == reason));
        }
        refused
    };
    join_all(writers.iter_mut().map(work)).await.into_iter().sum()
}

async fn every_change_has_its_record(engine: Engine) {
    let stage = Stage::start(engine).await;
    let mut writers = stage.writers(WRITERS);
    join_all(writers.iter_mut().map(|writer| writer.steps(40))).await;
    stage.agrees(&writers, "before").await;
    let at_commit = if engine == Engine::Postgres { AT_COMMIT } else { &[] };
    let sabotages: Vec<_> =
        ANYTHING.iter().map(|way| (way, false)).chain(at_commit.iter().map(|way| (way, true))).collect();
    let share = FAILURES.div_ceil(sabotages.len());
    let mut failures = 0;
    for (sabotage, at_commit) in sabotages {
        stage.database.sql(&sabotage.begin(engine, at_commit));
        let before: Vec<_> = writers.iter().map(|writer| writer.book.len()).collect();
        let refused = until_refused(&mut writers, sabotage.reason, share).await;
        stage.database.sql(Sabotage::end(engine));
        assert!(refused >= share, "{refused} of {share} failed: {} {}", sabotage.when, sabotage.sqlite);
        failures += refused;
        let fresh = writers.iter().zip(before).flat_map(|(writer, before)| &writer.book[before..]);
        let told: BTreeSet<_> = fresh.filter_map(|attempt| attempt.refusal()).map(|refusal| &refusal.reason).collect();
        let moment = format!("after {} {} ({told:?})", sabotage.when, sabotage.postgres);
        stage.agrees(&writers, &moment).await;
        eventually("writes work again", || async {
            let name = format!("after-{failures}");
            stage.server.admin().try_provider(provider(&name, ProviderKind::Ollama)).await.ok()
        })
        .await;
        join_all(writers.iter_mut().map(|writer| writer.steps(5))).await;
    }
    stage.agrees(&writers, "at the end").await;
    report(&format!("{engine}: {failures} inserts failed in {} calls", books(&writers).len()));
    assert!(failures >= FAILURES, "{failures}");
    all_were_at_work(&writers);
    let shown = stage.shown().await;
    let stage = Stage { server: stage.server.restart().await, ..stage };
    assert!(shown == stage.shown().await, "a server that has just read the database shows the same");
    stage.server.stop().await;
}

/// Every RPC that writes was called and has succeeded.
fn all_were_at_work(writers: &[Writer]) {
    let mut done: BTreeMap<&str, usize> = RPCS.iter().map(|(rpc, _)| (*rpc, 0)).collect();
    for attempt in books(writers).iter().filter(|attempt| attempt.refusal().is_none()) {
        *done.get_mut(attempt.rpc).unwrap() += 1;
    }
    let idle: Vec<_> = done.iter().filter(|(_, count)| **count == 0).collect();
    assert!(idle.is_empty(), "never done: {idle:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_no_change_goes_without_its_record_on_sqlite() {
    Box::pin(every_change_has_its_record(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_no_change_goes_without_its_record_on_postgres() {
    Box::pin(every_change_has_its_record(Engine::Postgres)).await;
}

/// An RPC that takes a reason writes. A new one must be at work here, too.
#[test]
fn s7_all_rpcs_that_write_are_at_work() {
    let takes_reason = |rpc: &str| {
        let (request, _) = dynamic::message(&format!("{rpc}Request"));
        request.field.iter().any(|field| field.name() == "reason")
    };
    let all = dynamic::rpcs();
    let names = all.iter().map(|rpc| rpc.rsplit('/').next().unwrap());
    let writing: BTreeSet<&str> = names.filter(|rpc| takes_reason(rpc)).collect();
    let at_work: BTreeSet<&str> = RPCS.iter().map(|(rpc, _)| *rpc).filter(|rpc| *rpc != "PurgeProvider").collect();
    assert_eq!(writing, at_work);
}

/// Seeded bugs: what no server does, done to its tables and its log.
const SEEDED: [(&str, &str); 9] = [
    ("UPDATE providers SET description = 'changed'", "not as its last record says"),
    ("UPDATE models SET revision = revision + 1000000", "not as its last record says"),
    ("UPDATE tokens SET revoke_time = create_time", "not as its last record says"),
    ("UPDATE cluster SET active_key_id = 'other', revision = 1", "a row that no record made"),
    ("DELETE FROM models", "a record of a row that is not there"),
    ("DELETE FROM credential_secrets", "no ciphertext"),
    ("DELETE FROM changes WHERE operation = 'create'", "a row that no record made"),
    ("DELETE FROM changes WHERE operation = 'update'", "of which there is no record"),
    ("DELETE FROM changes WHERE operation = 'delete'", "a record of a row that is not there"),
];

async fn seeded_bugs_are_found(engine: Engine) {
    for (bug, finding) in SEEDED {
        let stage = Stage::start(engine).await;
        let admin = stage.server.admin();
        let account = admin.add_account("p", ProviderKind::OpenaiCompatible, &stage.vendor).await;
        let kept = admin.add_model(model(&account.provider.id, "kept")).await;
        let gone = admin.add_model(model(&account.provider.id, "gone")).await;
        let described = v1::Model { id: kept.id, description: Some("new".into()), ..Default::default() };
        let update = v1::UpdateModelRequest { model: Some(described), ..Default::default() };
        stage.server.models().update_model(update).await.unwrap();
        let delete = v1::DeleteModelRequest { id: gone.id, ..Default::default() };
        stage.server.models().delete_model(delete).await.unwrap();
        stage.agrees(&[], "before").await;
        stage.database.sql(bug);
        let complaints = Ledger::read(&stage.server.parts().store).await.complaints();
        assert!(complaints.iter().any(|complaint| complaint.contains(finding)), "{bug}: {complaints:#?}");
        stage.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_the_checker_finds_seeded_bugs_on_sqlite() {
    Box::pin(seeded_bugs_are_found(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_the_checker_finds_seeded_bugs_on_postgres() {
    Box::pin(seeded_bugs_are_found(Engine::Postgres)).await;
}

/// The same for what callers were told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_the_checker_finds_a_wrong_answer() {
    let stage = Stage::start(Engine::Sqlite).await;
    let mut writers = vec![Writer::new(stage.server.admin().clone(), "w", None)];
    writers[0].steps(10).await;
    let ledger = Ledger::read(&stage.server.parts().store).await;
    let mut book = books(&writers);
    assert_eq!(ledger.differs_from(&book), Vec::<String>::new());
    let refusal = Refusal::of(&stage.server.admin().try_provider(v1::Provider::default()).await.unwrap_err());
    let lost = Attempt { reason: "lost".into(), ..book[0].clone() };
    book[0].outcome = Outcome::Refused(refusal);
    book.push(lost);
    let complaints = ledger.differs_from(&book);
    assert_eq!(complaints.len(), 2, "{complaints:#?}");
    assert!(complaints[0].contains("refused with INVALID_FIELD and recorded at 2"), "{complaints:#?}");
    assert!(complaints[1].contains("lost (CreateProvider): done and not recorded"), "{complaints:#?}");
}
