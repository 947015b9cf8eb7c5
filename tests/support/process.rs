//! The real program as a process of its own: to be killed, stopped and read.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tonic::transport::Endpoint;

use super::server::Caller;

/// How long a process may take to start or to stop. Only a hanging one takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs in a directory. It is killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
    token: PathBuf,
    address: SocketAddr,
}

/// The program, to run in this directory with none of this process's settings.
pub fn program(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_modelward"));
    command.env_clear().current_dir(directory).stdin(Stdio::null());
    // Where coverage is measured, this says where the program notes what it ran.
    command.envs(std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE"));
    command
}

impl Process {
    /// Starts a server on free ports and waits until it is ready. Its log stands in the directory.
    pub fn start(directory: &Path, variables: &[(&str, &str)]) -> Self {
        let log = (0..1000).map(|run| directory.join(format!("run-{run}.log"))).find(|path| !path.exists()).unwrap();
        let child = program(directory)
            .args(["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--data-dir", "data"])
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let token = directory.join("data/admin.token");
        let mut process = Self { child, log, token, address: "127.0.0.1:0".parse().unwrap() };
        process.address = process.ready();
        process
    }

    fn ready(&mut self) -> SocketAddr {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(address) = self.log().lines().find_map(address_of) {
                return address;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "the server is not ready: {ended:?}\n{}", self.log());
            sleep(Duration::from_millis(10));
        }
    }

    /// The log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The admin, on a connection of its own.
    pub fn admin(&self) -> Caller {
        let token = fs::read_to_string(&self.token).ok().map(|text| text.trim().to_owned());
        let channel = Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect_lazy();
        Caller::new(channel, token)
    }

    /// Kills it, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the server does not stop\n{}", self.log());
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the line that says that the server is ready.
fn address_of(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    fields.get("message")?.as_str()?.contains("is ready").then_some(())?;
    fields.get("address")?.as_str()?.parse().ok()
}
