//! What one resource takes in memory, by starting a server that has a hundred thousand of them.

use modelward::store::Engine;

use crate::home::Home;
use crate::process;
use crate::report::{Table, mebibytes};
use crate::seed::Template;

const COUNT: usize = 100_000;

type Copy = fn(&Template, &Home, usize) -> anyhow::Result<()>;

pub fn run() -> anyhow::Result<()> {
    let mut table = Table::new(&["100,000 more", "memory", "bytes for each"]);
    let empty = grown(|_, _, _| Ok(()))?;
    table.row(vec!["nothing".to_owned(), mebibytes(empty), String::new()]);
    let copies: [(&str, Copy); 3] = [
        ("models, 1,000 to a provider", Template::copy_models),
        ("endpoints, 10 to a provider, with the providers", Template::copy_endpoints),
        ("credentials, 10 to a provider, with the providers and an endpoint each", Template::copy_credentials),
    ];
    for (what, copy) in copies {
        let memory = grown(copy)?;
        let each = memory.saturating_sub(empty) / u64::try_from(COUNT)?;
        table.row(vec![what.to_owned(), mebibytes(memory), each.to_string()]);
    }
    table.print("Memory by resource");
    Ok(())
}

/// The memory of a server that found the copies.
fn grown(copy: Copy) -> anyhow::Result<u64> {
    let home = Home::new(Engine::Sqlite)?;
    let server = home.start()?;
    let template = Template::create(&server, "http://127.0.0.1:9/v1")?;
    server.stop()?;
    copy(&template, &home, COUNT)?;
    process::memory(home.start()?.pid())
}
