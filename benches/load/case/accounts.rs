//! A configuration of the size that a large user has, made through the API: reads, writes, checks and synchronisation,
//! each beside the time that it may take.

use std::time::Duration;

use modelward::proto::v1;
use modelward::store::Engine;
use prost::Message;
use serde_json::json;

use crate::duel::Side;
use crate::home::Home;
use crate::report::{Table, time};
use crate::seed::{endpoint, provider};
use crate::server::Server;
use crate::vendor::{KEY, Vendor};

const PROVIDERS: usize = 10;
const ENDPOINTS: usize = 5;
const CREDENTIALS: usize = 10;
const MODELS: usize = 100;
const CALLERS: usize = 10;

pub fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let vendor = runtime.block_on(Vendor::start());
    vendor.list_rows((0..MODELS).map(|number| json!({"id": format!("model-{number}"), "object": "model"})).collect());
    let mut table = Table::new(&["database", "call", "callers", "p50", "p99", "may take"]);
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let home = Home::new(engine)?;
        let server = home.start()?;
        let made = Made::create(&server, &vendor)?;
        let mut row = |rpc: &str, callers: usize, limit: u64, requests: &[Vec<u8>]| {
            row(&mut table, engine, &server, rpc, callers, Duration::from_millis(limit), requests)
        };
        row("ProviderService/ListProviders", CALLERS, 100, &[v1::ListProvidersRequest::default().encode_to_vec()])?;
        row("ModelService/ListModels", CALLERS, 100, &made.lists())?;
        row("EndpointService/PickEndpoint", CALLERS, 100, &made.picks())?;
        row("EndpointService/UpdateEndpoint", CALLERS, 1_000, &made.updates())?;
        row("EndpointService/CheckEndpointHealth", CALLERS, 10_000, &made.checks())?;
        row("ModelService/SyncModels", 1, 30_000, &made.syncs())?;
    }
    table.print("10 providers × 5 endpoints × 10 credentials × 100 models");
    Ok(())
}

fn row(
    table: &mut Table,
    engine: Engine,
    server: &Server,
    rpc: &str,
    callers: usize,
    limit: Duration,
    requests: &[Vec<u8>],
) -> anyhow::Result<()> {
    let sample = Side { pid: server.pid(), plan: server.plan_raw(rpc, requests, callers)? }.measure()?;
    table.row(vec![
        engine.to_string(),
        rpc.rsplit('/').next().unwrap_or(rpc).to_owned(),
        callers.to_string(),
        time(sample.outcome.p50),
        time(sample.outcome.p99),
        time(limit),
    ]);
    Ok(())
}

/// The ids of what was made.
struct Made {
    providers: Vec<String>,
    endpoints: Vec<String>,
}

impl Made {
    fn create(server: &Server, vendor: &Vendor) -> anyhow::Result<Self> {
        let mut made = Self { providers: Vec::new(), endpoints: Vec::new() };
        for number in 0..PROVIDERS {
            let provider = Some(provider(&format!("provider {number}")));
            let request = v1::CreateProviderRequest { provider, ..Default::default() };
            let answer: v1::CreateProviderResponse = server.ask("ProviderService/CreateProvider", &request)?;
            let id = answer.provider.unwrap_or_default().id;
            for number in 0..ENDPOINTS {
                let endpoint = Some(endpoint(&id, &format!("endpoint {number}"), &vendor.url()));
                let request = v1::CreateEndpointRequest { endpoint, ..Default::default() };
                let answer: v1::CreateEndpointResponse = server.ask("EndpointService/CreateEndpoint", &request)?;
                made.endpoints.push(answer.endpoint.unwrap_or_default().id);
            }
            for number in 0..CREDENTIALS {
                let credential = v1::Credential {
                    provider_id: Some(id.clone()),
                    alias: Some(format!("credential {number}")),
                    secret: Some(v1::CredentialSecret { api_key: Some(KEY.to_owned()), ..Default::default() }),
                    ..Default::default()
                };
                let request = v1::CreateCredentialRequest { credential: Some(credential), ..Default::default() };
                let _: v1::CreateCredentialResponse = server.ask("CredentialService/CreateCredential", &request)?;
            }
            let request = v1::SyncModelsRequest { provider_id: id.clone(), ..Default::default() };
            let _: v1::SyncModelsResponse = server.ask("ModelService/SyncModels", &request)?;
            made.providers.push(id);
        }
        Ok(made)
    }

    fn lists(&self) -> Vec<Vec<u8>> {
        let list = |provider_id| v1::ListModelsRequest { provider_id, page_size: 100, ..Default::default() };
        self.providers.iter().map(|id| list(id.clone()).encode_to_vec()).collect()
    }

    fn picks(&self) -> Vec<Vec<u8>> {
        let pick = |provider_id| v1::PickEndpointRequest { provider_id, ..Default::default() };
        self.providers.iter().map(|id| pick(id.clone()).encode_to_vec()).collect()
    }

    fn checks(&self) -> Vec<Vec<u8>> {
        let check = |id| v1::CheckEndpointHealthRequest { id };
        self.endpoints.iter().map(|id| check(id.clone()).encode_to_vec()).collect()
    }

    fn syncs(&self) -> Vec<Vec<u8>> {
        let sync = |provider_id| v1::SyncModelsRequest { provider_id, ..Default::default() };
        self.providers.iter().map(|id| sync(id.clone()).encode_to_vec()).collect()
    }

    /// Two for each of the callers' endpoints, in turn.
    fn updates(&self) -> Vec<Vec<u8>> {
        let update = |id: &str, weight| v1::UpdateEndpointRequest {
            endpoint: Some(v1::Endpoint { id: id.to_owned(), weight: Some(weight), ..Default::default() }),
            ..Default::default()
        };
        let both = |id| [2, 1].map(|weight| update(id, weight).encode_to_vec());
        self.endpoints.iter().take(CALLERS).flat_map(|id| both(id)).collect()
    }
}
