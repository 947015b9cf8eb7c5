//! Acknowledged writes beside one-row transactions of the engine itself, as safe and with as many clients.

use std::cell::RefCell;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use modelward::proto::v1;
use modelward::store::Engine;

use crate::duel::{ROUNDS, Sample, Side, middle};
use crate::home::Home;
use crate::postgres::Cluster;
use crate::report::{Table, count, median, time};
use crate::seed::{Kind, Template, id};

const CALLERS: [usize; 4] = [1, 8, 32, 256];
/// How long the raw engine is measured in each round.
const RAW: Duration = Duration::from_secs(2);

pub fn run() -> anyhow::Result<()> {
    let mut table = Table::new(&[
        "database",
        "callers",
        "writes/s",
        "p50",
        "p99",
        "CPU per write",
        "raw transactions/s",
        "of the raw engine",
    ]);
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let home = Home::new(engine)?;
        let server = home.start()?;
        let template = Template::create(&server, "http://127.0.0.1:9/v1")?;
        server.stop()?;
        template.copy_models(&home, 1000)?;
        let server = home.start()?;
        let raw = Raw::prepare(engine, &home)?;
        for callers in CALLERS {
            let side =
                Side { pid: server.pid(), plan: server.plan("ModelService/UpdateModel", &updates(callers), callers)? };
            let rounds = (0..ROUNDS).map(|_| Ok((side.measure()?, raw.measure(callers)?)));
            let rounds: Vec<(Sample, f64)> = rounds.collect::<anyhow::Result<_>>()?;
            let ours = middle(rounds.iter().map(|(ours, _)| *ours))?;
            let raw = median(rounds.iter().map(|(_, raw)| *raw)).context("no rounds")?;
            let share = median(rounds.iter().map(|(ours, raw)| ours.outcome.per_second / raw)).context("no rounds")?;
            table.row(vec![
                engine.to_string(),
                callers.to_string(),
                count(ours.outcome.per_second),
                time(ours.outcome.p50),
                time(ours.outcome.p99),
                time(ours.cpu),
                count(raw),
                format!("{:.0} %", share * 100.0),
            ]);
        }
    }
    table.print("Acknowledged writes");
    Ok(())
}

/// Two updates of a model for each caller, who sends them in turn: each one changes something.
pub fn updates(callers: usize) -> Vec<v1::UpdateModelRequest> {
    let update = |number: usize, description: &str| v1::UpdateModelRequest {
        model: Some(v1::Model {
            id: id(Kind::Model, number),
            description: Some(description.to_owned()),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["description".to_owned()] }),
        ..Default::default()
    };
    (0..callers).flat_map(|number| [update(number, "A model."), update(number, "The same model.")]).collect()
}

/// The engine without Modelward.
enum Raw {
    /// One connection: SQLite has one writer at a time, and clients would only wait for each other.
    Sqlite(RefCell<SqliteConnection>),
    /// pgbench, each client on a row of its own.
    Postgres { database: String, script: std::path::PathBuf },
}

impl Raw {
    fn prepare(engine: Engine, home: &Home) -> anyhow::Result<Self> {
        let table = "CREATE TABLE raw (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);";
        let rows = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
            INSERT INTO raw SELECT i, 0 FROM n;";
        if engine == Engine::Sqlite {
            let mut raw = SqliteConnection::establish(&home.directory().join("raw.db").to_string_lossy())?;
            raw.batch_execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
            raw.batch_execute(table)?;
            raw.batch_execute(rows)?;
            return Ok(Self::Sqlite(RefCell::new(raw)));
        }
        let database = Cluster::shared().create_database(None);
        Cluster::shared().sql(&database, table);
        Cluster::shared().sql(&database, rows);
        let script = home.directory().join("raw.sql");
        std::fs::write(&script, "UPDATE raw SET value = value + 1 WHERE id = :client_id;\n")?;
        Ok(Self::Postgres { database, script })
    }

    /// Transactions per second.
    fn measure(&self, callers: usize) -> anyhow::Result<f64> {
        match self {
            Self::Sqlite(raw) => {
                let mut raw = raw.borrow_mut();
                let begun = Instant::now();
                let mut done = 0_u32;
                while begun.elapsed() < RAW {
                    raw.batch_execute("UPDATE raw SET value = value + 1 WHERE id = 1")?;
                    done += 1;
                }
                Ok(f64::from(done) / begun.elapsed().as_secs_f64())
            }
            Self::Postgres { database, script } => {
                let clients = callers.min(150).to_string();
                let output = Command::new("pgbench")
                    .args(["-n", "-j", "2", "-M", "prepared", "-c", &clients, "-T", &RAW.as_secs().to_string()])
                    .args(["-h", "127.0.0.1", "-p", &Cluster::shared().port().to_string(), "-U", "modelward", "-f"])
                    .arg(script)
                    .arg(database)
                    .output()
                    .context("pgbench; it comes with PostgreSQL (Debian: postgresql-client)")?;
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
                rate.with_context(|| format!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)))
            }
        }
    }
}
