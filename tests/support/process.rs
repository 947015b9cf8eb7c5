//! The real program as a process of its own: to be killed, stopped and read.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;

use super::disk::Disk;
use super::server::{Caller, MASTER_KEYS};

/// How long a process may take to start or to stop. Only a hanging one takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs in a directory. It is killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
    token: PathBuf,
    address: SocketAddr,
    /// The server, where the child is one that traces it.
    traced: Option<Pid>,
}

/// The calls by which data gets to a disk or into a socket.
const OF_DATA: &str = "trace=write,writev,pwrite64,sendto,sendmsg,fsync,fdatasync";
/// The calls by which connections are opened.
const OF_CONNECTIONS: &str = "trace=connect";

/// A program that writes its calls of the system, with their data, to a file. Without strace the tests fail: what was
/// not run has not passed.
pub fn traced(trace: &Path, program: &Path) -> Command {
    strace(OF_DATA, trace, program)
}

fn strace(calls: &str, trace: &Path, program: &Path) -> Command {
    assert!(
        Path::new("/usr/bin/strace").exists(),
        "the tests need strace: install the package strace (Debian: apt-get install strace)"
    );
    let mut command = Command::new("/usr/bin/strace");
    command.args(["-f", "--seccomp-bpf", "-qq", "-yy", "-s", "65536", "-e", calls, "-e", "signal=none", "-o"]);
    command.arg(trace).arg(program);
    command
}

/// The program, to run in this directory with none of this process's settings.
pub fn program(directory: &Path) -> Command {
    bare(Command::new(env!("CARGO_BIN_EXE_modelward")), directory)
}

fn bare(mut command: Command, directory: &Path) -> Command {
    command.env_clear().current_dir(directory).stdin(Stdio::null());
    // Where coverage is measured, this says where the program notes what it ran.
    command.envs(std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE"));
    command
}

/// What a server needs to run on this PostgreSQL database, also beside others on it. Those in one directory share the
/// token of its admin.
pub fn on_postgres(url: &str) -> [(&str, &str); 2] {
    [("MODELWARD_DATABASE_URL", url), ("MODELWARD_MASTER_KEYS", MASTER_KEYS)]
}

/// A run that came to its end by itself.
pub struct Ended {
    pub status: ExitStatus,
    /// All that it said, on both streams.
    pub output: String,
    pub took: Duration,
}

/// Runs a program that ends by itself.
///
/// # Panics
/// When it does not end.
pub fn run_to_end(command: &mut Command) -> Ended {
    let begin = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it does not end: {command:?}\n{:?}", child.wait_with_output().unwrap());
        }
        sleep(Duration::from_millis(5));
    }
    let took = begin.elapsed();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ended { status: output.status, output: text, took }
}

impl Process {
    /// Starts a server on free ports and waits until it is ready. Its log stands in the directory.
    pub fn start(directory: &Path, variables: &[(&str, &str)]) -> Self {
        let mut process = Self::spawn(directory, variables);
        process.wait_until_ready();
        process
    }

    /// Starts a server, and writes its calls of the system to a file.
    pub fn start_traced(directory: &Path, trace: &Path, variables: &[(&str, &str)]) -> Self {
        let mut process = Self::launch(traced(trace, Path::new(env!("CARGO_BIN_EXE_modelward"))), directory, variables);
        process.wait_until_ready();
        process.traced = Some(process_of_trace(&fs::read_to_string(trace).unwrap()));
        process
    }

    /// Starts a server, and writes to a file where it connects to. It ends by itself when told to stop.
    pub fn start_watching_connections(directory: &Path, trace: &Path, variables: &[(&str, &str)]) -> Self {
        let command = strace(OF_CONNECTIONS, trace, Path::new(env!("CARGO_BIN_EXE_modelward")));
        let mut process = Self::launch(command, directory, variables);
        process.wait_until_ready();
        // It connects to nothing by itself, so the trace does not name it: it is the tracer's only child.
        process.traced = process.child_of_tracer();
        process
    }

    fn child_of_tracer(&self) -> Option<Pid> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        children.split_whitespace().next().map(|child| Pid::from_raw(child.parse().unwrap()))
    }

    /// Starts a server that may never be ready.
    pub fn spawn(directory: &Path, variables: &[(&str, &str)]) -> Self {
        Self::launch(Command::new(env!("CARGO_BIN_EXE_modelward")), directory, variables)
    }

    /// Starts a server that sees a small disk.
    pub fn start_with(disk: &Disk, directory: &Path, variables: &[(&str, &str)]) -> Self {
        let mut process = Self::launch(disk.command(directory, env!("CARGO_BIN_EXE_modelward")), directory, variables);
        process.wait_until_ready();
        process
    }

    /// Starts a sidecar of whoever serves at `upstream`, known by `token`, which lets in every process of this machine. It
    /// may never be ready.
    pub fn spawn_sidecar(directory: &Path, upstream: &str, token: &str, arguments: &[&str]) -> Self {
        Self::spawn_sidecar_with(directory, upstream, token, arguments, &[])
    }

    /// The same with these variables.
    pub fn spawn_sidecar_with(
        directory: &Path,
        upstream: &str,
        token: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        fs::write(directory.join("identity"), token).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_modelward"));
        command.args(["sidecar", "--upstream", upstream, "--identity-file", "identity"]);
        command.args(["--set", "sidecar.open_loopback=true"]).args(arguments);
        Self::run(command, directory, variables)
    }

    /// The same, ready.
    pub fn sidecar(directory: &Path, upstream: &str, token: &str, arguments: &[&str]) -> Self {
        let mut process = Self::spawn_sidecar(directory, upstream, token, arguments);
        process.wait_until_ready();
        process
    }

    fn launch(mut command: Command, directory: &Path, variables: &[(&str, &str)]) -> Self {
        command.arg("serve");
        Self::run(command, directory, variables)
    }

    fn run(command: Command, directory: &Path, variables: &[(&str, &str)]) -> Self {
        let (log, file) = new_log(directory);
        let child = bare(command, directory)
            .args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--data-dir", "data"])
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        let token = directory.join("data/admin.token");
        Self { child, log, token, address: "127.0.0.1:0".parse().unwrap(), traced: None }
    }

    /// Waits until it serves.
    pub fn wait_until_ready(&mut self) {
        self.address = self.poll("be ready", |process| {
            let address = process.read_address("address");
            let ended = process.child.try_wait().unwrap();
            assert!(address.is_some() || ended.is_none(), "the server ended: {ended:?}\n{}", process.log());
            address
        });
    }

    /// Waits until it serves or has ended; whether it serves.
    pub fn wait_until_ready_or_ended(&mut self) -> bool {
        let ready = self.poll("be ready or end", |process| {
            let ended = process.child.try_wait().unwrap().is_some();
            let address = process.read_address("address");
            (ended || address.is_some()).then_some(address.filter(|_| !ended))
        });
        self.address = ready.unwrap_or(self.address);
        ready.is_some()
    }

    /// Waits until it has ended by itself or by a signal, which `ExitStatusExt::signal` tells.
    pub fn wait(&mut self) -> ExitStatus {
        self.poll("end", |process| process.child.try_wait().unwrap())
    }

    /// Whether it has ended by now.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it is frozen: by [`stop`](Self::stop), or at a fail point.
    pub fn wait_until_stopped(&mut self) {
        self.poll("be stopped", |process| process.is_stopped().then_some(()));
    }

    fn poll<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(Instant::now() < end, "the server does not {what}\n{}", self.log());
            sleep(Duration::from_millis(10));
        }
    }

    /// The log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The page of this name on the listener for operators.
    pub fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.read_address("ops_address").unwrap()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// A metric without labels: `panics_total`.
    pub fn metric(&self, name: &str) -> u64 {
        let page = self.page("/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix("modelward_")?.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no metric {name}")).parse().unwrap()
    }

    /// Memory that it holds, in bytes.
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")).unwrap();
        line.trim().parse::<usize>().unwrap() * 1024
    }

    fn read_address(&self, field: &str) -> Option<SocketAddr> {
        self.log().lines().find_map(|line| address_of(line, field))
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it serves operators.
    pub fn ops_address(&self) -> SocketAddr {
        let field = |line: &str| -> Option<SocketAddr> {
            let line: Value = serde_json::from_str(line).ok()?;
            line.get("fields").unwrap_or(&line).get("ops_address")?.as_str()?.parse().ok()
        };
        self.log().lines().find_map(field).expect("the line that says that it is ready")
    }

    /// The admin, on a connection of its own.
    pub fn admin(&self) -> Caller {
        self.admin_at(self.address)
    }

    /// The admin, by way of a proxy.
    pub fn admin_at(&self, address: SocketAddr) -> Caller {
        let token = fs::read_to_string(&self.token).ok().map(|text| text.trim().to_owned());
        Caller::at(address, token)
    }

    /// The admin's token.
    pub fn token(&self) -> String {
        fs::read_to_string(&self.token).unwrap().trim().to_owned()
    }

    /// The admin of a server on the same database.
    pub fn caller(&self, token: Option<&str>) -> Caller {
        Caller::new(self.admin().channel(), token.map(ToOwned::to_owned))
    }

    /// Whether it is frozen: its state in `/proc` is T.
    pub fn is_stopped(&self) -> bool {
        stat(self.child.id()).is_some_and(|stat| stat.is_stopped)
    }

    /// Freezes it until [`cont`](Self::cont).
    pub fn stop(&mut self) {
        self.signal(Signal::SIGSTOP);
        self.wait_until_stopped();
    }

    /// Lets it go on.
    pub fn cont(&self) {
        self.signal(Signal::SIGCONT);
    }

    pub fn signal(&self, signal: Signal) {
        let child = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(self.traced.unwrap_or(child), signal).unwrap();
    }

    /// Kills it, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Who traces it outlives it, and then has nothing more to do.
        if let Some(server) = self.traced.filter(|_| matches!(self.child.try_wait(), Ok(None))) {
            let _ = nix::sys::signal::kill(server, Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the system says about a process.
pub struct Stat {
    pub is_stopped: bool,
    pub parent: u32,
}

/// None: there is no such process.
pub fn stat(id: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, rest) = text.rsplit_once(") ")?;
    let (state, rest) = rest.split_once(' ')?;
    Some(Stat { is_stopped: state == "T", parent: rest.split(' ').next()?.parse().ok()? })
}

/// Each line of a trace begins with the id of a thread.
fn process_of_trace(trace: &str) -> Pid {
    let thread = trace.split_whitespace().next().expect("a trace");
    let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap();
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:")).unwrap();
    Pid::from_raw(process.trim().parse().unwrap())
}

/// A log that no other server writes to.
fn new_log(directory: &Path) -> (PathBuf, File) {
    let paths = (0..10_000).map(|run| directory.join(format!("run-{run}.log")));
    let mut opened = paths.map(|path| (File::create_new(&path), path));
    opened.find_map(|(file, path)| Some((path, file.ok()?))).unwrap()
}

/// An address in the line that says that the server is ready.
fn address_of(line: &str, field: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    fields.get("message")?.as_str()?.contains("is ready").then_some(())?;
    fields.get(field)?.as_str()?.parse().ok()
}
