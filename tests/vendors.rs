//! Every kind of vendor through the API: one table of what works, asked of a simulator of each, and shown in the
//! documentation word for word. `UPDATE=1` writes it there.

use std::fs;
use std::path::Path;

use modelward::domain::model::ModelType;
use modelward::domain::provider::ProviderKind as Kind;
use modelward::proto::v1::{self, AvailabilityStatus, HealthCause, HealthStatus, ValidationStatus};
use tokio::net::TcpListener;
use tonic::Code;

use crate::support::resources::{credential, endpoint, model, provider};
use crate::support::server::Caller;
use crate::support::simulator::{Case, ROWS, Row, Simulator, certificate};
use crate::support::{Engine, Refusal, Server};

mod account;
mod isolation;
mod signature;
mod table;

use account::Account;
use table::{documented, rendered, updated};

/// The documents that show the table.
const DOCUMENTS: [&str; 2] = ["README.md", "docs/VENDORS.md"];

/// What came of asking one vendor everything in one case.
struct Outcome {
    sync: Result<v1::SyncModelsResponse, Refusal>,
    validation: v1::CredentialValidation,
    health: v1::EndpointHealth,
    availability: v1::ModelAvailability,
}

impl Outcome {
    fn key(&self) -> String {
        let status = name(self.validation.status().as_str_name(), "VALIDATION_STATUS_");
        let cause = name(self.validation.cause().as_str_name(), "VALIDATION_CAUSE_");
        if cause == "UNSPECIFIED" { status } else { format!("{status} ({cause})") }
    }

    fn model(&self) -> String {
        let status = name(self.availability.status().as_str_name(), "AVAILABILITY_STATUS_");
        let cause = name(self.availability.cause().as_str_name(), "AVAILABILITY_CAUSE_");
        if cause == "UNSPECIFIED" { status } else { format!("{status} ({cause})") }
    }

    fn health(&self) -> String {
        name(self.health.status().as_str_name(), "HEALTH_STATUS_")
    }
}

fn name(value: &str, prefix: &str) -> String {
    value.trim_start_matches(prefix).to_owned()
}

/// Asks everything of a vendor in a case.
async fn outcome(admin: &Caller, row: &'static Row, case: Case) -> Outcome {
    let simulator = Simulator::start(row, case).await;
    let outcome = Account::new(admin, row, &simulator.url()).await.ask_all().await;
    assert_eq!(simulator.faults(), Vec::<String>::new(), "{case:?}");
    assert!(simulator.questions().len() >= 4, "{:?} {case:?}", row.kind);
    outcome
}

/// The same where nobody listens any more.
async fn unreachable(admin: &Caller, row: &'static Row) -> Outcome {
    let simulator = Simulator::start(row, Case::Good).await;
    let url = simulator.url();
    drop(simulator);
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = url.replace(&url[7..].split('/').next().unwrap().to_owned(), &nobody.to_string());
    Account::new(admin, row, &url).await.ask_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_does_what_the_documentation_shows() {
    let server = Server::start(Engine::Sqlite).await;
    let table = rendered(server.admin()).await;
    for document in DOCUMENTS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
        let text = fs::read_to_string(&path).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, updated(&text, &table)).unwrap();
        } else {
            assert_eq!(documented(&text), table, "{document} differs; UPDATE=1 writes the table");
        }
    }
}

#[test]
fn every_kind_has_a_row() {
    for kind in Kind::ALL {
        assert_eq!(ROWS.iter().filter(|row| row.kind == kind).count(), 1, "{kind:?}");
    }
}

/// What a vendor tells of its models is shown, its retired ones as deprecated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_shown_as_the_vendor_tells_them() {
    let server = Server::start(Engine::Sqlite).await;
    for row in ROWS {
        let simulator = Simulator::start(row, Case::Good).await;
        let account = Account::new(server.admin(), row, &simulator.url()).await;
        account.sync().await.unwrap();
        let shown = account.models().await;
        for id in row.ids {
            let found = shown.iter().find(|model| model.model_id() == *id);
            let found = found.unwrap_or_else(|| panic!("{:?}: {id}", row.kind));
            let is_gone = found.status() == v1::ModelStatus::Deprecated;
            assert_eq!(is_gone, row.deprecated.contains(id), "{:?}: {id}", row.kind);
        }
        let first = shown.iter().find(|model| model.model_id() == row.model).unwrap();
        if let Some(window) = row.window {
            assert_eq!(i64::from(first.context_window()), window, "{:?}", row.kind);
        }
        let chats = row.model_type.is_none_or(|told| told == ModelType::Chat);
        assert_eq!(chats, first.r#type() == v1::ModelType::Chat, "{:?}", row.kind);
        for tested in row.tested {
            let wanted = if *tested == ModelType::Embedding { v1::ModelType::Embedding } else { v1::ModelType::Chat };
            let availability = account.test_as(&first.id, wanted).await;
            assert_eq!(availability.status(), AvailabilityStatus::Available, "{:?} {tested:?}", row.kind);
        }
        assert_eq!(simulator.faults(), Vec::<String>::new());
    }
}

/// What breaks on the way is the vendor's failure, told in its words or ours, and never a shorter list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_break_are_errors_and_leave_the_models_alone() {
    let server = Server::start(Engine::Sqlite).await;
    for row in ROWS {
        let simulator = Simulator::start(row, Case::Good).await;
        let account = Account::new(server.admin(), row, &simulator.url()).await;
        account.sync().await.unwrap();
        let before = account.models().await.len();
        for case in [Case::Truncated, Case::Huge, Case::Hanging, Case::Garbage, Case::Broken, Case::Overloaded] {
            simulator.set_case(case);
            let refusal = Refusal::of(&account.sync().await.unwrap_err());
            refusal.is(Code::Unavailable, "PROVIDER_ERROR");
            assert_eq!(account.models().await.len(), before, "{:?} {case:?}", row.kind);
        }
        simulator.set_case(Case::Good);
        assert_eq!(account.sync().await.unwrap().deprecated, 0, "{:?}", row.kind);
        assert_eq!(simulator.faults(), Vec::<String>::new());
    }
}

/// How often a key was shown: probes, which come by themselves after a failure, show none.
fn keys_shown(simulator: &Simulator) -> usize {
    simulator.questions().iter().filter(|question| question.key.is_some()).count()
}

/// A vendor that asks for a pause gets it, and is asked again; one that asks for none gets the endpoint's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_obeyed_and_decide_nothing() {
    let server = Server::start(Engine::Sqlite).await;
    for row in ROWS {
        let simulator = Simulator::start(row, Case::Good).await;
        let account = Account::new(server.admin(), row, &simulator.url()).await;
        assert_eq!(account.validate().await.status(), ValidationStatus::Valid, "{:?}", row.kind);
        for case in [Case::RateLimited, Case::RateLimitedSilently] {
            simulator.set_case(case);
            let asked = keys_shown(&simulator);
            let verdict = account.validate().await;
            assert_eq!(verdict.status(), ValidationStatus::Valid, "{:?}: the former verdict stays", row.kind);
            assert_eq!(verdict.cause(), v1::ValidationCause::RateLimited, "{:?}", row.kind);
            assert_eq!(keys_shown(&simulator), asked + 2, "{:?}: asked twice", row.kind);
            let health = account.check().await;
            assert_eq!((health.status(), health.cause()), (HealthStatus::Degraded, HealthCause::RateLimited));
        }
    }
}

/// What is signed is what arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bedrock_finds_the_signature_that_it_computes() {
    let server = Server::start(Engine::Sqlite).await;
    let row = ROWS.iter().find(|row| row.kind == Kind::AwsBedrock).unwrap();
    let simulator = Simulator::start(row, Case::Good).await;
    Account::new(server.admin(), row, &simulator.url()).await.ask_all().await.sync.unwrap();
    let mut signed: Vec<_> = simulator.questions().into_iter().filter(|question| question.key.is_some()).collect();
    for question in &signed {
        let found = question.authorization.rsplit_once("Signature=").unwrap().1;
        assert_eq!(found, signature::of(question), "{} {}", question.method, question.path);
    }
    assert!(signed.iter().any(|question| question.path.contains('%') && !question.body.is_empty()));
    assert!(signed.iter().any(|question| question.path.contains('?')));
    // A byte that is not the signed one is found.
    let last = signed.last_mut().unwrap();
    last.path.push('x');
    assert!(!last.authorization.ends_with(&signature::of(last)));
}

/// The same questions over TLS, trusted by the setting; without it nothing is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vendors_are_asked_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (pem, tls) = certificate().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, pem).unwrap();
    let trusting = Server::start_with(Engine::Sqlite, |settings| settings.egress.ca_file = Some(file)).await;
    let other = Server::start(Engine::Sqlite).await;
    for row in ROWS {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let key = Some(account::KEY.to_owned());
        let simulator = Simulator::start_on(listener, row, Case::Good, key, Some(tls.clone())).unwrap();
        let good = Account::new(trusting.admin(), row, &simulator.url()).await.ask_all().await;
        assert!(good.sync.is_ok(), "{:?}: {}", row.kind, good.sync.unwrap_err());
        assert_eq!((good.key(), good.model(), good.health()), ("VALID".into(), "AVAILABLE".into(), "HEALTHY".into()));
        let asked = keys_shown(&simulator);
        let distrusted = Account::new(other.admin(), row, &simulator.url()).await.ask_all().await;
        assert!(distrusted.sync.is_err(), "{:?}", row.kind);
        assert_eq!(distrusted.health.cause(), HealthCause::Tls, "{:?}", row.kind);
        assert_eq!((distrusted.key().as_str(), keys_shown(&simulator)), ("UNREACHABLE (NETWORK)", asked));
        assert_eq!(simulator.faults(), Vec::<String>::new());
    }
}
