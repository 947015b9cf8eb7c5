//! What was acknowledged stays, whatever happens to the process; what was not is whole or not there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection};
use futures_util::future::join_all;
use modelward::proto::v1::{self, ProviderKind};
use tempfile::TempDir;
use tonic::Code;

use crate::support::process::Process;
use crate::support::resources::{credential, endpoint, model, provider};
use crate::support::server::Caller;
use crate::support::{Engine, Refusal, Server};

/// How often the server is killed here. The full count of the promise is run elsewhere.
const KILLS: usize = 6;
const WRITERS: usize = 8;

/// What a writer knows to be stored: a provider's id, and its description as far as it was acknowledged. A description
/// that was sent without an answer may be there or not.
#[derive(Debug, Clone, Default)]
struct Known {
    acknowledged: String,
    unanswered: Option<String>,
}

type Book = Arc<Mutex<BTreeMap<String, Known>>>;

/// Creates providers and changes them until the server is gone.
async fn write_until_the_end(caller: Caller, writer: String, book: Book) {
    for number in 0.. {
        let name = format!("{writer}-{number}");
        let labels = [("writer".to_owned(), writer.clone())].into();
        let wanted = v1::Provider { labels, ..provider(&name, ProviderKind::Ollama) };
        let Ok(created) = caller.try_provider(wanted).await else { return };
        book.lock().unwrap().insert(created.id.clone(), Known::default());
        for step in 0..3 {
            let description = format!("{name}-{step}");
            book.lock().unwrap().get_mut(&created.id).unwrap().unanswered = Some(description.clone());
            let change =
                v1::Provider { id: created.id.clone(), description: Some(description.clone()), ..Default::default() };
            let request = v1::UpdateProviderRequest { provider: Some(change), ..Default::default() };
            let Ok(answer) = caller.providers().update_provider(request).await else { return };
            let shown = answer.into_inner().provider.unwrap();
            assert_eq!(shown.description(), description);
            book.lock().unwrap().insert(created.id.clone(), Known { acknowledged: description, unanswered: None });
        }
    }
}

async fn all_providers(caller: &Caller) -> BTreeMap<String, v1::Provider> {
    let mut found = BTreeMap::new();
    let mut request = v1::ListProvidersRequest { page_size: 1000, ..Default::default() };
    loop {
        let page = caller.providers().list_providers(request.clone()).await.unwrap().into_inner();
        found.extend(page.providers.into_iter().map(|provider| (provider.id.clone(), provider)));
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
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

/// The file is sound, and the log has every revision up to its head.
fn check_file(path: &Path) {
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
    let words: Vec<Word> =
        diesel::sql_query("SELECT integrity_check AS word FROM pragma_integrity_check").load(&mut connection).unwrap();
    assert_eq!(words.iter().map(|word| word.word.as_str()).collect::<Vec<_>>(), ["ok"]);
    let mut number =
        |query: &str| -> i64 { diesel::sql_query(query).get_result::<Count>(&mut connection).unwrap().count };
    assert_eq!(number("SELECT count(*) AS count FROM pragma_foreign_key_check"), 0);
    let head = number("SELECT value AS count FROM revision_counter");
    assert_eq!(number("SELECT count(DISTINCT revision) AS count FROM changes"), head, "no gap");
    assert_eq!(number("SELECT max(revision) AS count FROM changes"), head, "no change beyond the head");
    let stray = "SELECT count(*) AS count FROM providers WHERE id NOT IN (SELECT resource_id FROM changes)";
    assert_eq!(number(stray), 0, "no row without a record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = TempDir::new().unwrap();
    let book = Book::default();
    for kill in 0..KILLS {
        let process = Process::start(directory.path(), &[]);
        check_book(&process.admin(), &book).await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write_until_the_end(process.admin(), format!("k{kill}w{writer}"), book.clone())))
            .collect();
        tokio::time::sleep(Duration::from_millis(150 + fastrand::u64(0..250))).await;
        process.kill();
        for writer in join_all(writers).await {
            writer.unwrap();
        }
    }
    let written = book.lock().unwrap().len();
    assert!(written > KILLS * WRITERS, "the writers were at work: {written}");
    let mut process = Process::start(directory.path(), &[]);
    check_book(&process.admin(), &book).await;
    assert!(process.terminate().success(), "{}", process.log());
    check_file(&directory.path().join("data/modelward.db"));
}

/// What is stored is what was acknowledged; of what was not answered, all or nothing.
async fn check_book(caller: &Caller, book: &Book) {
    let stored = all_providers(caller).await;
    let mut book = book.lock().unwrap();
    for (id, known) in book.iter_mut() {
        let provider = stored.get(id).unwrap_or_else(|| panic!("{id} was acknowledged and is gone"));
        let description = provider.description();
        let expected = description == known.acknowledged || known.unanswered.as_deref() == Some(description);
        assert!(expected, "{id} is {description:?} and not {known:?}");
        *known = Known { acknowledged: description.to_owned(), unanswered: None };
    }
    for provider in stored.values() {
        assert_eq!(provider.labels.len(), 1, "{} is whole", provider.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_nothing_half_done() {
    let server = Server::start(Engine::Sqlite).await;
    let gone = server.admin().add_provider("gone", ProviderKind::Openai).await;
    for number in 0..5 {
        let url = format!("https://h{number}.example.com/v1");
        server.admin().add_endpoint(endpoint(&gone.id, &format!("e{number}"), &url)).await;
        server.admin().add_credential(credential(&gone.id, &format!("c{number}"), "sk-0123456789")).await;
        server.admin().add_model(model(&gone.id, &format!("m{number}"))).await;
    }
    for round in 0..30 {
        let caller = Caller::new(server.new_channel(), server.admin().token().map(ToOwned::to_owned));
        let name = format!("p{round}");
        let create = v1::CreateProviderRequest {
            provider: Some(provider(&name, ProviderKind::Ollama)),
            request_id: name.clone(),
            ..Default::default()
        };
        let delete = v1::DeleteProviderRequest { id: gone.id.clone(), ..Default::default() };
        let undelete = v1::UndeleteProviderRequest { id: gone.id.clone(), ..Default::default() };
        let patience = Duration::from_micros(fastrand::u64(0..6000));
        let _ = tokio::time::timeout(patience, async {
            let (mut one, mut two) = (caller.providers(), caller.providers());
            if round % 2 == 0 {
                tokio::join!(one.create_provider(create.clone()), two.delete_provider(delete)).0
            } else {
                let both = tokio::join!(one.create_provider(create.clone()), two.undelete_provider(undelete));
                both.0
            }
        })
        .await;
        drop(caller);
        // Whatever has become of it: asked again, it is there, once.
        let created = server.providers().create_provider(create).await.unwrap().into_inner().provider.unwrap();
        assert_eq!(server.admin().get_provider(&created.id).await.name(), name);
    }
    // All of the other provider's children are there, or none.
    let back = v1::UndeleteProviderRequest { id: gone.id.clone(), ..Default::default() };
    // Refused when the last client had brought it back.
    if let Err(status) = server.providers().undelete_provider(back).await {
        Refusal::of(&status).is(Code::NotFound, "NOT_FOUND");
    }
    let list = v1::ListModelsRequest { provider_id: gone.id.clone(), ..Default::default() };
    assert_eq!(server.models().list_models(list).await.unwrap().into_inner().total_size, 5);
    let list = v1::ListCredentialsRequest { provider_id: gone.id.clone(), ..Default::default() };
    assert_eq!(server.credentials().list_credentials(list).await.unwrap().into_inner().total_size, 5);
    check_file(&server.directory().join("modelward.db"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_there_after_a_restart() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let server = Server::start(engine).await;
        let admin = server.admin().clone();
        let there = admin.add_provider("p", ProviderKind::Openai).await;
        let its_endpoint = admin.add_endpoint(endpoint(&there.id, "e", "https://h.example.com/v1")).await;
        let its_credential = admin.add_credential(credential(&there.id, "c", "sk-0123456789")).await;
        let its_model = admin.add_model(model(&there.id, "m")).await;
        let once = v1::CreateProviderRequest {
            provider: Some(provider("once", ProviderKind::Ollama)),
            request_id: "once".into(),
            ..Default::default()
        };
        let created = server.providers().create_provider(once.clone()).await.unwrap().into_inner();
        let check = v1::CheckEndpointHealthRequest { id: its_endpoint.id.clone() };
        let checked = server.endpoints().check_endpoint_health(check).await.unwrap().into_inner().endpoint.unwrap();

        let server = server.restart().await;
        let admin = server.admin();
        assert_eq!(admin.get_provider(&there.id).await, there);
        assert_eq!(admin.get_endpoint(&its_endpoint.id).await, checked, "its health, too");
        assert_eq!(admin.get_credential(&its_credential.id).await, its_credential);
        assert_eq!(admin.get_model(&its_model.id).await, its_model);
        let again = server.providers().create_provider(once).await.unwrap().into_inner();
        assert_eq!(again, created, "request ids are remembered");
        let access = v1::AccessCredentialRequest { id: its_credential.id, ..Default::default() };
        let secret = server.credentials().access_credential(access).await.unwrap().into_inner().secret.unwrap();
        assert_eq!(secret.api_key(), "sk-0123456789");
    }
}
