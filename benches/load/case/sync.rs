//! Synchronising a provider whose vendor lists a thousand models. The vendor is a program on this machine and answers
//! at once; its time is measured apart.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use modelward::proto::v1;
use modelward::store::Engine;
use serde_json::json;

use crate::home::Home;
use crate::report::{Table, median, time};
use crate::seed::{endpoint, provider};
use crate::server::Server;
use crate::vendor::{KEY, Vendor};

const MODELS: usize = 1000;
const PROVIDERS: usize = 5;

pub fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let vendor = runtime.block_on(Vendor::start());
    vendor.list_rows((0..MODELS).map(|number| json!({"id": format!("model-{number}"), "object": "model"})).collect());
    let mut table = Table::new(&["database", "1,000 models added", "1,000 unchanged", "the vendor's answer"]);
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let home = Home::new(engine)?;
        let server = home.start()?;
        let (mut added, mut unchanged, mut vendors) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..PROVIDERS {
            let id = account(&server, &vendor, number)?;
            added.push(sync(&server, &id)?);
            unchanged.push(sync(&server, &id)?);
            vendors.push(ask(&vendor)?);
        }
        let [added, unchanged, vendors] =
            [added, unchanged, vendors].map(|times| time(median(times).unwrap_or_default()));
        table.row(vec![engine.to_string(), added, unchanged, vendors]);
    }
    table.print("Synchronising 1,000 models");
    Ok(())
}

fn account(server: &Server, vendor: &Vendor, number: usize) -> anyhow::Result<String> {
    let provider = Some(provider(&format!("provider {number}")));
    let request = v1::CreateProviderRequest { provider, ..Default::default() };
    let answer: v1::CreateProviderResponse = server.ask("ProviderService/CreateProvider", &request)?;
    let id = answer.provider.unwrap_or_default().id;
    let request =
        v1::CreateEndpointRequest { endpoint: Some(endpoint(&id, "main", &vendor.url())), ..Default::default() };
    let _: v1::CreateEndpointResponse = server.ask("EndpointService/CreateEndpoint", &request)?;
    let secret = Some(v1::CredentialSecret { api_key: Some(KEY.to_owned()), ..Default::default() });
    let (provider_id, alias) = (Some(id.clone()), Some("main".to_owned()));
    let credential = Some(v1::Credential { provider_id, alias, secret, ..Default::default() });
    let request = v1::CreateCredentialRequest { credential, ..Default::default() };
    let _: v1::CreateCredentialResponse = server.ask("CredentialService/CreateCredential", &request)?;
    Ok(id)
}

fn sync(server: &Server, provider_id: &str) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let request = v1::SyncModelsRequest { provider_id: provider_id.to_owned(), ..Default::default() };
    let answer: v1::SyncModelsResponse = server.ask("ModelService/SyncModels", &request)?;
    let took = begun.elapsed();
    let touched = usize::try_from(answer.added + answer.unchanged)?;
    anyhow::ensure!(touched == MODELS, "the sync touched {touched} models");
    Ok(took)
}

/// The vendor's list without Modelward.
fn ask(vendor: &Vendor) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut socket = TcpStream::connect(vendor.address)?;
    let head = "GET /v1/models HTTP/1.1\r\nhost: vendor\r\nconnection: close\r\n";
    write!(socket, "{head}authorization: Bearer {KEY}\r\n\r\n")?;
    std::io::copy(&mut socket, &mut std::io::sink())?;
    Ok(begun.elapsed())
}
