//! The catalogue: as people ask for it, as a file that replaces the built-in one, and as models take from it.

use std::fs;
use std::path::Path;

use modelward::proto::v1::{self, FieldSource, ModelStatus, ProviderKind};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::process::{Process, program};
use crate::support::server::Caller;
use crate::support::vendor::Vendor;
use crate::support::{Engine, Server, eventually};

/// A catalogue of this date with one model of OpenAI at these prices.
fn file(path: &Path, date: &str, model_id: &str, [input, output]: [&str; 2]) {
    let entry = json!({
        "provider": "openai", "model_id": model_id, "type": "chat", "context_window": 1234, "max_output_tokens": 567,
        "input_price_per_1k": input, "output_price_per_1k": output, "capabilities": ["chat", "vision"],
        "status": "available",
    });
    fs::write(path, json!({"schema_version": 1, "date": date, "models": [entry]}).to_string()).unwrap();
}

/// What the program says: exit code, stdout, stderr.
fn catalogue(arguments: &[&str]) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let output = program(dir.path()).arg("catalogue").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn json_of(arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = catalogue(&[arguments, &["--format", "json"]].concat());
    assert_eq!(code, Some(0), "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn an_entry_is_shown_for_people_and_for_programs() {
    let shown = json_of(&["show", "openai", "gpt-4o-mini-2024-07-18"]);
    assert_eq!(
        (shown["model_id"].as_str(), shown["input_price_per_1k"].as_str()),
        (Some("gpt-4o-mini"), Some("0.00015"))
    );
    assert_eq!(json_of(&["show", "PROVIDER_KIND_OPENAI", "gpt-4o-mini"]), shown);
    let (code, table, _) = catalogue(&["show", "openai", "gpt-4o-mini"]);
    assert_eq!(code, Some(0));
    assert!(table.lines().any(|line| line.starts_with("input_price_per_1k") && line.ends_with("  0.00015")), "{table}");
    for (arguments, says) in [
        (["show", "openai", "no-such-model"], "catalogue search"),
        (["show", "open-ai", "gpt-4o"], "it is one of openai, anthropic"),
    ] {
        let (code, stdout, stderr) = catalogue(&arguments);
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert!(stderr.contains(says), "{stderr}");
    }
}

#[test]
fn all_words_of_a_search_are_found() {
    let found = json_of(&["search", "CLAUDE", "anthropic"]);
    let found = found.as_array().unwrap();
    assert!(found.len() > 3);
    for entry in found {
        // Bedrock has models of Anthropic, too.
        let text = format!("{} {}", entry["provider"], entry["model_id"]);
        assert!(text.contains("claude") && text.contains("anthropic"), "{text}");
    }
    assert_eq!(json_of(&["search", "no-such-model"]), json!([]));
    let (_, table, _) = catalogue(&["search", "embedding", "mistral"]);
    assert!(table.starts_with("KIND") && table.lines().count() > 1, "{table}");
}

#[test]
fn a_file_is_checked_before_a_server_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("models.json");
    let name = path.to_str().unwrap();
    file(&path, "2999-12-31", "gpt-new", ["0.1", "0.2"]);
    assert_eq!(json_of(&["check", name]), json!({"date": "2999-12-31", "models": 1}));
    let set = format!("catalogue.file={name}");
    assert_eq!(json_of(&["show", "openai", "gpt-new", "--set", &set])["context_window"], 1234);
    let refused = |says: &str| {
        let (code, stdout, stderr) = catalogue(&["check", name]);
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (Some(1), "", 1), "{stderr}");
        assert!(stderr.contains(says) && stderr.contains(name), "{stderr}");
    };
    file(&path, "2001-02-03", "gpt-old", ["0.1", "0.2"]);
    refused("older than the one in use");
    file(&path, "yesterday", "gpt-new", ["0.1", "0.2"]);
    refused("the catalogue's date is no date");
    file(&path, "2999-12-31", "gpt-new", ["cheap", "0.2"]);
    refused("bad input price: cheap");
    fs::write(&path, "{").unwrap();
    refused("not JSON of the expected form");
    fs::remove_file(&path).unwrap();
    refused("cannot be read");
}

async fn date_of(caller: &Caller) -> (String, i32) {
    let info = caller.tokens().get_server_info(v1::GetServerInfoRequest {}).await.unwrap().into_inner();
    let info = info.server_info.unwrap();
    (info.catalogue_date, info.catalogue_model_count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_file_is_taken_at_the_start_and_on_sighup_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("models.json");
    file(&path, "2001-02-03", "gpt-old", ["0.1", "0.2"]);
    let process = Process::start(dir.path(), &[("MODELWARD_CATALOGUE__FILE", path.to_str().unwrap())]);
    let admin = process.admin();
    let (builtin, count) = date_of(&admin).await;
    assert!(builtin.as_str() > "2026" && count > 100, "the older file is not used");
    file(&path, "2998-01-01", "gpt-new", ["0.1", "0.2"]);
    process.signal(Signal::SIGHUP);
    let dated = async |date: &str| (date_of(&admin).await == (date.to_owned(), 1)).then_some(());
    eventually("the newer file is used", || dated("2998-01-01")).await;
    for (number, broken) in ["{", "[]", ""].into_iter().enumerate() {
        fs::write(&path, broken).unwrap();
        process.signal(Signal::SIGHUP);
        let told = || process.log().matches("the former one stays").count() > number;
        eventually("it is refused", || async { told().then_some(()) }).await;
    }
    assert_eq!(date_of(&admin).await, ("2998-01-01".to_owned(), 1));
    file(&path, "2999-01-01", "gpt-newer", ["0.1", "0.2"]);
    process.signal(Signal::SIGHUP);
    eventually("it goes on from there", || dated("2999-01-01")).await;
}

async fn prices_are_exact(engine: Engine) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("models.json");
    // Neither can be had in a binary fraction; the second has more digits than one could hold.
    file(&path, "2999-01-01", "gpt-new", ["0.000000001", "123456789.123456789"]);
    let server = Server::start_with(engine, |settings| settings.catalogue.file = Some(path.clone())).await;
    let vendor = Vendor::start().await;
    vendor.list(&["gpt-new", "nobody-knows-this"]);
    let id = server.admin().add_account("p", ProviderKind::Openai, &vendor).await.provider.id;
    let request = v1::SyncModelsRequest { provider_id: id, ..Default::default() };
    let synced = server.models().sync_models(request).await.unwrap().into_inner().models;
    for model in synced {
        let read = server.admin().get_model(&model.id).await;
        let source =
            |field: &str| read.field_sources.get(field).copied().map(|source| FieldSource::try_from(source).unwrap());
        assert_eq!((read.status(), source("status")), (ModelStatus::Available, Some(FieldSource::Vendor)));
        if read.model_id() == "gpt-new" {
            let pricing = read.pricing.clone().unwrap();
            assert_eq!((pricing.input_per_1k(), pricing.output_per_1k()), ("0.000000001", "123456789.123456789"));
            assert_eq!((pricing.currency(), read.context_window(), read.max_output_tokens()), ("USD", 1234, 567));
            for field in ["pricing", "context_window", "max_output_tokens", "capabilities", "type"] {
                assert_eq!(source(field), Some(FieldSource::Catalogue), "{field}");
            }
        } else {
            assert_eq!((read.pricing.clone(), read.context_window), (None, None));
            for field in ["pricing", "context_window", "max_output_tokens", "capabilities"] {
                assert_eq!(source(field), None, "{field}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_are_exact_from_the_file_to_the_reader_on_sqlite() {
    prices_are_exact(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_are_exact_from_the_file_to_the_reader_on_postgres() {
    prices_are_exact(Engine::Postgres).await;
}
