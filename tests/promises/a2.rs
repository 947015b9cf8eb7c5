//! No lost update: whoever writes with `expected_revision` overwrites nothing that it has not read.

use futures_util::future::join_all;
use modelward::proto::v1::{self, ProviderKind};
use tonic::{Code, Status};

use crate::support::resources::{credential, endpoint, model};
use crate::support::server::Caller;
use crate::support::{Engine, Refusal, Server, eventually};

const CLIENTS: usize = 20;
const ROUNDS: usize = 100;
const COUNT: &str = "count";

/// A resource whose label counts the updates that were acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Provider,
    Endpoint,
    Credential,
    Model,
}

const KINDS: [Kind; 4] = [Kind::Provider, Kind::Endpoint, Kind::Credential, Kind::Model];

/// Reads the counter of a resource, adds one and writes it back.
macro_rules! count_up {
    ($caller:expr, $id:expr, $get:ident => $resource:ident: $type:ident, $service:ident.$update:ident($request:ident)) => {{
        let now = $caller.$get($id).await;
        let count = now.labels[COUNT].parse::<usize>().unwrap() + 1;
        let labels = [(COUNT.to_owned(), count.to_string())].into();
        let $resource = Some(v1::$type { id: $id.to_owned(), labels, ..Default::default() });
        let expected_revision = Some(now.revision);
        let request = v1::$request { $resource, expected_revision, ..Default::default() };
        $caller.$service().$update(request).await.map(drop)
    }};
}

async fn count_up(caller: &Caller, kind: Kind, id: &str) -> Result<(), Status> {
    match kind {
        Kind::Provider => {
            count_up!(caller, id, get_provider => provider: Provider, providers.update_provider(UpdateProviderRequest))
        }
        Kind::Endpoint => {
            count_up!(caller, id, get_endpoint => endpoint: Endpoint, endpoints.update_endpoint(UpdateEndpointRequest))
        }
        Kind::Credential => count_up!(
            caller, id, get_credential => credential: Credential, credentials.update_credential(UpdateCredentialRequest)
        ),
        Kind::Model => count_up!(caller, id, get_model => model: Model, models.update_model(UpdateModelRequest)),
    }
}

async fn count_of(caller: &Caller, kind: Kind, id: &str) -> usize {
    let labels = match kind {
        Kind::Provider => caller.get_provider(id).await.labels,
        Kind::Endpoint => caller.get_endpoint(id).await.labels,
        Kind::Credential => caller.get_credential(id).await.labels,
        Kind::Model => caller.get_model(id).await.labels,
    };
    labels[COUNT].parse().unwrap()
}

/// One resource of each kind, with its counter at 0.
async fn counters(admin: &Caller) -> [String; 4] {
    let labels = || [(COUNT.to_owned(), "0".to_owned())].into();
    let provider = v1::Provider { labels: labels(), ..crate::support::resources::provider("p", ProviderKind::Openai) };
    let provider = admin.try_provider(provider).await.unwrap().id;
    let endpoint = v1::Endpoint { labels: labels(), ..endpoint(&provider, "e", "http://127.0.0.1:1/v1") };
    let endpoint = admin.add_endpoint(endpoint).await.id;
    let credential = v1::Credential { labels: labels(), ..credential(&provider, "c", "sk-0123456789") };
    let credential = admin.add_credential(credential).await.id;
    let model = admin.add_model(v1::Model { labels: labels(), ..model(&provider, "m") }).await.id;
    [provider, endpoint, credential, model]
}

/// The clients, spread over the servers, each going round the four resources. How many updates of each were
/// acknowledged, and how many were refused.
async fn run(callers: &[Caller], ids: &[String; 4]) -> ([usize; 4], usize) {
    let clients = (0..CLIENTS).map(|client| {
        let (caller, ids) = (callers[client % callers.len()].clone(), ids.clone());
        tokio::spawn(async move {
            let (mut done, mut refused) = ([0; 4], 0);
            for round in 0..ROUNDS {
                let which = (client + round) % KINDS.len();
                match count_up(&caller, KINDS[which], &ids[which]).await {
                    Ok(()) => done[which] += 1,
                    Err(status) => {
                        Refusal::of(&status).is(Code::Aborted, "REVISION_MISMATCH");
                        refused += 1;
                    }
                }
            }
            (done, refused)
        })
    });
    let mut total = ([0; 4], 0);
    for client in join_all(clients).await {
        let (done, refused) = client.unwrap();
        (0..KINDS.len()).for_each(|which| total.0[which] += done[which]);
        total.1 += refused;
    }
    total
}

async fn no_update_is_lost(servers: &[Server]) {
    let callers: Vec<_> = servers.iter().map(|server| server.admin().clone()).collect();
    let ids = counters(&callers[0]).await;
    for caller in &callers {
        eventually("every server has them", || async {
            let get = v1::GetModelRequest { id: ids[3].clone() };
            caller.models().get_model(get).await.ok()
        })
        .await;
    }
    let (done, refused) = run(&callers, &ids).await;
    assert_eq!(done.iter().sum::<usize>() + refused, CLIENTS * ROUNDS);
    assert!(refused > 0, "they never met");
    for (which, kind) in KINDS.into_iter().enumerate() {
        assert!(done[which] > 0, "nobody got through");
        for caller in &callers {
            eventually(&format!("{kind:?} was updated {} times", done[which]), || async {
                let count = count_of(caller, kind, &ids[which]).await;
                assert!(count <= done[which], "{count} updates of {kind:?}, {} acknowledged", done[which]);
                (count == done[which]).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_no_update_is_lost_between_two_replicas_on_postgres() {
    let one = Server::start(Engine::Postgres).await;
    let two = one.replica().await;
    no_update_is_lost(&[one, two]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_no_update_is_lost_on_sqlite() {
    no_update_is_lost(&[Server::start(Engine::Sqlite).await]).await;
}
