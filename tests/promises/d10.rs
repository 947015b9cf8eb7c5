//! Snapshot = database = fold of the log: three witnesses of the configuration tell the same at every revision.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use modelward::domain::image::Image;
use modelward::domain::secret::SecretText;
use modelward::domain::{Change, Head, Operation, ResourceKind, Revision, View as _};
use modelward::proto::storage::LogRecord;
use modelward::proto::v1::{self, ProviderKind};
use modelward::secrets::generate_key_line;
use modelward::snapshot::{Check, Snapshot};
use prost::Message as _;
use tokio::task::JoinSet;

use super::effort;
use crate::support::churn::Churn;
use crate::support::resources::{credential, model};
use crate::support::witness::{Fold, Testimony, agree};
use crate::support::{Engine, Server, eventually, for_each_engine};

/// Writers per server.
const WRITERS: usize = 3;

/// What a server holds in memory and what its database holds, caught at the same revision.
async fn catch(server: &Server) -> (Arc<Snapshot>, Image) {
    let parts = server.parts();
    for _ in 0..1000 {
        let mut reader = parts.store.read_image().await.unwrap();
        let head = reader.head();
        let held = parts.snapshot.wait_for(head.revision, Duration::from_secs(5)).await.unwrap();
        if held.head() != head {
            assert!(held.head().revision > head.revision, "one revision, two hashes");
            reader.close().await.unwrap();
            continue;
        }
        let mut image = Image::new(head, reader.keyring().clone());
        while let Some(page) = reader.next().await.unwrap() {
            image.add(page);
        }
        reader.close().await.unwrap();
        return (held, image);
    }
    panic!("memory and database never met");
}

/// Compares the three at the revision at which the server's database stands.
async fn compare(server: &Server, fold: &mut Fold) -> Revision {
    let (held, image) = catch(server).await;
    fold.advance(&server.parts().store, image.head.revision).await;
    assert_eq!(fold.head, image.head, "the log ends where the counter stands");
    let tables = Testimony::of_tables(&image);
    agree(&fold.told, &tables, &format!("log and tables at {}", image.head.revision));
    agree(&Testimony::of_memory(&held), &tables, &format!("memory and tables at {}", image.head.revision));
    image.head.revision
}

/// Writers on all servers; meanwhile the three witnesses are compared, and the servers compare by themselves.
async fn agree_under_load(servers: &[Server], seed: u64) {
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut writers = JoinSet::new();
    for (number, server) in (0..).zip(servers.iter().flat_map(|server| std::iter::repeat_n(server, WRITERS))) {
        let mut churn = Churn::new(server.admin().clone(), format!("w{number}"), seed + number);
        let (stop, written) = (Arc::clone(&stop), Arc::clone(&written));
        writers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if churn.step().await {
                    written.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    let (mut fold, mut random) = (Fold::default(), fastrand::Rng::with_seed(seed));
    let (mut revisions, mut compared) = (Vec::new(), 0);
    for sample in 0..effort(60, 2000) {
        tokio::time::sleep(Duration::from_millis(random.u64(..150))).await;
        let server = &servers[random.usize(..servers.len())];
        revisions.push(compare(server, &mut fold).await);
        if sample % 10 == 0 {
            let found = server.parts().comparison.round().await.unwrap();
            assert!(found.is_none_or(|differences| differences == 0), "{found:?} differences (seed {seed})");
            compared += usize::from(found.is_some());
        }
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    for server in servers {
        compare(server, &mut fold).await;
        assert_eq!(server.parts().metrics.snapshot_mismatches.get(), 0);
    }
    let written = written.load(Ordering::Relaxed);
    revisions.dedup();
    assert!(revisions.len() > effort(60, 2000) / 2, "{} revisions, {written} writes (seed {seed})", revisions.len());
    assert!(compared > 0, "the server's own comparison never met its snapshot (seed {seed})");
    assert!(fold.told.len() > 10, "{} resources, {written} writes (seed {seed})", fold.told.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d10_memory_tables_and_log_agree_under_load_on_two_replicas_on_postgres() {
    let one = Server::start(Engine::Postgres).await;
    let two = one.replica().await;
    agree_under_load(&[one, two], fastrand::u64(..1 << 32)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d10_memory_tables_and_log_agree_under_load_on_sqlite() {
    agree_under_load(&[Server::start(Engine::Sqlite).await], fastrand::u64(..1 << 32)).await;
}

/// Some resources, with a history.
async fn some_history(server: &Server) -> Fold {
    let mut churn = Churn::new(server.admin().clone(), "h", 7);
    for _ in 0..80 {
        churn.step().await;
    }
    let provider = server.admin().add_provider("last", ProviderKind::Ollama).await;
    server.admin().add_model(v1::Model { description: Some("told".into()), ..model(&provider.id, "m") }).await;
    let mut fold = Fold::default();
    compare(server, &mut fold).await;
    fold
}

/// A server that does not hold what the tables hold finds out by itself, and mends it.
async fn finds_and_heals(server: &Server, differences: usize) {
    let parts = server.parts();
    let before = parts.metrics.snapshot_mismatches.get();
    assert_eq!(parts.comparison.round().await.unwrap(), Some(differences));
    assert_eq!(parts.metrics.snapshot_mismatches.get() - before, differences as u64);
    let (held, image) = catch(server).await;
    agree(&Testimony::of_memory(&held), &Testimony::of_tables(&image), "after healing");
    assert_eq!(parts.comparison.round().await.unwrap(), Some(0));
}

for_each_engine! {
    async fn d10_a_row_changed_behind_the_stores_back_is_found_and_healed(server: &Server) {
        let fold = some_history(server).await;
        let behind_the_back = [
            ("a changed row", "UPDATE models SET description = 'by nobody' WHERE model_id = 'm'"),
            ("a lost row", "DELETE FROM models WHERE model_id = 'm'"),
            (
                "a lost secret",
                "DELETE FROM credential_secrets WHERE expire_time IS NULL \
                 AND credential_id IN (SELECT id FROM credentials ORDER BY id LIMIT 1)",
            ),
        ];
        for (what, sql) in behind_the_back {
            server.sql(sql);
            let (held, image) = catch(server).await;
            let (memory, tables) = (Testimony::of_memory(&held), Testimony::of_tables(&image));
            assert_ne!(fold.told.hash(), tables.hash(), "{what}: log and tables");
            assert_ne!(memory.hash(), tables.hash(), "{what}: memory and tables");
            assert_eq!(memory.against(&tables).lines().count(), 1, "{what}: {}", memory.against(&tables));
            finds_and_heals(server, 1).await;
        }
    }

    async fn d10_a_payload_that_lacks_a_field_is_found(server: &Server) {
        let fold = some_history(server).await;
        let store = &server.parts().store;
        let rows = store.log_after(Revision(fold.head.revision.0 - 1), 1).await.unwrap();
        let mut record = LogRecord::decode(rows[0].payload.clone()).unwrap();
        let after = record.change.as_mut().unwrap().after.as_mut().unwrap().resource.as_mut().unwrap();
        let v1::resource::Resource::Model(model) = after else { panic!("a model was made last") };
        assert_eq!(model.description.replace(String::new()).as_deref(), Some("told"));
        let payload = hex::encode(record.encode_to_vec());
        let bytes = match store.engine() {
            Engine::Sqlite => format!("X'{payload}'"),
            Engine::Postgres => format!("'\\x{payload}'::bytea"),
        };
        server.sql(&format!("UPDATE changes SET payload = {bytes} WHERE revision = {}", fold.head.revision));
        let mutilated = Fold::all(store).await;
        let (_, image) = catch(server).await;
        let tables = Testimony::of_tables(&image);
        assert_ne!(mutilated.told.hash(), tables.hash());
        assert_eq!(mutilated.told.against(&tables), format!("model {}: differs\n", record.change.unwrap().resource_id));
    }
}

/// Every change that still shows, left out one at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d10_a_snapshot_that_missed_a_change_is_found() {
    let server = Server::start(Engine::Sqlite).await;
    let fold = some_history(&server).await;
    let (_, image) = catch(&server).await;
    let tables = Testimony::of_tables(&image);
    let all = fold.changes.iter().enumerate();
    let shows = |(place, change): &(usize, &Change)| {
        let later = fold.changes[place + 1..].iter().filter(|later| later.operation != Operation::Access);
        change.operation != Operation::Access
            && !later.clone().any(|later| later.resource_id == change.resource_id)
            // Hiding and showing a provider is repeated for its children, which stay as they are.
            && change.before != change.after
            // What belongs to a provider goes with it.
            && !(change.after.is_none() && later.clone().any(|later| later.after.is_none()))
            // A first one that is gone again.
            && image.head.revision >= change.revision
    };
    let missed: Vec<_> = all.filter(shows).map(|(place, _)| place).collect();
    assert!(missed.len() > 10, "{} changes show", missed.len());
    for place in missed {
        let (mut changes, missing) = (fold.changes.clone(), &fold.changes[place]);
        changes.remove(place);
        let empty = Snapshot::empty(Head::default(), image.keyring.clone());
        let held = empty.apply(&changes, &image.sealed, image.head);
        let what = format!("{} {} {}", missing.operation.name(), missing.resource_kind.noun(), missing.revision);
        let mut check = Check::begin(Arc::new(held), image.head, &image.keyring);
        image.clone().into_pages().iter().for_each(|page| check.page(page));
        assert!(check.finish().count > 0, "the server does not find that it missed {what}");
        // The tests' own checker, where children without their provider do not stop it first.
        if missing.resource_kind != ResourceKind::Provider {
            let held =
                Snapshot::empty(Head::default(), image.keyring.clone()).apply(&changes, &image.sealed, image.head);
            assert_ne!(Testimony::of_memory(&held).hash(), tables.hash(), "{what}");
        }
    }
    let whole = Snapshot::empty(Head::default(), image.keyring.clone());
    let whole = whole.apply(&fold.changes, &image.sealed, image.head);
    agree(&Testimony::of_memory(&whole), &tables, "nothing was left out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d10_wrapping_secrets_anew_is_no_difference_and_a_lost_wrapping_is_one() {
    const PROVIDERS: usize = 15;
    const CREDENTIALS: usize = 20;
    let keys: Vec<_> = ["k1", "k2"].map(|id| generate_key_line(Some(id)).unwrap().to_string()).into();
    let server = Server::start_with(Engine::Sqlite, |settings| {
        settings.secrets.master_keys = Some(SecretText::new(keys.join(",")));
    })
    .await;
    for provider in 0..PROVIDERS {
        let provider = server.admin().add_provider(&format!("p{provider}"), ProviderKind::Ollama).await;
        for number in 0..CREDENTIALS {
            server.admin().add_credential(credential(&provider.id, &format!("c{number}"), "sk-0123456789")).await;
        }
    }
    let parts = server.parts();
    let old = parts.snapshot.load().keyring().active_key_id.clone();
    server.tokens().rotate_master_key(v1::RotateMasterKeyRequest::default()).await.unwrap();
    let mut rounds = 0;
    loop {
        let counts = parts.store.count_secrets_by_key().await.unwrap();
        assert_eq!(parts.comparison.round().await.unwrap(), Some(0), "while {counts:?}");
        rounds += 1;
        if counts.iter().all(|(key, _)| *key != old) {
            break;
        }
    }
    assert!(rounds > 1, "nothing was wrapped meanwhile");
    // The server reads its own status back; what it has not seen yet it would take for news.
    eventually("all status is seen", || async {
        let stored = parts.store.load_statuses().await.unwrap().revision;
        (parts.statuses.board().seen() == stored).then_some(())
    })
    .await;
    let flipped = "UPDATE credential_secrets SET wrapped_key = zeroblob(length(wrapped_key)) \
                   WHERE credential_id = (SELECT min(credential_id) FROM credential_secrets)";
    server.sql(flipped);
    finds_and_heals(&server, 1).await;
}
