//! The real program as a process of its own, and calls to it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use prost::Message;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::call::{self, Connection};
use crate::generator::Plan;

/// How long a start may take; a million models need some seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running server; it is killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    pub token: String,
    /// From the start of the process until it said that it is ready.
    pub ready: Duration,
    directory: PathBuf,
    runtime: Runtime,
    connection: Connection,
    _driving: JoinSet<()>,
}

impl Server {
    /// Starts one in this directory and waits until it serves. Its log, one line per call, goes to a file there.
    pub fn start(directory: &Path, variables: &[(&str, String)], settings: &[&str]) -> anyhow::Result<Self> {
        let log = directory.join("log");
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_modelward"))
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .args(["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--data-dir", "data"])
            // All callers have one address, and 256 pages of 1,000 models are more than one peer may leave unread.
            .args(["--set", "limits.max_memory_per_peer=1GiB"])
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let address = loop {
            let text = fs::read_to_string(&log)?;
            if let Some(address) = text.lines().find_map(address_of) {
                break address;
            }
            let ended = child.try_wait()?;
            anyhow::ensure!(ended.is_none() && begun.elapsed() < PATIENCE, "the server is not ready:\n{text}");
            sleep(Duration::from_millis(1));
        };
        let ready = begun.elapsed();
        let token = fs::read_to_string(directory.join("data/admin.token"))?.trim().to_owned();
        // A thread of its own drives the connection while nobody asks anything.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut driving = JoinSet::new();
        let connection = runtime.block_on(Connection::open(address, &token, &mut driving))?;
        let directory = directory.to_owned();
        Ok(Self { child, address, token, ready, directory, runtime, connection, _driving: driving })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Calls `modelward.v1.<rpc>`.
    pub fn ask<R: Message + Default>(&self, rpc: &str, request: &impl Message) -> anyhow::Result<R> {
        Ok(R::decode(self.ask_raw(rpc, &request.encode_to_vec())?)?)
    }

    /// The same in bytes.
    pub fn ask_raw(&self, rpc: &str, request: &[u8]) -> anyhow::Result<bytes::Bytes> {
        let method = call::method(self.address, &path(rpc))?;
        let mut connection = self.connection.clone();
        self.runtime.block_on(connection.call(&method, call::frame(request))).context(rpc.to_owned())
    }

    /// Callers of an RPC, with these requests in turn.
    pub fn plan(&self, rpc: &str, requests: &[impl Message], callers: usize) -> anyhow::Result<Plan> {
        let requests: Vec<_> = requests.iter().map(Message::encode_to_vec).collect();
        self.plan_raw(rpc, &requests, callers)
    }

    /// The same with requests in bytes.
    pub fn plan_raw(&self, rpc: &str, requests: &[Vec<u8>], callers: usize) -> anyhow::Result<Plan> {
        let file = self.directory.join(format!("{}.requests", rpc.replace('/', ".")));
        crate::generator::write_requests(&file, requests)?;
        Ok(Plan {
            address: self.address,
            token: self.token.clone(),
            path: path(rpc),
            connections: 4,
            callers,
            warm: Duration::from_millis(300),
            measured: Duration::from_secs(2),
            requests: file,
        })
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        anyhow::ensure!(told.success(), "the server cannot be stopped");
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn path(rpc: &str) -> String {
    format!("/modelward.v1.{rpc}")
}

/// The address in the line that says that the server is ready.
fn address_of(line: &str) -> Option<SocketAddr> {
    let (_, fields) = line.split_once("is ready")?;
    fields.split(' ').find_map(|field| field.strip_prefix("address=")?.parse().ok())
}
