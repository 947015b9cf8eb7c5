//! How soon a write on one replica is seen on another, over PostgreSQL.

use std::time::{Duration, Instant};

use modelward::proto::v1;
use modelward::store::Engine;

use crate::home::Home;
use crate::report::{Table, quantile, time};
use crate::seed::{Template, provider};
use crate::server::Server;

const WRITES: usize = 1000;

pub fn run() -> anyhow::Result<()> {
    let home = Home::new(Engine::Postgres)?;
    let near = home.start()?;
    let template = Template::create(&near, "http://127.0.0.1:9/v1")?;
    let replica = home.replica()?;
    let far = replica.start()?;
    let (mut answered, mut seen) = (Vec::new(), Vec::new());
    for number in 0..WRITES {
        let begun = Instant::now();
        let written = change(&near, &template.provider, number)?;
        let known = Instant::now();
        while read(&far, &template.provider)? < written {
            anyhow::ensure!(known.elapsed() < Duration::from_secs(10), "the other replica does not follow");
        }
        answered.push(known - begun);
        seen.push(known.elapsed());
    }
    let mut table = Table::new(&["what", "p50", "p99", "longest"]);
    for (what, mut times) in [("write on A, one caller", answered), ("from its answer until B shows it", seen)] {
        let [p50, p99, longest] = [0.5, 0.99, 1.0].map(|share| time(quantile(&mut times, share)));
        table.row(vec![what.to_owned(), p50, p99, longest]);
    }
    table.print("Visibility on another replica");
    Ok(())
}

/// Changes the provider; its revision then.
pub fn change(server: &Server, id: &str, number: usize) -> anyhow::Result<i64> {
    let description = Some(format!("change {number}"));
    let request = v1::UpdateProviderRequest {
        provider: Some(v1::Provider { id: id.to_owned(), description, ..provider("template") }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["description".to_owned()] }),
        ..Default::default()
    };
    let answer: v1::UpdateProviderResponse = server.ask("ProviderService/UpdateProvider", &request)?;
    Ok(answer.provider.unwrap_or_default().revision)
}

fn read(server: &Server, id: &str) -> anyhow::Result<i64> {
    let request = v1::GetProviderRequest { id: id.to_owned() };
    let answer: v1::GetProviderResponse = server.ask("ProviderService/GetProvider", &request)?;
    Ok(answer.provider.unwrap_or_default().revision)
}
