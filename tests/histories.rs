//! Random histories: every RPC that writes, in any order, against a small model that was written from the contract.
//! After each step Get, List, the log, the tables and the server's memory are compared with the model.
//!
//! A failure prints the seed (`MODELWARD_SEED` runs it again) and the shortest history that still fails.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use modelward::proto::v1::resource::Resource as Thing;
use modelward::proto::v1::{self, Operation};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use prost::Message as _;
use tonic::Status;

use crate::promises::effort;
use crate::support::dynamic;
use crate::support::vendor::Vendor;
use crate::support::witness::Fold;
use crate::support::{Engine, Refusal, Server};

mod check;
mod filtered;
mod plan;
mod rollback;
mod rules;
mod step;
mod sync;
mod watched;
mod world;

use plan::{Call, Hosts};
use step::{Expected, Fields, RPCS, Step, Write};
use world::{Edit, NEW, World, bare, set_identity};

/// Steps of a history at most.
const LENGTH: usize = 40;

/// The numbers of the fields that writes share.
struct Numbers(BTreeMap<&'static str, u32>);

const SHARED: [&str; 4] = ["expected_revision", "request_id", "validate_only", "reason"];

impl Numbers {
    fn of(rpc: &str) -> Self {
        let (message, _) = dynamic::message(&format!("{}Request", rpc.split('/').next_back().unwrap()));
        let number = |name: &str| {
            message.field.iter().find(|field| field.name() == name).map(prost_types::FieldDescriptorProto::number)
        };
        let numbers = SHARED.iter().filter_map(|name| Some((*name, u32::try_from(number(name)?).unwrap())));
        Self(numbers.collect())
    }

    fn text(&self, name: &str, text: &str, request: &mut Vec<u8>) {
        prost::encoding::string::encode(self.0[name], &text.to_owned(), request);
    }
}

/// A write that was acknowledged under a request id, with its answer.
struct Identified {
    rpc: &'static str,
    request: Vec<u8>,
    answer: Vec<u8>,
}

struct History {
    server: Option<Server>,
    vendor: Vendor,
    hosts: Hosts,
    world: World,
    fold: Fold,
    watched: watched::Watched,
    numbers: BTreeMap<&'static str, Numbers>,
    identified: Vec<Identified>,
    ids: usize,
    acknowledged: BTreeSet<&'static str>,
    steps: usize,
}

impl History {
    async fn start(engine: Engine) -> Self {
        let vendor = Vendor::start().await;
        (0..3).for_each(|number| vendor.take_key(&plan::key(number)));
        let port = vendor.address.port();
        let elsewhere = |address: &str| format!("http://{address}:1/v1");
        let hosts = Hosts([
            vendor.url(),
            format!("http://localhost:{port}/v1"),
            elsewhere("127.0.0.1"),
            elsewhere("127.0.0.2"),
        ]);
        let server = Server::start_with(engine, |settings| {
            settings.limits.endpoints_per_provider = rules::ENDPOINT_LIMIT;
            settings.limits.credentials_per_provider = rules::CREDENTIAL_LIMIT;
        })
        .await;
        Self {
            server: Some(server),
            vendor,
            hosts,
            world: World::default(),
            fold: Fold::default(),
            watched: watched::Watched::default(),
            numbers: RPCS.iter().map(|rpc| (*rpc, Numbers::of(rpc))).collect(),
            identified: Vec::new(),
            ids: 0,
            acknowledged: BTreeSet::new(),
            steps: 0,
        }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// Runs one history from an empty configuration.
    async fn run(&mut self, steps: Vec<Step>) {
        self.clear().await;
        for write in prologue() {
            self.write(&write, Expected::Any, false, false).await;
            self.check().await;
        }
        for step in steps {
            self.steps += 1;
            match step {
                Step::Write { write, expected, validate_only, identified } => {
                    self.write(&write, expected, validate_only, identified).await;
                }
                Step::Repeat { which } => self.repeat(which.into()).await,
                Step::Restart => {
                    let server = self.server.take().unwrap();
                    self.server = Some(server.restart().await);
                }
            }
            self.check().await;
        }
    }

    /// Destroys everything; a history that failed may have left anything.
    async fn clear(&mut self) {
        let request = v1::ListBindingsRequest { page_size: 1000, ..Default::default() };
        for binding in self.server().bindings().list_bindings(request).await.unwrap().into_inner().bindings {
            let request = v1::DeleteBindingRequest { id: binding.id, ..Default::default() };
            self.server().bindings().delete_binding(request).await.unwrap();
        }
        let request = v1::ListProvidersRequest { show_deleted: true, page_size: 1000, ..Default::default() };
        let all = self.server().providers().list_providers(request).await.unwrap().into_inner();
        for provider in all.providers {
            let request = v1::DeleteProviderRequest { id: provider.id, purge: true, ..Default::default() };
            self.server().providers().delete_provider(request).await.unwrap();
        }
        let head = self.server().parts().store.head().await.unwrap();
        let kinds = self.server().providers().list_provider_kinds(v1::ListProviderKindsRequest {}).await.unwrap();
        let openai = kinds.into_inner().kinds.into_iter().find(|info| info.kind() == v1::ProviderKind::Openai).unwrap();
        let own_hosts = openai.default_base_urls.iter().map(|url| url.split('/').nth(2).unwrap().to_owned()).collect();
        let past = vec![(head.revision.0, BTreeMap::new())];
        self.world = World { revision: head.revision.0, past, own_hosts, ..World::default() };
        let store = self.server().parts().store.clone();
        self.fold.advance(&store, head.revision).await;
        self.watched = watched::Watched::after(head.revision.0);
        self.identified.clear();
    }

    async fn send(&self, rpc: &str, request: &[u8]) -> Result<Vec<u8>, Status> {
        let admin = self.server().admin();
        let rpc = format!("modelward.v1.{rpc}");
        let answer = dynamic::call(&admin.channel(), &rpc, admin.token(), request.to_vec().into()).await?;
        Ok(answer.into_inner().to_vec())
    }

    async fn write(&mut self, write: &Write, expected: Expected, validate_only: bool, identified: bool) {
        let current = self.world.target(write).and_then(|id| self.world.things.get(&id).map(revision_of));
        let expected = match expected {
            Expected::Any => None,
            Expected::Right => current,
            Expected::Wrong => Some(current.unwrap_or_default() + 1000),
        };
        if let Write::SyncModels { listed, .. } = write {
            self.vendor.list(&sync::names(*listed).iter().map(String::as_str).collect::<Vec<_>>());
        }
        let rpc = self.world.call(write, None, &self.hosts).rpc;
        let numbers = &self.numbers[rpc];
        let expected = expected.filter(|_| numbers.0.contains_key("expected_revision"));
        let validate_only = validate_only && numbers.0.contains_key("validate_only");
        let is_rehearsed = validate_only || matches!(write, Write::SyncModels { dry_run: true, .. });
        let identified = identified && !is_rehearsed && numbers.0.contains_key("request_id");
        let mut call = self.world.call(write, expected, &self.hosts);
        if let Some(expected) = expected {
            prost::encoding::int64::encode(numbers.0["expected_revision"], &expected, &mut call.request);
        }
        if validate_only {
            prost::encoding::bool::encode(numbers.0["validate_only"], &true, &mut call.request);
        }
        if identified {
            self.ids += 1;
            numbers.text("request_id", &format!("id-{}", self.ids), &mut call.request);
        }
        let answer = self.send(call.rpc, &call.request).await;
        if let Write::SyncModels { listed, force, .. } = write {
            call.outcome = self.synced(&call, *listed, *force, expected, &answer);
        }
        match (&call.outcome, &answer) {
            (Err(reason), Err(status)) => assert_eq!(Refusal::of(status).reason, *reason, "{write:?}: {status:?}"),
            (Ok(_), Ok(_)) => {}
            (outcome, answer) => panic!("{write:?} should lead to {outcome:?}, not to {answer:?}"),
        }
        let Ok(answer) = answer else { return };
        self.acknowledged.insert(call.rpc);
        self.take(call, &answer, is_rehearsed, identified).await;
    }

    /// Brings the model in step with an acknowledged write, and compares the answer.
    async fn take(&mut self, call: Call, answer: &[u8], is_rehearsed: bool, identified: bool) {
        let Call { rpc, request, outcome, about, secret } = call;
        let mut edits = outcome.unwrap();
        let told = thing_of(rpc, answer).map(bare);
        let id = about.or_else(|| told.as_ref().map(plan::told_id)).unwrap();
        for edit in &mut edits {
            if edit.id == NEW {
                edit.id.clone_from(&id);
                let revision = self.world.revision + 1;
                edit.after.iter_mut().for_each(|after| set_identity(after, &id, revision));
            }
            self.know_fingerprint(edit, secret, told.as_ref());
        }
        if let Some(mut told) = told {
            let edited = edits.iter().find(|edit| edit.id == id).and_then(|edit| edit.after.clone());
            let mut predicted = edited.or_else(|| self.world.things.get(&id).cloned()).unwrap();
            if is_rehearsed {
                set_identity(&mut told, "", 0);
                set_identity(&mut predicted, "", 0);
            }
            assert_eq!(told, predicted, "the answer of {rpc}");
        }
        if is_rehearsed {
            return;
        }
        if let Some(secret) = secret {
            self.world.secrets.insert(id.clone(), secret);
        }
        if rpc.ends_with("AccessCredential") {
            let opened = v1::AccessCredentialResponse::decode(answer).unwrap();
            assert_eq!(opened.secret.unwrap().api_key(), plan::key(self.world.secrets[&id]));
        }
        self.world.apply(&edits);
        self.check_log(&edits).await;
        if identified {
            self.identified.push(Identified { rpc, request, answer: answer.to_vec() });
            self.repeat(self.identified.len() - 1).await;
        }
    }

    /// Equal secrets have equal fingerprints; which ones they are only the server knows.
    fn know_fingerprint(&mut self, edit: &mut Edit, secret: Option<u8>, told: Option<&Thing>) {
        let (Some(Thing::Credential(after)), Some(secret)) = (&mut edit.after, secret) else { return };
        if let (true, Some(Thing::Credential(told))) = (after.fingerprint.is_empty(), told) {
            assert!(!told.fingerprint.is_empty());
            let known = self.world.fingerprints.entry(secret).or_insert_with(|| told.fingerprint.clone());
            after.fingerprint.clone_from(known);
        }
    }

    /// The same request gives the same answer and changes nothing; another one under its id is refused.
    async fn repeat(&mut self, which: usize) {
        let Some(count) = std::num::NonZeroUsize::new(self.identified.len()) else { return };
        let Identified { rpc, request, answer } = &self.identified[which % count];
        let again = self.send(rpc, request).await.unwrap_or_else(|status| panic!("{rpc} repeated: {status:?}"));
        assert_eq!(thing_of(rpc, &again).map(bare), thing_of(rpc, answer).map(bare), "{rpc} repeated");
        let mut other = request.clone();
        self.numbers[rpc].text("reason", "another one", &mut other);
        let status = self.send(rpc, &other).await.expect_err("the id was used for something else");
        assert_eq!(Refusal::of(&status).reason, "REQUEST_ID_REUSED", "{rpc}");
    }
}

/// What every history begins with: a provider that works, with the vendor's models.
fn prologue() -> [Write; 4] {
    let fields = || Fields { name: Some(0), text: None, active: None, label: None };
    [
        Write::CreateProvider { kind: true, fields: fields() },
        Write::CreateEndpoint { of: 0, fields: fields(), host: 0, priority: 0, set_default: false },
        Write::CreateCredential { of: 0, fields: fields(), secret: 0, deny: false },
        Write::SyncModels { of: 0, listed: 7, force: false, dry_run: false },
    ]
}

/// Each write once, in an order in which none is refused.
fn tour() -> Vec<Step> {
    let fields = |name| Fields { name: Some(name), text: Some(1), active: None, label: Some(1) };
    let text = || Fields { name: None, text: Some(2), active: None, label: None };
    let mask = step::Mask::None;
    let writes = [
        Write::UpdateProvider { which: 0, fields: text(), mask },
        Write::UpdateProviderStatus { which: 0, active: false },
        Write::DeleteProvider { which: 0, purge: false },
        Write::UndeleteProvider { which: 0 },
        Write::CreateEndpoint { of: 0, fields: fields(1), host: 1, priority: 0, set_default: false },
        Write::SetDefaultEndpoint { which: 1 },
        Write::UpdateEndpoint { which: 1, fields: text(), host: Some(2), mask },
        Write::DeleteEndpoint { which: 1 },
        Write::CreateCredential { of: 0, fields: fields(1), secret: 1, deny: true },
        Write::UpdateCredential { which: 1, fields: text(), mask },
        Write::RotateCredential { which: 1, secret: 2, grace: true },
        Write::AccessCredential { which: 1 },
        Write::RevokeCredential { which: 1 },
        Write::DeleteCredential { which: 1 },
        Write::CreateModel { of: 0, model_id: 4, fields: fields(1), kind: true, set_default: true },
        Write::SetDefaultModel { which: 0 },
        Write::UpdateModel { which: 0, fields: text(), kind: Some(false), mask },
        Write::CreateBinding { of: 0, model: true, fields: fields(0) },
        Write::UpdateBinding { which: 0, to: Some((false, 0)), fields: text(), mask },
        Write::DeleteBinding { which: 0 },
        Write::UpdateModelStatus { which: 0, active: false },
        Write::RollbackResource { kind: 3, which: 0, past: 20 },
        Write::DeleteModel { which: 0 },
        Write::RollbackResource { kind: 4, which: 0, past: 22 },
    ];
    let step = |write| Step::Write { write, expected: Expected::Right, validate_only: false, identified: true };
    writes.into_iter().map(step).chain([Step::Restart]).collect()
}

fn revision_of(thing: &Thing) -> i64 {
    match thing {
        Thing::Provider(one) => one.revision,
        Thing::Endpoint(one) => one.revision,
        Thing::Credential(one) => one.revision,
        Thing::Model(one) => one.revision,
        Thing::Binding(one) => one.revision,
        other => panic!("{other:?}"),
    }
}

/// The resource in an answer. All answers with one are alike: it is their first field.
fn thing_of(rpc: &str, answer: &[u8]) -> Option<Thing> {
    let (service, method) = rpc.split_once('/').unwrap();
    if method.starts_with("Delete") || method == "AccessCredential" || method == "SyncModels" {
        return None;
    }
    Some(match service {
        "ProviderService" => Thing::Provider(v1::CreateProviderResponse::decode(answer).unwrap().provider.unwrap()),
        "EndpointService" => Thing::Endpoint(v1::CreateEndpointResponse::decode(answer).unwrap().endpoint.unwrap()),
        "CredentialService" => {
            Thing::Credential(v1::CreateCredentialResponse::decode(answer).unwrap().credential.unwrap())
        }
        "AuditService" => rollback::rolled_back(answer),
        "BindingService" => Thing::Binding(v1::CreateBindingResponse::decode(answer).unwrap().binding.unwrap()),
        _ => Thing::Model(v1::CreateModelResponse::decode(answer).unwrap().model.unwrap()),
    })
}

fn seed() -> u64 {
    std::env::var("MODELWARD_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().expect("a number"))
}

fn run(engine: Engine) {
    on_a_large_stack(move || run_here(engine));
}

/// The futures of so many calls are large.
fn on_a_large_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(32 << 20).spawn(run).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn run_here(engine: Engine) {
    let seed = seed();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut history = runtime.block_on(History::start(engine));
    runtime.block_on(Box::pin(history.run(tour())));
    let missing: Vec<_> = RPCS.iter().filter(|rpc| !history.acknowledged.contains(*rpc)).collect();
    assert!(missing.is_empty(), "never acknowledged: {missing:?}");
    let state = RefCell::new(history);
    let short = if engine == Engine::Postgres { 8 } else { 15 };
    let cases = u32::try_from(effort(short, 1000)).unwrap();
    let config = Config { cases, max_shrink_iters: 100, failure_persistence: None, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let result = runner.run(&step::history(LENGTH), |steps| {
        let mut history = state.borrow_mut();
        runtime.block_on(Box::pin(history.run(steps)));
        Ok(())
    });
    if let Err(TestError::Fail(reason, steps)) = result {
        let steps: Vec<_> = steps.iter().map(|step| format!("{step:?}")).collect();
        panic!("MODELWARD_SEED={seed}: {reason}\nthe shortest history, after the prologue:\n{}", steps.join("\n"));
    }
    result.unwrap();
    let history = state.into_inner();
    let _entered = runtime.enter();
    drop(history);
}

#[test]
fn histories_end_as_the_model_says_on_sqlite() {
    run(Engine::Sqlite);
}

#[test]
fn histories_end_as_the_model_says_on_postgres() {
    run(Engine::Postgres);
}

/// What writes takes a reason, for its record.
#[test]
fn every_rpc_that_writes_is_part_of_histories() {
    let services = ["Provider", "Endpoint", "Credential", "Model", "Binding", "Audit"]
        .map(|noun| format!("modelward.v1.{noun}Service/"));
    let writes = |rpc: &&String| {
        let (message, _) = dynamic::message(&format!("{}Request", rpc.split('/').next_back().unwrap()));
        let reason = |field: &prost_types::FieldDescriptorProto| field.name() == "reason";
        services.iter().any(|service| rpc.starts_with(service)) && message.field.iter().any(reason)
    };
    let all = dynamic::rpcs();
    let found: BTreeSet<_> = all.iter().filter(writes).map(|rpc| rpc.trim_start_matches("modelward.v1.")).collect();
    assert_eq!(found, RPCS.into_iter().collect());
}

/// Operations by the names that the log has for them.
fn operation(operation: modelward::domain::Operation) -> Operation {
    use modelward::domain::Operation as Told;
    match operation {
        Told::Create => Operation::Create,
        Told::Update => Operation::Update,
        Told::Delete => Operation::Delete,
        Told::Undelete => Operation::Undelete,
        Told::Access => Operation::Access,
    }
}
